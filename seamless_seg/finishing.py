"""Finishing: what becomes of a complete raster before it is published."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from .cleaning import Band, WriteWindow
from .errors import OptionError
from .gdal import NAMESPACE, block_cache, refusing_odd_options
from .geotiff import Output, check_complete
from .output import RasterFile, Step
from .progress import OnProgress, Progress
from .system import cores

CACHE = 64_000_000
"""Bytes of GDAL's block cache while overviews are made: with 8 MB it takes twice as long."""

MOST_THREADS = 8
"""More of them would wait for the one that reads."""

TRIED = 2048
"""Height and width of a raster on which creation options are tried."""

MEGA = 1_000_000
"""Pixels by which progress is told."""


def steps_of(
    output: Output, cleanup: Mapping[str, Any], on_progress: OnProgress | None = None
) -> list[Step]:
    """What is done to a raster, one after the other.

    Parameters
    ----------
    output : Output
        What it looks like.
    cleanup : mapping
        Of classes: ``smooth`` and ``smooth_by``, ``sieve``.
    on_progress : callable, optional
        Called with a ``Progress`` while classes are cleaned.

    Raises
    ------
    OptionError
        Where GDAL does not know a creation option.
    """
    steps: list[Step] = []
    if radius := cleanup.get("smooth"):

        def smooth_band(source: Path, target: Path) -> None:
            from .smoothing import smooth

            with _cleaning(source, target, output, "Mpx smoothed", on_progress) as (band, write):
                smooth(band, write, radius, cleanup["smooth_by"], _nodata(output))

        steps.append(smooth_band)
    if least := cleanup.get("sieve"):

        def sieve_band(source: Path, target: Path) -> None:
            from .sieving import sieve

            with _cleaning(source, target, output, "Mpx sieved", on_progress) as (band, write):
                sieve(band, write, least, nodata=_nodata(output))

        steps.append(sieve_band)
    if output.encoding.cog:
        _try_cog(output)
        steps.append(lambda source, target: _to_cog(source, target, output))
    return steps


def _nodata(output: Output) -> int | None:
    return None if output.nodata is None else int(output.nodata)


@contextmanager
def _cleaning(
    source: Path, target: Path, output: Output, unit: str, on_progress: OnProgress | None
) -> Iterator[tuple[Band, WriteWindow]]:
    """A raster of classes to read, and what writes another of its kind and tells the progress."""
    total, pixels = math.prod(output.size), 0

    def write(rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        nonlocal pixels
        file.write(rows, cols, window)
        pixels += window.size
        if on_progress and pixels >= MEGA:
            on_progress(Progress(pixels // MEGA, max(1, total // MEGA), pixels, unit))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(source)
    with dataset, RasterFile(target, output) as file:
        yield Band(dataset), write


def _to_cog(source: Path, target: Path, output: Output) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL's driver only copies."""
    own = {"sparse_ok": output.is_sparse, "num_threads": min(cores(), MOST_THREADS)}
    options = own | output.encoding.as_cog(output.dtype)
    with warnings.catch_warnings(), block_cache(CACHE):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(source, target, driver="COG", **options)
        with rasterio.open(target) as copy:
            there = (copy.shape, copy.count, copy.tags(ns=NAMESPACE))
    if there != (output.size, output.count, dict(output.tags)):
        raise OSError("its copy with overviews is not what it was")
    if not output.is_sparse:
        check_complete(target)


def _try_cog(output: Output) -> None:
    """Make an empty one: an option that is no good must not be found at the end of a run."""
    options = output.encoding.as_cog(output.dtype)
    height, width = (min(length, TRIED) for length in output.size)
    empty = {"width": width, "height": height, "count": 1, "dtype": output.dtype}
    with warnings.catch_warnings(), refusing_odd_options():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile() as source, MemoryFile() as target:
            source.open(driver="GTiff", tiled=True, sparse_ok=True, **empty).close()
            try:
                rasterio.shutil.copy(source.name, target.name, driver="COG", **options)
            except Exception as error:  # rasterio lets errors of GDAL's through as they are
                said = re.sub(r"/vsimem/\S+: *", "", str(error))
                raise OptionError(f"these creation options make no COG: {said}") from error
