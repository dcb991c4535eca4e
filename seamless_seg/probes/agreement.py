"""Whether two outputs for the same pixels are the same, up to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import difference

ROUNDING = 1e-4
"""Share of the logits' standard deviation by which rounding may change an output."""

HALF_ROUNDING = 1e-2
"""The same for logits in half precision."""

FLIPPED = 1e-4
"""Share of the pixels of class numbers, and of other steps, that rounding may change."""

FLIPPED_STEPS = 1e-2
"""The same as a share of the pixels that differ from the pixel beside them."""

SAMPLE = 4096
"""Values of an output that show whether it has steps."""

MAX_STEPS = 256
"""Values that an output with steps has at most."""


PART_VALUES = 2**21
"""Logits that are compared at a time: of many classes, all at once would take gigabytes."""


class Agreement(NamedTuple):
    """How far two outputs for the same pixels agree."""

    same: bool
    """Whether they differ by no more than rounding explains."""
    rounding: float
    """Largest difference, as a share of the logits' standard deviation; 0 for the same bits."""


def agreement(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Agreement:
    """Compare two outputs of the same pixels, ``(classes, height, width)``.

    Rounding changes every logit a little. An output with steps, such as class numbers, it changes
    at few pixels, by whole steps.
    """
    if same_bits(one, other):
        return Agreement(True, 0.0)
    largest = float(largest_differences(one, other).max()) / spread(one)
    if has_steps(one):
        count = one[0].size
        flipped = float(_differing_pixels(one, other))
        most = count * min(FLIPPED, FLIPPED_STEPS * variation(one))
        return Agreement(flipped <= max(1.0, most), largest)
    return Agreement(largest <= tolerance(one), largest)


def same_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Tell whether two outputs have the same values, NaN at the same places."""
    return one.shape == other.shape and all(
        np.array_equal(own, others, equal_nan=True) for own, others in _parts(one, other)
    )


def variation(logits: npt.NDArray[Any]) -> float:
    """Return the share of pixels that differ from the pixel beside them along the last axis."""
    differs = np.zeros((*logits.shape[1:-1], max(0, logits.shape[-1] - 1)), np.bool_)
    if not differs.size:
        return 0.0
    for (part,) in _parts(logits):
        right, left = part[..., 1:], part[..., :-1]
        is_nan = np.isnan(right) & np.isnan(left)
        differs |= np.any((right != left) & ~is_nan, axis=0)
    return float(differs.mean())


def has_steps(logits: npt.NDArray[Any]) -> bool:
    """Tell whether an output has few values, as class numbers have, each at many pixels."""
    sample = logits.ravel()[:: max(1, logits.size // SAMPLE)]
    values, counts = np.unique(sample, return_counts=True)
    elsewhere = len(sample) - counts.max(initial=0)
    return bool(len(values) <= min(MAX_STEPS, 2 + elsewhere / 4))


def largest_differences(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the largest absolute difference along the last axis, in finite numbers.

    Parameters
    ----------
    one, other : ndarray
        Two outputs of the same pixels, ``(classes, height, width)``.

    Returns
    -------
    ndarray of float64
        Of all classes and rows, ``(width,)``.
    """
    largest = np.zeros(one.shape[-1])
    for own, others in _parts(one, other):
        np.maximum(largest, difference(own, others).max(axis=(0, 1)), out=largest)
    return np.nan_to_num(largest, posinf=float(np.finfo(np.float32).max))


def spread(logits: npt.NDArray[Any]) -> float:
    """Return the standard deviation of the finite logits, above 0."""
    count, mean, squares = 0, 0.0, 0.0
    for (part,) in _parts(logits):
        finite = part[np.isfinite(part)].astype(np.float64)
        if not finite.size:
            continue
        # Means and squares of two parts are put together as by Chan, Golub and LeVeque, 1983.
        apart, total = float(finite.mean()) - mean, count + finite.size
        squares += float(finite.var()) * finite.size + apart**2 * count * finite.size / total
        mean, count = mean + apart * finite.size / total, total
    deviation = math.sqrt(squares / count) if count else 0.0
    return max(deviation, float(np.finfo(np.float32).tiny))


def tolerance(logits: npt.NDArray[Any]) -> float:
    """Return the share of the logits' standard deviation that rounding may change."""
    with np.errstate(over="ignore"):
        is_half = all(
            np.array_equal(part, part.astype(np.float16), equal_nan=True)
            for (part,) in _parts(logits)
        )
    return HALF_ROUNDING if is_half else ROUNDING


def _differing_pixels(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> int:
    """Return the number of pixels of which any class differs."""
    differs = np.zeros(one.shape[1:], np.bool_)
    for own, others in _parts(one, other):
        differs |= np.any(difference(own, others) > 0, axis=0)
    return int(differs.sum())


def _parts(*outputs: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Yield some classes of each output at a time."""
    classes = len(outputs[0])
    count = max(1, PART_VALUES // max(1, outputs[0][0].size)) if classes else 1
    for first in range(0, classes, count):
        yield tuple(output[first : first + count] for output in outputs)
