"""Ground: how large pixels are, in square metres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import rasterio.errors

from .ellipsoid import Ellipsoid
from .windows import Window

if TYPE_CHECKING:
    from .raster import Georeference

Areas = npt.NDArray[np.float64]

MERCATOR = ("merc", "webmerc")
"""Projections, as PROJ calls them, on which what is far from the equator is far too large."""


class Ground:
    """Areas of a raster's pixels.

    In a projected CRS all pixels are alike, as large as they are on the map. In a geographic one
    they are the part of the ellipsoid between their meridians and parallels, in closed form; on a
    rotated grid, the ellipsoid's area at the pixel's centre times the pixel's size in degrees.

    Parameters
    ----------
    place : Georeference
        Where the raster lies.
    """

    def __init__(self, place: Georeference) -> None:
        self.constant: float | None = None
        """Square metres of every pixel, where they are alike."""
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
        """Square metres of the pixels of a window, a shape that broadcasts to the window's."""
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
        """Square metres between parallels, per unit of longitude; nothing beyond the poles."""
        latitudes = np.clip(edges * self._radians, -np.pi / 2, np.pi / 2)
        return np.abs(np.diff(self._ellipsoid.from_equator(np.sin(latitudes)))) * self._radians
