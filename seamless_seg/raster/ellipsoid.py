"""Ellipsoids: the Earth's shape in a CRS, with areas and radii in closed form."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Floats

AXES_IN_WKT = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.eE+]+),\s*([\d.eE+]+)')
"""Finds semi-major axis in meters and inverse flattening in the WKT of a CRS."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid of revolution.

    The formulas for areas are (3-12) of Snyder, Map Projections, USGS 1395 (1987).
    """

    semi_major_axis: float
    """Meters from the center to the equator."""
    inverse_flattening: float
    """0 for a sphere, as in WKT."""

    @property
    def flattening(self) -> float:
        """``(a - b) / a`` of the semi-axes a and b."""
        return 1 / self.inverse_flattening if self.inverse_flattening else 0.0

    @property
    def squared_eccentricity(self) -> float:
        """``(a² - b²) / a²`` of the semi-axes a and b."""
        return self.flattening * (2 - self.flattening)

    @property
    def _semi_minor_axis(self) -> float:
        return self.semi_major_axis * (1 - self.flattening)

    def area_from_equator(self, sine: Floats) -> Floats:
        """Square meters per radian of longitude between the equator and latitudes of that sine."""
        e = math.sqrt(self.squared_eccentricity)
        far = np.arctanh(e * sine) / e if e else sine
        near = sine / (1 - self.squared_eccentricity * sine**2)
        return np.asarray(self._semi_minor_axis**2 / 2 * (near + far))

    def area_density(self, latitudes: Floats) -> Floats:
        """Square meters per square radian at latitudes in radians.

        It is the derivative of ``area_from_equator`` by the latitude.
        """
        bend = 1 - self.squared_eccentricity * np.sin(latitudes) ** 2
        return np.asarray(self._semi_minor_axis**2 * np.cos(latitudes) / bend**2)

    def radii(self, latitude: float) -> tuple[float, float]:
        """Radii in meters of the meridian's curve and of the parallel, at a latitude in radians."""
        bend = 1 - self.squared_eccentricity * math.sin(latitude) ** 2
        meridian = self.semi_major_axis * (1 - self.squared_eccentricity) / bend**1.5
        return meridian, self.semi_major_axis / math.sqrt(bend) * math.cos(latitude)


WGS84 = Ellipsoid(6_378_137.0, 298.257_223_563)


def ellipsoid_of(crs: Any) -> Ellipsoid:
    """Return the ellipsoid of a CRS of rasterio's, WGS 84 where it names none."""
    found = AXES_IN_WKT.search(crs.to_wkt())
    return Ellipsoid(*map(float, found.groups())) if found else WGS84
