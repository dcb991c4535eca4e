"""Reprojection: polygons brought into a raster's CRS, with edges that stay where they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate

from ..errors import OptionError

Points = npt.NDArray[np.float64]
"""Coordinates (x, y), shape ``(n, 2)``."""

Shapes = npt.NDArray[np.object_]
"""Of shapely."""

DEVIATION = 0.01
"""Pixels by which an edge may miss the line that it is in its own CRS."""

CUT = 3 / 8
"""Where an edge is looked at and cut, between its ends; many that are bent do not deviate in the
middle, those symmetric around the projection's center."""

CUTS = 24
"""Cuts of one piece at most, one within the other: an edge may leap in the raster's CRS."""

WITHIN = 4
"""A curve is no farther from its chord than so many times what it is at one place."""

LATITUDES, LONGITUDES = 90, 540
"""Degrees from the equator, and from the zero meridian, at most."""


class Canvas(NamedTuple):
    """What polygons are to be seen on."""

    crs: Any
    """Of rasterio."""
    bounds: tuple[float, float, float, float]
    """West, south, east and north, in units of the CRS."""
    pixel: float
    """How far it is at least across a pixel, likewise."""


def reproject(area: shapely.Geometry, source: str, canvas: Canvas, name: str) -> shapely.Geometry:
    """Polygons in another CRS.

    An edge is straight in the CRS in which it is given. Where it is not in the canvas's, it gets
    as many vertices as it takes to keep to it within ``DEVIATION`` pixels on the canvas.

    Parameters
    ----------
    area : shapely geometry
        Polygons, ``(x, y)``.
    source : str
        Their CRS, as rasterio understands it.
    canvas : Canvas
        The other CRS, and what of it is of interest.
    name : str
        What the area is called in errors.

    Raises
    ------
    OptionError
        Where the CRS is not known, or coordinates cannot be brought into the other.
    """
    # Edges may meet that did not, such as both sides of a cut from the pole.
    return shapely.union_all(_brought(shapely.get_parts(area), source, canvas, name))


def reproject_each(areas: Shapes, source: str, canvas: Canvas, name: str) -> Shapes:
    """The same of many at once, shape ``(n,)``, each for itself."""
    parts, owners = shapely.get_parts(areas, return_index=True)
    if not len(parts):
        return areas
    brought = _brought(parts, source, canvas, name)
    each = np.split(brought, np.searchsorted(owners, np.arange(1, len(areas))))
    return np.array([shapely.union_all(own) for own in each], np.object_)


def _brought(parts: Shapes, source: str, canvas: Canvas, name: str) -> Shapes:
    """Polygons one by one, each of them mended where that is necessary."""
    import rasterio._err
    import rasterio.crs
    import rasterio.errors
    import rasterio.warp

    def move(points: Points) -> Points:
        return np.column_stack(rasterio.warp.transform(source_crs, canvas.crs, *points.T))

    try:
        source_crs = rasterio.crs.CRS.from_user_input(source)
        beyond = _beyond_degrees(parts, source_crs)
        moved = None if beyond is not None else _moved(parts, move, canvas)
    # rasterio lets errors of GDAL's own through, which have no public base class.
    except (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError, ValueError) as error:
        raise OptionError(
            f"{name} cannot be brought from {source} into the raster's CRS: {error}"
        ) from error
    if beyond is not None:
        raise _no_degrees(beyond, source, canvas, name)
    if moved is None:
        raise OptionError(f"{name} has coordinates that {source} does not know")
    return moved


def repeated(area: shapely.Geometry, canvas: Canvas) -> shapely.Geometry:
    """An area in longitudes, moved by whole turns to wherever the canvas has it.

    Longitudes may be given from -180 to 180 or from 0 to 360, and run on beyond either. Where no
    turn brings it there, or the CRS is projected, the area stays as it is.
    """
    if not canvas.crs.is_geographic or area.is_empty:
        return area
    turn, (west, _, east, _) = _turn(canvas.crs), canvas.bounds
    first = math.ceil((west - area.bounds[2]) / turn)
    last = math.floor((east - area.bounds[0]) / turn)
    moved = [translate(area, turns * turn) for turns in range(first, last + 1)]
    return shapely.union_all(moved) if moved else area


def _turn(crs: Any) -> float:
    """360 degrees, in the units of a geographic CRS."""
    turn: float = 2 * math.pi / crs.units_factor[1]
    return round(turn, 9)  # what adjoins must do so still


def _beyond_degrees(area: Any, crs: Any) -> Points | None:
    """A point that cannot be longitude and latitude where coordinates are to be such."""
    if not crs.is_geographic:
        return None
    limits = np.array([LONGITUDES, LATITUDES]) * _turn(crs) / 360
    points = shapely.get_coordinates(area)
    beyond = points[(np.abs(points) > limits).any(axis=1)]
    return beyond[0] if len(beyond) else None


def _no_degrees(point: Points, source: str, canvas: Canvas, name: str) -> OptionError:
    code = canvas.crs.to_epsg() if canvas.crs.is_projected else None
    return OptionError(
        f"{name} has coordinates such as {point[0]:.10g}, {point[1]:.10g}, which are no longitude "
        f"and latitude of {source}: GeoJSON is in WGS 84 unless it names another CRS, as with "
        f'"crs": {{"type": "name", "properties": {{"name": "EPSG:{code or 32632}"}}}}'
    )


def _moved(parts: Shapes, move: Callable[[Points], Points], canvas: Canvas) -> Shapes | None:
    """The polygons, or None where a vertex has no place."""
    kind, points, (rings, polygons) = shapely.to_ragged_array(parts)
    is_last = np.zeros(len(points), np.bool_)
    is_last[rings[1:] - 1] = True
    starts = np.flatnonzero(~is_last)
    cut, places = _cuts(points[starts], points[starts + 1], move, canvas)
    after = starts[cut]
    at = np.concatenate([np.arange(len(points), dtype=np.float64), after + places])
    between = points[after] + places[:, None] * (points[after + 1] - points[after])
    moved = move(np.concatenate([points, between])[np.argsort(at, kind="stable")])
    if not np.isfinite(moved).all():
        return None
    longer = rings + np.searchsorted(np.sort(after), rings)
    return np.asarray(
        shapely.make_valid(shapely.from_ragged_array(kind, moved, (longer, polygons)))
    )


def _cuts(
    starts: Points, ends: Points, move: Callable[[Points], Points], canvas: Canvas
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Which edges are to be cut and where, as a share of their length from their start."""
    # Two polygons that share an edge cut it alike, though they run along it in both directions.
    turned = (starts[:, 1] > ends[:, 1]) | (
        (starts[:, 1] == ends[:, 1]) & (starts[:, 0] > ends[:, 0])
    )
    lower = np.where(turned[:, None], ends, starts)
    step = np.where(turned[:, None], starts, ends) - lower
    edge = np.arange(len(starts))
    begin, end = np.zeros(len(edge)), np.ones(len(edge))
    found: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]] = []
    for _ in range(CUTS):
        if not len(edge):
            break
        cut = begin + CUT * (end - begin)
        first, middle, last = np.split(
            move(
                np.concatenate([lower[edge] + t[:, None] * step[edge] for t in (begin, cut, end)])
            ),
            3,
        )
        distance = _distance(middle, first, last)
        bent = (distance > DEVIATION * canvas.pixel) & _may_touch(canvas, distance, first, last)
        edge, begin, cut, end = edge[bent], begin[bent], cut[bent], end[bent]
        found.append((edge, cut))
        edge = np.concatenate([edge, edge])
        begin, end = np.concatenate([begin, cut]), np.concatenate([cut, end])
    edges = np.concatenate([np.zeros(0, np.intp), *(edge for edge, _ in found)])
    shares = np.concatenate([np.zeros(0), *(cut for _, cut in found)])
    return edges, np.where(turned[edges], 1 - shares, shares)


def _distance(points: Points, starts: Points, ends: Points) -> npt.NDArray[np.float64]:
    """From points to straight lines, in pairs; NaN where one of them is nowhere."""
    with np.errstate(invalid="ignore"):
        along = ends - starts
        length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
        share = np.clip(((points - starts) * along).sum(axis=1) / length, 0, 1)
        distance: npt.NDArray[np.float64] = np.hypot(*(points - starts - share[:, None] * along).T)
    return distance


def _may_touch(
    canvas: Canvas, distance: npt.NDArray[np.float64], starts: Points, ends: Points
) -> npt.NDArray[np.bool_]:
    """Whether curves so far from their chords may lie on the canvas somewhere."""
    west, south, east, north = canvas.bounds
    if canvas.crs.is_geographic:  # longitudes come again
        west, east = -math.inf, math.inf
    around = WITHIN * distance[:, None]
    lowest, highest = np.minimum(starts, ends) - around, np.maximum(starts, ends) + around
    touches: npt.NDArray[np.bool_] = np.all(
        (lowest <= (east, north)) & (highest >= (west, south)), axis=1
    )
    return touches
