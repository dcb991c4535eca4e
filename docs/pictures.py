"""Makes the README's picture: what a hard cut does, and what blending makes of it.

    python docs/pictures.py

Writes ``docs/seams.png``: a piece of the sample scene, the model's answer there from tiles of 256
with an overlap of 64, cut hard, the same blended, and the exact answer from tiles of 512 with the
model's own margin and alignment. Bright is sure, dark is not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from seamless_seg import segment

ROOT = Path(__file__).parent.parent
SCENE, MODEL = ROOT / "sample_data/scene.tif", ROOT / "sample_data/model.onnx"
PANELS: list[dict[str, Any]] = [
    {"tile": 256, "overlap": 64, "trust": "crop"},
    {"tile": 256, "overlap": 64},
    {"tile": 512, "overlap": 176, "margin": 84, "align": 8},
]
PIECE = slice(96, 352), slice(1776, 2032)
ZOOM, GAP = 2, 8
COLOURS = np.array([[222, 203, 128], [64, 128, 72], [66, 120, 200], [120, 120, 128], [206, 84, 70]])
"""One a class: field, forest, water, road, building."""

Picture = npt.NDArray[np.uint8]


def main() -> None:
    """Make the picture."""
    with rasterio.open(SCENE) as dataset:
        scene = dataset.read()[:, *PIECE].transpose(1, 2, 0)
    panels = [scene, *(picture(answer(**options)) for options in PANELS)]
    gap = np.full((scene.shape[0] * ZOOM, GAP, 3), 255, np.uint8)
    columns = []
    for panel in panels:
        columns += [panel.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1), gap]
    save(np.hstack(columns[:-1]), ROOT / "docs/seams.png")


def answer(**options: Any) -> npt.NDArray[np.float32]:
    """Logits of the piece, shape (classes, height, width)."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.tif"
        segment(SCENE, MODEL, output, **options)
        with rasterio.open(output) as dataset:
            logits: npt.NDArray[np.float32] = dataset.read()[:, *PIECE]
    return logits


def picture(logits: npt.NDArray[np.float32]) -> Picture:
    """Color of the likeliest class, the darker the less likely it is."""
    odds = np.exp(logits - logits.max(axis=0))
    confidence = 1 / odds.sum(axis=0)
    shade = np.clip((confidence - 0.2) / 0.8, 0, 1)[..., None]
    return (COLOURS[logits.argmax(axis=0)] * (0.15 + 0.85 * shade)).astype(np.uint8)


def save(pixels: Picture, path: Path) -> None:
    """Write an image of shape (height, width, 3) as a PNG."""
    height, width, _ = pixels.shape
    with rasterio.open(
        path, "w", driver="PNG", height=height, width=width, count=3, dtype="uint8"
    ) as dataset:
        dataset.write(pixels.transpose(2, 0, 1))


if __name__ == "__main__":
    main()
