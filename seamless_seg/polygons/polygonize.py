"""Polygons of a raster of classes, in a file for a GIS."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from ..errors import OptionError, RasterError, SeamlessError
from ..progress import OnProgress, Progress
from ..raster.blocks import BOOKKEEPING, SMALLEST_CACHE, BlockLayout

if TYPE_CHECKING:
    from ..arrays import Mask
    from ..raster.georeference import Surface
    from ..raster.reader import RasterReader
    from .features import Shaper
    from .files import Layer
    from .trace import Traced

ENDINGS = (".geojson", ".gpkg", ".fgb", ".parquet")
"""Of the names of files that can be written."""

INSTALL = "pip install 'seamless-seg[vector]'"


@dataclass(frozen=True)
class PolygonSummary:
    """What ``polygonize`` wrote."""

    polygons: int
    dropped: int
    """Polygons that were smaller than the least area."""
    pixels: int
    """Pixels of the raster."""
    seconds: float
    notes: tuple[str, ...]
    """Sentences that the user should see."""


def polygonize(
    raster: Any,
    output: Any,
    *,
    classes: Sequence[int | str] | None = None,
    min_area: float | None = None,
    simplify: float | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> PolygonSummary:
    """Write the polygons of equal pixels, 4-connected, of a raster of classes.

    They are those that GDAL's polygonizer finds in the whole raster, whatever its size: it is
    read window by window, and what windows cut is united. Each has its ``class``, the ``name`` of
    that where the raster has category names, its ``area`` and its number of ``pixels``; the last
    two are those before it is simplified. Pixels that are not valid have no polygon.

    Parameters
    ----------
    raster : str or path-like
        Anything that rasterio opens, of one band of integers.
    output : str or path-like
        GeoJSON in WGS 84 (``.geojson``), or GeoPackage (``.gpkg``), FlatGeobuf (``.fgb``) or
        GeoParquet (``.parquet``) in the raster's CRS.
    classes : sequence of int or str, optional
        The classes that are wanted, by number or name; by default all.
    min_area : float, optional
        Polygons with a smaller ``area`` are not written.
    simplify : float, optional
        Simplify outlines, in units of the raster's CRS: corners go that with their neighbors make
        a triangle of less than the square of this. Edges that polygons share stay shared. All
        polygons are in memory for that.
    overwrite : bool
        Replace ``output`` where it exists.
    on_progress : callable, optional
        Called with a ``Progress`` after each window.

    Returns
    -------
    PolygonSummary
        ``area`` is in square meters: in the plane of a projected CRS, on the ellipsoid of a
        geographic one; without a CRS it is in pixels.

    Raises
    ------
    OptionError
        Where the options contradict the raster or each other, or the output cannot go there.
    RasterError
        Where the raster cannot be read, has no classes, or the output cannot be written.
    """
    started = time.monotonic()
    _check(output, min_area, simplify)
    _need_libraries()
    from ..atomic import check_destination
    from ..raster.gdal import block_cache
    from ..raster.georeference import Surface
    from ..raster.reader import RasterReader
    from .features import Shaper
    from .files import write_features
    from .trace import window_shape

    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster))
        names = _names(reader)
        wanted = _wanted(classes, names, raster)
        inputs = [reader.path, *reader.files, *reader.archives]
        destination = check_destination(output, inputs, overwrite)
        surface = Surface(reader.georeference)
        layer = _layer(destination, surface)
        window = window_shape(reader.size, reader.blocks[:2])
        stack.enter_context(block_cache(_cache_bytes(reader.size, reader.blocks, window)))
        bends = layer.decimals is not None and surface.is_projected
        shaper = Shaper(surface, names, min_area, bends and not simplify)
        traced = _traced(reader, window, wanted, on_progress)
        features = shaper.simplify(traced, simplify) if simplify else shaper.shape(traced)
        write_features(destination, features, layer, overwrite)
        return PolygonSummary(
            polygons=shaper.written,
            dropped=shaper.dropped,
            pixels=math.prod(reader.size),
            seconds=time.monotonic() - started,
            notes=tuple(_notes(shaper, surface, min_area)),
        )


def _check(output: Any, min_area: Any, simplify: Any) -> None:
    """Raise ``OptionError`` for what no raster could make good."""
    ending = Path(os.path.realpath(output)).suffix.lower()
    if ending not in ENDINGS:
        raise OptionError(f"output {output} must end in {', '.join(ENDINGS)}: that says its format")
    if min_area is not None and not (_is_number(min_area) and min_area >= 0):
        raise OptionError(f"min-area must be an area, 0 or more, not {min_area}")
    if simplify is not None and not (_is_number(simplify) and simplify > 0):
        raise OptionError(f"simplify must be a length in units of the CRS, above 0, not {simplify}")
    if simplify is not None and not hasattr(shapely, "coverage_simplify"):
        raise SeamlessError(f"simplify needs shapely 2.1: {INSTALL}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _need_libraries() -> None:
    try:
        from . import files  # noqa: F401  # only to see whether what it needs is there
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "pyogrio"):  # rasterio, which all commands need
            raise
        raise SeamlessError(f"polygons need {error.name}: {INSTALL}") from None


def _names(reader: RasterReader) -> list[str]:
    """Names of the classes of a raster that can have polygons; raise where it cannot."""
    from ..raster.legend import category_names

    if reader.count != 1 or reader.dtype.kind not in "iu":
        bands = "1 band" if reader.count == 1 else f"{reader.count} bands"
        raise RasterError(
            f"{reader.path} has {bands} of {reader.dtype}, polygons need one of integers: "
            f"seamless-seg run --kind classes writes it"
        )
    if reader.georeference.gcps:
        raise RasterError(
            f"{reader.path} has ground control points only, no transform: gdalwarp gives it one"
        )
    return category_names(reader.path)


def _wanted(
    classes: Sequence[int | str] | None, names: list[str], path: Any
) -> npt.NDArray[np.int64] | None:
    """The classes that are wanted, in numbers; None for all."""
    if classes is None:
        return None
    return np.array([_number(item, names, path) for item in classes], np.int64)


def _number(item: int | str, names: list[str], path: Any) -> int:
    try:
        return int(np.int64(int(item)))
    except (ValueError, OverflowError):
        pass
    if item and item in names:
        return names.index(str(item))
    known = ", ".join(name for name in names if name)
    told = f"it names {known}" if known else "it names none: give their numbers"
    raise OptionError(f"{path} has no class {item!r}; {told}")


def _layer(destination: Path, surface: Surface) -> Layer:
    """GeoJSON is in longitude and latitude wherever there is a way to these."""
    from .files import Layer

    if destination.suffix.lower() != ".geojson":
        return Layer(destination.stem, surface.crs)
    if not surface.is_on_earth:
        return Layer(destination.stem, None)
    # A hundredth of a pixel, and never less than a centimeter.
    decimals = max(7, 2 + math.ceil(-math.log10(surface.pixel_degrees)))
    return Layer(destination.stem, surface.crs, decimals)


def _cache_bytes(size: tuple[int, int], blocks: BlockLayout, window: tuple[int, int]) -> int:
    """Bytes of block cache with which each block is decoded once."""
    down = -(-(window[0] - 1) // blocks.height) + 1
    # Windows that end within a row of blocks leave it to those below.
    width = window[1] if window[0] % blocks.height == 0 else size[1]
    across = -(-(width - 1) // blocks.width) + 1
    count = down * across * blocks.height * blocks.width * blocks.pixel_bytes
    return max(SMALLEST_CACHE, int(BOOKKEEPING * count))


def _traced(
    reader: RasterReader,
    window: tuple[int, int],
    wanted: npt.NDArray[np.int64] | None,
    on_progress: OnProgress | None,
) -> Iterator[Traced]:
    """The polygons of a raster, with word of the progress."""
    from .trace import trace

    def read(rows: slice, cols: slice) -> tuple[npt.NDArray[Any], Mask | None]:
        classes, valid = reader.read(rows, cols)[0], reader.valid(rows, cols)
        if wanted is None:
            return classes, valid
        chosen = np.isin(classes, wanted)
        return classes, chosen if valid is None else chosen & valid

    total = math.prod(-(-length // step) for length, step in zip(reader.size, window, strict=True))
    progress = Progress(0, total, 0, "windows")
    for traced in trace(read, reader.size, window):
        yield traced
        rows, cols = traced.window
        progress = progress.more((rows.stop - rows.start) * (cols.stop - cols.start))
        if on_progress:
            on_progress(progress)


def _notes(shaper: Shaper, surface: Surface, min_area: float | None) -> Iterator[str]:
    if shaper.dropped:
        yield f"{shaper.dropped} polygons of less than {min_area:g} {surface.unit} are not written"
    if not shaper.written:
        yield "there are no polygons: the file is empty"
    if surface.is_web_mercator:
        yield "areas are measured in Web Mercator, which enlarges them away from the equator"
