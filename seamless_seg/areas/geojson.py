"""Areas: GeoJSON polygons and bounds, as geometries in pixels of a raster."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely
import shapely.geometry
from shapely.affinity import affine_transform

from ..errors import OptionError
from ..validation import numbers_of
from ..windows import Window
from .reproject import Canvas, repeated, reproject, reproject_each

if TYPE_CHECKING:
    from ..raster.georeference import Georeference

WGS84 = "OGC:CRS84"
"""What GeoJSON coordinates are in where the file names nothing else: longitude, latitude."""

NEAR = 1e-3
"""Pixels that are nothing but the rounding of coordinates."""

BOUNDS = "west, south, east, north"


def area_of(
    path: Any, bounds: Sequence[float] | None, size: tuple[int, int], place: Georeference | None
) -> shapely.Geometry | None:
    """The area that a file or bounds name, in (y, x) pixels; None for the whole raster.

    Raises
    ------
    OptionError
        Where both are given, or what is given names no part of the raster.
    """
    if path is not None and bounds is not None:
        raise OptionError("give either area or bbox")
    if bounds is not None:
        return read_bounds(bounds, size, place)
    return None if path is None else read_area(path, size, place)


def read_area(
    path: Any, size: tuple[int, int], place: Georeference | None = None
) -> shapely.Geometry:
    """Read the polygons of a GeoJSON file as an area in (y, x) pixels.

    Parameters
    ----------
    path : str or path-like
        A geometry, a feature or a collection. Its coordinates are WGS 84 unless it names a CRS,
        and its edges are straight in these. Longitudes may differ from the raster's by whole turns.
    size : (height, width)
        Pixels of the raster.
    place : Georeference, optional
        Where the raster lies. Without it, or where it has no CRS, coordinates are the raster's
        own; without a transform they are pixels, ``(column, row)``.

    Raises
    ------
    OptionError
        Where the file holds no polygon, or all of them lie outside the raster.
    """
    document = _load(path)
    polygons = [polygon for polygon in _polygons(document, path) if not polygon.is_empty]
    if not polygons:
        raise OptionError(f"area {path} holds no polygon")
    area = _surface(shapely.union_all([shapely.make_valid(polygon) for polygon in polygons]))
    if place is not None and place.gcps:
        raise OptionError(f"area {path}: the raster has ground control points only, no transform")
    transform = place.transform if place else None
    if place is not None and place.crs is not None and not area.is_empty:
        canvas = Canvas(place.crs, extent(size, transform).bounds, narrowest(transform))
        area = reproject(area, _crs_name(document), canvas, f"area {path}")
        area = repeated(_surface(area), canvas)
    refuse_outside(area, size, transform, f"area {path}")
    pixels = to_pixels(area, transform)
    # Where parts adjoin, rounding may have made them overlap.
    return pixels if pixels.is_valid else _surface(shapely.make_valid(pixels))


def read_features(
    path: Any, size: tuple[int, int], place: Georeference | None = None
) -> tuple[list[dict[str, Any]], npt.NDArray[np.object_]]:
    """Read the features of a GeoJSON file that have polygons, and what each of them covers.

    As ``read_area`` does, but in the raster's CRS and not in its pixels, and without a look at
    whether it lies outside the raster. A geometry that stands alone is a feature, too.

    Raises
    ------
    OptionError
        Where the file holds no polygon, or one that cannot be brought into the raster's CRS.
    """
    document = _load(path)
    is_collection = isinstance(document, dict) and document.get("type") == "FeatureCollection"
    features, covered = [], []
    for feature in (document.get("features") or ()) if is_collection else [document]:
        polygons = [polygon for polygon in _polygons(feature, path) if not polygon.is_empty]
        if polygons:
            area = shapely.union_all([shapely.make_valid(polygon) for polygon in polygons])
            features.append(feature)
            covered.append(area if area.geom_type == "Polygon" else _surface(area))
    if not features:
        raise OptionError(f"area {path} holds no polygon")
    areas = np.array(covered, np.object_)
    if place is not None and place.gcps:
        raise OptionError(f"area {path}: the raster has ground control points only, no transform")
    if place is not None and place.crs is not None:
        bounds = extent(size, place.transform).bounds
        canvas = Canvas(place.crs, bounds, narrowest(place.transform))
        areas = reproject_each(areas, _crs_name(document), canvas, f"area {path}")
        areas = np.array([repeated(area, canvas) for area in areas], np.object_)
    return features, areas


def _load(path: Any) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(f"area {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"area {path} is not GeoJSON: {error}") from error


def _polygons(node: Any, path: Any) -> Iterator[shapely.Geometry]:
    kind = node.get("type") if isinstance(node, dict) else None
    if kind == "FeatureCollection":
        for feature in node.get("features") or ():
            yield from _polygons(feature, path)
    elif kind == "Feature":
        if node.get("geometry"):
            yield from _polygons(node["geometry"], path)
    elif kind == "GeometryCollection":
        for geometry in node.get("geometries") or ():
            yield from _polygons(geometry, path)
    elif kind in ("Polygon", "MultiPolygon"):
        try:
            with np.errstate(invalid="ignore"):  # said below, and better
                polygon = shapely.force_2d(shapely.geometry.shape(node))
            if not np.isfinite(shapely.get_coordinates(polygon)).all():
                raise ValueError("a coordinate is no finite number")
            yield polygon
        except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise OptionError(f"area {path} has a broken polygon: {error}") from error
    elif not isinstance(kind, str):
        raise OptionError(f"area {path} is not GeoJSON: something in it has no type")


def _crs_name(document: dict[str, Any]) -> str:
    named = document.get("crs") or WGS84
    if isinstance(named, dict):
        named = (named.get("properties") or {}).get("name", WGS84)
    return str(named)


def _surface(area: shapely.Geometry) -> shapely.Geometry:
    """The polygons of what mending may have left as a collection."""
    parts = [part for part in shapely.get_parts(area, return_index=False) if part.area > 0]
    return shapely.union_all(parts)


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
