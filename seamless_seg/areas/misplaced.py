"""Advice on areas that lie outside a raster: what the user may have meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import shapely

from ..raster.georeference import Georeference
from ..validation import MAX_DEGREES, format_coordinates

Bounds: TypeAlias = tuple[float, float, float, float]
"""West, south, east and north."""

DEGREES = "EPSG:4326"
"""CRS of longitude and latitude in degrees."""

MOST_TIMES_LARGER = 100
"""Bounds may be so many times as wide or high as a raster; else their order is doubted."""

ORDERS: dict[str, tuple[int, int, int, int]] = {
    "south, west, north, east": (1, 0, 3, 2),
    "west, north, east, south": (0, 3, 2, 1),
    "west, east, south, north": (0, 2, 1, 3),
    "south, north, west, east": (2, 0, 3, 1),
}
"""Other orders in which tools take bounds, and where west, south, east and north are in each."""


def advice_on_bounds(
    given: Sequence[float], extent: shapely.Polygon, georeference: Georeference | None
) -> str | None:
    """Say what bounds that are empty or lie outside a raster may be; None where that is unknown.

    Parameters
    ----------
    given : sequence of 4 floats
        The bounds as the user gave them.
    extent : shapely.Polygon
        The outline of the raster in its CRS.
    georeference : Georeference, optional
        Where the raster lies.
    """
    if georeference is None or georeference.transform is None:
        west, south, east, north = given
        if _meets((west, south, east, north), extent):
            downward = format_coordinates((west, north, east, south))
            return f"rows grow downwards: give bbox=({downward})"
        return unreferenced(georeference)
    for name, bounds in _orders(given):
        if _meets(bounds, extent):
            return f"its numbers are in the order {name}: give bbox=({format_coordinates(bounds)})"
    if georeference.crs is None:
        return unreferenced(georeference)
    return _advice_on_unit(given, extent, georeference.crs)


def other_order(given: Sequence[float], extent: shapely.Polygon) -> str | None:
    """Return advice if bounds are far larger than a raster, and lie in it in another order.

    Parameters
    ----------
    given, extent
        As for ``advice_on_bounds``.
    """
    west, south, east, north = given
    left, bottom, right, top = extent.bounds
    if max((east - west) / (right - left), (north - south) / (top - bottom)) <= MOST_TIMES_LARGER:
        return None
    for name, bounds in _orders(given):
        if _meets(bounds, extent) and extent.contains(shapely.box(*bounds).centroid):
            return f"its numbers are in the order {name}: give bbox=({format_coordinates(bounds)})"
    return None


def advice_on_area(
    area: shapely.Geometry,
    georeference: Georeference | None,
    meets_raster: Callable[[shapely.Geometry], bool],
) -> str | None:
    """Say what an area that lies outside a raster may be; None where that is unknown.

    Parameters
    ----------
    area : shapely.Geometry
        Polygons with the coordinates of the file.
    georeference : Georeference, optional
        Where the raster lies.
    meets_raster : callable
        Whether polygons with such coordinates meet the raster.
    """
    if (advice := unreferenced(georeference)) is not None:
        return advice
    if meets_raster(shapely.transform(area, lambda points: points[:, ::-1])):
        return "its coordinates are latitude, longitude: in GeoJSON, the longitude comes first"
    return None


def unreferenced(georeference: Georeference | None) -> str | None:
    """Say how coordinates are taken where a raster has no CRS; None where it has one."""
    if georeference is not None and georeference.crs is not None:
        return None
    unit = "units of its transform"
    if georeference is None or georeference.transform is None:
        unit = "pixels, column and row"
    return (
        f"the raster has no CRS, so that coordinates are taken for {unit}: give it its CRS "
        f"(gdal_edit.py -a_srs EPSG:CODE FILE, or rio edit-info --crs EPSG:CODE FILE)"
    )


def crs_name(crs: Any) -> str:
    """The code of a CRS of rasterio, or its projection."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_dict().get("proj", "another one"))


def _advice_on_unit(given: Sequence[float], extent: shapely.Polygon, crs: Any) -> str | None:
    """Say whether bounds are in degrees where the raster is not, or the other way round."""
    if crs.is_geographic:
        if max(map(abs, given)) <= MAX_DEGREES:
            return None
        return f"the CRS of the raster is {crs_name(crs)}: give bounds in degrees"
    for bounds in [_as_given(given), *(bounds for _, bounds in _orders(given))]:
        projected = _reprojected(bounds, DEGREES, crs) if _are_degrees(bounds) else None
        if projected is not None and _meets(projected, extent):
            return (
                f"its numbers are degrees, and the CRS of the raster is {crs_name(crs)}: give "
                f"bbox=({format_coordinates(projected)})"
            )
    spans = _reprojected(extent.bounds, crs, DEGREES)
    if spans is None or not _are_degrees(_as_given(given)):
        return None
    return f"its numbers may be degrees, in which the raster spans {format_coordinates(spans)}"


def _as_given(given: Sequence[float]) -> Bounds:
    west, south, east, north = given
    return west, south, east, north


def _orders(given: Sequence[float]) -> Iterator[tuple[str, Bounds]]:
    """Bounds in other orders, each with its name."""
    for name, at in ORDERS.items():
        yield name, _as_given([given[k] for k in at])


def _meets(bounds: Bounds, extent: shapely.Polygon) -> bool:
    west, south, east, north = bounds
    return west < east and south < north and bool(extent.intersects(shapely.box(*bounds)))


def _are_degrees(bounds: Bounds) -> bool:
    west, south, east, north = bounds
    return -180 <= west < east <= 180 and -90 <= south < north <= 90


def _reprojected(bounds: Sequence[float], source: Any, target: Any) -> Bounds | None:
    """Bounds in another CRS; None where they have no place in it."""
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds

    try:
        return _as_given(transform_bounds(source, target, *bounds))
    except RasterioError:
        return None
