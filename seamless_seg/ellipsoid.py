"""The ellipsoid of a CRS, and areas on it in closed form."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STATED = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.eE+]+),\s*([\d.eE+]+)')
"""Semi-major axis in metres and inverse flattening (0 for a sphere) in the text of a CRS."""

WGS84 = "6378137", "298.257223563"


class Ellipsoid:
    """A CRS's own, WGS 84 where it names none.

    The formulas are from Snyder, Map Projections, USGS 1395 (1987), (3-12).
    """

    def __init__(self, crs: Any) -> None:
        found = STATED.search(crs.to_wkt())
        axis, inverse = map(float, found.groups() if found else WGS84)
        flattening = 1 / inverse if inverse else 0.0
        self.axis = axis
        """Metres from the centre to the equator."""
        self._polar = axis * (1 - flattening)
        self._squared = flattening * (2 - flattening)

    def from_equator(self, sine: Floats) -> Floats:
        """Square metres between the equator and latitudes of that sine, per radian of longitude."""
        e = math.sqrt(self._squared)
        far = np.arctanh(e * sine) / e if e else sine
        return np.asarray(self._polar**2 / 2 * (sine / (1 - self._squared * sine**2) + far))

    def density(self, latitudes: Floats) -> Floats:
        """Square metres per square radian at latitudes: the derivative of the above by them."""
        bend = 1 - self._squared * np.sin(latitudes) ** 2
        return np.asarray(self._polar**2 * np.cos(latitudes) / bend**2)
