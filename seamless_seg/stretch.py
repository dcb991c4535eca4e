"""Stretches: which of a band's statistics become 0 and 1."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from .errors import OptionError
from .statistics import Moments, Ranks, ranks


class Gathered(Protocol):
    """What a stretch is worked out from, for one band."""

    count: int

    def add(self, values: Any) -> None:
        """Add finite values, shape ``(n,)``."""
        ...


class Stretch(Protocol):
    """A way to bring each band into a range that a model can work with."""

    def gather(self, dtype: np.dtype[Any], most: int) -> Gathered:
        """What one band's pixels of that type are to be added to; it keeps so many of them."""
        ...

    def line(self, gathered: Any) -> tuple[float, float]:
        """The mean and the std of ``(pixel - mean) / std``."""
        ...


class Percentiles(NamedTuple):
    """The low percentile becomes 0, the high one 1; what is beyond goes beyond."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"percentile {self.low:g} to {self.high:g}"

    def gather(self, dtype: np.dtype[Any], most: int) -> Ranks:
        """Count, or keep some."""
        return ranks(dtype, most)

    def line(self, gathered: Ranks) -> tuple[float, float]:
        """The low percentile, and how far it is to the high one."""
        low = gathered.percentile(self.low)
        return low, gathered.percentile(self.high) - low


class ZScore(NamedTuple):
    """The mean becomes 0, a standard deviation 1."""

    def __str__(self) -> str:
        return "mean and standard deviation"

    def gather(self, dtype: np.dtype[Any], most: int) -> Moments:
        """Sum up."""
        return Moments()

    def line(self, gathered: Moments) -> tuple[float, float]:
        """Both as they are."""
        return gathered.mean, gathered.std


def stretch_of(text: str) -> Stretch:
    """Parse ``percentile:LOW,HIGH`` or ``zscore``.

    Raises
    ------
    OptionError
        Where it is neither, or the percentiles are none.
    """
    kind, _, rest = str(text).partition(":")
    if text == "zscore":
        return ZScore()
    if kind != "percentile":
        raise OptionError(
            f"normalize must be percentile:LOW,HIGH, such as percentile:2,98, or zscore, "
            f"not {text!r} (from the smallest to the largest value is percentile:0,100)"
        )
    try:
        low, high = (float(part) for part in rest.split(","))
    except ValueError:
        raise OptionError(
            f"normalize {text}: give two percentiles, such as percentile:2,98"
        ) from None
    if not 0 <= low < high <= 100:
        raise OptionError(
            f"normalize {text}: percentiles are from 0 to 100, the low one first, as in "
            f"percentile:2,98"
        )
    return Percentiles(low, high)
