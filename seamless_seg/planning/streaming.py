"""Statistics of values that come a few at a time and are not kept."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

COUNTED = 2
"""Bytes of an integer at most for which each value that there can be is counted."""


class Moments:
    """Mean and standard deviation, by block and merged (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0
        self._low, self._high = math.inf, -math.inf

    def add(self, values: Values) -> None:
        """Add finite values, shape ``(n,)``."""
        if not len(values):
            return
        wide = values.astype(np.float64)
        count, mean = self.count + len(wide), float(wide.mean())
        apart = mean - self.mean
        self._squares += float(np.square(wide - mean).sum())
        self._squares += apart * apart * self.count * len(wide) / count
        self.mean += apart * len(wide) / count
        self.count = count
        self._low = min(self._low, float(wide.min()))
        self._high = max(self._high, float(wide.max()))

    @property
    def std(self) -> float:
        """Standard deviation of all values (not an estimate for more); 0 where all are the same."""
        if self._low >= self._high:  # rounding must not make it anything else
            return 0.0
        return math.sqrt(self._squares / self.count)


class Ranks(Protocol):
    """What percentiles are taken from."""

    count: int

    def add(self, values: Values) -> None:
        """Add finite values, shape ``(n,)``."""
        ...

    def percentile(self, percent: float) -> float:
        """What so many per cent of the values are below, interpolated between two of them.

        That is ``numpy.percentile`` as it is by default.
        """
        ...


def ranks(dtype: np.dtype[Any], most: int) -> Ranks:
    """Exact percentiles for integers up to 16 bits; for others, those of ``most`` values."""
    if dtype.kind in "iu" and dtype.itemsize <= COUNTED:
        return Counts(dtype)
    return Thinned(most)


class Counts:
    """How often each value of an integer type comes."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.count = 0
        self._least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        self._counts = np.zeros(most - self._least + 1, np.int64)

    def add(self, values: Values) -> None:
        """Add integers of the type, shape ``(n,)``."""
        self.count += len(values)
        offset = values.astype(np.intp) - self._least
        self._counts += np.bincount(offset, minlength=len(self._counts))

    def percentile(self, percent: float) -> float:
        """As ``Ranks`` says: exact."""
        rank = (self.count - 1) * percent / 100
        ends = np.array([math.floor(rank), math.ceil(rank)])
        below, above = np.searchsorted(np.cumsum(self._counts), ends, side="right")
        return self._least + float(below + (above - below) * (rank - ends[0]))


class Thinned:
    """All values while they are few; beyond ``most`` an even share of them, drawn with a seed.

    A percentile is exact until then. After that it is the one of ``most / 2`` values at least: for
    500,000 the 2nd is, 19 times of 20, a value between the 1.96th and the 2.04th. The lowest and
    the highest value are always right.
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._share = 1.0
        self._random = np.random.default_rng(0)
        self._parts: list[Values] = []
        self._held = 0
        self._low, self._high = math.inf, -math.inf

    def add(self, values: Values) -> None:
        """Add finite values, shape ``(n,)``."""
        if not len(values):
            return
        self.count += len(values)
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))
        self._keep(self._drawn(values, self._share))
        while self._held > self._most:
            self._share /= 2
            kept, self._parts, self._held = np.concatenate(self._parts), [], 0
            self._keep(self._drawn(kept, 0.5))

    def percentile(self, percent: float) -> float:
        """As ``Ranks`` says, of the values that are kept."""
        if percent in (0, 100):
            return self._high if percent else self._low
        return float(np.percentile(np.concatenate(self._parts).astype(np.float64), percent))

    def _keep(self, values: Values) -> None:
        self._parts.append(values)
        self._held += len(values)

    def _drawn(self, values: Values, share: float) -> Values:
        if share == 1:
            return values
        drawn: Values = values[self._random.random(len(values)) < share]
        return drawn
