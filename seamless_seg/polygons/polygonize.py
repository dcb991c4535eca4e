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
import shapely

from ..errors import OptionError, RasterError, SeamlessError
from ..progress import OnProgress, Progress
from ..raster.blocks import CACHE_OVERHEAD, MIN_CACHE_BYTES, BlockLayout
from ..validation import format_length

if TYPE_CHECKING:
    from ..arrays import Array, Integers, Mask
    from ..raster.georeference import Georeference
    from ..raster.reader import RasterReader
    from ..raster.surface_areas import PolygonAreas
    from .features import FeatureBuilder
    from .files import Layer
    from .trace import Traced

EXTENSIONS = (".geojson", ".gpkg", ".fgb", ".parquet")
"""Extensions of files that can be written: they set the format."""

INSTALL = "pip install 'seamless-seg[vector]'"


@dataclass(frozen=True)
class PolygonSummary:
    """The result of ``polygonize``."""

    polygons: int
    """Polygons in the file."""
    dropped: int
    """Polygons that were left out for being smaller than ``min_area``."""
    pixels: int
    """Pixels of the raster."""
    seconds: float
    notes: tuple[str, ...]
    """Sentences that the user should see."""


def polygonize(
    raster: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    classes: Sequence[int | str] | None = None,
    min_area: float | None = None,
    simplify: float | None = None,
    overwrite: bool = False,
    network: bool | None = None,
    on_progress: OnProgress | None = None,
) -> PolygonSummary:
    """Write the polygons of equal pixels, 4-connected, of a raster of classes.

    The polygons are those that GDAL's polygonizer finds in the whole raster, whatever its size: it
    is read window by window, and polygons that windows cut are united. Each has its ``class``, the
    ``name`` of that where the raster has category names, its ``area`` and its number of ``pixels``;
    the last two are those before it is simplified. Pixels that are not valid have no polygon.

    Parameters
    ----------
    raster : str or path-like
        Anything that rasterio opens, of one band of integers.
    output : str or path-like
        GeoJSON in WGS 84 (``.geojson``), or GeoPackage (``.gpkg``), FlatGeobuf (``.fgb``) or
        GeoParquet (``.parquet``) in the raster's CRS.
    classes : sequence of int or str, optional
        Classes to write, by number or name; by default all.
    min_area : float, optional
        Polygons with a smaller ``area`` are not written.
    simplify : float, optional
        Tolerance in units of the raster's CRS by which outlines are simplified: a corner is removed
        that with its neighbors makes a triangle of less than the square of this. Edges that
        polygons share stay shared. All polygons are in memory for that.
    overwrite : bool
        Replace ``output`` where it exists.
    network : bool, optional
        False: read local files alone, and let nothing in this process connect to another machine.
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
        Where the options contradict the raster or each other, or the output path is invalid.
    RasterError
        Where the raster cannot be read, has no classes, or the output cannot be written.
    """
    started = time.monotonic()
    _check_options(output, min_area, simplify)
    _check_libraries()
    from ..foreign_files import naming_what_is_no_class_raster
    from ..publishing.destination import check_destination
    from ..raster.gdal import block_cache
    from ..raster.reader import RasterReader
    from ..raster.surface_areas import PolygonAreas
    from .features import FeatureBuilder
    from .files import write_features
    from .trace import window_shape

    with ExitStack() as stack:
        with naming_what_is_no_class_raster(raster):
            reader = stack.enter_context(RasterReader(raster, network=network is not False))
        names = _class_names(reader)
        numbers = None if classes is None else _class_numbers(classes, names, raster)
        inputs = [reader.path, *reader.files, *reader.archives]
        destination = check_destination(output, inputs, overwrite)
        georeference = reader.georeference
        layer, areas = _layer(destination, georeference), PolygonAreas(georeference)
        window = window_shape(reader.size, reader.blocks[:2])
        stack.enter_context(block_cache(_cache_bytes(reader.size, reader.blocks, window)))
        # Straight edges of a projected CRS are curves in the longitude and latitude of GeoJSON.
        is_curved = layer.decimals is not None and georeference.is_projected
        builder = FeatureBuilder(georeference, areas, names, min_area, is_curved and not simplify)
        missing = set() if numbers is None else set(numbers.tolist())
        traced = _traced(reader, window, numbers, missing, on_progress)
        features = builder.simplified(traced, simplify) if simplify else builder.features(traced)
        write_features(destination, features, layer, overwrite, reader.check_unchanged)
        return PolygonSummary(
            polygons=builder.written,
            dropped=builder.dropped,
            pixels=math.prod(reader.size),
            seconds=time.monotonic() - started,
            notes=(*_notes_on_missing(missing, raster), *_notes(builder, areas, min_area)),
        )


def _check_options(output: Any, min_area: Any, simplify: Any) -> None:
    """Raise ``OptionError`` for options that are wrong whatever the raster is."""
    extension = Path(os.path.realpath(output)).suffix.lower()
    if extension not in EXTENSIONS:
        raise OptionError(
            f"output {output} must end in {', '.join(EXTENSIONS)}: the extension sets the format"
        )
    if min_area is not None and not (_is_number(min_area) and min_area >= 0):
        raise OptionError(f"min-area must be an area, 0 or more, not {min_area}")
    if simplify is not None and not (_is_number(simplify) and simplify > 0):
        raise OptionError(f"simplify must be a length in units of the CRS, above 0, not {simplify}")
    if simplify is not None and not hasattr(shapely, "coverage_simplify"):
        raise SeamlessError(f"simplify needs shapely 2.1: {INSTALL}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _check_libraries() -> None:
    """Raise ``SeamlessError`` where a library of the extra ``vector`` is not installed."""
    try:
        from . import files  # noqa: F401  # only to see whether it can be imported
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "pyogrio"):  # such as rasterio, of another extra
            raise
        raise SeamlessError(f"polygons need {error.name}: {INSTALL}") from None


def _class_names(reader: RasterReader) -> list[str]:
    """Names of a raster's classes; raise ``RasterError`` where it is no raster of classes."""
    from ..raster.legend import category_names

    if reader.count != 1 or reader.dtype.kind not in "iu":
        bands = "1 band" if reader.count == 1 else f"{reader.count} bands"
        raise RasterError(
            f"{reader.path} has {bands} of {reader.dtype}, but polygons need one of integers: "
            f'a run with kind="classes" writes it'
        )
    if reader.georeference.gcps:
        raise RasterError(
            f"{reader.path} has ground control points only, no transform: gdalwarp gives it one"
        )
    return category_names(reader.path)


def _class_numbers(classes: Sequence[int | str], names: list[str], path: Any) -> Integers:
    """Numbers of the classes that are given by number or name."""
    return np.array([_class_number(item, names, path) for item in classes], np.int64)


def _class_number(item: int | str, names: list[str], path: Any) -> int:
    try:
        return int(np.int64(int(item)))
    except (ValueError, OverflowError):
        pass
    if item and item in names:
        return names.index(str(item))
    listed = ", ".join(name for name in names if name)
    has = f"it names {listed}" if listed else "it names none: give their numbers"
    raise OptionError(f"{path} has no class {item!r}; {has}")


def _layer(destination: Path, georeference: Georeference) -> Layer:
    """Name and CRS of the file: GeoJSON is in longitude and latitude wherever there is a CRS."""
    from .files import Layer

    if destination.suffix.lower() != ".geojson":
        return Layer(destination.stem, georeference.crs)
    if not georeference.has_lonlat:
        return Layer(destination.stem, None)
    # A hundredth of a pixel, or a centimeter where that is finer.
    decimals = max(7, 2 + math.ceil(-math.log10(georeference.pixel_degrees)))
    return Layer(destination.stem, georeference.crs, decimals)


def _cache_bytes(size: tuple[int, int], blocks: BlockLayout, window: tuple[int, int]) -> int:
    """Bytes of block cache with which each block is decoded once."""
    down = -(-(window[0] - 1) // blocks.height) + 1
    # Where a window ends within a row of blocks, the row of windows below needs all of it again.
    width = window[1] if window[0] % blocks.height == 0 else size[1]
    across = -(-(width - 1) // blocks.width) + 1
    count = down * across * blocks.height * blocks.width * blocks.pixel_bytes
    return max(MIN_CACHE_BYTES, int(CACHE_OVERHEAD * count))


def _traced(
    reader: RasterReader,
    window: tuple[int, int],
    numbers: Integers | None,
    missing: set[int],
    on_progress: OnProgress | None,
) -> Iterator[Traced]:
    """Trace the polygons of some classes, or of all, and report the progress.

    Classes that are found are removed from ``missing``.
    """
    from .trace import trace

    def read(rows: slice, cols: slice) -> tuple[Array, Mask | None]:
        classes, valid = reader.read(rows, cols)[0], reader.valid(rows, cols)
        if numbers is None:
            return classes, valid
        chosen = np.isin(classes, numbers)
        if valid is not None:
            chosen &= valid
        if missing:
            missing.difference_update(np.unique(classes[chosen]).tolist())
        return classes, chosen

    total = math.prod(-(-length // step) for length, step in zip(reader.size, window, strict=True))
    progress = Progress(0, total, 0, "windows")
    for traced in trace(read, reader.size, window):
        yield traced
        rows, cols = traced.window
        progress = progress.more((rows.stop - rows.start) * (cols.stop - cols.start))
        if on_progress:
            on_progress(progress)


def _notes_on_missing(missing: set[int], path: Any) -> Iterator[str]:
    if missing:
        numbers = ", ".join(map(str, sorted(missing)))
        noun = "class" if len(missing) == 1 else "classes"
        yield f"{path} has no pixel of the {noun} {numbers}"


def _notes(builder: FeatureBuilder, areas: PolygonAreas, min_area: float | None) -> Iterator[str]:
    if builder.dropped:
        least = format_length(min_area or 0)
        yield f"{builder.dropped} polygons of less than {least} {areas.unit} are not written"
    if not builder.written:
        yield "there are no polygons: the file is empty"
    if areas.note:
        yield areas.note
