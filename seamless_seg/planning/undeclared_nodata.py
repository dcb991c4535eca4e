"""Nodata that nothing declares: NaN, or one value that fills many pixels far from all others."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..raster.source import Source
from .raster_statistics import RANGE_PIXELS, measure

COMMON_VALUES = (-9999, -99999, -32768, -32767, 65535)
"""Nodata values that many programs write, whatever the type of the pixels."""

MIN_SHARE = 0.005
"""Share of a band's pixels that nodata fills at least."""

MIN_GAP = 0.25
"""Distance between nodata and all other values, in times their span, at least."""


class UndeclaredNodata(NamedTuple):
    """A value that probably means no data."""

    value: float
    share: float
    """Largest share of a band's pixels that it fills, 0 to 1."""
    low: float
    high: float
    """The range of all other values."""
    declared: float | None = None
    """The nodata value that is declared."""

    def __str__(self) -> str:
        option = f"nodata={_number(self.value)}"
        if self.declared is not None:
            option += f" in place of {_number(self.declared)}"
        if math.isnan(self.value):
            return f"pixels are NaN, which is not declared as nodata: give {option}"
        return (
            f"{_number(self.value)} fills {100 * self.share:.2g} % of a band, far from all other "
            f"values, {self.low:g} to {self.high:g}: give {option} if it means no data"
        )


def refuse_nan(declared: float | None) -> NoReturn:
    """Raise ``OptionError`` for pixels that are NaN, of which no statistics can be measured.

    Parameters
    ----------
    declared : float or None
        The nodata value that is declared.
    """
    found = UndeclaredNodata(math.nan, 0, math.nan, math.nan, declared)
    raise OptionError(f'{found}; without it, the statistics of exact="global" would be NaN, too')


def find_undeclared_nodata(
    source: Source, bands: int, declared: float | None = None
) -> UndeclaredNodata | None:
    """Find a value that probably means no data, in a sample of a large raster.

    Of pixels of 8 bits there is none: their lowest and highest values are ordinary ones.

    Parameters
    ----------
    source : Source
        The raster, set to the bands.
    bands : int
        Number of bands.
    declared : float, optional
        The nodata value that is declared.

    Raises
    ------
    RasterError
        If the raster cannot be read.
    """
    if source.dtype.itemsize == 1:
        return None
    _, found = measure(source, lambda dtype, _: _Ends(dtype), bands, RANGE_PIXELS, _all)
    low, high = min(band.low for band in found), max(band.high for band in found)
    if any(band.has_nan for band in found):
        return UndeclaredNodata(math.nan, 0, low, high, declared)
    shares = {
        value: max(band.counts[value] / max(1, band.count) for band in found)
        for value in {value for band in found for value in band.counts}
    }
    far = [
        UndeclaredNodata(value, share, low, high, declared)
        for value, share in shares.items()
        if share >= MIN_SHARE and max(low - value, value - high) > MIN_GAP * (high - low) > 0
    ]
    return max(far, key=lambda one: one.share, default=None)


class _Ends:
    """Occurrences of values that may mean no data, and the range of all others."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.count = 0
        self.counts: Counter[float] = Counter()
        self.low, self.high = math.inf, -math.inf
        self.has_nan = False
        self._suspects = _suspects(dtype)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add values, shape ``(n,)``."""
        self.count += len(values)
        if values.dtype.kind == "f":
            self.has_nan = self.has_nan or bool(np.isnan(values).any())
            values = values[np.isfinite(values)]
        while len(values):
            low, high = values.min().item(), values.max().item()
            suspect = next((end for end in (low, high) if end in self._suspects), None)
            if suspect is None:
                self.low, self.high = min(self.low, low), max(self.high, high)
                return
            others = values[values != suspect]
            self.counts[suspect] += len(values) - len(others)
            values = others


def _suspects(dtype: np.dtype[Any]) -> frozenset[float]:
    if dtype.kind == "f":
        ends = [np.finfo(dtype).min, np.finfo(np.float32).min, np.finfo(np.float32).max]
        return frozenset((*COMMON_VALUES, *map(float, ends)))
    limits = np.iinfo(dtype)
    return frozenset({*COMMON_VALUES, int(limits.min), int(limits.max)} - {0})


def _all(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values


def _number(value: float) -> str:
    """All digits of a number, as an option takes it."""
    return repr(value).removesuffix(".0")
