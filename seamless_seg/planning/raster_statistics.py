"""Statistics of a raster: percentiles, mean and deviation of its bands, for normalization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..decisions import Decision
from ..errors import OptionError
from ..raster.sampling import SAMPLE_PIXELS, StratifiedSample
from ..raster.source import Source
from ..validation import LARGEST_FLOAT32
from .settings import LINEAR, Pixels
from .streaming import Moments, Ranks, ranks

KEPT, KEPT_OF_BAND = 2**22, 2**20
"""Values that are kept, of all bands together and of one, where they cannot be counted."""

ENOUGH = 16
"""A sample of which less than one in so many pixels is valid is drawn anew, larger."""


def measure_pixels(
    source: Source, bands: Decision[tuple[int, ...]], normalize: str
) -> tuple[Pixels, list[str]]:
    """Decide on the normalization of the source's bands by what is in them.

    Nodata and pixels that are not finite do not count.

    Returns
    -------
    pixels : Pixels
        With numbers that give the same bits when they come as options.
    notes : list of str
        Sentences for the user: the options that come to the same, and what is odd about a band.

    Raises
    ------
    OptionError
        Where ``normalize`` is no stretch, or a band's values are too far apart.
    RasterError
        Where the raster cannot be read.
    """
    stretch = stretch_of(normalize)
    sample, gathered = _gather(source, stretch, len(bands.value))
    where = "the raster" if sample.is_complete else "a sample of the raster"
    lines, odd = _lines(source.dtype, stretch, bands.value, gathered)
    origin = f"{stretch} of {where}"
    pixels = Pixels(
        bands,
        Decision(1.0, origin),
        Decision(tuple(mean for mean, _ in lines), origin),
        Decision(tuple(std for _, std in lines), origin),
    )
    return pixels, [f"pixels are normalized by {origin}, as with {as_options(pixels)}", *odd]


def as_options(pixels: Pixels) -> str:
    """The command line's options for a normalization; pasted, they give the same bits."""
    values = ((pixels.scale.value,), pixels.mean.value, pixels.std.value)
    parts = (",".join(map(_exactly, numbers)) for numbers in values)
    return " ".join(f"--{name} {part}" for name, part in zip(LINEAR, parts, strict=True))


def _gather(
    source: Source, stretch: Stretch, count: int
) -> tuple[StratifiedSample, list[Gathered]]:
    """Read a sample, and a larger one where next to nothing of it is valid."""
    from ..raster.gdal import block_cache

    most, budget = min(KEPT_OF_BAND, KEPT // count), SAMPLE_PIXELS
    while True:
        sample = StratifiedSample(source.size, source.blocks, budget)
        gathered = [stretch.gather(source.dtype, most) for _ in range(count)]
        with block_cache(sample.cache_bytes):
            for values in _values(source, sample):
                for band, own in zip(gathered, values, strict=True):
                    band.add(own)
        if sample.is_complete or max(band.count for band in gathered) >= SAMPLE_PIXELS // ENOUGH:
            return sample, gathered
        budget *= 4


def _values(source: Source, sample: StratifiedSample) -> Iterator[Iterator[npt.NDArray[Any]]]:
    """For each window, each band's pixels that count, shape ``(n,)``."""
    for rows, cols in sample:
        pixels, valid = source.read(rows, cols), source.valid_values(rows, cols)
        masks = np.ones((1, 1, 1), np.bool_) if valid is None else valid
        masks = np.broadcast_to(masks, pixels.shape)
        yield (_counting(band[mask]) for band, mask in zip(pixels, masks, strict=True))


def _counting(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Those that are finite to a model."""
    if values.dtype.kind != "f":
        return values
    finite: npt.NDArray[Any] = values[np.abs(values) < LARGEST_FLOAT32]
    return finite


def _lines(
    dtype: np.dtype[Any], stretch: Stretch, bands: Sequence[int], gathered: Sequence[Gathered]
) -> tuple[list[tuple[float, float]], list[str]]:
    """Each band's mean and std, and sentences about those that have none."""
    lines, odd = [], []
    empty = [band for band, own in zip(bands, gathered, strict=True) if not own.count]
    if empty:
        named = f"band{'s'[: len(empty) - 1]} {', '.join(map(str, empty))}"
        odd.append(f"no pixel of {named} is valid: nothing is done to them")
    for band, own in zip(bands, gathered, strict=True):
        mean, std = stretch.line(own) if own.count else (0.0, 1.0)
        if not abs(std) < LARGEST_FLOAT32:
            raise OptionError(
                f"normalize: band {band} spans more than float32 can hold; if its lowest or "
                f"highest value means that there is nothing, declare it as nodata"
            )
        if np.float32(std) <= 0:
            odd.append(f"band {band} does not vary from {mean:g}: its std is taken as 1")
            std = 1.0
        lines.append((_number(mean, dtype), _number(std, dtype)))
    return lines, odd


def _number(value: float, dtype: np.dtype[Any]) -> float:
    """As precise as the arithmetic on such pixels is, and so as short as can be."""
    if np.result_type(dtype, np.float32) == np.float32:
        value = float(str(np.float32(value)))
    return value + 0.0  # never -0.0


def _exactly(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


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
