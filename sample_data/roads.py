"""Roads between blocks, field tracks between strips, streets in villages."""

import numpy as np

from canvas import ROAD, WATER, Canvas, FloatImage, Mask, color, ramp
from parcels import Parcels, cell_edges

ROAD_HALF_WIDTH = 6.0
STREET_HALF_WIDTH = 4.5
TRACK_HALF_WIDTH = 3.0
STREET_SPACING = 118.0


def paint_tracks(canvas: Canvas, parcels: Parcels) -> None:
    """Paint earth tracks along some parcels; they end at the water."""
    chosen = canvas.rng.random(parcels.parcel.max() + 1) < 0.2
    track = chosen[parcels.parcel] & (parcels.edge_distance < TRACK_HALF_WIDTH + 1.6)
    track &= canvas.labels != WATER
    canvas.paint(track, color(176, 158, 128), ROAD)
    grassy = track & (np.abs(parcels.edge_distance - 2) < 0.7)
    canvas.rgb[grassy] *= np.array([0.82, 0.9, 0.76], np.float32)


def street_distance(canvas: Canvas, parcels: Parcels, village: Mask) -> FloatImage:
    """Return the distance to the middle of the nearest road or, in villages, street, px."""
    _, street = cell_edges(canvas, STREET_SPACING, wobble=5)
    street = np.where(village, street + ROAD_HALF_WIDTH - STREET_HALF_WIDTH, np.float32(1e3))
    return np.minimum(street, parcels.road_distance)


def paint_roads(canvas: Canvas, distance: FloatImage, main: FloatImage) -> None:
    """Paint asphalt where `distance` is small; main roads bridge the water and are marked."""
    wear = 1 + 0.05 * canvas.noise(30) + 0.03 * canvas.noise(3)
    gray = color(138, 138, 138) * wear[..., None]
    verge = (1 - ramp(distance, ROAD_HALF_WIDTH, ROAD_HALF_WIDTH + 5)) * ~canvas.taken
    canvas.blend(0.8 * verge, color(126, 138, 86))
    road = (distance < ROAD_HALF_WIDTH) & ((canvas.labels != WATER) | (main < ROAD_HALF_WIDTH))
    canvas.paint(road, gray[road], ROAD)
    rows, cols = canvas.grid()
    dashes = (np.hypot(rows, cols) % 14 < 8) & (main < 0.8)
    canvas.rgb[dashes & road] = color(215, 215, 208)
    edge = road & (np.abs(main - ROAD_HALF_WIDTH + 1) < 0.5)
    canvas.rgb[edge] = color(172, 172, 166)
    canvas.taken |= distance < ROAD_HALF_WIDTH + 3
