"""Products: what a run makes of a model's logits, and into which files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .activation import decide_activation
from .blocks import FLOAT32
from .errors import OptionError
from .meaning import CONFIDENCES, Reading, label_dtype
from .model import Model
from .settings import DEFAULT, METADATA, OPTION, Decision, decide

LOGITS, PROBABILITIES, CLASSES, CONFIDENCE = "logits", "probabilities", "classes", "confidence"

KINDS = (LOGITS, PROBABILITIES, CLASSES, CONFIDENCE)
"""What an output may hold, by name."""

BLENDS = (LOGITS, PROBABILITIES)
"""What tiles may be blended as."""

SMOOTHINGS = ("majority", "median")
"""Filters by which classes are smoothed."""


@dataclass(frozen=True)
class Products:
    """What is to be made of logits; None where that is left open.

    Raises
    ------
    OptionError
        Where the choices are unknown, contradict each other or change nothing.
    """

    kind: str = LOGITS
    """What the output holds: a name in ``KINDS``."""
    also: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()
    """More outputs, of the same run: kinds and paths."""
    activation: str | None = None
    """Name in ``ACTIVATIONS``."""
    threshold: float | None = None
    """Of a model of one class, the probability above which a pixel is of it."""
    confidence: str | None = None
    """Name in ``CONFIDENCES``."""
    blend: str | None = None
    """What tiles are blended as: a name in ``BLENDS``."""
    smooth: int | None = None
    """Radius in pixels of the filter by which classes are smoothed."""
    smooth_by: str | None = None
    """Name in ``SMOOTHINGS``."""
    sieve: int | None = None
    """Pixels that a region of one class must have to stay."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            _choose("kind", kind, KINDS)
        _choose("confidence", self.confidence, CONFIDENCES)
        _choose("blend", self.blend, BLENDS)
        _choose("smooth-by", self.smooth_by, SMOOTHINGS)
        for name, least in (("smooth", 1), ("sieve", 2)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise OptionError(
                    f"{name} must be a whole number of pixels from {least} on, not {value}"
                )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold must be a probability, 0 to 1, not {self.threshold}")
        if self.smooth_by is not None and self.smooth is None:
            raise OptionError("smooth-by needs a radius: give smooth, too")
        if self.blend == PROBABILITIES and LOGITS in self.kinds:
            raise OptionError(
                "where probabilities are blended there are no logits: choose another kind"
            )
        self._refuse_idle()

    def _refuse_idle(self) -> None:
        """Refuse choices about kinds that nobody has asked for."""
        for names, kinds in (
            (("activation",), {PROBABILITIES, CLASSES, CONFIDENCE}),
            (("threshold",), {CLASSES, CONFIDENCE}),
            (("confidence",), {CONFIDENCE}),
            (("smooth", "sieve"), {CLASSES}),
        ):
            for name in names:
                if getattr(self, name) is not None and not kinds & set(self.kinds):
                    listed = " or ".join(kind for kind in KINDS if kind in kinds)
                    raise OptionError(
                        f"{name} is about {listed}: choose such a kind, or add one with --also"
                    )

    @property
    def kinds(self) -> list[str]:
        """What each output holds, that of the main one first."""
        return [self.kind, *(kind for kind, _ in self.others)]

    @property
    def others(self) -> list[tuple[str, Any]]:
        """Kinds and paths of the outputs beside the main one."""
        return list(self.also.items() if isinstance(self.also, Mapping) else self.also)

    def decide(self, model: Model, classes: int) -> dict[str, Decision[Any]]:
        """Decide on what is left open; only on what the outputs depend on.

        Raises
        ------
        OptionError
            Where a choice does not fit the model.
        """
        decided: dict[str, Decision[Any]] = {
            "kind": Decision(self.kind, _origin(self.kind != LOGITS))
        }
        if set(self.kinds) == {LOGITS}:
            return decided
        if self.threshold is not None and classes > 1:
            raise OptionError(
                f"threshold is for models of one class, and this one has {classes}: the class of "
                f"the largest value wins"
            )
        decided["blend"] = decide((self.blend, OPTION), (LOGITS, DEFAULT))
        decided["activation"] = decide_activation(self.activation, model, classes)
        if classes == 1:
            stated = model.metadata.threshold
            decided["threshold"] = decide(
                (self.threshold, OPTION), (stated, METADATA), (0.5, DEFAULT)
            )
        if CONFIDENCE in self.kinds:
            decided["confidence"] = decide((self.confidence, OPTION), ("probability", DEFAULT))
            _check_confidence(decided, classes)
        if self.smooth is not None:
            decided["smooth"] = Decision(self.smooth, OPTION)
            decided["smooth_by"] = decide((self.smooth_by, OPTION), (SMOOTHINGS[0], DEFAULT))
        if self.sieve is not None:
            decided["sieve"] = Decision(self.sieve, OPTION)
        return decided


def pixel_bytes(kinds: Sequence[str], classes: int) -> int:
    """Bytes of a pixel in outputs of these kinds, before compression."""
    of_kind = {CLASSES: label_dtype(classes).itemsize, CONFIDENCE: FLOAT32}
    return sum(of_kind.get(kind, classes * FLOAT32) for kind in kinds)


def reading_of(decided: Mapping[str, Decision[Any]]) -> Reading:
    """How blended values are to be read, as was decided."""
    values = {name: decision.value for name, decision in decided.items()}
    activation = values.get("activation", "none")
    if values.get("blend") == PROBABILITIES:  # which it has made before
        activation = "none"
    return Reading(
        activation, values.get("threshold", 0.5), values.get("confidence", "probability")
    )


def _check_confidence(decided: Mapping[str, Decision[Any]], classes: int) -> None:
    is_several = decided["activation"].value == "sigmoid" and classes > 1
    if is_several and decided["confidence"].value == "entropy":
        raise OptionError(
            "entropy is of probabilities that sum to one, and the sigmoid takes each class by "
            "itself: choose another confidence"
        )


def _origin(is_asked: bool) -> str:
    return OPTION if is_asked else DEFAULT


def _choose(name: str, value: Any, among: Any) -> None:
    if value is not None and value not in among:
        raise OptionError(f"{name} {value!r} is unknown: choose one of {', '.join(among)}")
