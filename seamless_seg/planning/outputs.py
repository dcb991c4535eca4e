"""Decide what a run computes from a model's logits, and into which files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from ..decisions import DEFAULT, GRAPH, METADATA, OPTION, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.graph_analysis import final_activation
from ..postprocess.products import ACTIVATIONS, CONFIDENCES, Interpretation, label_dtype
from ..raster.blocks import FLOAT32
from ..validation import check_among, number_of
from .class_scheme import ClassScheme, Colors, Names, check_colors, check_names, class_scheme

LOGITS, PROBABILITIES, CLASSES, CONFIDENCE = "logits", "probabilities", "classes", "confidence"

KINDS = (LOGITS, PROBABILITIES, CLASSES, CONFIDENCE)
"""Names of the output types."""

BLENDS = (LOGITS, PROBABILITIES)
"""Names of the values of which overlapping tiles can be blended."""

MAX_SMOOTH_RADIUS = 256
"""Pixels of the largest radius of a smoothing filter: its memory grows with the radius."""

WORKING_COPIES = 4
"""Windows as large as one of logits that are in memory while other outputs are computed from it:
probabilities, their intermediate values, those of the confidence, and masks."""

SMOOTHINGS = ("majority", "median")
"""Names of the filters that smooth classes."""

REGRESSORS = ("regressor", "superresolution")
"""Model types whose values are not scores of classes, in lower case."""


@dataclass(frozen=True)
class OutputOptions:
    """What a run writes, and how it is computed from logits; None for what is left open.

    Raises
    ------
    OptionError
        If a value is unknown, contradicts another one, or has no effect.
    """

    kind: str = LOGITS
    """Type of the main output: a name in ``KINDS``."""
    also: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()
    """Types and paths of more outputs of the same run."""
    activation: str | None = None
    """Activation applied to logits: a name in ``ACTIVATIONS``."""
    threshold: float | None = None
    """Probability above which a pixel belongs to the class of a single-class model."""
    confidence: str | None = None
    """Measure of confidence: a name in ``CONFIDENCES``."""
    blend: str | None = None
    """Values of which overlapping tiles are blended: a name in ``BLENDS``."""
    smooth: int | None = None
    """Radius in pixels of the filter that smooths classes."""
    smooth_by: str | None = None
    """Filter that smooths classes: a name in ``SMOOTHINGS``."""
    sieve: int | None = None
    """Pixels of the smallest region of one class that is kept."""
    class_names: Names | None = None
    """Names of the classes in the order of the model's channels, or by the number that rasters of
    classes have. Replaces those of the model's metadata."""
    class_colors: Colors | None = None
    """Their colors, ``#RRGGBB`` or (red, green, blue): in that order, or by number."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            check_among("kind", kind, KINDS)
        for name, among in (
            ("confidence", CONFIDENCES),
            ("blend", BLENDS),
            ("smooth_by", SMOOTHINGS),
        ):
            if (value := getattr(self, name)) is not None:
                check_among(f"{name}=", value, among)
        _check_pixels("smooth", self.smooth, 1, MAX_SMOOTH_RADIUS)
        _check_pixels("sieve", self.sieve, 2)
        if self.class_names is not None:
            object.__setattr__(self, "class_names", check_names(self.class_names))
        if self.class_colors is not None:
            object.__setattr__(self, "class_colors", check_colors(self.class_colors))
        threshold = number_of("threshold", self.threshold)
        if threshold is not None and not 0 <= threshold <= 1:
            raise OptionError(f"threshold must be a probability, 0 to 1, not {self.threshold}")
        if self.smooth_by is not None and self.smooth is None:
            raise OptionError("smooth_by= needs smooth=: give the radius of the filter, too")
        if self.blend == PROBABILITIES and LOGITS in self.kinds:
            raise OptionError(
                'blend="probabilities" leaves no logits to write: choose another kind=, or leave '
                "out blend="
            )
        self._refuse_unused()

    def _refuse_unused(self) -> None:
        """Raise if a value is given for a type of output that is not written."""
        for names, kinds in (
            (("activation",), {PROBABILITIES, CLASSES, CONFIDENCE}),
            (("threshold",), {CLASSES, CONFIDENCE}),
            (("confidence",), {CONFIDENCE}),
            (("smooth", "sieve"), {CLASSES}),
        ):
            for name in names:
                if getattr(self, name) is not None and not kinds & set(self.kinds):
                    needed = [kind for kind in KINDS if kind in kinds]
                    raise OptionError(
                        f"{name}= needs an output of {' or '.join(needed)}: give "
                        f'kind="{needed[0]}" or also={{"{needed[0]}": FILE}}'
                    )

    @property
    def kinds(self) -> list[str]:
        """Type of each output, the main one first."""
        return [self.kind, *(kind for kind, _ in self.others)]

    @property
    def paths(self) -> list[Any]:
        """Paths of the outputs beside the main one."""
        return [path for _, path in self.others]

    @property
    def others(self) -> list[tuple[str, Any]]:
        """Types and paths of the outputs beside the main one."""
        also = self.also.items() if isinstance(self.also, Mapping) else self.also
        try:
            return [(kind, path) for kind, path in also]
        except (TypeError, ValueError):
            raise OptionError(
                f"also must be pairs of an output type and a path, not {self.also!r}"
            ) from None

    def decide(self, model: Model, classes: int) -> dict[str, Decision[Any]]:
        """Decide on what is left open, as far as the outputs depend on it.

        Parameters
        ----------
        model : Model
            The model; its metadata and its graph state defaults.
        classes : int
            Number of classes of the model.

        Raises
        ------
        OptionError
            If a value does not fit the model.
        """
        origin = DEFAULT if self.kind == LOGITS else OPTION
        decided: dict[str, Decision[Any]] = {"kind": Decision(self.kind, origin)}
        if model.spec.gives_classes:
            self._refuse_blending(model)
            return decided | self._decide_cleaning()
        if set(self.kinds) == {LOGITS}:
            return decided
        if self.threshold is not None and classes > 1:
            raise OptionError(
                f"threshold= is for models of one class, and this one has {classes}: leave it "
                f"out, the class of the largest logit is written"
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
        return decided | self._decide_cleaning()

    def classes_of(self, model: Model, classes: int) -> ClassScheme:
        """Decide on the number, the name and the color of each class.

        Raises
        ------
        OptionError
            If names or colors do not fit the model.
        """
        return class_scheme(model.spec, classes, self.class_names, self.class_colors)

    def _refuse_blending(self, model: Model) -> None:
        """Raise if more than class numbers is wanted of a model that gives nothing else."""
        if set(self.kinds) != {CLASSES}:
            other = next(kind for kind in self.kinds if kind != CLASSES)
            raise OptionError(
                f'kind="{other}" needs logits, and {model.spec.name} gives class numbers, which '
                f'cannot be blended: use kind="classes", or export the model without its argmax'
            )
        for name in ("activation", "threshold", "blend"):
            if getattr(self, name) is not None:
                raise OptionError(
                    f"{name}= needs logits, and {model.spec.name} gives class numbers: leave it "
                    f"out, or export the model without its argmax"
                )

    def _decide_cleaning(self) -> dict[str, Decision[Any]]:
        decided: dict[str, Decision[Any]] = {}
        if self.smooth is not None:
            decided["smooth"] = Decision(self.smooth, OPTION)
            decided["smooth_by"] = decide((self.smooth_by, OPTION), (SMOOTHINGS[0], DEFAULT))
        if self.sieve is not None:
            decided["sieve"] = Decision(self.sieve, OPTION)
        return decided


class OutputChoices(TypedDict, total=False):
    """The fields of ``OutputOptions`` as keywords."""

    kind: str
    also: Mapping[str, Any] | Sequence[tuple[str, Any]]
    activation: str | None
    threshold: float | None
    confidence: str | None
    blend: str | None
    smooth: int | None
    smooth_by: str | None
    sieve: int | None
    class_names: Names | None
    class_colors: Colors | None


def copies_of(kinds: Sequence[str]) -> int:
    """Return how many windows as large as one of logits are needed to compute these outputs."""
    return 0 if set(kinds) == {LOGITS} else WORKING_COPIES


def pixel_bytes(kinds: Sequence[str], classes: int) -> int:
    """Return the bytes of a pixel in outputs of these types, before compression."""
    of_kind = {CLASSES: label_dtype(classes).itemsize, CONFIDENCE: FLOAT32}
    return sum(of_kind.get(kind, classes * FLOAT32) for kind in kinds)


def interpretation_of(
    values: Mapping[str, Any], scheme: ClassScheme | None = None, are_classes: bool = False
) -> Interpretation:
    """Return how outputs are computed from blended values.

    Parameters
    ----------
    values : mapping
        The decided values by name.
    scheme : ClassScheme, optional
        The numbers of the classes; their positions if None.
    are_classes : bool
        Whether the blended values are class numbers themselves.
    """
    activation = values.get("activation", "none")
    if values.get("blend") == PROBABILITIES:  # the activation was applied before blending
        activation = "none"
    return Interpretation(
        activation,
        values.get("threshold", 0.5),
        values.get("confidence", "probability"),
        None if scheme is None else scheme.lookup,
        are_classes,
        np.dtype(np.uint8) if scheme is None else scheme.dtype,
    )


def decide_activation(option: str | None, model: Model, classes: int) -> Decision[str]:
    """Decide which activation turns a model's logits into probabilities.

    The option wins, then the model's metadata, then none if the model's graph ends in an
    activation; the default is the sigmoid for one class and the softmax for several.

    Parameters
    ----------
    option : str or None
        A name in ``ACTIVATIONS``; None if it is left open.
    model : Model
        The model.
    classes : int
        Number of its classes.

    Raises
    ------
    OptionError
        If the activation is unknown, or a softmax of one class.
    """
    if option is not None:
        check_among("activation", option, ACTIVATIONS)
    if option == "softmax" and classes == 1:
        raise OptionError(
            'activation="softmax" needs several classes, and this model has one: choose sigmoid'
        )
    is_regressor = (model.spec.metadata.model_type or "").lower() in REGRESSORS
    return decide(
        (option, OPTION),
        ("none" if is_regressor else None, METADATA),
        ("none" if final_activation(model) else None, GRAPH),
        ("sigmoid" if classes == 1 else "softmax", DEFAULT),
    )


def _check_confidence(decided: Mapping[str, Decision[Any]], model: Model, classes: int) -> None:
    """Raise if an entropy is to be computed of probabilities that do not sum to one."""
    activation = decided["activation"].value
    if activation == "none":
        activation = (final_activation(model) or "none").lower()
    is_per_class = activation in ("sigmoid", "hardsigmoid")
    if is_per_class and classes > 1 and decided["confidence"].value == "entropy":
        raise OptionError(
            'confidence="entropy" needs probabilities that sum to one, and sigmoid\'s do not: '
            "choose another confidence"
        )


def _check_pixels(name: str, value: Any, least: int, most: float = math.inf) -> None:
    if value is None:
        return
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        allowed = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise OptionError(f"{name} must be a whole number of pixels {allowed}, not {value}")
