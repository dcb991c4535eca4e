"""What `run` holds in memory at most, on a raster of which nothing fits.

    python benchmarks/memory.py

Peak resident memory of the whole process, less that of the same run on a raster of one tile, over
the bytes that are read and written. The model costs nothing and has one class; the raster is empty
(all of its blocks are sparse), of 3 bands of uint8, so it takes no disk and is read fast.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import rasterio
from end_to_end import cli, make_pointwise
from rasterio.transform import from_origin


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_pointwise(folder / "pointwise.onnx")
        base = 0
        print("| size | tiles | peak, MB | above one tile, MB | of what is read and written |")
        print("|---|---|---|---|---|")
        for size in [options.tile, *options.sizes]:
            image = make_empty(folder / "image.tif", size)
            tiling = ["--tile", options.tile, "--overlap", options.overlap]
            command = cli("run", image, model, folder / "out.tif", *tiling, "--overwrite", "-q")
            peak = peak_of(command)
            base = base or peak
            tiles = (1 + -(-(size - options.tile) // (options.tile - options.overlap))) ** 2
            moved = size * size * (3 + 4)
            share = f"{(peak - base) / moved:.2%}"
            print(
                f"| {size} x {size} | {tiles} | {peak / 1e6:.0f} | {(peak - base) / 1e6:.0f} "
                f"| {share} |",
                flush=True,
            )


def peak_of(command: list[str]) -> int:
    """Peak resident bytes of a command."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of, [command])


def _peak_of(command: list[str]) -> int:
    subprocess.run(command, check=True)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)


def make_empty(path: Path, size: int) -> Path:
    """A raster without a single block."""
    profile = {"driver": "GTiff", "height": size, "width": size, "count": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}
    with rasterio.open(path, "w", **profile, **place, tiled=True, sparse_ok=True, bigtiff="YES"):
        pass
    return path


if __name__ == "__main__":
    main()
