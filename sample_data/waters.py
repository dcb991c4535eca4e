"""Lakes and the river, with their shores."""

import numpy as np
from numpy.typing import NDArray

from canvas import WATER, Canvas, FloatImage, color, ramp
from parcels import Parcels, dark_ground

LAKE_RADIUS = (68.0, 112.0)
PX_PER_LAKE = 380_000


def paint_waters(canvas: Canvas, parcels: Parcels) -> None:
    """Paint one river and some lakes, and take their ground."""
    river = _river_depth(canvas)
    depth, number = _lakes(canvas, parcels, river)
    depth = np.maximum(depth, river)
    # A ragged bank: reeds grow into the water here and not there.
    depth = depth + 1.6 * canvas.noise(9)
    water = depth > 0
    canvas.paint(water, dark_ground(canvas, number)[water], WATER)
    shallow = water * (1 - ramp(depth, 1, 10))
    canvas.blend(0.6 * shallow, color(92, 106, 84))
    _paint_bank(canvas, depth)
    canvas.taken |= depth > -8


def _paint_bank(canvas: Canvas, depth: FloatImage) -> None:
    bank = (depth <= 0) & (depth > -6)
    sandy = ramp(canvas.noise(60), -0.4, 0.6)[..., None]
    mixed = sandy * color(190, 178, 146) + (1 - sandy) * color(98, 118, 62)
    canvas.blend(bank * (1 - ramp(-depth, 2, 6)), mixed)


def _river_depth(canvas: Canvas) -> FloatImage:
    """Return the distance from the bank into the river, px; negative on land."""
    rng, size = canvas.rng, canvas.size
    along, side = canvas.grid()
    middle = size * rng.uniform(0.3, 0.7) + size * rng.uniform(-0.15, 0.15) * (along / size - 0.5)
    for wave in (size * 1.3, 620.0, 270.0):
        phase = rng.uniform(0, 2 * np.pi)
        middle = middle + 0.075 * wave * np.sin(2 * np.pi * along / wave + phase)
    slope = np.gradient(middle[:, 0])[:, None]
    half_width = 24 + 6 * np.sin(2 * np.pi * along / 530 + rng.uniform(0, 6))
    depth = half_width - np.abs(side - middle) / np.sqrt(1 + slope**2)
    return (depth.T if rng.random() < 0.5 else depth).astype(np.float32)


def _lakes(
    canvas: Canvas, parcels: Parcels, river: FloatImage
) -> tuple[FloatImage, NDArray[np.intp]]:
    """Return the distance from the shore into a lake, px, and the number of the lake there."""
    rng, size = canvas.rng, canvas.size
    depth = np.full((size, size), -1e3, np.float32)
    number = np.zeros((size, size), np.intp)
    wanted, made = round(size * size / PX_PER_LAKE), 0
    for _ in range(60 * wanted):
        if made == wanted:
            break
        row, col = rng.integers(0, size, 2)
        radius = rng.uniform(*LAKE_RADIUS)
        crowded = max(depth[row, col], river[row, col]) > -1.6 * radius
        if crowded or parcels.road_distance[row, col] < 1.15 * radius + 14:
            continue
        made += 1
        reach = round(2.2 * radius)
        near = slice(max(0, row - reach), row + reach), slice(max(0, col - reach), col + reach)
        rows, cols = canvas.grid()
        lake = _lake_depth(rng, rows[near[0]] - row, cols[:, near[1]] - col, radius)
        number[near][lake > -10] = made
        depth[near] = np.maximum(depth[near], lake)
    return depth, number


def _lake_depth(
    rng: np.random.Generator, rows: FloatImage, cols: FloatImage, radius: float
) -> FloatImage:
    """Return the distance from the shore of a lobed lake; `rows` and `cols` from its middle."""
    angle = np.arctan2(rows, cols)
    shape = np.ones_like(angle)
    for lobes, most in ((2, 0.3), (3, 0.2), (4, 0.08), (5, 0.08), (7, 0.05)):
        strength = rng.uniform(0.3 * most, most)
        shape += strength * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi))
    return (radius * shape - np.hypot(rows, cols)).astype(np.float32)
