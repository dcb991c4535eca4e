"""Surface: how large polygons are, in square metres where the raster says where it lies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from .ellipsoid import Ellipsoid

if TYPE_CHECKING:
    from .outlines import Outlines
    from .raster import Georeference

DEGREE = 111_000.0
"""Metres, roughly."""

Floats = npt.NDArray[np.float64]


class Surface:
    """What the pixels of a raster cover.

    In a projected CRS that is measured in its plane; in a geographic one on its ellipsoid;
    without either, in pixels.
    """

    def __init__(self, place: Georeference) -> None:
        self.crs, self._transform = place.crs, place.transform
        self.unit = "m²" if self.is_on_earth and place.transform else "pixels"

    @property
    def is_on_earth(self) -> bool:
        """Whether coordinates can be brought into longitude and latitude."""
        return self.is_projected or bool(self.crs and self.crs.is_geographic)

    @property
    def is_projected(self) -> bool:
        """Whether the CRS is that of a map."""
        return bool(self.crs and self.crs.is_projected)

    @property
    def is_web_mercator(self) -> bool:
        """Whether the CRS is one that makes areas larger than they are, and in common use."""
        return self.is_projected and "Pseudo-Mercator" in self.crs.to_wkt()

    @property
    def pixel_degrees(self) -> float:
        """The side of a pixel in degrees, roughly."""
        side = math.sqrt(abs(self._transform.determinant)) if self._transform else 1.0
        factor = float(self.crs.units_factor[1])
        return math.degrees(side * factor) if self.crs.is_geographic else side * factor / DEGREE

    def coordinates(self, points: npt.NDArray[Any]) -> Floats:
        """Coordinates on the ground, (x, y), of points in (column, row)."""
        points = points.astype(np.float64)
        if self._transform is None:
            return points
        a, b, c, d, e, f = self._transform[:6]
        columns, rows = points.T
        return np.stack([c + columns * a + rows * b, f + columns * d + rows * e], axis=1)

    def areas(self, outlines: Outlines, pixels: Floats) -> Floats:
        """Areas of polygons that have so many pixels."""
        if self.unit == "pixels":
            return pixels
        if self.is_projected:
            side = float(self.crs.units_factor[1])
            return np.asarray(pixels * abs(self._transform.determinant) * side**2)
        ground = shapely.transform(outlines.geometries, self._equal_area)
        areas: Floats = shapely.area(ground)
        return areas

    def _equal_area(self, points: npt.NDArray[Any]) -> Floats:
        """Points in (column, row) in a plane where areas are what they are on the ellipsoid.

        It is Lambert's cylindrical projection, in which meridians and parallels are straight, and
        so are the edges of pixels.
        """
        angles = self.coordinates(points) * float(self.crs.units_factor[1])
        ellipsoid = Ellipsoid(self.crs)
        heights = ellipsoid.from_equator(np.sin(angles[:, 1])) / ellipsoid.axis
        return np.stack([ellipsoid.axis * angles[:, 0], heights], axis=1)
