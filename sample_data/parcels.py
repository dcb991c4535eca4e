"""How the land is divided: blocks between roads, strips within blocks, crops on strips."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from canvas import Canvas, FloatImage, color, ramp

BLOCK_SPACING = 430.0
STRIP_WIDTH = (75.0, 205.0)
STRIP_LENGTH = (190.0, 420.0)
BAULK = 2.2

# name: (color, how strong the furrows are, how often it is grown)
CROPS = {
    "wheat": (color(196, 174, 112), 0.055, 4.0),
    "stubble": (color(178, 160, 122), 0.085, 2.0),
    "maize": (color(84, 122, 58), 0.11, 3.0),
    "rapeseed": (color(186, 184, 74), 0.04, 1.2),
    "beet": (color(106, 146, 74), 0.075, 2.0),
    "soil": (color(142, 112, 86), 0.075, 2.5),
    "meadow": (color(112, 142, 78), 0.012, 4.0),
    "peat": (color(50, 54, 48), 0.0, 5.0),
}
CROP_NAMES = tuple(CROPS)
MEADOW, PEAT = CROP_NAMES.index("meadow"), CROP_NAMES.index("peat")


@dataclass(frozen=True)
class Parcels:
    """The division of the land; every array is (size, size).

    Attributes
    ----------
    block : int
        Number of the block, the land between roads.
    road_distance, edge_distance : float32
        Distance to the middle of the nearest road, and to the nearest edge of the strip, px.
    parcel : int
        Number of the strip.
    across : float32
        Position across the furrows, px.
    crop : int
        Index into `CROP_NAMES`.
    """

    block: NDArray[np.intp]
    road_distance: FloatImage
    edge_distance: FloatImage
    parcel: NDArray[np.intp]
    across: FloatImage
    crop: NDArray[np.intp]


def cell_edges(
    canvas: Canvas, spacing: float, wobble: float
) -> tuple[NDArray[np.intp], FloatImage]:
    """Return Voronoi cells about `spacing` px wide: their numbers, and the distance to their edge.

    The edges of Voronoi cells form one connected net, which is what a road map is.
    """
    rows, cols = canvas.grid()
    warped = np.stack(
        [rows + wobble * canvas.noise(170), cols + wobble * canvas.noise(170)], axis=-1
    )
    sites = jittered_sites(canvas.rng, canvas.size, spacing, 0.36)
    distance, cell = cKDTree(sites).query(warped, k=2, workers=2)
    apart = np.linalg.norm(sites[cell[..., 0]] - sites[cell[..., 1]], axis=-1)
    # Distance to the line half way between the two nearest sites.
    edge = (distance[..., 1] ** 2 - distance[..., 0] ** 2) / (2 * apart)
    return cell[..., 0], edge.astype(np.float32)


def jittered_sites(
    rng: np.random.Generator, size: int, spacing: float, jitter: float
) -> NDArray[np.float64]:
    """Return (n, 2) (row, col) points of a square grid, each moved by up to `jitter` spacings."""
    line = np.arange(-1.5, size / spacing + 2)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return (grid + rng.uniform(-jitter, jitter, grid.shape)) * spacing


def divide(canvas: Canvas) -> Parcels:
    """Divide the canvas into blocks and strips and choose a crop for each."""
    block, road_distance = cell_edges(canvas, BLOCK_SPACING, wobble=16)
    parcel = np.zeros(block.shape, np.intp)
    edge_distance, across = (np.zeros(block.shape, np.float32) for _ in range(2))
    for number in np.unique(block):
        inside = np.nonzero(block == number)
        ids, edge, position = _strips(canvas.rng, inside)
        parcel[inside] = ids + 10_000 * number
        edge_distance[inside] = edge
        across[inside] = position
    _, parcel = np.unique(parcel, return_inverse=True)
    parcel = parcel.reshape(block.shape)
    edge_distance = np.minimum(edge_distance, np.maximum(road_distance - 7, 0))
    chances = np.array([often for _, _, often in CROPS.values()])
    crops = canvas.rng.choice(len(CROPS), parcel.max() + 1, p=chances / chances.sum())
    return Parcels(block, road_distance, edge_distance, parcel, across, crops[parcel])


def _strips(
    rng: np.random.Generator, inside: tuple[NDArray[np.intp], ...]
) -> tuple[NDArray[np.intp], FloatImage, FloatImage]:
    angle = rng.uniform(0, np.pi)
    rows, cols = (index.astype(np.float32) for index in inside)
    across = rows * np.cos(angle) + cols * np.sin(angle)
    along = cols * np.cos(angle) - rows * np.sin(angle)
    column, side = _cuts(rng, across, STRIP_WIDTH)
    row, end = _cuts(rng, along, STRIP_LENGTH)
    return column * 100 + row, np.minimum(side, end), across


def _cuts(
    rng: np.random.Generator, position: FloatImage, width: tuple[float, float]
) -> tuple[NDArray[np.intp], FloatImage]:
    """Cut a line into lengths of random `width`; return the piece and the distance to a cut."""
    low, high = float(position.min()), float(position.max())
    count = int((high - low) / width[0]) + 2
    cuts = low - width[0] / 2 + np.cumsum(rng.uniform(*width, count))
    cuts = np.concatenate([[low - width[1]], cuts]).astype(np.float32)
    piece = np.searchsorted(cuts, position)
    below, above = cuts[piece - 1], cuts[np.minimum(piece, count)]
    return piece, np.minimum(position - below, above - position)


def paint_fields(canvas: Canvas, parcels: Parcels) -> None:
    """Paint every parcel with its crop: color, furrows, tramlines, patches and a grassy baulk."""
    rng, count = canvas.rng, int(parcels.parcel.max()) + 1
    colors = np.stack([crop[0] for crop in CROPS.values()])
    furrows = np.array([crop[1] for crop in CROPS.values()], np.float32)
    tint = 1 + 0.07 * rng.standard_normal((count, 1)) + 0.02 * rng.standard_normal((count, 3))
    canvas.rgb[:] = colors[parcels.crop] * tint.astype(np.float32)[parcels.parcel]
    strength = furrows[parcels.crop]
    canvas.rgb *= (1 + strength * _furrows(canvas, parcels, count))[..., None]
    canvas.rgb *= (1 + (0.3 * strength + 0.02) * patches(canvas))[..., None]
    _paint_peat(canvas, parcels)
    baulk = 0.85 * (1 - ramp(parcels.edge_distance, BAULK - 1, BAULK + 1))
    canvas.blend(baulk, color(112, 128, 72))


def _furrows(canvas: Canvas, parcels: Parcels, count: int) -> FloatImage:
    period = canvas.rng.uniform(4.2, 6.5, count).astype(np.float32)[parcels.parcel]
    wave = np.sin(2 * np.pi * parcels.across / period) * (0.8 + 0.4 * canvas.noise(40))
    # The pair of wheel tracks that a sprayer leaves every 36 px, 18 m.
    tramline = np.abs(np.abs(parcels.across % 36 - 18) - 2) < 0.8
    return (wave - 1.6 * tramline).astype(np.float32)


def patches(canvas: Canvas) -> FloatImage:
    """Return the uneven growth of plants: noise of several sizes, deviation about 1."""
    fine = canvas.rng.standard_normal((canvas.size, canvas.size)).astype(np.float32)
    return 0.55 * canvas.noise(70) + 0.45 * canvas.noise(22) + 0.5 * canvas.noise(5) + 0.4 * fine


def dark_ground(canvas: Canvas, chosen: NDArray[np.intp]) -> FloatImage:
    """Return the color shared by wet peat fields and by deep water, as an image.

    Both come from here so that no patch of one can be told from a patch of the other: only the
    edge tells, which is what makes far context matter to a model.

    Parameters
    ----------
    canvas : Canvas
        Where it will be painted.
    chosen : (size, size) int
        Number of the field or lake; each has its own shade.
    """
    count = int(chosen.max()) + 1
    tint = 1 + 0.1 * canvas.rng.standard_normal((count, 1))
    tint = tint + 0.045 * canvas.rng.standard_normal((count, 3))
    texture = 1 + 0.035 * canvas.noise(60) + 0.03 * canvas.noise(7)
    base = CROPS["peat"][0] * np.clip(tint, 0.7, 1.35).astype(np.float32)
    return base[chosen] * texture[..., None]


def _paint_peat(canvas: Canvas, parcels: Parcels) -> None:
    """Paint wet peat fields: ploughed at the headland, featureless and dark within."""
    peat = parcels.crop == PEAT
    canvas.rgb[peat] = dark_ground(canvas, parcels.parcel)[peat]
    headland = 1 - ramp(parcels.edge_distance + 2 * canvas.noise(18), 6, 12)
    furrow = 1 + np.float32(0.16) * np.sin(2 * np.pi * parcels.across / 5)
    canvas.blend(0.75 * headland * peat, color(98, 82, 64) * furrow[..., None])
