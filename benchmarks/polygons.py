"""Time and memory of polygons, traced window by window, beside GDAL's of the whole raster.

Each line is measured in a process of its own: ``python benchmarks/polygons.py [SIDE ...]``.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import shapes
from rasterio.windows import Window

from seamless_seg import polygonize
from seamless_seg.system import peak_bytes

SIDES = (4096, 8192)
BLOCK, PATCH, CLASSES = 2048, 40, 5
WAYS = (".geojson", ".gpkg", ".fgb", ".parquet", "simplified", "whole")


def make(path, side):
    """A raster of patches with torn edges."""
    random = np.random.default_rng(0)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "compress": "zstd"}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_600_000)}
    with rasterio.open(path, "w", width=side, height=side, **profile, **place) as dataset:
        for top in range(0, side, BLOCK):
            for left in range(0, side, BLOCK):
                torn = random.integers(0, 3, (2, BLOCK, BLOCK))
                rows, cols = (np.indices((BLOCK, BLOCK)) + torn) // PATCH
                patches = random.integers(0, CLASSES, (rows.max() + 1, cols.max() + 1))
                found = patches[rows, cols].astype(np.uint8)
                dataset.write(found, 1, window=Window(left, top, BLOCK, BLOCK))


def measure(path, way):
    """Print polygons, seconds and the peak of this process in MB."""
    started = time.perf_counter()
    if way == "whole":
        with rasterio.open(path) as dataset:
            count = sum(1 for _ in shapes(dataset.read(1), transform=dataset.transform))
    else:
        ending, simplify = (".gpkg", 0.5) if way == "simplified" else (way, None)
        count = polygonize(path, path.with_suffix(ending), simplify=simplify).polygons
    seconds = time.perf_counter() - started
    print(f"| {way} | {count:,} | {seconds:.1f} | {peak_bytes() / 1e6:.0f} |", flush=True)


def main(sides):
    for side in sides:
        print(f"\n{side} x {side} px\n\n| way | polygons | seconds | peak MB |\n|---|---|---|---|")
        sys.stdout.flush()
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "classes.tif"
                subprocess.run([sys.executable, __file__, "--make", path, str(side)], check=True)
                subprocess.run([sys.executable, __file__, "--measure", path, way], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--make", path, side]:
            make(Path(path), int(side))
        case ["--measure", path, way]:
            measure(Path(path), way)
        case sides:
            main([int(side) for side in sides] or SIDES)
