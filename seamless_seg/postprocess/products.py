"""Products: probabilities, classes and confidence of blended values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Values

Labels: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

BYTES = 255
"""Classes that fit into bytes, beside the value for nothing."""


@dataclass(frozen=True)
class Interpretation:
    """How values are to be read."""

    activation: str
    """What makes probabilities of them: a name in ``ACTIVATIONS``."""
    threshold: float = 0.5
    """Of one class, the probability above which a pixel is of it."""
    confidence: str = "probability"
    """Name in ``CONFIDENCES``."""


def label_dtype(classes: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The type that holds class numbers, and one number more for nothing: its largest."""
    return np.dtype(np.uint8 if classes <= BYTES else np.uint16)


class Products:
    """What a window of values says; each kind is worked out when it is first asked for.

    Parameters
    ----------
    values : ndarray
        Blended values, ``(height, width, K)``; they are not changed.
    interpretation : Interpretation
        How they are to be read.
    """

    def __init__(self, values: Values, interpretation: Interpretation) -> None:
        self.logits = values
        """The values themselves."""
        self._interpretation = interpretation

    @cached_property
    def probabilities(self) -> Values:
        """Of each class, ``(height, width, K)``."""
        return ACTIVATIONS[self._interpretation.activation](self.logits)

    @cached_property
    def classes(self) -> Labels:
        """The class of the largest value, the first of equals; of one class, 1 above the threshold.

        Shape ``(height, width, 1)``. Where a value is NaN there is none: the type's largest number.
        """
        count = self.logits.shape[-1]
        dtype = label_dtype(count)
        nothing = np.iinfo(dtype).max
        if count == 1:
            is_above = self.probabilities > np.float32(self._interpretation.threshold)
            return np.where(np.isnan(self.logits), nothing, is_above).astype(dtype)
        # The order of logits is that of their probabilities, but for rounding.
        planes = np.moveaxis(self.logits, -1, 0)
        best, winner = planes[0].copy(), np.zeros(planes.shape[1:], dtype)
        missing = np.isnan(best)
        for number, plane in enumerate(planes[1:], start=1):
            is_above = plane > best
            winner[is_above] = number
            np.copyto(best, plane, where=is_above)
            missing |= np.isnan(plane)
        winner[missing] = nothing
        return winner[..., None]

    @cached_property
    def confidence(self) -> Values:
        """How sure the class is, ``(height, width, 1)``: at most 1."""
        planes = np.moveaxis(self.probabilities, -1, 0)
        if len(planes) == 1:  # of it or not
            planes = np.stack([1 - planes[0], planes[0]])
        measure = CONFIDENCES[self._interpretation.confidence]
        return measure(planes, self.classes[..., 0])[..., None]


def _winning(planes: Values, classes: Labels) -> Values:
    # Where there is no class, all probabilities are NaN.
    chosen = np.minimum(classes, len(planes) - 1).astype(np.intp)
    taken: Values = np.take_along_axis(planes, chosen[None], axis=0)[0]
    return taken


def _margin(planes: Values, classes: Labels) -> Values:
    """Against the likeliest of the others: below zero where a threshold has chosen."""
    won = _winning(planes, classes)
    best = np.full(planes.shape[1:], -np.inf, planes.dtype)
    for number, plane in enumerate(planes):
        np.maximum(best, plane, out=best, where=classes != number)
    return won - best


def _certainty(planes: Values, classes: Labels) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = planes * np.log(planes)
    terms[planes <= 0] = 0
    certain: Values = 1 + terms.sum(axis=0) / np.float32(np.log(len(planes)))
    return np.clip(certain, 0, 1, out=certain)


CONFIDENCES: dict[str, Callable[[Values, Labels], Values]] = {
    "probability": _winning,
    "margin": _margin,
    "entropy": _certainty,
}
"""Measures of confidence by name, of ``(K, height, width)`` probabilities and the classes chosen.

The probability of the class that wins; how far it is before the second; and one minus the entropy
over that of a uniform guess. All are 1 where there is no doubt.
"""


def softmax(logits: Values) -> Values:
    """Exponentials over their sum, ``(height, width, K)``: they sum to one at every pixel."""
    planes = np.moveaxis(logits, -1, 0)
    largest = planes.max(axis=0)
    with np.errstate(invalid="ignore"):  # what is not finite is counted elsewhere
        powers = planes - largest
        if np.isposinf(largest).any():  # they share what there is
            powers[np.isposinf(planes)] = 0
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=0)
    return np.moveaxis(powers, 0, -1)


def sigmoid(logits: Values) -> Values:
    """``1 / (1 + exp(-x))`` of each value, each class by itself."""
    with np.errstate(over="ignore"):  # to infinity, and so to zero
        powers = np.exp(-logits)
    powers += 1
    np.reciprocal(powers, out=powers)
    return powers


def unchanged(values: Values) -> Values:
    """Values that are probabilities already."""
    return values


ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": unchanged,
}
"""From ``(height, width, K)`` to the same shape, by name."""
