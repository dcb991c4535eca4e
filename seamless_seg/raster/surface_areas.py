"""Surface areas: square meters of a raster's pixels, and of polygons along them."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from ..arrays import Array, Floats
from ..windows import Window
from .ellipsoid import ellipsoid_of
from .georeference import Georeference

MERCATOR = ("merc", "webmerc")
"""Names in PROJ of projections that enlarge areas away from the equator."""

MERCATOR_NOTE = (
    "areas are measured on a Mercator map, which enlarges them away from the equator: reproject "
    "the raster to an equal-area CRS for true areas"
)


class PixelAreas:
    """Areas of a raster's pixels.

    In a projected CRS all pixels are alike, as large as they are on the map. In a geographic one
    they are the part of the ellipsoid between their meridians and parallels, in closed form; on a
    rotated grid, the ellipsoid's area at the pixel's center times the pixel's size in degrees.

    Parameters
    ----------
    georeference : Georeference
        Where the raster lies.
    """

    def __init__(self, georeference: Georeference) -> None:
        self.uniform: float | None = None
        """Square meters of every pixel, where all pixels are alike."""
        self.note: str | None = None
        """A sentence that a user should read beside the areas."""
        self.is_known = False
        """Whether pixels have areas at all."""
        self._transform = georeference.transform
        crs = georeference.crs
        if georeference.gcps:
            self.note = _unknown("has ground control points only")
        elif georeference.transform is None:
            self.note = _unknown("has no geotransform")
        elif not crs:
            self.note = _unknown("has no CRS")
        else:
            self._measure(crs)

    def of_window(self, window: Window) -> Floats:
        """Square meters of the pixels of a window, a shape that broadcasts to the window's."""
        if self.uniform is not None:
            return np.array(self.uniform)
        a, b, _, d, e, f = (float(number) for number in self._transform[:6])
        if d == 0:  # parallels run along the rows
            edges = np.arange(window.rows.start, window.rows.stop + 1) * e + f
            return np.asarray(self._between_parallels(edges) * abs(a))[:, None]
        if e == 0:  # along the columns
            edges = np.arange(window.cols.start, window.cols.stop + 1) * d + f
            return np.asarray(self._between_parallels(edges) * abs(b))[None, :]
        rows, cols = np.ogrid[window.rows, window.cols]
        latitudes = (d * (cols + 0.5) + e * (rows + 0.5) + f) * self._radians
        latitudes = np.clip(latitudes, -np.pi / 2, np.pi / 2)
        density = self._ellipsoid.area_density(latitudes)
        return np.asarray(density * abs(a * e - b * d) * self._radians**2)

    def _measure(self, crs: Any) -> None:
        from rasterio.errors import CRSError

        try:
            factor = float(crs.units_factor[1])
        except CRSError:
            self.note = _unknown("has a CRS without a known unit")
            return
        self.is_known = True
        if crs.is_geographic:
            self._radians = factor
            self._ellipsoid = ellipsoid_of(crs)
            return
        a, b, _, d, e, _ = self._transform[:6]
        self.uniform = abs(a * e - b * d) * factor * factor
        if _is_mercator(crs):
            self.note = MERCATOR_NOTE

    def _between_parallels(self, edges: Floats) -> Floats:
        """Square meters between parallels, per unit of longitude; nothing beyond the poles."""
        latitudes = np.clip(edges * self._radians, -np.pi / 2, np.pi / 2)
        areas = self._ellipsoid.area_from_equator(np.sin(latitudes))
        return np.abs(np.diff(areas)) * self._radians


class PolygonAreas:
    """Areas of polygons whose edges run along a raster's pixels.

    In a projected CRS they are measured on the map; in a geographic one on its ellipsoid; without
    either, in pixels.

    Parameters
    ----------
    georeference : Georeference
        Where the raster lies.
    """

    def __init__(self, georeference: Georeference) -> None:
        self._georeference = georeference
        in_meters = georeference.has_lonlat and georeference.transform
        self.unit = "m²" if in_meters else "pixels"
        is_mercator = in_meters and georeference.is_projected and _is_mercator(georeference.crs)
        self.note = MERCATOR_NOTE if is_mercator else None
        """A sentence that a user should read beside the areas."""

    def of_polygons(self, polygons: Array, pixels: Floats) -> Floats:
        """Areas of polygons, in (column, row), that have so many pixels; both of shape ``(n,)``."""
        if self.unit == "pixels":
            return pixels
        crs, transform = self._georeference.crs, self._georeference.transform
        if self._georeference.is_projected:
            side = float(crs.units_factor[1])
            return np.asarray(pixels * abs(transform.determinant) * side**2)
        areas: Floats = shapely.area(shapely.transform(polygons, self._equal_area))
        return areas

    def _equal_area(self, points: Array) -> Floats:
        """Points (column, row) in a plane where areas are what they are on the ellipsoid.

        It is Lambert's cylindrical projection, in which meridians and parallels are straight, and
        so are the edges of pixels.
        """
        crs = self._georeference.crs
        angles = self._georeference.coordinates(points) * float(crs.units_factor[1])
        ellipsoid = ellipsoid_of(crs)
        axis = ellipsoid.semi_major_axis
        heights = ellipsoid.area_from_equator(np.sin(angles[:, 1])) / axis
        return np.stack([axis * angles[:, 0], heights], axis=1)


def _is_mercator(crs: Any) -> bool:
    return crs.to_dict().get("proj") in MERCATOR


def _unknown(reason: str) -> str:
    return f"the raster {reason}: areas in square meters are unknown"
