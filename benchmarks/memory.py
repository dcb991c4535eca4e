"""What `run` holds in memory at most, on a raster of which nothing fits, and what it said it would.

    python benchmarks/memory.py

Peak resident memory of whole processes. The rasters are empty (all of their blocks are sparse), of
3 bands of uint8, so they take no disk and are read fast.

1. A model that costs nothing, one class: less the same run on a raster of one tile, over the bytes
   that are read and written.
2. Several models, rasters and limits: what `plan` foretells, and what `run` then takes.
3. A long run: what it holds after each tenth of its tiles.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import rasterio
from end_to_end import SAMPLE, cli, make_pointwise, output_of
from rasterio.transform import from_origin

import seamless_seg
from seamless_seg.system import resident_bytes

FORETOLD = [
    # model, height, width, options
    ("pointwise", 4_000, 20_000, "--tile 256 --overlap 64"),
    ("pointwise", 4_000, 100_000, "--tile 256 --overlap 64"),
    ("8 classes", 2_000, 20_000, "--tile 256 --overlap 64"),
    ("8 classes", 2_000, 20_000, "--tile 256 --overlap 64 --max-memory 200MB"),
    ("8 classes", 4_000, 4_000, "--tile 1024 --overlap 128"),
    ("strips", 2_000, 40_000, "--tile 256 --overlap 64"),
    ("sample", 3_000, 3_000, "--tile 256 --overlap 64"),
    ("sample", 3_000, 3_000, "--tile 256 --overlap 64 --max-memory 220MB"),
    ("sample", 3_000, 3_000, "--tile 512 --overlap 64 --threads 1"),
    ("sample", 3_000, 3_000, ""),
    ("sample", 3_000, 3_000, "--max-memory 500MB"),
    ("tile-wide", 3_000, 3_000, ""),
]


def main() -> None:
    """Print the three tables."""
    if sys.argv[1:2] == ["flat"]:
        flat(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes(folder, options.sizes)
        foretold(folder)
        make_empty(folder / "image.tif", 20_000, 20_000)
        pointwise = make_pointwise(folder / "pointwise.onnx")
        command = [sys.executable, __file__, "flat", folder / "image.tif", pointwise]
        print(output_of(list(map(str, [*command, folder / "out.tif"]))))


def sizes(folder: Path, lengths: list[int]) -> None:
    model, base = make_pointwise(folder / "pointwise.onnx"), 0
    print("| size | tiles | peak, MB | above one tile, MB | of what is read and written |")
    print("|---|---|---|---|---|")
    for length in [256, *lengths]:
        image = make_empty(folder / "image.tif", length, length)
        tiling = ["--tile", 256, "--overlap", 64]
        command = cli("run", image, model, folder / "out.tif", *tiling, "--overwrite", "-q")
        if not base:
            peak_of(command)  # a first run probes the model
        peak = peak_of(command)
        base = base or peak
        tiles = (1 + -(-(length - 256) // 192)) ** 2
        share = (peak - base) / (length * length * (3 + 4))
        above = f"{peak / 1e6:.0f} | {(peak - base) / 1e6:.0f} | {share:.2%}"
        print(f"| {length} x {length} | {tiles} | {above} |", flush=True)


def foretold(folder: Path) -> None:
    models = {
        "pointwise": make_pointwise(folder / "pointwise.onnx"),
        "strips": folder / "pointwise.onnx",
        "8 classes": make_pointwise(folder / "pointwise8.onnx", 8),
        "sample": SAMPLE / "model.onnx",
        "tile-wide": SAMPLE / "model_tile_wide.onnx",
    }
    print("\n| model | size | options | panels | plan, MB | run, MB | run / plan |")
    print("|---|---|---|---|---|---|---|")
    for name, height, width, options in FORETOLD:
        image = make_empty(folder / "image.tif", height, width, tiled=name != "strips")
        arguments = [image, models[name], *options.split()]
        for _ in range(2):  # as above
            plan = json.loads(output_of(cli("plan", *arguments, "--json")))
        run = [*arguments[:2], folder / "out.tif", *arguments[2:], "--overwrite", "-q"]
        peak, said = peak_of(cli("run", *run)), plan["memory_bytes"]
        figures = f"{plan['panels']} | {said / 1e6:.0f} | {peak / 1e6:.0f} | {peak / said:.2f}"
        print(f"| {name} | {height} x {width} | {options} | {figures} |", flush=True)


def flat(image: str, model: str, out: str) -> None:
    """Run, and print what is held after each tenth of the tiles."""
    held: list[str] = []

    def on_progress(progress: seamless_seg.Progress) -> None:
        if progress.done * 10 // progress.total > len(held):
            held.append(f"{resident_bytes() / 1e6:.0f}")
            if progress.done == progress.total:
                print(f"\n{progress.total} tiles, MB after each tenth: {', '.join(held)}")

    seamless_seg.segment(
        image, model, out, tile=256, overlap=64, overwrite=True, on_progress=on_progress
    )


def peak_of(command: list[str]) -> int:
    """Peak resident bytes of a command."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of, [command])


def _peak_of(command: list[str]) -> int:
    subprocess.run(command, check=True)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


def make_empty(path: Path, height: int, width: int, tiled: bool = True) -> Path:
    """A raster without a single block."""
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}
    with rasterio.open(path, "w", **profile, **place, tiled=tiled, sparse_ok=True, bigtiff="YES"):
        pass
    return path


if __name__ == "__main__":
    main()
