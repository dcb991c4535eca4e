"""Areas: the part of a raster that is wanted, in its pixels, and the window around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.affinity import affine_transform

from .errors import OptionError
from .validation import numbers_of
from .windows import Window

if TYPE_CHECKING:
    from .raster.georeference import Georeference

NEAR = 1e-3
"""Pixels that are nothing but the rounding of coordinates."""

BOUNDS = "west, south, east, north"


def around(area: shapely.Geometry, size: tuple[int, int]) -> Window:
    """The smallest window of a raster with all of an area in it, given in (y, x) pixels."""
    top, left, bottom, right = area.bounds
    height, width = size
    rows = slice(max(0, math.floor(top + NEAR)), min(height, math.ceil(bottom - NEAR)))
    return Window(rows, slice(max(0, math.floor(left + NEAR)), min(width, math.ceil(right - NEAR))))


def read_bounds(
    bounds: Sequence[float], size: tuple[int, int], place: Georeference | None = None
) -> shapely.Geometry:
    """Bounds ``(west, south, east, north)`` in a raster's CRS as an area in (y, x) pixels.

    Without a transform they are pixels: ``(left, bottom, right, top)``, the rows counted from
    above, so that the bottom is the larger of the two.

    Raises
    ------
    OptionError
        Where they are no bounds, or lie outside the raster.
    """
    said = ",".join(map(str, bounds))
    if len(bounds) != 4:
        raise OptionError(f"bbox must be four numbers, {BOUNDS}, not {said}")
    numbers = numbers_of("bbox", bounds, 4) or ()
    if place is not None and place.gcps:
        raise OptionError("bbox: the raster has ground control points only, no transform")
    west, south, east, north = numbers
    transform = place.transform if place else None
    if west >= east or (south >= north if transform else north >= south):
        raise OptionError(f"bbox {said} is empty: give it as {BOUNDS}")
    area = shapely.box(west, min(south, north), east, max(south, north))
    refuse_outside(area, size, transform, f"bbox {said}")
    return to_pixels(area, transform)


def to_pixels(area: shapely.Geometry, transform: Any) -> shapely.Geometry:
    """An area on the ground in (y, x) pixels; coordinates are (column, row) without a transform."""
    if transform:
        area = affine_transform(area, (~transform).to_shapely())
    return shapely.transform(area, lambda column_row: np.asarray(column_row)[:, ::-1])


def extent(size: tuple[int, int], transform: Any) -> shapely.Polygon:
    """A raster of that size, (height, width), on the ground; (column, row) without a transform."""
    height, width = size
    image = shapely.box(0, 0, width, height)
    return affine_transform(image, transform.to_shapely()) if transform else image


def narrowest(transform: Any) -> float:
    """How far it is at least across a pixel, in units of the CRS; 1 without a transform."""
    if not transform:
        return 1.0
    sides = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    return abs(float(transform.determinant)) / max(sides)


def refuse_outside(area: Any, size: tuple[int, int], transform: Any, name: str) -> None:
    """Raise ``OptionError`` with both extents where an area, or all of an array, miss a raster."""
    raster = extent(size, transform)
    if not np.any(shapely.intersects(area, raster)):
        raise OptionError(
            f"{name} misses the raster: it spans {_bounds(area)}, the raster {_bounds(raster)} "
            f"({BOUNDS})"
        )


def _bounds(area: Any) -> str:
    return ", ".join(f"{bound:.6g}" for bound in shapely.total_bounds(area))
