"""Which trust brings tiles nearest to the model's own answer, at equal overlap.

    python benchmarks/quality.py

Runs `seamless_seg.check` on the sample scene, with the sample model and with its tile-wide variant,
for tiles of 256 and several overlaps, without margin and with the measured one. Prints a table a
model: mean difference of a logit from the reference for each overlap, relative to the best row;
the largest seam score over the reference's; the share of pixels with another class; and the bound
on steps, the largest change of a weight from pixel to pixel, times (overlap + 1).
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import rasterio
from profiles import Measured, bartlett_hann, tukey

from seamless_seg import PROFILES, Report, check, probe
from seamless_seg.tiling.weights import weights

SAMPLE = Path(__file__).parent.parent / "sample_data"
MODELS = SAMPLE / "model.onnx", SAMPLE / "model_tile_wide.onnx"
OVERLAPS = (16, 32, 64, 96, 128)
FLOORS = (0.01, 0.05)
PEERS = {
    "crop": "crop (GeoDeep)",
    "gaussian": "gaussian (nnU-Net, MONAI)",
    "bartlett_hann": "Bartlett-Hann",
    "tukey": "Tukey",
}
BOUNDED, INVISIBLE = 4.01, 1.03
"""Bound on steps and seam score over the reference's, up to which a row may become the default."""


@dataclass(frozen=True)
class Cell:
    """A profile at an overlap."""

    mean: float
    other_class: float
    seams: float
    step: float


Rows = dict[str, list[Cell]]


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raster", type=Path, default=SAMPLE / "scene.tif")
    parser.add_argument("--models", type=Path, nargs="+", default=MODELS)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--overlaps", type=int, nargs="+", default=OVERLAPS)
    parser.add_argument("--windows", type=int, default=64)
    options = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    for model in options.models:
        found = probe(model)
        others = [
            bartlett_hann,
            tukey,
            *(Measured(found, floor) for floor in FLOORS),
        ]
        rows: Rows = {}
        for overlap, margin in product(options.overlaps, ("auto", 0)):
            with filled(options.raster, options.tile, overlap) as raster:
                report = check(
                    *(raster, model),
                    tile=options.tile,
                    overlap=overlap,
                    margin=margin,
                    compare=(profiles := [*PROFILES, *([] if margin else others)]),
                    windows=options.windows,
                )
            if margin == 0 or any(report.forecast.settings.tiling.margin.value):
                for name, cell in cells(report, profiles, margin):
                    rows.setdefault(name, []).append(cell)
        print(f"\n{model.name}, tiles of {options.tile}\n")
        print("\n".join(table(rows, options.overlaps)))


@contextmanager
def filled(path: Path, tile: int, overlap: int) -> Iterator[Path]:
    """The largest part of a raster that tiles fill with just that overlap."""
    with rasterio.open(path) as raster, tempfile.TemporaryDirectory() as folder:
        height, width = (
            overlap + (length - overlap) // (tile - overlap) * (tile - overlap)
            for length in raster.shape
        )
        part = Path(folder) / path.name
        profile = {"driver": "GTiff", "count": raster.count, "dtype": raster.dtypes[0]}
        with rasterio.open(part, "w", height=height, width=width, **profile) as written:
            written.write(raster.read(window=((0, height), (0, width))))
        yield part


def cells(report: Report, profiles: list, margin: str | int) -> Iterator[tuple[str, Cell]]:
    """The rows of a report, each under its name."""
    rows = report.forecast.plan.grid.rows
    by_name = {quality.name: quality for quality in report.qualities}
    for profile in profiles:
        name = profile if isinstance(profile, str) else profile.__name__
        quality = by_name[name]
        step = max(np.abs(np.diff(weight)).max() for weight in weights(rows, profile))
        yield (
            f"{name}, margin" if margin else PEERS.get(name, name),
            Cell(
                quality.mean,
                quality.other_class,
                quality.seams,
                step * (rows.overlap + 1),
            ),
        )


def table(rows: Rows, overlaps: list[int]) -> Iterator[str]:
    """Markdown, the best row among those with bounded steps and no seams in bold."""
    best = [min(row[n].mean for row in rows.values()) for n in range(len(overlaps))]
    means = {
        name: [cell.mean / least for cell, least in zip(row, best, strict=True)]
        for name, row in rows.items()
    }
    allowed = [
        name
        for name, row in rows.items()
        if all(cell.step <= BOUNDED and cell.seams <= INVISIBLE for cell in row)
    ]
    chosen = min(allowed, key=lambda name: np.mean(means[name]))
    heads = ["trust", *map(str, overlaps), "all", "other class", "seams", "step bound"]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for name, row in sorted(rows.items(), key=lambda item: np.mean(means[item[0]])):
        figures = [*(f"{mean:.2f}" for mean in means[name]), f"{np.mean(means[name]):.3f}"]
        figures.append(f"{np.mean([cell.other_class for cell in row]):.3%}")
        figures.append(f"{max(cell.seams for cell in row):.2f}")
        figures.append(f"{max(cell.step for cell in row):.1f}")
        title = f"**{name}**" if name == chosen else name
        yield f"| {' | '.join([title, *figures])} |"


if __name__ == "__main__":
    main()
