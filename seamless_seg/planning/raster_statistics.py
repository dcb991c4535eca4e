"""Measure statistics of a raster's bands and derive a normalization from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ..decisions import Decision
from ..errors import OptionError
from ..raster.sampling import SAMPLE_PIXELS, StratifiedSample
from ..raster.source import Source
from ..validation import LARGEST_FLOAT32
from .settings import Pixels
from .streaming import Moments, Ranks, Values, ranks

MAX_KEPT_VALUES = 2**22
"""Values of all bands together that are kept in memory for percentiles, where they cannot be
counted."""

MAX_KEPT_BAND_VALUES = 2**20
"""Values of one band that are kept in memory for percentiles."""

MIN_VALID_DIVISOR = 16
"""A sample with fewer than one valid pixel in so many is drawn again, larger."""


RANGE_PIXELS = 2**22
"""Pixels to read of a raster for the range of its values."""


class Standardization(NamedTuple):
    """The mean and std that a model states for pixels of 0 to 1, one number or one per band."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def of_band(self, index: int) -> tuple[float, float]:
        """Return the mean and the std of a band, counted from 0."""
        mean, std = (numbers[index if len(numbers) > 1 else 0] for numbers in (self.mean, self.std))
        return mean, std


class ValueRange(NamedTuple):
    """The range of the valid values of all bands."""

    low: float
    high: float
    p98: float
    """The 98th percentile of the band where that is largest."""


def measure_pixels(
    source: Source,
    bands: Decision[tuple[int, ...]],
    normalize: str,
    standardization: Standardization | None = None,
    without: float | None = None,
) -> tuple[Pixels, list[str]]:
    """Derive the normalization of a raster's bands from their values.

    Nodata and values that are not finite are left out.

    Parameters
    ----------
    source : Source
        The raster, set to these bands.
    bands : Decision
        Numbers of the bands, counted from 1.
    normalize : str
        ``percentile:LOW,HIGH`` or ``zscore``.
    standardization : Standardization, optional
        What the model states. It follows on percentiles, which take the place of a division by
        255; ``zscore`` replaces it.
    without : float, optional
        A value that does not count.

    Returns
    -------
    pixels : Pixels
        Scale, mean and std, rounded so that they give the same bits if given as options.
    notes : list of str
        Sentences for the user: the equivalent options, and bands without variation or valid pixels.

    Raises
    ------
    OptionError
        If ``normalize`` cannot be parsed, or if a band spans more than float32 can represent.
    RasterError
        If the raster cannot be read.
    """
    stretch = stretch_of(normalize)
    keep = partial(_finite, without=without)
    sample, statistics = measure(source, stretch.statistics, len(bands.value), keep=keep)
    where = "the raster" if sample.is_complete else "a sample of the raster"
    numbers, warnings = _means_and_stds(source.dtype, stretch, bands.value, statistics)
    origin = f"{stretch} of {where}"
    if standardization is not None:
        origin = stretch.with_standardization(origin)
        if isinstance(stretch, Percentiles):
            numbers = [
                _standardized(*own, *standardization.of_band(index), source.dtype)
                for index, own in enumerate(numbers)
            ]
    pixels = Pixels(
        bands,
        Decision(1.0, origin),
        Decision(tuple(mean for mean, _ in numbers), origin),
        Decision(tuple(std for _, std in numbers), origin),
    )
    note = f"pixels are normalized by {origin}, equivalent to {as_keywords(pixels)}"
    return pixels, [note, *warnings]


def measure_range(source: Source, bands: int, without: float | None = None) -> ValueRange | None:
    """Measure the range of a raster's values, in a sample of it if it is large.

    Parameters
    ----------
    source : Source
        The raster, set to the bands.
    bands : int
        Number of bands.
    without : float, optional
        A value that does not count.

    Returns
    -------
    ValueRange or None
        None if no value is valid.

    Raises
    ------
    RasterError
        If the raster cannot be read.
    """
    keep = partial(_finite, without=without)
    _, statistics = measure(source, Percentiles(0, 98).statistics, bands, RANGE_PIXELS, keep)
    found: list[Any] = [band for band in statistics if band.count]
    if not found:
        return None
    lows, highs, p98s = ([band.percentile(p) for band in found] for p in (0, 100, 98))
    return ValueRange(min(lows), max(highs), max(p98s))


def as_keywords(pixels: Pixels) -> str:
    """Return a normalization as keywords that give the same bits."""
    values = (pixels.mean.value, pixels.std.value)
    mean, std = (",".join(map(_shortest, numbers)) for numbers in values)
    return f"scale={_shortest(pixels.scale.value)}, mean=[{mean}], std=[{std}]"


def stretch_of(text: str) -> Stretch:
    """Parse ``percentile:LOW,HIGH`` or ``zscore``.

    Raises
    ------
    OptionError
        If it is neither, or if the percentiles are out of range.
    """
    kind, _, rest = str(text).partition(":")
    if text == "zscore":
        return ZScore()
    if kind != "percentile":
        raise OptionError(
            f"normalize must be zscore or percentile:LOW,HIGH, such as percentile:2,98, not "
            f"{text!r} (percentile:0,100 is from the smallest to the largest value)"
        )
    try:
        low, high = (float(part) for part in rest.split(","))
    except ValueError:
        raise OptionError(
            f"normalize {text}: give two percentiles, such as percentile:2,98"
        ) from None
    if not 0 <= low < high <= 100:
        raise OptionError(
            f"normalize {text}: percentiles must be from 0 to 100, the lower one first, such as "
            f"percentile:2,98"
        )
    return Percentiles(low, high)


class BandStatistics(Protocol):
    """Statistics of one band, accumulated from its values."""

    count: int

    def add(self, values: Any) -> None:
        """Add finite values, shape ``(n,)``."""
        ...


AnyStatistics = TypeVar("AnyStatistics", bound=BandStatistics)


class Stretch(Protocol):
    """A way to derive a band's mean and std from its values."""

    def statistics(self, dtype: np.dtype[Any], most: int) -> BandStatistics:
        """Return empty statistics for values of a type; ``most`` of them are kept in memory."""
        ...

    def mean_and_std(self, statistics: Any) -> tuple[float, float]:
        """Return the mean and the std of ``(pixel - mean) / std``."""
        ...

    def with_standardization(self, origin: str) -> str:
        """Say where numbers come from, if the model states a standardization."""
        ...


class Percentiles(NamedTuple):
    """The low percentile becomes 0 and the high one 1; values outside are not clipped."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"percentile {self.low:g} to {self.high:g}"

    def statistics(self, dtype: np.dtype[Any], most: int) -> Ranks:
        """Return empty statistics for percentiles."""
        return ranks(dtype, most)

    def mean_and_std(self, statistics: Ranks) -> tuple[float, float]:
        """Return the low percentile, and the difference of the high one from it."""
        low = statistics.percentile(self.low)
        return low, statistics.percentile(self.high) - low

    def with_standardization(self, origin: str) -> str:
        """Say that the model's mean and std follow."""
        return f"{origin} in place of 1/255, then by the model's mean and std"


class ZScore(NamedTuple):
    """The mean becomes 0 and the standard deviation 1."""

    def __str__(self) -> str:
        return "mean and standard deviation"

    def statistics(self, dtype: np.dtype[Any], most: int) -> Moments:
        """Return empty statistics for mean and standard deviation."""
        return Moments()

    def mean_and_std(self, statistics: Moments) -> tuple[float, float]:
        """Return the mean and the standard deviation."""
        return statistics.mean, statistics.std

    def with_standardization(self, origin: str) -> str:
        """Say that the model's mean and std are replaced."""
        return f"{origin} in place of the model's"


def _finite(values: Values, without: float | None = None) -> Values:
    """The values that are finite as float32, which is what a model computes with, but for one."""
    if without is not None:
        values = values[values != without]
    if values.dtype.kind != "f":
        return values
    finite: Values = values[np.abs(values) < LARGEST_FLOAT32]
    return finite


def measure(
    source: Source,
    statistics_of: Callable[[np.dtype[Any], int], AnyStatistics],
    count: int,
    pixels: int | None = None,
    keep: Callable[[Values], Values] = _finite,
) -> tuple[StratifiedSample, list[AnyStatistics]]:
    """Measure each of a raster's bands, in a larger sample if almost nothing in it is valid.

    Parameters
    ----------
    source : Source
        The raster, set to the bands.
    statistics_of : callable
        Makes empty statistics of a type of pixels that keep at most so many values.
    count : int
        Number of bands.
    pixels : int, optional
        Pixels to read, roughly; ``SAMPLE_PIXELS`` if None.
    keep : callable
        Returns those of the valid values that count.

    Returns
    -------
    sample : StratifiedSample
        What was read.
    statistics : list
        Of each band.
    """
    from ..raster.gdal import block_cache

    most, pixels = min(MAX_KEPT_BAND_VALUES, MAX_KEPT_VALUES // count), pixels or SAMPLE_PIXELS
    least = pixels // MIN_VALID_DIVISOR
    while True:
        sample = StratifiedSample(source.size, source.blocks, pixels)
        statistics = [statistics_of(source.dtype, most) for _ in range(count)]
        with block_cache(sample.cache_bytes):
            for values in _valid_values(source, sample):
                for band, band_values in zip(statistics, values, strict=True):
                    band.add(keep(band_values))
        most_valid = max(band.count for band in statistics)
        if sample.is_complete or most_valid >= least:
            return sample, statistics
        pixels *= 4


def _valid_values(source: Source, sample: StratifiedSample) -> Iterator[Iterator[Values]]:
    """Yield, for each window, the valid values of each band, shape ``(n,)``."""
    for rows, cols in sample:
        pixels, valid = source.read(rows, cols), source.valid_values(rows, cols)
        masks = np.ones((1, 1, 1), np.bool_) if valid is None else valid
        masks = np.broadcast_to(masks, pixels.shape)
        yield (band[mask] for band, mask in zip(pixels, masks, strict=True))


def _means_and_stds(
    dtype: np.dtype[Any],
    stretch: Stretch,
    bands: Sequence[int],
    statistics: Sequence[BandStatistics],
) -> tuple[list[tuple[float, float]], list[str]]:
    """Each band's mean and std, and sentences about the bands that have none."""
    numbers, warnings = [], []
    empty = [number for number, band in zip(bands, statistics, strict=True) if not band.count]
    if empty:
        named = f"band{'s'[: len(empty) - 1]} {', '.join(map(str, empty))}"
        warnings.append(f"no pixel of {named} is valid: the values are not normalized")
    for number, band in zip(bands, statistics, strict=True):
        mean, std = stretch.mean_and_std(band) if band.count else (0.0, 1.0)
        if not abs(std) < LARGEST_FLOAT32:
            raise OptionError(
                f"normalize: the values of band {number} span more than float32 can represent; if "
                f"the lowest or the highest means nodata, declare it with nodata="
            )
        if np.float32(std) <= 0:
            warnings.append(f"all values of band {number} are {mean:g}: its std is taken as 1")
            std = 1.0
        numbers.append((_rounded(mean, dtype), _rounded(std, dtype)))
    return numbers, warnings


def _standardized(
    low: float, span: float, mean: float, std: float, dtype: np.dtype[Any]
) -> tuple[float, float]:
    """Return the mean and std of ``((pixel - low) / span - mean) / std``."""
    return _rounded(low + mean * span, dtype), _rounded(std * span, dtype)


def _rounded(value: float, dtype: np.dtype[Any]) -> float:
    """A value as precise as the arithmetic on such pixels, so that it is short to write."""
    if np.result_type(dtype, np.float32) == np.float32:
        value = float(str(np.float32(value)))
    return value + 0.0  # never -0.0


def _shortest(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
