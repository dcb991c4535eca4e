"""OutputOptions: what a run makes of a model's logits, and into which files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..decisions import DEFAULT, METADATA, OPTION, THE_GRAPH, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.graph_analysis import final_activation
from ..models.metadata import ModelMetadata
from ..postprocess.products import ACTIVATIONS, CONFIDENCES, Interpretation, label_dtype
from ..raster.blocks import FLOAT32
from ..validation import check_among, number_of

LOGITS, PROBABILITIES, CLASSES, CONFIDENCE = "logits", "probabilities", "classes", "confidence"

KINDS = (LOGITS, PROBABILITIES, CLASSES, CONFIDENCE)
"""What an output may hold, by name."""

BLENDS = (LOGITS, PROBABILITIES)
"""What tiles may be blended as."""

FARTHEST = 256
"""Pixels of the largest radius by which classes are smoothed: what is held grows with it."""

COPIES = 4
"""Probabilities, what they are worked out by, what confidence is, and what is there of each."""

SMOOTHINGS = ("majority", "median")
"""Filters by which classes are smoothed."""

REGRESSORS = ("regressor", "superresolution")
"""Model types whose values are no scores of classes, in lower case."""


@dataclass(frozen=True)
class OutputOptions:
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
            check_among("kind", kind, KINDS)
        for name, among in (
            ("confidence", CONFIDENCES),
            ("blend", BLENDS),
            ("smooth_by", SMOOTHINGS),
        ):
            if (value := getattr(self, name)) is not None:
                check_among(name.replace("_", "-"), value, among)
        _check_pixels("smooth", self.smooth, 1, FARTHEST)
        _check_pixels("sieve", self.sieve, 2)
        threshold = number_of("threshold", self.threshold)
        if threshold is not None and not 0 <= threshold <= 1:
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
        also = self.also.items() if isinstance(self.also, Mapping) else self.also
        try:
            return [(kind, path) for kind, path in also]
        except (TypeError, ValueError):
            raise OptionError(f"also must be kinds and paths, not {self.also!r}") from None

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
            stated = model.spec.metadata.threshold
            decided["threshold"] = decide(
                (self.threshold, OPTION), (stated, METADATA), (0.5, DEFAULT)
            )
        if CONFIDENCE in self.kinds:
            decided["confidence"] = decide((self.confidence, OPTION), ("probability", DEFAULT))
            _check_confidence(decided, model, classes)
        if self.smooth is not None:
            decided["smooth"] = Decision(self.smooth, OPTION)
            decided["smooth_by"] = decide((self.smooth_by, OPTION), (SMOOTHINGS[0], DEFAULT))
        if self.sieve is not None:
            decided["sieve"] = Decision(self.sieve, OPTION)
        return decided


def copies_of(kinds: Sequence[str]) -> int:
    """Windows of as many values as logits that are held while these kinds are made of them."""
    return 0 if set(kinds) == {LOGITS} else COPIES


def pixel_bytes(kinds: Sequence[str], classes: int) -> int:
    """Bytes of a pixel in outputs of these kinds, before compression."""
    of_kind = {CLASSES: label_dtype(classes).itemsize, CONFIDENCE: FLOAT32}
    return sum(of_kind.get(kind, classes * FLOAT32) for kind in kinds)


def interpretation_of(values: Mapping[str, Any]) -> Interpretation:
    """How blended values are to be read: the values of what was decided, by name."""
    activation = values.get("activation", "none")
    if values.get("blend") == PROBABILITIES:  # which it has made before
        activation = "none"
    return Interpretation(
        activation, values.get("threshold", 0.5), values.get("confidence", "probability")
    )


def _check_confidence(decided: Mapping[str, Decision[Any]], model: Model, classes: int) -> None:
    activation, takes_each = decided["activation"].value, ("sigmoid", "hardsigmoid")
    if activation == "none":
        activation = (final_activation(model) or "none").lower()
    if activation in takes_each and classes > 1 and decided["confidence"].value == "entropy":
        raise OptionError(
            "entropy is of probabilities that sum to one, and the sigmoid takes each class by "
            "itself: choose another confidence"
        )


def _check_pixels(name: str, value: Any, least: int, most: float = math.inf) -> None:
    if value is None:
        return
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        upwards = f"from {least} on" if most == math.inf else f"from {least} to {most}"
        raise OptionError(f"{name} must be a whole number of pixels {upwards}, not {value}")


def _origin(is_asked: bool) -> str:
    return OPTION if is_asked else DEFAULT


def decide_activation(asked: str | None, model: Model, classes: int) -> Decision[str]:
    """Which activation turns a model's values into probabilities.

    What is asked for, what the metadata says, none where the graph ends in one; else the sigmoid
    for one class and the softmax for several.

    Raises
    ------
    OptionError
        Where there is none such, or it says nothing about one class.
    """
    if asked is not None:
        check_among("activation", asked, ACTIVATIONS)
    if asked == "softmax" and classes == 1:
        raise OptionError("the softmax of one class is 1 everywhere: choose sigmoid")
    return decide(
        (asked, OPTION),
        (_of_metadata(model.spec.metadata), METADATA),
        ("none" if final_activation(model) else None, THE_GRAPH),
        ("sigmoid" if classes == 1 else "softmax", DEFAULT),
    )


def _of_metadata(metadata: ModelMetadata) -> str | None:
    return "none" if (metadata.model_type or "").lower() in REGRESSORS else None
