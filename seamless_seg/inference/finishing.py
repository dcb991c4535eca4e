"""Process a complete output before it is published: smooth, sieve, convert to a COG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import rasterio

from ..postprocess.class_raster import ClassBand, WriteWindow
from ..progress import OnProgress, Progress
from ..raster.gdal import ignoring_missing_georeference
from ..raster.geotiff import Output, check_cog_options, copy_to_cog
from ..raster.writer import RasterFile, Step
from .finishing_memory import limits_within

MEGAPIXEL = 1_000_000
"""Pixels per unit of progress."""


def steps_of(
    output: Output,
    cleanup: Mapping[str, Any],
    on_progress: OnProgress | None = None,
    spare: float = math.inf,
) -> list[Step]:
    """List the processing steps of an output, in their order.

    Parameters
    ----------
    output : Output
        Format of the output.
    cleanup : mapping
        ``smooth``, ``smooth_by`` and ``sieve`` for classes; empty for other outputs.
    on_progress : callable, optional
        Called with a ``Progress`` while classes are smoothed and sieved.
    spare : float
        Bytes beside the program's that the steps may use. The files do not depend on it.

    Returns
    -------
    list of Step

    Raises
    ------
    OptionError
        If GDAL's COG driver refuses a creation option.
    """
    steps: list[Step] = []
    limits = limits_within(output, spare)
    if radius := cleanup.get("smooth"):

        def smooth_band(source: Path, target: Path) -> None:
            from ..postprocess.smooth import smooth

            with _cleaning(source, target, output, "Mpx smoothed", on_progress) as (band, write):
                smooth(band, write, radius, cleanup["smooth_by"], _nodata(output))

        steps.append(smooth_band)
    if least := cleanup.get("sieve"):

        def sieve_band(source: Path, target: Path) -> None:
            from ..postprocess.sieve import sieve

            with _cleaning(source, target, output, "Mpx sieved", on_progress) as (band, write):
                window = limits.sieved_window
                sieve(band, write, least, nodata=_nodata(output), window_size=window)

        steps.append(sieve_band)
    if output.encoding.cog:
        check_cog_options(output)
        cog_limits = limits.cog_cache, limits.cog_threads
        steps.append(lambda source, target: copy_to_cog(source, target, output, *cog_limits))
    return steps


def _nodata(output: Output) -> int | None:
    return None if output.nodata is None else int(output.nodata)


@contextmanager
def _cleaning(
    source: Path, target: Path, output: Output, unit: str, on_progress: OnProgress | None
) -> Iterator[tuple[ClassBand, WriteWindow]]:
    """Open a raster of classes to read, and a function that writes windows of the cleaned one."""
    total, pixels = math.prod(output.size), 0

    def write(rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        nonlocal pixels
        file.write(rows, cols, window)
        pixels += window.size
        if on_progress and pixels >= MEGAPIXEL:
            on_progress(Progress(pixels // MEGAPIXEL, max(1, total // MEGAPIXEL), pixels, unit))

    with ignoring_missing_georeference():
        dataset = rasterio.open(source)
    with dataset, RasterFile(target, output) as file:
        yield ClassBand(dataset), write
