"""Makes the pictures of the documents.

    python docs/pictures.py

Writes ``docs/seams.png``, a piece of the sample scene with the classes that the sample model gives
there, and ``docs/tiles.png``, how tiles overlap and how their blend weights run. Both need
matplotlib, which is in the extra ``dev``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import rasterio
from matplotlib import pyplot as plt
from matplotlib.patches import Patch, Rectangle

import seamless_seg

mpl.use("agg")

ROOT = Path(__file__).parent.parent
SCENE, MODEL = ROOT / "sample_data/scene.tif", ROOT / "sample_data/model.onnx"

PANELS: dict[str, dict[str, Any]] = {
    "tiles without blending": {"tile": 256, "overlap": 64, "trust": "crop"},
    "the same tiles, blended": {"tile": 256, "overlap": 64},
    "with the margin: exact": {"tile": 512, "overlap": 176, "margin": 84, "align": 8},
}
PIECE = slice(96, 352), slice(1776, 2032)
CLASSES = {
    "field": (222, 203, 128),
    "forest": (64, 128, 72),
    "water": (66, 120, 200),
    "road": (120, 120, 128),
    "building": (206, 84, 70),
}
COLORS = np.array(list(CLASSES.values()))

SIZE, TILE, OVERLAP, MARGIN = 400, 192, 88, 18
"""Pixels of the image, the tiles, their overlap and their margin in the picture of tiles."""
CORNER = 1560, 420
"""First row and column of the image that lies under the tiles."""
PALETTE = [
    ("#4c72b0", "#45a5bd", "#55a868"),
    ("#8172b3", "#e07b39", "#c44e52"),
    ("#937860", "#ccb974", "#8c8c8c"),
]
"""Colors of the tiles; those of the middle row are drawn as curves, too."""
INK = "#333333"

Picture = npt.NDArray[np.uint8]


def main() -> None:
    """Make the pictures."""
    plt.rcParams.update({"font.size": 11, "axes.titlesize": 12, "text.color": INK})
    draw_seams(ROOT / "docs/seams.png")
    draw_tiles(ROOT / "docs/tiles.png")


def draw_seams(path: Path) -> None:
    """A piece of the scene, and the classes that the model gives there in three ways."""
    pictures = {"image": scene(PIECE)}
    pictures |= {title: picture(logits(**options)) for title, options in PANELS.items()}
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.75))
    for axis, (title, pixels) in zip(axes, pictures.items(), strict=True):
        axis.imshow(pixels, interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    handles = [
        Patch(color=np.array(color) / 255, label=name)
        for name, color in CLASSES.items()
        if name != "water"  # there is none in this piece
    ]
    figure.legend(handles=handles, loc="lower right", ncols=4, frameon=False, borderaxespad=0.1)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.08, top=0.93, wspace=0.03)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_tiles(path: Path) -> None:
    """Tiles over an image, their weights along a row, and their weights over the image."""
    figure = plt.figure(figsize=(13, 4.4))
    draw_grid(figure.add_axes((0.005, 0.12, 0.27, 0.79)))
    draw_profiles(figure.add_axes((0.325, 0.12, 0.36, 0.79)))
    draw_weights(figure.add_axes((0.725, 0.12, 0.27, 0.79)))
    handles = [
        Patch(facecolor="#e07b3955", edgecolor=PALETTE[1][1], linewidth=2, label="one tile"),
        Patch(fill=False, edgecolor="black", linestyle="--", label="inner limit of its margin"),
        Patch(facecolor="#cccccc", edgecolor="white", hatch="///", label="window it completes"),
    ]
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=3,
        frameon=False,
        handlelength=1.5,
        columnspacing=1.2,
        handletextpad=0.5,
        borderaxespad=0.2,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_grid(axis: Any) -> None:
    """All tiles over the image, the middle one with its margin and the window that it completes."""
    top, left = CORNER
    axis.imshow(scene((slice(top, top + SIZE), slice(left, left + SIZE))), alpha=0.8)
    plan, grid = seamless_seg.plan_run_grid(SIZE, TILE, OVERLAP, margin=MARGIN)
    for i, row in enumerate(grid):
        for j, geom in enumerate(row):
            inset = 2 if (i + j) % 2 else 5
            outline = within(geom.bounds, inset)
            axis.add_patch(box(outline, fill=False, edgecolor=PALETTE[i][j], linewidth=2))
    tile, window = grid[1, 1].bounds, dict(plan.windows())[1, 1].bounds
    axis.add_patch(box(tile, facecolor="#e07b3955"))
    axis.add_patch(box(window, facecolor="#ffffff55", edgecolor="white", hatch="//"))
    axis.add_patch(box(within(tile, MARGIN), fill=False, edgecolor="black", linestyle="--"))
    axis.add_patch(box(tile, fill=False, edgecolor=PALETTE[1][1], linewidth=3.5))
    axis.set_title("tiles overlap evenly")
    axis.axis("off")


def draw_profiles(axis: Any) -> None:
    """Weights of the tiles of the middle row, along that row."""
    along = weights((1, SIZE), (1, TILE), (0, OVERLAP), (0, MARGIN))[0]
    _, grid = seamless_seg.plan_run_grid((1, SIZE), (1, TILE), (0, OVERLAP))
    columns = np.arange(SIZE)
    for number, color in enumerate(PALETTE[1]):
        weight = along[:, number]
        axis.fill_between(columns, weight, color=color, alpha=0.25, linewidth=0)
        axis.plot(columns[weight > 0], weight[weight > 0], color=color, linewidth=2.5)
        _, start, _, stop = grid[0, number].bounds
        height = -0.09 - 0.10 * (number % 2)
        first, last = start + MARGIN * (start > 0), stop - MARGIN * (stop < SIZE)
        for ends, opacity in (((start, stop), 0.3), ((first, last), 1)):
            axis.plot(
                ends,
                [height, height],
                color=color,
                alpha=opacity,
                linewidth=7,
                solid_capstyle="butt",
            )
    axis.plot(columns, along.sum(axis=1), color=INK, linewidth=1.2, linestyle=":")
    axis.text(SIZE / 2, 1.02, "sum of the weights", ha="center", va="bottom")
    axis.text(
        SIZE / 2, -0.27, "tiles of the middle row; pale: their margins", ha="center", va="top"
    )
    axis.set(xlim=(0, SIZE), ylim=(-0.36, 1.12), yticks=[0, 0.5, 1], xticks=[])
    axis.tick_params(colors=INK)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_bounds(0, 1)
    axis.set_title("blend weights along a row")


def draw_weights(axis: Any) -> None:
    """Every tile in a color of its own, blended."""
    colors = np.array([mpl.colors.to_rgb(color) for row in PALETTE for color in row])
    axis.imshow(weights(SIZE, TILE, OVERLAP, MARGIN) @ colors)
    axis.set_title("each tile in its own color, blended")
    axis.axis("off")


def weights(image: Any, tile: Any, overlap: Any, margin: Any) -> npt.NDArray[np.float64]:
    """Weight of each tile at each pixel, (height, width, tiles): what one-hot tiles blend to."""
    plan, grid = seamless_seg.plan_run_grid(image, tile, overlap, margin=margin, trust="bell")
    count = plan.tiles
    output = np.zeros((*plan.image_size, count))

    def get_tile(index: Any, geom: Any) -> npt.NDArray[np.float64]:
        one_hot = np.zeros((*grid.tile_shape, count))
        one_hot[..., index[0] * grid.shape[1] + index[1]] = 1
        return one_hot

    def write_tile(index: Any, geom: Any, window: Any) -> None:
        output[seamless_seg.shape_to_slices(geom)] = window

    seamless_seg.run_plan(plan, 1, None, write_tile, get_tile)
    return output


def within(bounds: Any, pixels: int) -> tuple[float, float, float, float]:
    """Bounds that are smaller by some pixels at every side."""
    y0, x0, y1, x1 = bounds
    return y0 + pixels, x0 + pixels, y1 - pixels, x1 - pixels


def box(bounds: Any, **style: Any) -> Rectangle:
    """A rectangle for bounds in (y, x) pixels."""
    y0, x0, y1, x1 = bounds
    return Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, **style)


def scene(piece: tuple[slice, slice]) -> Picture:
    """A piece of the sample scene, (height, width, 3)."""
    with rasterio.open(SCENE) as dataset:
        pixels: Picture = dataset.read()[:, *piece].transpose(1, 2, 0)
    return pixels


def logits(**options: Any) -> npt.NDArray[np.float32]:
    """Logits of the piece, (classes, height, width)."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.tif"
        seamless_seg.segment(SCENE, MODEL, output, **options)
        with rasterio.open(output) as dataset:
            values: npt.NDArray[np.float32] = dataset.read()[:, *PIECE]
    return values


def picture(values: npt.NDArray[np.float32]) -> Picture:
    """Color of the most probable class, darker where its probability is lower."""
    odds = np.exp(values - values.max(axis=0))
    confidence = 1 / odds.sum(axis=0)
    shade = np.clip((confidence - 0.2) / 0.8, 0, 1)[..., None]
    return (COLORS[values.argmax(axis=0)] * (0.15 + 0.85 * shade)).astype(np.uint8)


if __name__ == "__main__":
    main()
