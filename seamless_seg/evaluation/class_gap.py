"""The gap between the best class of a pixel and the second, which a tolerance must not bridge."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Logits

FEW = 0.001
"""Share of the pixels that may change class with the larger of the two tolerances."""


class ClassGap(NamedTuple):
    """How far logits may change until pixels change class, in standard deviations of the logits."""

    smallest: float
    """Smallest difference of a pixel's best logit and its second; for one logit, from 0."""
    tolerance: float
    """If logits change by less, no pixel changes class."""
    tolerance_for_few: float
    """If logits change by less, at most ``FEW`` of the pixels change class."""


class GapStatistics:
    """The gaps of pixels that are added window by window, in a fixed amount of memory."""

    _SHIFT = 11
    """Low bits of a float32 that its bin in the histogram does not depend on."""

    def __init__(self) -> None:
        self._counts = np.zeros(2**31 >> self._SHIFT, np.int64)
        self._smallest = math.inf
        self._values = 0
        self._mean = 0.0
        self._squares = 0.0
        """Sum of the squared distances of all logits from their mean."""
        self._changing = 2
        """Logits whose change decides on a class."""

    def add(self, logits: Logits) -> None:
        """Add pixels, shape ``(pixels, classes)``; those that are not finite are left out."""
        finite = logits[np.isfinite(logits).all(axis=-1)].astype(np.float64)
        if not finite.size:
            return
        if finite.shape[-1] == 1:
            self._changing = 1
            gaps = np.abs(finite[:, 0])
        else:
            two = np.partition(finite, -2, axis=-1)[:, -2:]
            gaps = two[:, 1] - two[:, 0]
        self._smallest = min(self._smallest, float(gaps.min()))
        bins = gaps.astype(np.float32).view(np.uint32) >> np.uint32(self._SHIFT)
        np.add.at(self._counts, bins, 1)
        self._add_to_spread(finite)

    def _add_to_spread(self, finite: Logits) -> None:
        """Update mean and squares: Chan, Golub and LeVeque 1983."""
        mean, count = float(finite.mean()), self._values + finite.size
        apart = mean - self._mean
        self._squares += float(np.square(finite - mean).sum())
        self._squares += apart**2 * self._values * finite.size / count
        self._mean += apart * finite.size / count
        self._values = count

    def value(self) -> ClassGap | None:
        """Return the gaps of all pixels; None if there are none, or if all logits are the same."""
        spread = math.sqrt(self._squares / self._values) if self._values else 0.0
        if not spread:
            return None
        few = int(FEW * self._counts.sum())
        number = int(np.searchsorted(np.cumsum(self._counts), few, side="right"))
        larger = float(np.uint32(number << self._SHIFT).view(np.float32))
        least = self._smallest / spread
        half = self._changing
        return ClassGap(least, least / half, max(self._smallest, larger) / spread / half)
