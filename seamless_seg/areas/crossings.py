"""Outlines that cross themselves: how often, since what repairs them has no bound in time."""

from __future__ import annotations

import numpy as np
import shapely

from ..arrays import Floats
from ..errors import OptionError

MAX_CROSSINGS = 1000
"""Times that a polygon may cross itself: GEOS repairs as many in about a second, and ten times as
many in a minute, in which nothing interrupts it."""

FIRST_SIDES = 16
"""Sides whose crossings are counted first; each next step takes twice as many."""


def made_valid(polygon: shapely.Geometry, name: str) -> shapely.Geometry:
    """Return a polygon, or multi-polygon, repaired where its outlines cross.

    What an odd number of turns around the outlines encloses is inside.

    Raises
    ------
    OptionError
        If it crosses itself more than ``MAX_CROSSINGS`` times.
    """
    if shapely.is_valid(polygon):
        return polygon
    if _crosses_itself_often(_sides(polygon)):
        raise OptionError(
            f"{name} has a polygon that crosses itself more than {MAX_CROSSINGS} times: repair it "
            f"(ogr2ogr -makevalid repaired.geojson FILE), or leave it out"
        )
    return shapely.make_valid(polygon)


def _sides(polygon: shapely.Geometry) -> Floats:
    """Both ends of each side of all rings, shape ``(n, 2, 2)``, each side once."""
    rings = shapely.get_rings(shapely.get_parts(polygon))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    ends = np.stack([points[:-1][joined], points[1:][joined]], axis=1)
    turned = (ends[:, 0] > ends[:, 1]).any(axis=1) & (ends[:, 0, 0] >= ends[:, 1, 0])
    ends[turned] = ends[turned][:, ::-1]
    return np.unique(ends, axis=0)


def _crosses_itself_often(sides: Floats) -> bool:
    lines = shapely.linestrings(sides)
    tree, found, start, count = shapely.STRtree(lines), 0, 0, FIRST_SIDES
    while start < len(lines):
        own, _ = tree.query(lines[start : start + count], predicate="crosses")
        found += len(own)  # each crossing from both of its sides
        if found > 2 * MAX_CROSSINGS:
            return True
        start, count = start + count, 2 * count
    return False
