"""Doubts about a raster's pixels: another resolution, another order of colors, a black collar."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.metadata import ModelMetadata
from ..raster.band_names import BandNames, find
from ..raster.blocks import MIN_CACHE_BYTES
from .options import Options

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

MOST_TIMES = 1.5
"""Pixels may be so many times coarser or finer than the model states."""

MOST_SCALE_RATIO = 4.0
"""A scale that is given may be so many times 1/255, or that part of it."""

COLLAR_SIDE = 16
"""Height and width in pixels of the corners in which zeros are looked for."""

CHEAP_PIXELS = 2**20
"""Pixels of a raster of which all corners are looked at, whatever its blocks."""

CHEAP_ROWS = 32
"""Rows of blocks of a raster of which a row more to read is no matter."""

REVERSED = ("blue", "green", "red")
"""Colors in the order of OpenCV and of satellites' bands, which few models take."""

REVERSED_NUMBERS = ("B2", "B3", "B4")
"""The same colors as Sentinel-2 and Landsat 8 and 9 number them."""


def warnings_on_resolution(
    reader: RasterReader, options: Options, metadata: ModelMetadata
) -> Iterator[str]:
    """Yield a warning if pixels are much coarser or finer than the model states."""
    stated = metadata.resolution
    if stated is None or options.resolution is not None:
        return
    times = reader.times_pixel_size(stated)
    if times is None or all(1 / MOST_TIMES <= own <= MOST_TIMES for own in times):
        return
    sides = " x ".join(dict.fromkeys(f"{own * stated / 100:.3g}" for own in times))
    instead = " in place of level=" if options.level else ""
    yield (
        f"the pixel size is {sides} m, and the model is for {stated / 100:.3g} m: give "
        f"match_resolution=True{instead}, which resamples the raster"
    )


def warnings_on_scale(
    dtype: np.dtype[Any], options: Options, metadata: ModelMetadata
) -> Iterator[str]:
    """Yield a warning if a given scale does not bring 8-bit pixels to the model's mean and std.

    Parameters
    ----------
    dtype : dtype
        Type of the raster's pixels.
    options : Options
        The user's options; with a mean or a std of their own, there is no doubt.
    metadata : ModelMetadata
        The model's metadata; its mean and std are of pixels divided by 255.
    """
    if options.scale is None or not metadata.is_for_bytes or dtype != np.uint8:
        return
    if options.mean is not None or options.std is not None:
        return
    if not 1 / MOST_SCALE_RATIO <= 255 * options.scale <= MOST_SCALE_RATIO:
        yield (
            f"scale={options.scale:g} does not fit the model's mean and std, which are for 8-bit "
            f"pixels divided by 255: leave out scale=, or give mean= and std=, too"
        )


def notes_on_colors(
    names: Sequence[BandNames], bands: Sequence[int], options: Options, metadata: ModelMetadata
) -> Iterator[str]:
    """Yield a note if the model gets blue, green, red, and probably takes red, green, blue.

    Parameters
    ----------
    names : sequence of BandNames
        Names of all bands of the raster.
    bands : sequence of int
        Bands for the model, from 1.
    options : Options
        The user's options; with ``bands``, there is no doubt.
    metadata : ModelMetadata
        The model's metadata; with ``bands`` of other names, there is no doubt, either.
    """
    if options.bands is not None or not _are_reversed([names[band - 1] for band in bands]):
        return
    stated = tuple(name.casefold() for name in metadata.bands)
    if stated in ((), REVERSED[::-1]):
        takes = "takes" if stated else "probably takes"
        yield (
            f"the raster's bands are {', '.join(REVERSED)}, in this order, and the model {takes} "
            f"{', '.join(REVERSED[::-1])}: bands=[{','.join(map(str, bands[::-1]))}] reverses them"
        )


def _are_reversed(names: Sequence[BandNames]) -> bool:
    """Tell whether bands are blue, green, red, by their colors or by a satellite's numbers."""
    return any(
        [find(name, names) for name in wanted] == [[1], [2], [3]] and len(names) == len(wanted)
        for wanted in (REVERSED, REVERSED_NUMBERS)
    )


def notes_on_collar(reader: RasterReader) -> Iterator[str]:
    """Yield a note if corners of the raster are zeros that nothing declares as nodata."""
    if reader.may_have_nodata:
        return
    from ..raster.gdal import block_cache

    with block_cache(MIN_CACHE_BYTES):
        if any(not reader.read(*corner).any() for corner in _corners(reader)):
            yield (
                "corners of the raster are zero in all bands, and no nodata value is declared: "
                "give nodata=0 if they hold no data"
            )


def _corners(reader: RasterReader) -> Iterator[tuple[slice, slice]]:
    """Yield the corners that are looked at: the lower ones where that costs few blocks."""
    height, width = (min(length, COLLAR_SIDE) for length in reader.size)
    last_row, last_col = reader.size[0] - height, reader.size[1] - width
    is_cheap = math.prod(reader.size) <= CHEAP_PIXELS or (
        reader.blocks.height * CHEAP_ROWS <= reader.size[0]
    )
    for top in dict.fromkeys([0, last_row] if is_cheap else [0]):
        for left in dict.fromkeys([0, last_col]):
            yield slice(top, top + height), slice(left, left + width)
