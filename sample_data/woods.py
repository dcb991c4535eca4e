"""Forests with their crowns and clearings, hedges and single trees."""

import numpy as np
from scipy import ndimage

from canvas import FIELD, FOREST, Canvas, FloatImage, Mask, color, ramp
from parcels import CROPS, Parcels, jittered_sites, patches

CROWN_SPACING = 8.5
FOREST_SHARE = 0.33
CLEARING_RADIUS = (40.0, 72.0)
PX_PER_TRY = 6_000


def plan_forest(canvas: Canvas, parcels: Parcels, keep_out: Mask) -> Mask:
    """Return where forest grows: part of it ragged, part of it whole parcels."""
    wild = canvas.noise(210) + 0.25 * canvas.noise(30)
    planted = canvas.noise(260)
    count = parcels.parcel.max() + 1
    mean = ndimage.mean(planted, parcels.parcel, np.arange(count))
    wild_limit = np.quantile(wild, 1 - 0.6 * FOREST_SHARE)
    planted_limit = np.quantile(mean[parcels.parcel], 1 - 0.45 * FOREST_SHARE)
    forest = (wild > wild_limit) | (mean[parcels.parcel] > planted_limit)
    forest &= ~keep_out & (parcels.road_distance > 13)
    return ndimage.binary_opening(forest, iterations=4)


def paint_clearings(canvas: Canvas, forest: Mask) -> Mask:
    """Paint meadow-like clearings, which still count as forest; return where they are.

    Their grass is the grass of meadows, so that only the trees around tell them apart.
    """
    rng, size = canvas.rng, canvas.size
    inner = ndimage.distance_transform_edt(forest)
    clearing = np.zeros((size, size), bool)
    rows, cols = canvas.grid()
    wobble = 7 * canvas.noise(24)
    for _ in range(size * size // PX_PER_TRY):
        row, col = rng.integers(0, size, 2)
        radius = rng.uniform(*CLEARING_RADIUS)
        if inner[row, col] < 0.8 * radius + 14:
            continue
        glade = np.hypot(rows - row, cols - col) + wobble < radius
        clearing |= glade
        # The rest of the wood, without the glade, decides where the next one fits.
        inner = np.minimum(inner, np.hypot(rows - row, cols - col) - radius)
    clearing &= ndimage.binary_erosion(forest, iterations=14)
    tint = 1 + 0.07 * rng.standard_normal() + 0.02 * rng.standard_normal(3).astype(np.float32)
    grass = CROPS["meadow"][0] * tint * (1 + 0.023 * patches(canvas)[..., None])
    canvas.paint(clearing, grass[clearing].astype(np.float32), FOREST)
    return clearing


def plan_hedges(canvas: Canvas, parcels: Parcels, gardens: Mask) -> Mask:
    """Return where trees stand outside forests: along some edges of parcels, and in gardens."""
    rng = canvas.rng
    hedged = rng.random(parcels.parcel.max() + 1) < 0.14
    hedge = hedged[parcels.parcel] & (parcels.edge_distance < 4) & (parcels.road_distance > 13)
    hedge &= canvas.noise(50) > -0.6
    return hedge | (gardens & (rng.random(gardens.shape) < 0.11))


def plant_trees(canvas: Canvas, forest: Mask, clearing: Mask, hedge: Mask) -> None:
    """Grow crowns in forests and hedges: color, class and height."""
    rng, size = canvas.rng, canvas.size
    sites = jittered_sites(rng, size, CROWN_SPACING, 0.42).round().astype(int)
    sites = sites[((sites >= 0) & (sites < size)).all(axis=1)]
    rows, cols = sites.T
    wooded = forest & ~clearing
    grows = (wooded | hedge)[rows, cols] & ~canvas.taken[rows, cols]
    rows, cols = rows[grows], cols[grows]
    radius = np.zeros((size, size), np.float32)
    radius[rows, cols] = rng.uniform(4.2, 7.0, rows.size)
    distance, nearest = ndimage.distance_transform_edt(radius == 0, return_indices=True)
    radius = radius[tuple(nearest)]
    crown = (distance < radius) & ~canvas.taken
    canvas.paint(wooded, color(34, 46, 30), FOREST)
    canvas.paint(crown, _leaves(canvas, nearest)[crown], FOREST)
    dome = np.sqrt(np.clip(1 - (distance / np.maximum(radius, 1)) ** 2, 0, None))
    canvas.height[crown] = ((2.2 + dome) * radius)[crown]


def _leaves(canvas: Canvas, nearest: np.ndarray) -> FloatImage:
    """Return the color of leaves: conifers here, broad-leaved trees there, each crown its own."""
    rng, size = canvas.rng, canvas.size
    shade = 1 + 0.13 * rng.standard_normal((size, size), dtype=np.float32)
    conifer = ramp(canvas.noise(150) + 0.3 * canvas.noise(20), -0.3, 0.3)[..., None]
    leaves = conifer * color(50, 76, 48) + (1 - conifer) * color(84, 112, 54)
    leaves = (leaves * np.clip(shade, 0.65, 1.4)[..., None])[tuple(nearest)]
    grain = 1 + 0.1 * rng.standard_normal((size, size), dtype=np.float32)
    return leaves * grain[..., None]


def on_open_land(canvas: Canvas) -> Mask:
    """Return where the canvas is still field and free."""
    return (canvas.labels == FIELD) & ~canvas.taken
