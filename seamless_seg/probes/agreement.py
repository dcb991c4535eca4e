"""Whether two outputs for the same pixels are the same, up to rounding."""

from __future__ import annotations

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
    if np.array_equal(one, other, equal_nan=True):
        return Agreement(True, 0.0)
    largest = float(absolute_difference(one, other).max()) / spread(one)
    if has_steps(one):
        count = one[0].size
        flipped = float(np.any(difference(one, other) > 0, axis=0).sum())
        most = count * min(FLIPPED, FLIPPED_STEPS * variation(one))
        return Agreement(flipped <= max(1.0, most), largest)
    return Agreement(largest <= tolerance(one), largest)


def variation(logits: npt.NDArray[Any]) -> float:
    """Return the share of pixels that differ from the pixel beside them along the last axis."""
    pairs = logits[..., 1:], logits[..., :-1]
    if not pairs[0].size:
        return 0.0
    is_nan = np.isnan(pairs[0]) & np.isnan(pairs[1])
    return float(np.any((pairs[0] != pairs[1]) & ~is_nan, axis=0).mean())


def has_steps(logits: npt.NDArray[Any]) -> bool:
    """Tell whether an output has few values, as class numbers have, each at many pixels."""
    sample = logits.ravel()[:: max(1, logits.size // SAMPLE)]
    values, counts = np.unique(sample, return_counts=True)
    elsewhere = len(sample) - counts.max(initial=0)
    return bool(len(values) <= min(MAX_STEPS, 2 + elsewhere / 4))


def absolute_difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the absolute difference of logits, in finite numbers."""
    return np.nan_to_num(difference(one, other), posinf=float(np.finfo(np.float32).max))


def spread(logits: npt.NDArray[Any]) -> float:
    """Return the standard deviation of the finite logits, above 0."""
    finite = logits[np.isfinite(logits)].astype(np.float64)
    return max(float(finite.std()) if finite.size else 0.0, float(np.finfo(np.float32).tiny))


def tolerance(logits: npt.NDArray[Any]) -> float:
    """Return the share of the logits' standard deviation that rounding may change."""
    with np.errstate(over="ignore"):
        is_half = np.array_equal(logits, logits.astype(np.float16), equal_nan=True)
    return HALF_ROUNDING if is_half else ROUNDING
