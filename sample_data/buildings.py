"""Villages of houses, and halls with their paved yards."""

from dataclasses import dataclass

import numpy as np

from canvas import BUILDING, FIELD, FOREST, ROAD, Canvas, FloatImage, Mask, color
from parcels import Parcels

VILLAGE_RADIUS = (150.0, 230.0)
PX_PER_VILLAGE = 900_000
PX_PER_HALL = 210_000
ROOFS = (
    color(178, 86, 60),
    color(160, 72, 54),
    color(192, 112, 78),
    color(120, 74, 58),
    color(98, 98, 104),
    color(74, 76, 84),
    color(158, 150, 140),
)


@dataclass(frozen=True)
class Rectangle:
    """A turned rectangle: its middle, half its length and width, and its angle; px, radians."""

    row: float
    col: float
    half_length: float
    half_width: float
    angle: float

    def window(self, size: int, margin: int = 4) -> tuple[slice, slice] | None:
        """Return the rows and columns that hold it, or None where it leaves the canvas."""
        reach = int(np.hypot(self.half_length, self.half_width)) + margin
        row, col = int(self.row), int(self.col)
        if min(row, col) < reach or max(row, col) >= size - reach:
            return None
        return slice(row - reach, row + reach + 1), slice(col - reach, col + reach + 1)

    def axes(self, window: tuple[slice, slice]) -> tuple[FloatImage, FloatImage]:
        """Return the position of the window's pixels along and across the rectangle, px."""
        rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - self.row
        cols = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - self.col
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (cols * cos + rows * sin).astype(np.float32), (rows * cos - cols * sin).astype(
            np.float32
        )

    def inset(self, window: tuple[slice, slice]) -> FloatImage:
        """Return how far inside its nearest side each pixel of the window lies, px."""
        along, across = self.axes(window)
        return np.minimum(self.half_length - np.abs(along), self.half_width - np.abs(across))


def plan_villages(canvas: Canvas, parcels: Parcels) -> tuple[Mask, Mask]:
    """Return where villages are, and the wider land around them that stays open."""
    rng, size = canvas.rng, canvas.size
    rows, cols = canvas.grid()
    distance = np.full((size, size), 1e3, np.float32)
    on_road = np.argwhere((parcels.road_distance < 2) & ~canvas.taken)
    for _ in range(max(1, round(size * size / PX_PER_VILLAGE))):
        row, col = on_road[rng.integers(len(on_road))]
        radius = rng.uniform(*VILLAGE_RADIUS)
        distance = np.minimum(distance, np.hypot(rows - row, cols - col) - radius)
    distance += 18 * canvas.noise(60)
    return distance < 0, distance < 24


def paint_gardens(canvas: Canvas, village: Mask) -> Mask:
    """Paint lawns and beds in the villages; return where they are."""
    garden = village & ~canvas.taken & (canvas.labels == FIELD)
    lawn = color(116, 138, 82) * (1 + 0.1 * canvas.noise(14) + 0.06 * canvas.noise(4))[..., None]
    soil = (canvas.noise(20) > 1.3)[..., None]
    lawn = np.where(soil, 0.6 * lawn + 0.4 * color(150, 128, 100), lawn)
    canvas.paint(garden, lawn[garden].astype(np.float32), FIELD)
    return garden


def build_houses(canvas: Canvas, village: Mask, street: FloatImage) -> None:
    """Build houses along the streets, gable roofs parallel to them."""
    rng = canvas.rng
    lot = np.argwhere(village & (street > 17) & (street < 42) & ~canvas.taken)
    outwards = _gradient_angle(street)
    for row, col in lot[rng.permutation(len(lot))[: len(lot) // 130]]:
        angle = outwards[row, col] + np.pi / 2
        half = rng.uniform(8, 13), rng.uniform(6, 8.5)
        _build_house(canvas, Rectangle(row, col, *half, angle))


def _build_house(canvas: Canvas, house: Rectangle) -> None:
    window = house.window(canvas.size)
    if window is None or _blocked(canvas, house, window, gap=4):
        return
    rng = canvas.rng
    mask = house.inset(window) > 0
    _, across = house.axes(window)
    tint = np.float32(1 + 0.08 * rng.standard_normal())
    tiles = 1 + 0.05 * rng.standard_normal((*mask.shape, 1), dtype=np.float32)
    roof = ROOFS[rng.integers(len(ROOFS))] * tint * tiles
    canvas.rgb[window][mask] = roof[mask]
    canvas.labels[window][mask] = BUILDING
    canvas.height[window][mask] = (9 + 0.75 * (house.half_width - np.abs(across)))[mask]
    canvas.taken[window] |= house.inset(window) > -3


def build_halls(canvas: Canvas, parcels: Parcels) -> None:
    """Build large flat-roofed halls and, as many, paved yards of the same look."""
    rng = canvas.rng
    free = np.argwhere(~canvas.taken & (parcels.road_distance < 130) & (parcels.road_distance > 50))
    outwards = _gradient_angle(parcels.road_distance)
    wanted = round(canvas.size**2 / PX_PER_HALL)
    gray = _flat_gray(canvas)
    for row, col in free[rng.integers(0, len(free), 14 * wanted)]:
        away = float(outwards[row, col])
        site = Rectangle(row, col, rng.uniform(48, 84), rng.uniform(36, 54), away + np.pi / 2)
        if _pave(canvas, site, gray, roofed=wanted % 2 == 0):
            _pave_drive(canvas, row, col, parcels.road_distance[row, col], away)
            wanted -= 1
        if wanted == 0:
            return


def _pave(canvas: Canvas, site: Rectangle, gray: FloatImage, roofed: bool) -> bool:
    window = site.window(canvas.size, margin=24)
    if window is None or _blocked(canvas, site, window, gap=10):
        return False
    rng = canvas.rng
    inset = site.inset(window)
    mask = inset > 0
    canvas.rgb[window][mask] = gray[window][mask] * np.float32(rng.uniform(0.68, 1.25))
    canvas.rgb[window][mask & (inset < 1.5)] *= np.float32(1.12)
    canvas.labels[window][mask] = BUILDING if roofed else ROAD
    if roofed:
        canvas.height[window][mask] = rng.uniform(13, 18)
    else:
        _park_cars(canvas, site, window)
    canvas.taken[window] |= inset > -14
    return True


def _pave_drive(canvas: Canvas, row: int, col: int, length: float, away: float) -> None:
    """Pave a drive of `length` px from a hall or yard to the road."""
    middle = row - np.sin(away) * length / 2, col - np.cos(away) * length / 2
    drive = Rectangle(*middle, length / 2, 5, away)
    window = drive.window(canvas.size)
    if window is None:
        return
    mask = (drive.inset(window) > 0) & np.isin(canvas.labels[window], (FIELD, FOREST))
    canvas.rgb[window][mask] = color(146, 144, 140)
    canvas.labels[window][mask] = ROAD
    canvas.taken[window] |= mask


def _flat_gray(canvas: Canvas) -> FloatImage:
    """Return the look shared by flat roofs and paved yards, so that only their edges differ."""
    texture = 1 + 0.03 * canvas.noise(45) + 0.03 * canvas.noise(4)
    return color(148, 148, 150) * texture[..., None]


def _park_cars(canvas: Canvas, yard: Rectangle, window: tuple[slice, slice]) -> None:
    """Park a row of cars along one long side of a yard."""
    along, across = yard.axes(window)
    side = 1 if canvas.rng.random() < 0.5 else -1
    bay = np.floor(along / 6).astype(int)
    paint = canvas.rng.uniform(0.15, 0.95, (200, 3)) * 0.3 + canvas.rng.uniform(0.1, 0.6, (200, 1))
    full = (canvas.rng.random(200) < 0.65)[bay]
    row = np.abs(across - side * (yard.half_width - 9)) < 4.5
    car = row & full & (np.abs(along % 6 - 3) < 1.9) & (np.abs(along) < yard.half_length - 5)
    canvas.rgb[window][car] = paint.astype(np.float32)[bay][car]
    canvas.height[window][car] = 2.5


def _blocked(canvas: Canvas, site: Rectangle, window: tuple[slice, slice], gap: float) -> bool:
    return bool((canvas.taken[window] & (site.inset(window) > -gap)).any())


def _gradient_angle(distance: FloatImage) -> FloatImage:
    """Return the direction in which `distance` grows, radians from the columns to the rows."""
    down, right = np.gradient(distance)[:2]
    return np.arctan2(down, right).astype(np.float32)
