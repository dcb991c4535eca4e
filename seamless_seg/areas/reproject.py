"""Reprojection: polygons in a raster's CRS, with vertices added where edges become curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate

from ..arrays import Floats, Geometries, Mask
from ..boundary import boundary
from ..errors import OptionError
from ..validation import format_coordinates

Points: TypeAlias = Floats
"""Coordinates (x, y), shape ``(n, 2)``."""

MAX_DEVIATION = 0.01
"""Pixels by which an edge may deviate from the line that it is in its own CRS."""

SPLIT_AT = 3 / 8
"""Share of an edge's length at which its deviation is measured and it is split. In the middle,
curves that are symmetric around the projection's center do not deviate from their chord."""

MAX_SPLITS = 24
"""Times that an edge and its parts are split at most: it may be discontinuous in the raster's CRS,
as at the 180th meridian."""

CURVE_BULGE = 4
"""Safety factor: a curve is nowhere farther from its chord than so many times its distance at
``SPLIT_AT``."""

MAX_LATITUDE, MAX_LONGITUDE = 90, 540
"""Degrees from the equator, and from the zero meridian, at most."""


class TargetGrid(NamedTuple):
    """The raster to which polygons are reprojected."""

    crs: Any
    """Of rasterio."""
    bounds: tuple[float, float, float, float]
    """West, south, east and north, in units of the CRS."""
    pixel_width: float
    """The least distance across a pixel, in units of the CRS."""


def reproject(area: shapely.Geometry, source: str, grid: TargetGrid, name: str) -> shapely.Geometry:
    """Reproject polygons to the CRS of a grid.

    An edge is straight in the CRS in which it is given. Where it is a curve in the grid's, it gets
    as many vertices as keep it within ``MAX_DEVIATION`` pixels of that curve on the grid.

    Parameters
    ----------
    area : shapely geometry
        Polygons, ``(x, y)``.
    source : str
        Their CRS, as rasterio understands it.
    grid : TargetGrid
        CRS, bounds and pixels of the raster.
    name : str
        What the area is called in errors.

    Raises
    ------
    OptionError
        Where the CRS is unknown, or coordinates cannot be reprojected.
    """
    # Edges that were apart may coincide now, such as both sides of a cut from the pole.
    return shapely.union_all(_reprojected(shapely.get_parts(area), source, grid, name))


def reproject_each(areas: Geometries, source: str, grid: TargetGrid, name: str) -> Geometries:
    """Reproject many areas, each by itself, as ``reproject`` does one.

    Parameters
    ----------
    areas : array of shapely geometries, shape (n,)
        Polygons, ``(x, y)``.
    source : str
        Their CRS, as rasterio understands it.
    grid : TargetGrid
        CRS, bounds and pixels of the raster.
    name : str
        What the areas are called in errors.

    Raises
    ------
    OptionError
        Where the CRS is unknown, or coordinates cannot be reprojected.
    """
    parts, owners = shapely.get_parts(areas, return_index=True)
    if not len(parts):
        return areas
    reprojected = _reprojected(parts, source, grid, name)
    each = np.split(reprojected, np.searchsorted(owners, np.arange(1, len(areas))))
    return np.array([shapely.union_all(own) for own in each], np.object_)


def _reprojected(parts: Geometries, source: str, grid: TargetGrid, name: str) -> Geometries:
    """Polygons one by one, each made valid."""
    import rasterio.crs
    import rasterio.warp

    from ..raster.gdal import keeping_quiet

    def to_grid(points: Points) -> Points:
        return np.column_stack(rasterio.warp.transform(source_crs, grid.crs, *points.T))

    try:
        with keeping_quiet():
            source_crs = rasterio.crs.CRS.from_user_input(source)
    except Exception as error:  # rasterio lets errors of GDAL's own through
        raise OptionError(
            f"{name} states the CRS {source:.80}, which is unknown: state it as EPSG:CODE"
        ) from error
    failure = f"{name} cannot be reprojected from {source:.80} to the raster's CRS"
    with boundary(OptionError, failure), keeping_quiet():
        beyond = _beyond_degrees(parts, source_crs)
        reprojected = None if beyond is not None else _transformed(parts, to_grid, grid)
    if beyond is not None:
        raise _not_degrees(beyond, source, grid, name)
    if reprojected is None:
        raise OptionError(
            f"{name} has coordinates in {source} that cannot be converted to the raster's CRS"
        )
    return reprojected


def wrap_longitudes(area: shapely.Geometry, grid: TargetGrid) -> shapely.Geometry:
    """Shift an area by whole turns of longitude to every place where it meets a grid.

    Longitudes may be given from -180 to 180 or from 0 to 360, and continue beyond either. Where no
    turn makes them meet, or the CRS is projected, the area is returned as it is.
    """
    if not grid.crs.is_geographic or area.is_empty:
        return area
    turn, (west, _, east, _) = _turn(grid.crs), grid.bounds
    first = math.ceil((west - area.bounds[2]) / turn)
    last = math.floor((east - area.bounds[0]) / turn)
    shifted = [translate(area, turns * turn) for turns in range(first, last + 1)]
    return shapely.union_all(shifted) if shifted else area


def _turn(crs: Any) -> float:
    """360 degrees, in the units of a geographic CRS."""
    turn: float = 2 * math.pi / crs.units_factor[1]
    return round(turn, 9)  # else parts that adjoin at the 180th meridian would not after a turn


def _beyond_degrees(area: Any, crs: Any) -> Points | None:
    """A point of an area in a geographic CRS that is too far out for a longitude and latitude."""
    if not crs.is_geographic:
        return None
    limits = np.array([MAX_LONGITUDE, MAX_LATITUDE]) * _turn(crs) / 360
    points = shapely.get_coordinates(area)
    beyond = points[(np.abs(points) > limits).any(axis=1)]
    return beyond[0] if len(beyond) else None


def _not_degrees(point: Points, source: str, grid: TargetGrid, name: str) -> OptionError:
    code = grid.crs.to_epsg() if grid.crs.is_projected else None
    if abs(point[0]) <= MAX_LATITUDE and abs(point[1]) <= MAX_LONGITUDE / 3:
        return OptionError(
            f"{name} has coordinates such as {format_coordinates(point)}, which are latitude, "
            f"longitude: in GeoJSON, the longitude comes first"
        )
    return OptionError(
        f"{name} has coordinates such as {format_coordinates(point)}, which are no longitude "
        f"and latitude of {source}: GeoJSON is in WGS 84 unless it names another CRS, as with "
        f'"crs": {{"type": "name", "properties": {{"name": "EPSG:{code or 32632}"}}}}'
    )


def _transformed(
    parts: Geometries, to_grid: Callable[[Points], Points], grid: TargetGrid
) -> Geometries | None:
    """Polygons with more vertices, in the grid's CRS; None where one of them is not finite."""
    kind, points, (rings, polygons) = shapely.to_ragged_array(parts)
    is_last = np.zeros(len(points), np.bool_)
    is_last[rings[1:] - 1] = True
    starts = np.flatnonzero(~is_last)
    split, shares = _splits(points[starts], points[starts + 1], to_grid, grid)
    after = starts[split]
    at = np.concatenate([np.arange(len(points), dtype=np.float64), after + shares])
    between = points[after] + shares[:, None] * (points[after + 1] - points[after])
    moved = to_grid(np.concatenate([points, between])[np.argsort(at, kind="stable")])
    if not np.isfinite(moved).all():
        return None
    longer = rings + np.searchsorted(np.sort(after), rings)
    return np.asarray(
        shapely.make_valid(shapely.from_ragged_array(kind, moved, (longer, polygons)))
    )


def _splits(
    starts: Points, ends: Points, to_grid: Callable[[Points], Points], grid: TargetGrid
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Indices of edges to split, and where: as a share of their length from their start."""
    # Two polygons that share an edge must split it alike, though it has a direction in each.
    turned = (starts[:, 1] > ends[:, 1]) | (
        (starts[:, 1] == ends[:, 1]) & (starts[:, 0] > ends[:, 0])
    )
    lower = np.where(turned[:, None], ends, starts)
    step = np.where(turned[:, None], starts, ends) - lower
    edge = np.arange(len(starts))
    begin, end = np.zeros(len(edge)), np.ones(len(edge))
    found: list[tuple[npt.NDArray[np.intp], Floats]] = []
    for _ in range(MAX_SPLITS):
        if not len(edge):
            break
        split = begin + SPLIT_AT * (end - begin)
        first, middle, last = np.split(
            to_grid(
                np.concatenate([lower[edge] + t[:, None] * step[edge] for t in (begin, split, end)])
            ),
            3,
        )
        distance = _distance(middle, first, last)
        is_curved = distance > MAX_DEVIATION * grid.pixel_width
        is_curved &= _may_touch(grid, distance, first, last)
        edge, split = edge[is_curved], split[is_curved]
        begin, end = begin[is_curved], end[is_curved]
        found.append((edge, split))
        edge = np.concatenate([edge, edge])
        begin, end = np.concatenate([begin, split]), np.concatenate([split, end])
    edges = np.concatenate([np.zeros(0, np.intp), *(edge for edge, _ in found)])
    shares = np.concatenate([np.zeros(0), *(split for _, split in found)])
    return edges, np.where(turned[edges], 1 - shares, shares)


def _distance(points: Points, starts: Points, ends: Points) -> Floats:
    """Distances from points to straight lines, in pairs; NaN where a coordinate is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        along = ends - starts
        length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
        share = np.clip(((points - starts) * along).sum(axis=1) / length, 0, 1)
        distance: Floats = np.hypot(*(points - starts - share[:, None] * along).T)
    return distance


def _may_touch(grid: TargetGrid, distance: Floats, starts: Points, ends: Points) -> Mask:
    """Whether curves at such distances from their chords may touch the grid."""
    west, south, east, north = grid.bounds
    if grid.crs.is_geographic:  # any longitude may be wrapped to one of the grid
        west, east = -math.inf, math.inf
    bulge = CURVE_BULGE * distance[:, None]
    lowest, highest = np.minimum(starts, ends) - bulge, np.maximum(starts, ends) + bulge
    touches: Mask = np.all((lowest <= (east, north)) & (highest >= (west, south)), axis=1)
    return touches
