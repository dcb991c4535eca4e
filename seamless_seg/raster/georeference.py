"""Where a raster lies, and how large its pixels and polygons are on the ground."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import shapely
from rasterio.transform import Affine

from ..arrays import Floats
from ..windows import Window

Areas = npt.NDArray[np.float64]

MERCATOR = ("merc", "webmerc")
"""Projections, as PROJ calls them, on which what is far from the equator is far too large."""

STATED = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.eE+]+),\s*([\d.eE+]+)')
"""Semi-major axis in meters and inverse flattening (0 for a sphere) in the text of a CRS."""

WGS84 = "6378137", "298.257223563"

DEGREE = 111_000.0
"""Meters, roughly."""


class Ground:
    """Areas of a raster's pixels.

    In a projected CRS all pixels are alike, as large as they are on the map. In a geographic one
    they are the part of the ellipsoid between their meridians and parallels, in closed form; on a
    rotated grid, the ellipsoid's area at the pixel's center times the pixel's size in degrees.

    Parameters
    ----------
    place : Georeference
        Where the raster lies.
    """

    def __init__(self, place: Georeference) -> None:
        self.constant: float | None = None
        """Square meters of every pixel, where they are alike."""
        self.note: str | None = None
        """What a user should know of the areas."""
        self._transform = place.transform
        self._is_known = False
        crs = place.crs
        if place.gcps or place.transform is None:
            has = "ground control points only" if place.gcps else "no geotransform"
            self.note = f"the raster has {has}: how large its pixels are is not known"
        elif not crs:
            self.note = "the raster has no CRS: how large its pixels are is not known"
        else:
            self._measure(crs)

    @property
    def is_known(self) -> bool:
        """Whether pixels have areas at all."""
        return self._is_known

    def areas(self, window: Window) -> Areas:
        """Square meters of the pixels of a window, a shape that broadcasts to the window's."""
        if self.constant is not None:
            return np.array(self.constant)
        a, b, _, d, e, f = (float(number) for number in self._transform[:6])
        if d == 0:  # parallels run along the rows
            edges = np.arange(window.rows.start, window.rows.stop + 1) * e + f
            return np.asarray(self._between(edges) * abs(a))[:, None]
        if e == 0:  # along the columns
            edges = np.arange(window.cols.start, window.cols.stop + 1) * d + f
            return np.asarray(self._between(edges) * abs(b))[None, :]
        rows, cols = np.ogrid[window.rows, window.cols]
        latitudes = (d * (cols + 0.5) + e * (rows + 0.5) + f) * self._radians
        latitudes = np.clip(latitudes, -np.pi / 2, np.pi / 2)
        return np.asarray(
            self._ellipsoid.density(latitudes) * abs(a * e - b * d) * self._radians**2
        )

    def _measure(self, crs: Any) -> None:
        try:
            factor = float(crs.units_factor[1])
        except rasterio.errors.CRSError:
            self.note = "the unit of the raster's CRS is not known, nor how large its pixels are"
            return
        self._is_known = True
        if crs.is_geographic:
            self._radians = factor
            self._ellipsoid = Ellipsoid(crs)
            return
        a, b, _, d, e, _ = self._transform[:6]
        self.constant = abs(a * e - b * d) * factor * factor
        if crs.to_dict().get("proj") in MERCATOR:
            self.note = (
                "areas are those of the map, and a Mercator map is the larger the farther from "
                "the equator: bring the raster into another CRS for areas on the ground"
            )

    def _between(self, edges: Areas) -> Areas:
        """Square meters between parallels, per unit of longitude; nothing beyond the poles."""
        latitudes = np.clip(edges * self._radians, -np.pi / 2, np.pi / 2)
        return np.abs(np.diff(self._ellipsoid.from_equator(np.sin(latitudes)))) * self._radians


def cropped(place: Georeference, extent: Window) -> Georeference:
    """Where the extent of a raster lies, one without ground control points: those have no areas."""
    top, left = extent.rows.start, extent.cols.start
    transform = place.transform
    if transform:  # spelled out: releases of affine differ in the operator for it
        a, b, c, d, e, f = transform[:6]
        transform = Affine(a, b, a * left + b * top + c, d, e, d * left + e * top + f)
    return replace(place, transform=transform, rpcs=_shifted(place.rpcs, top, left))


def _shifted(rpcs: Any, top: int, left: int) -> Any:
    if rpcs is None:
        return None
    moved = copy.copy(rpcs)
    moved.line_off -= top
    moved.samp_off -= left
    return moved


class Ellipsoid:
    """A CRS's own, WGS 84 where it names none.

    The formulas are from Snyder, Map Projections, USGS 1395 (1987), (3-12).
    """

    def __init__(self, crs: Any) -> None:
        found = STATED.search(crs.to_wkt())
        axis, inverse = map(float, found.groups() if found else WGS84)
        flattening = 1 / inverse if inverse else 0.0
        self.axis = axis
        """Meters from the center to the equator."""
        self._polar = axis * (1 - flattening)
        self._squared = flattening * (2 - flattening)

    def from_equator(self, sine: Floats) -> Floats:
        """Square meters between the equator and latitudes of that sine, per radian of longitude."""
        e = math.sqrt(self._squared)
        far = np.arctanh(e * sine) / e if e else sine
        return np.asarray(self._polar**2 / 2 * (sine / (1 - self._squared * sine**2) + far))

    def density(self, latitudes: Floats) -> Floats:
        """Square meters per square radian at latitudes: the derivative of the above by them."""
        bend = 1 - self._squared * np.sin(latitudes) ** 2
        return np.asarray(self._polar**2 * np.cos(latitudes) / bend**2)


@dataclass(frozen=True)
class Georeference:
    """Where a raster lies: an affine transform or ground control points, and their CRS."""

    crs: Any
    transform: Any
    gcps: Sequence[Any]
    rpcs: Any
    is_point: bool = False
    """Whether the file says that its pixels are points, at their centers, and not areas."""


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

    def areas(self, geometries: npt.NDArray[Any], pixels: Floats) -> Floats:
        """Areas of polygons that have so many pixels."""
        if self.unit == "pixels":
            return pixels
        if self.is_projected:
            side = float(self.crs.units_factor[1])
            return np.asarray(pixels * abs(self._transform.determinant) * side**2)
        ground = shapely.transform(geometries, self._equal_area)
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
