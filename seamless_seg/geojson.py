"""Areas from GeoJSON files, brought into a raster's pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely
import shapely.geometry

from .area import extent, narrowest, read_bounds, refuse_outside, to_pixels
from .errors import OptionError
from .reprojection import Canvas, repeated, reproject, reproject_each

if TYPE_CHECKING:
    from .raster.georeference import Georeference

WGS84 = "OGC:CRS84"
"""What GeoJSON coordinates are in where the file names nothing else: longitude, latitude."""


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
