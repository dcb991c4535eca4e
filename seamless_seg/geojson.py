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

from .area import read_bounds, refuse_outside, to_pixels
from .errors import OptionError

if TYPE_CHECKING:
    from .raster import Georeference

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
        A geometry, a feature or a collection. Its coordinates are WGS 84 unless it names a CRS.
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
    area = shapely.union_all([shapely.make_valid(polygon) for polygon in polygons])
    area = _in_crs_of(place, area, document, path)
    transform = place.transform if place else None
    area = _surface(area)
    refuse_outside(area, size, transform, f"area {path}")
    return to_pixels(area, transform)


def read_features(
    path: Any, place: Georeference | None = None
) -> tuple[list[dict[str, Any]], npt.NDArray[np.object_]]:
    """Read the features of a GeoJSON file that have polygons, and each one's polygons.

    They are read as ``read_area`` does, and are in the raster's CRS, not in its pixels. A geometry
    that stands alone is a feature, too. Whether they lie outside the raster is not looked at.

    Raises
    ------
    OptionError
        Where the file holds no polygon, or they cannot be brought into the raster's CRS.
    """
    document = _load(path)
    is_collection = isinstance(document, dict) and document.get("type") == "FeatureCollection"
    features, areas = [], []
    for feature in (document.get("features") or ()) if is_collection else [document]:
        polygons = [polygon for polygon in _polygons(feature, path) if not polygon.is_empty]
        if polygons:
            features.append(feature)
            areas.append(shapely.union_all([shapely.make_valid(polygon) for polygon in polygons]))
    if not areas:
        raise OptionError(f"area {path} holds no polygon")
    return features, _in_crs_of(place, np.array(areas, np.object_), document, path)


def _in_crs_of(place: Georeference | None, area: Any, document: Any, path: Any) -> Any:
    """A geometry of the file, or an array of them, in the raster's CRS if that has one."""
    if place is not None and place.gcps:
        raise OptionError(f"area {path}: the raster has ground control points only, no transform")
    if place is not None and place.crs is not None:
        return _reproject(area, _crs_name(document), place.crs, path)
    return area


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


def _reproject(area: Any, source: str, target: Any, path: Any) -> Any:
    import rasterio._err
    import rasterio.crs
    import rasterio.errors
    import rasterio.warp

    try:
        source_crs = rasterio.crs.CRS.from_user_input(source)
        moved = shapely.transform(
            area,
            lambda xy: np.column_stack(rasterio.warp.transform(source_crs, target, *xy.T)),
        )
    # rasterio lets errors of GDAL's own through, which have no public base class.
    except (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError, ValueError) as error:
        raise OptionError(
            f"area {path} cannot be brought from {source} into the raster's CRS: {error}"
        ) from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise OptionError(f"area {path} has coordinates that {source} does not know")
    return moved


def _surface(area: shapely.Geometry) -> shapely.Geometry:
    """The polygons of what mending may have left as a collection."""
    parts = [part for part in shapely.get_parts(area, return_index=False) if part.area > 0]
    return shapely.union_all(parts)
