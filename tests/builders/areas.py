"""Areas in pixels, and which pixels they hold."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import strategies as st

HOLED = shapely.Polygon(
    [(10, 10), (10, 150), (150, 150), (150, 10)], [[(40, 40), (40, 120), (120, 120), (120, 40)]]
)

IN_PARTS = shapely.MultiPolygon([shapely.box(-20, -5, 12, 7), shapely.box(90, 130, 101, 170)])

TRIANGLE = shapely.Polygon([(3, 3), (90, 30), (20, 99)])

SLIVER = shapely.box(31.2, 5, 31.7, 90)  # it holds the centers of one row of pixels

BETWEEN_CENTERS = shapely.box(31.6, 5, 32.4, 90)  # and this one holds none

OUTSIDE = shapely.box(1000, 1000, 1100, 1100)

areas = st.sampled_from([None, HOLED, IN_PARTS, TRIANGLE, SLIVER, BETWEEN_CENTERS, OUTSIDE])


def inside(area, height, width):
    """The pixels whose center lies in the area, one by one."""
    if area is None:
        return np.ones((height, width), dtype=bool)
    rows, cols = np.mgrid[:height, :width] + 0.5
    return shapely.contains_xy(area, rows, cols)
