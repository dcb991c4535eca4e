"""Products of blended values: probabilities, classes and confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Values
from ..errors import ModelError

ClassNumbers: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""Class of each pixel, counted from 0; the dtype's largest number is nodata."""

DISAGREEING_TILES = (
    "neighboring tiles have different class numbers where both see all pixels that were found to "
    "matter: the model depends on more of them, so classes cannot be cut exactly; give a larger "
    "margin=, or export the model without its argmax, so that its logits can be blended"
)
"""Error for class numbers that depend on the tile."""

MAX_UINT8_CLASSES = 255
"""Number of classes that uint8 can hold beside nodata."""


class Products:
    """Products of one window of blended values, each computed when it is first used.

    Parameters
    ----------
    values : ndarray
        Blended values in float32, shape ``(height, width, K)`` for K classes; never changed.
    interpretation : Interpretation
        How products are computed from them.
    """

    def __init__(self, values: Values, interpretation: Interpretation) -> None:
        self.logits = values
        """The blended values."""
        self._interpretation = interpretation

    @cached_property
    def probabilities(self) -> Values:
        """Probability of each class, shape ``(height, width, K)``."""
        return ACTIVATIONS[self._interpretation.activation](self.logits)

    @cached_property
    def classes(self) -> ClassNumbers:
        """Class of each pixel as it is written, shape ``(height, width, 1)``.

        It is the value that ``interpretation.values`` states for the pixel's class, or the
        position of the class. Pixels with a NaN are nodata: the largest number of the dtype.
        """
        values = self._interpretation.values
        if values is None:
            return self._positions
        nodata = np.iinfo(self._positions.dtype).max
        numbers = np.full(nodata + 1, np.iinfo(values.dtype).max, values.dtype)
        numbers[: len(values)] = values
        written: ClassNumbers = numbers[self._positions]
        return written

    @cached_property
    def _positions(self) -> ClassNumbers:
        """Class of each pixel, counted from 0 in the order of the model's channels.

        It is the class with the largest value, the first of equal ones; with a single class, 1
        where its probability is above the threshold, else 0; or the number that the model gives.
        """
        count = self.logits.shape[-1]
        if self._interpretation.are_classes:
            return self._given_numbers()
        return self._above_threshold() if count == 1 else self._argmax(label_dtype(count))

    @cached_property
    def confidence(self) -> Values:
        """Confidence in the class of each pixel, at most 1, shape ``(height, width, 1)``."""
        planes = np.moveaxis(self.probabilities, -1, 0)
        if len(planes) == 1:  # the background's probability comes first
            planes = np.stack([1 - planes[0], planes[0]])
        measure = CONFIDENCES[self._interpretation.confidence]
        return measure(planes, self._positions[..., 0])[..., None]

    def _given_numbers(self) -> ClassNumbers:
        """Return the class numbers that the model gives; tiles that differ blend to fractions."""
        dtype = self._interpretation.dtype
        nodata = np.iinfo(dtype).max
        numbers = np.where(np.isnan(self.logits), nodata, self.logits)
        if not np.array_equal(numbers, np.rint(numbers)):
            raise ModelError(DISAGREEING_TILES)
        if numbers.min(initial=0) < 0 or numbers.max(initial=0) > nodata:
            worst = numbers.min() if numbers.min() < 0 else numbers.max()
            raise ModelError(
                f"the model gives the class number {worst:.0f}, and the output holds 0 to "
                f"{nodata - 1}: name the classes, up to the largest number, with class_names="
            )
        return numbers.astype(dtype)

    def _above_threshold(self) -> ClassNumbers:
        dtype = label_dtype(1)
        is_above = self.probabilities > np.float32(self._interpretation.threshold)
        return np.where(np.isnan(self.logits), np.iinfo(dtype).max, is_above).astype(dtype)

    def _argmax(self, dtype: np.dtype[np.unsignedinteger[Any]]) -> ClassNumbers:
        # Logits are compared, not probabilities: rounding makes different ones equal.
        planes = np.moveaxis(self.logits, -1, 0)
        largest, winner = planes[0].copy(), np.zeros(planes.shape[1:], dtype)
        is_nan = np.isnan(largest)
        for number, plane in enumerate(planes[1:], start=1):
            is_larger = plane > largest
            winner[is_larger] = number
            np.copyto(largest, plane, where=is_larger)
            is_nan |= np.isnan(plane)
        winner[is_nan] = np.iinfo(dtype).max
        return winner[..., None]


@dataclass(frozen=True)
class Interpretation:
    """How probabilities, classes and confidence are computed from blended values."""

    activation: str
    """Activation that turns values into probabilities: a name in ``ACTIVATIONS``."""
    threshold: float = 0.5
    """Probability above which a pixel is of the class; used with a single class only."""
    confidence: str = "probability"
    """Measure of confidence: a name in ``CONFIDENCES``."""
    values: ClassNumbers | None = None
    """Number that is written for each class; None for its position among the classes."""
    are_classes: bool = False
    """Whether the blended values are class numbers themselves."""
    dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint8)  # noqa: RUF009  # immutable
    """Type of such class numbers."""


def label_dtype(classes: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the dtype for so many classes and nodata, which is the dtype's largest number."""
    return np.dtype(np.uint8 if classes <= MAX_UINT8_CLASSES else np.uint16)


def _probability_of_class(planes: Values, classes: ClassNumbers) -> Values:
    # Nodata is no index of a plane; all probabilities are NaN there, so any plane will do.
    index = np.minimum(classes, len(planes) - 1).astype(np.intp)
    probability: Values = np.take_along_axis(planes, index[None], axis=0)[0]
    return probability


def _margin(planes: Values, classes: ClassNumbers) -> Values:
    """Subtract the largest other probability; negative where a threshold has chosen the class."""
    probability = _probability_of_class(planes, classes)
    largest_other = np.full(planes.shape[1:], -np.inf, planes.dtype)
    for number, plane in enumerate(planes):
        np.maximum(largest_other, plane, out=largest_other, where=classes != number)
    return probability - largest_other


def _one_minus_entropy(planes: Values, classes: ClassNumbers) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = planes * np.log(planes)
    terms[planes <= 0] = 0
    confidence: Values = 1 + terms.sum(axis=0) / np.float32(np.log(len(planes)))
    return np.clip(confidence, 0, 1, out=confidence)


CONFIDENCES: dict[str, Callable[[Values, ClassNumbers], Values]] = {
    "probability": _probability_of_class,
    "margin": _margin,
    "entropy": _one_minus_entropy,
}
"""Measures of confidence by name: called with probabilities ``(K, height, width)`` and classes.

They are the probability of the class; its distance to the largest other probability; and one minus
the entropy divided by that of the uniform distribution, log(K). Each is 1 for a certain class.
"""


def softmax(logits: Values) -> Values:
    """Return the softmax over classes, the last axis, of logits ``(height, width, K)``."""
    planes = np.moveaxis(logits, -1, 0)
    largest = planes.max(axis=0)
    with np.errstate(invalid="ignore"):  # values that are not finite are reported elsewhere
        powers = planes - largest
        if np.isposinf(largest).any():  # infinite logits share the probability equally
            powers[np.isposinf(planes)] = 0
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=0)
    return np.moveaxis(powers, 0, -1)


def sigmoid(logits: Values) -> Values:
    """Return ``1 / (1 + exp(-x))`` of each logit, independently of the other classes."""
    with np.errstate(over="ignore"):  # exp may be infinite: its reciprocal is 0
        powers = np.exp(-logits)
    powers += 1
    np.reciprocal(powers, out=powers)
    return powers


def unchanged(values: Values) -> Values:
    """Return the values themselves, which are probabilities already."""
    return values


ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": unchanged,
}
"""Activations by name; each keeps the shape ``(height, width, K)``."""
