"""A made-up aerial landscape and its true classes, from a seed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from buildings import build_halls, build_houses, paint_gardens, plan_villages
from canvas import Canvas
from light import photograph
from parcels import divide, paint_fields
from roads import paint_roads, paint_tracks, street_distance
from waters import paint_waters
from woods import paint_clearings, plan_forest, plan_hedges, plant_trees


class Landscape(NamedTuple):
    """A picture and what it shows.

    Attributes
    ----------
    image : (size, size, 3) uint8
        Red, green and blue.
    labels : (size, size) uint8
        Index into `canvas.CLASS_NAMES`.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def make_landscape(size: int, seed: int) -> Landscape:
    """Return a landscape of size x size px, 0.5 m each; the same seed gives the same one."""
    canvas = Canvas.blank(size, np.random.default_rng(seed))
    parcels = divide(canvas)
    paint_fields(canvas, parcels)
    paint_waters(canvas, parcels)
    paint_tracks(canvas, parcels)
    village, open_land = plan_villages(canvas, parcels)
    streets = street_distance(canvas, parcels, village)
    paint_roads(canvas, streets, parcels.road_distance)
    garden = paint_gardens(canvas, village)
    build_houses(canvas, village, streets)
    build_halls(canvas, parcels)
    forest = plan_forest(canvas, parcels, keep_out=open_land | canvas.taken)
    clearing = paint_clearings(canvas, forest)
    plant_trees(canvas, forest, clearing, plan_hedges(canvas, parcels, garden))
    return Landscape(photograph(canvas), canvas.labels)
