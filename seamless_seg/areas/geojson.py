"""Areas: GeoJSON polygons, or bounds, that choose pixels of a raster."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry

from ..arrays import Floats, Geometries
from ..boundary import boundary, in_words, shown
from ..errors import OptionError
from ..inputs.regular import refusal_as_file
from ..raster.georeference import Georeference, apply_affine
from ..validation import format_coordinates, numbers_of
from ..windows import Window
from .crossings import made_valid
from .misplaced import advice_on_area, advice_on_bounds, crs_name, other_order
from .reproject import TargetGrid, reproject, reproject_each, wrap_longitudes
from .stated_crs import stated_crs

BOUNDS_ORDER = "west, south, east, north"

BOUND_ROUNDING = 1e-3
"""Pixels by which rounding may move a bound of an area at most."""


@contextmanager
def without_overflow_warnings() -> Iterator[None]:
    """Leave it to errors to say what is wrong with coordinates that overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def area_of(
    path: Any,
    bounds: Sequence[float] | None,
    size: tuple[int, int],
    georeference: Georeference | None,
) -> shapely.Geometry | None:
    """Return the area that a file or bounds choose, in (y, x) pixels; None for the whole raster.

    Parameters
    ----------
    path : str or path-like, optional
        GeoJSON, as ``read_area`` takes it.
    bounds : sequence of float, optional
        As ``read_bounds`` takes them.
    size : (height, width)
        Pixels of the raster.
    georeference : Georeference, optional
        Where the raster lies.

    Raises
    ------
    OptionError
        Where both are given, or do not overlap the raster.
    """
    if path is not None and bounds is not None:
        raise OptionError("give either area= or bbox=, not both")
    if bounds is not None:
        return read_bounds(bounds, size, georeference)
    return None if path is None else read_area(path, size, georeference)


@without_overflow_warnings()
def read_area(
    path: Any, size: tuple[int, int], georeference: Georeference | None = None
) -> shapely.Geometry:
    """Read the polygons of a GeoJSON file as one area in (y, x) pixels.

    Parameters
    ----------
    path : str or path-like
        A geometry, a feature or a collection. Its coordinates are WGS 84 unless it names a CRS,
        and its edges are straight in these. Longitudes may differ from the raster's by whole turns.
    size : (height, width)
        Pixels of the raster.
    georeference : Georeference, optional
        Where the raster lies. Without it, or where it has no CRS, coordinates are the raster's
        own; without a transform they are pixels, ``(column, row)``.

    Raises
    ------
    OptionError
        Where the file holds no polygon, or all of them lie outside the raster.
    """
    name = f"area {path}"
    with _reading(name):
        document = _load(path, name)
        polygons = _polygons_of(document, name)
        if not polygons:
            raise OptionError(f"{name} holds no polygon")
        given = _only_polygons(shapely.union_all(polygons))
    grid = _grid(size, georeference, name)
    crs = "" if grid is None else stated_crs(document, name)
    transform = georeference.transform if georeference else None

    def placed(area: shapely.Geometry) -> shapely.Geometry:
        if grid is None or area.is_empty:
            return area
        area = reproject(area, crs, grid, name)
        return wrap_longitudes(_only_polygons(area), grid)

    def meets_raster(area: shapely.Geometry) -> bool:
        try:
            return overlaps(placed(area), size, transform)
        except OptionError:  # they are no coordinates of the area's CRS
            return False

    area = placed(given)
    if not overlaps(area, size, transform):
        advice = advice_on_area(given, georeference, meets_raster)
        if advice is None and grid is not None:
            advice = crs_stated(document)
        raise outside(area, size, georeference, name, advice)
    pixels = to_pixels(area, transform)
    # Where parts adjoin, rounding may have made them overlap.
    return pixels if pixels.is_valid else _only_polygons(shapely.make_valid(pixels))


def read_bounds(
    bounds: Sequence[float], size: tuple[int, int], georeference: Georeference | None = None
) -> shapely.Geometry:
    """Return bounds in a raster's CRS as an area in (y, x) pixels.

    Parameters
    ----------
    bounds : (west, south, east, north)
        In units of the CRS. Without a transform they are pixels, ``(left, bottom, right, top)``:
        rows are counted from above, so that the bottom is the larger of the two.
    size : (height, width)
        Pixels of the raster.
    georeference : Georeference, optional
        Where the raster lies.

    Raises
    ------
    OptionError
        Where they are no bounds, or lie outside the raster.
    """
    given = ",".join(map(_number, bounds))
    if len(bounds) != 4:
        raise OptionError(f"bbox must be four numbers, {BOUNDS_ORDER}, not {given}")
    west, south, east, north = numbers_of("bbox", bounds, 4) or ()
    _check_no_gcps(georeference, "bbox")
    transform = georeference.transform if georeference else None
    if west >= east or (south >= north if transform else north >= south):
        advice = advice_on_bounds(bounds, _extent(size, transform), georeference)
        order = BOUNDS_ORDER if transform else "left, bottom, right, top, with rows from above"
        reason = f"; {advice}" if advice else ""
        raise OptionError(f"bbox {given} is empty: give it as {order}{reason}")
    area = shapely.box(west, min(south, north), east, max(south, north))
    if not overlaps(area, size, transform):
        advice = advice_on_bounds(bounds, _extent(size, transform), georeference)
        raise outside(area, size, georeference, f"bbox {given}", advice)
    if transform and (advice := other_order(bounds, _extent(size, transform))):
        raise OptionError(f"bbox {given} is far larger than the raster: {advice}")
    return to_pixels(area, transform)


@without_overflow_warnings()
def read_features(
    path: Any, size: tuple[int, int], georeference: Georeference | None = None, what: str = "area"
) -> tuple[list[dict[str, Any]], Geometries, str]:
    """Read the features of a GeoJSON file that have polygons, and the area that each covers.

    A geometry without a feature counts as one, too. Features may lie outside the raster.

    Parameters
    ----------
    path, size, georeference
        As for ``read_area``.
    what : str
        What the file is called in an error.

    Returns
    -------
    features : list of dict
        GeoJSON features, or geometries.
    areas : array of shapely.Geometry, shape (n,)
        What they cover in the raster's CRS, or in pixels ``(column, row)`` without a transform.
    stated : str
        Which CRS the file states, in a sentence.

    Raises
    ------
    OptionError
        Where the file holds no polygon, or one that cannot be brought into the raster's CRS.
    """
    name = f"{what} {path}"
    with _reading(name):
        document = _load(path, name)
        features, covered = _covered_by(document, name)
    if not features:
        raise OptionError(f"{name} holds no polygon")
    areas = np.array(covered, np.object_)
    grid = _grid(size, georeference, name)
    if grid is not None:
        areas = reproject_each(areas, stated_crs(document, name), grid, name)
        areas = np.array([wrap_longitudes(area, grid) for area in areas], np.object_)
    return features, areas, "" if grid is None else crs_stated(document)


def _covered_by(document: Any, name: str) -> tuple[list[dict[str, Any]], list[shapely.Geometry]]:
    """Features with polygons, and what each covers."""
    is_collection = isinstance(document, dict) and document.get("type") == "FeatureCollection"
    features, covered = [], []
    for feature in _listed(document, "features", name) if is_collection else [document]:
        polygons = _polygons_of(feature, name)
        if polygons:
            area = shapely.union_all(polygons)
            features.append(feature)
            covered.append(area if area.geom_type == "Polygon" else _only_polygons(area))
    return features, covered


def bounding_window(area: shapely.Geometry, size: tuple[int, int]) -> Window:
    """Return the smallest window of a raster that holds an area in (y, x) pixels."""
    top, left, bottom, right = area.bounds
    height, width = size
    return Window(
        slice(
            max(0, math.floor(top + BOUND_ROUNDING)),
            min(height, math.ceil(bottom - BOUND_ROUNDING)),
        ),
        slice(
            max(0, math.floor(left + BOUND_ROUNDING)), min(width, math.ceil(right - BOUND_ROUNDING))
        ),
    )


def to_pixels(areas: Any, transform: Any) -> Any:
    """Convert a geometry, or an array of them, from a raster's CRS to (y, x) pixels.

    Without a transform, their coordinates are ``(column, row)``.
    """
    inverse = ~transform if transform else None

    def placed(xy: Floats) -> Floats:
        cols, rows = xy.T if inverse is None else apply_affine(inverse, *xy.T)
        return np.column_stack([rows, cols])

    return shapely.transform(areas, placed)


def overlaps(areas: Any, size: tuple[int, int], transform: Any) -> bool:
    """Return whether a geometry, or one of an array, meets a raster.

    Parameters
    ----------
    areas : shapely.Geometry or array of them
        In the raster's CRS.
    size : (height, width)
        Pixels of the raster.
    transform : affine.Affine, optional
        The raster's; without one, coordinates are ``(column, row)``.
    """
    return bool(np.any(shapely.intersects(areas, _extent(size, transform))))


def outside(
    areas: Any,
    size: tuple[int, int],
    georeference: Georeference | None,
    name: str,
    advice: str | None = None,
) -> OptionError:
    """Return the error for areas that lie outside a raster.

    Parameters
    ----------
    areas, size
        As for ``overlaps``.
    georeference : Georeference, optional
        Where the raster lies.
    name : str
        What the areas are called in the error.
    advice : str, optional
        What the areas may be, and what to do.
    """
    transform = georeference.transform if georeference else None
    order = BOUNDS_ORDER if transform else "in pixels: left, top, right, bottom"
    if transform and georeference and georeference.crs:
        order += f" in {crs_name(georeference.crs)}"
    return OptionError(
        f"{name} misses the raster: it spans {_bounds(areas)}, the raster "
        f"{_bounds(_extent(size, transform))} ({order}){f'; {advice}' if advice else ''}"
    )


def _number(value: Any) -> str:
    """A number as the user may have given it, never in scientific notation."""
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    return np.format_float_positional(value, trim="-")


def _bounds(areas: Any) -> str:
    return format_coordinates(shapely.total_bounds(areas))


def _grid(size: tuple[int, int], georeference: Georeference | None, name: str) -> TargetGrid | None:
    """The grid to which coordinates are reprojected; None for a raster without a CRS."""
    _check_no_gcps(georeference, name)
    if georeference is None or georeference.crs is None:
        return None
    transform = georeference.transform
    return TargetGrid(georeference.crs, _extent(size, transform).bounds, _pixel_width(transform))


def _check_no_gcps(georeference: Georeference | None, name: str) -> None:
    if georeference is not None and georeference.gcps:
        raise OptionError(
            f"{name}: the raster has ground control points only, no transform: gdalwarp gives it "
            f"one"
        )


def _extent(size: tuple[int, int], transform: Any) -> shapely.Polygon:
    """The outline of a raster in its CRS; (column, row) without a transform."""
    height, width = size
    image = shapely.box(0, 0, width, height)
    if not transform:
        return image
    return shapely.transform(image, lambda xy: np.column_stack(apply_affine(transform, *xy.T)))


def _pixel_width(transform: Any) -> float:
    """The least distance across a pixel, in units of the CRS; 1 without a transform."""
    if not transform:
        return 1.0
    sides = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    return abs(float(transform.determinant)) / max(sides)


def _load(path: Any, name: str) -> Any:
    if (refusal := refusal_as_file(path)) is not None:
        raise OptionError(f"{name} {refusal}")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OptionError(f"{name} cannot be read: {in_words(error)}") from error
    except UnicodeError as error:
        raise _to_convert(path, name) from error
    if not text.strip():
        raise OptionError(f"{name} is an empty file: write it again")
    if text.lstrip()[0] not in "{[":
        raise _to_convert(path, name)
    return json.loads(text)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn whatever a document that is not GeoJSON raises into an ``OptionError``."""
    with boundary(OptionError, f"{name} is not GeoJSON"):
        yield


def _listed(node: dict[str, Any], key: str, name: str) -> list[Any]:
    """The list that GeoJSON has under a key; null stands for none."""
    value = node.get(key) or []
    if not isinstance(value, list):
        raise OptionError(f"{name} is not GeoJSON: {key} is {shown(value)}, not a list")
    return value


def _to_convert(path: Any, name: str) -> OptionError:
    return OptionError(
        f"{name} is not GeoJSON: convert it (ogr2ogr -t_srs EPSG:4326 area.geojson {path})"
    )


def crs_stated(document: Any) -> str:
    """Say which CRS a GeoJSON file states."""
    if isinstance(document, dict) and document.get("crs"):
        return f"the file states the CRS {stated_crs(document, 'the file')}"
    return "the file states no CRS, so that it is in WGS 84"


def _polygons_of(node: Any, name: str) -> list[shapely.Geometry]:
    """Valid geometries of the polygons, but for empty ones, in a part of a document."""
    return [made_valid(polygon, name) for polygon in _polygons(node, name) if not polygon.is_empty]


def _polygons(node: Any, name: str) -> Iterator[shapely.Geometry]:
    kind = node.get("type") if isinstance(node, dict) else None
    if kind == "FeatureCollection":
        for feature in _listed(node, "features", name):
            yield from _polygons(feature, name)
    elif kind == "Feature":
        if node.get("geometry"):
            yield from _polygons(node["geometry"], name)
    elif kind == "GeometryCollection":
        for geometry in _listed(node, "geometries", name):
            yield from _polygons(geometry, name)
    elif kind in ("Polygon", "MultiPolygon"):
        yield _polygon(node, name)
    elif not isinstance(kind, str):
        raise OptionError(f"{name} is not GeoJSON: something in it has no type")


def _polygon(node: dict[str, Any], name: str) -> shapely.Geometry:
    try:
        with np.errstate(invalid="ignore"):  # the error below is clearer than numpy's warning
            polygon = shapely.force_2d(shapely.geometry.shape(node))
        is_finite = np.isfinite(shapely.get_coordinates(polygon)).all()
    except Exception as error:  # shapely raises what it likes
        is_finite = "NaN" not in (document := json.dumps(node)) and "Infinity" not in document
        if is_finite:
            reason = re.sub(r"^\w+Exception: ", "", in_words(error))
            raise OptionError(f"{name} has a broken polygon: {reason}") from error
    if not is_finite:
        raise OptionError(f"{name} has a broken polygon: a coordinate is no finite number")
    return polygon


def _only_polygons(area: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a geometry that ``make_valid`` may have turned into a collection."""
    parts = [part for part in shapely.get_parts(area, return_index=False) if part.area > 0]
    return shapely.union_all(parts)
