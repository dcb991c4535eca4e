"""What smoothing and sieving cost, beside the same on the whole array in memory.

    python benchmarks/cleanup.py

Rasters of 8,000 x 8,000 classes: patches of about 60 pixels with ragged borders and 2 % of single
pixels, and noise, in which nearly every pixel is a region. Each is read from a GeoTIFF and written
to another in a process of its own; megapixels a second without start-up, and its peak memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
from end_to_end import output_of
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy import ndimage

from seamless_seg.postprocess.class_raster import ClassBand
from seamless_seg.postprocess.sieve import sieve
from seamless_seg.postprocess.smooth import smooth
from seamless_seg.system import peak_bytes

FORMAT = {
    "driver": "GTiff",
    "count": 1,
    "dtype": "uint8",
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "compress": "zstd",
    "transform": from_origin(500_000, 5_600_000, 0.5, 0.5),
}

WHOLE = {
    "median": lambda array, radius: ndimage.median_filter(array, 2 * radius + 1, mode="reflect"),
    "sieve": lambda array, least: rasterio.features.sieve(array, least),
}
"""The same, by scipy and by GDAL. For the majority scipy has only filters written in Python."""

STREAMED = {
    "majority": lambda band, write, radius: smooth(band, write, radius),
    "median": lambda band, write, radius: smooth(band, write, radius, rule="median"),
    "sieve": lambda band, write, least: sieve(band, write, least),
}

TASKS = [
    ("majority", 1),
    ("majority", 5),
    ("majority", 20),
    ("median", 1),
    ("median", 5),
    ("sieve", 10),
    ("sieve", 100),
]


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8_000)
    size = parser.parse_args().size
    print("| raster | what | Mpx/s | peak, MB | whole array, Mpx/s | its peak, MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rasters = [("5 classes", 5, 60), ("20 classes", 20, 60), ("noise, 5 classes", 5, 1)]
        for title, classes, patch in rasters:
            image = make(folder / "image.tif", size, classes, patch)
            for task, number in TASKS:
                if patch == 1 and task != "sieve":
                    continue
                row = []
                for way in ("streamed", "whole"):
                    if way == "whole" and task not in WHOLE:
                        row += ["", ""]
                        continue
                    command = [sys.executable, __file__, "measure", way, task, str(number)]
                    said = output_of([*command, str(image), str(folder / "out.tif")])
                    seconds, peak = json.loads(said)
                    row += [f"{size * size / seconds / 1e6:.1f}", f"{peak / 1e6:.0f}"]
                print(f"| {title} | {task} {number} | {' | '.join(row)} |", flush=True)


def measure(way: str, task: str, number: str, image: str, out: str) -> tuple[float, int]:
    """Seconds and peak bytes of a task done in this process."""
    start = time.perf_counter()
    with rasterio.Env(GDAL_CACHEMAX=16), rasterio.open(image) as given:
        profile = FORMAT | {"height": given.height, "width": given.width}
        with rasterio.open(out, "w", **profile) as result:
            if way == "whole":
                result.write(WHOLE[task](given.read(1), int(number)), 1)
            else:

                def write(rows: slice, cols: slice, window: np.ndarray) -> None:
                    result.write(window[..., 0], 1, window=Window.from_slices(rows, cols))

                STREAMED[task](ClassBand(given), write, int(number))
    return time.perf_counter() - start, peak_bytes() or 0


def make(path: Path, size: int, classes: int, patch: int) -> Path:
    """Patches of about so many pixels a side, and single pixels; noise where they are 1."""
    random = np.random.default_rng(0)
    array = random.integers(0, classes, (size // patch + 2,) * 2, np.uint8)
    if patch > 1:
        rows, cols = np.ogrid[:size, :size]
        ragged = random.integers(0, 4, (2, size, size), np.uint8)
        array = array[(rows + ragged[0]) // patch, (cols + ragged[1]) // patch]
        single = random.random((size, size), np.float32) < 0.02
        array[single] = random.integers(0, classes, np.count_nonzero(single), np.uint8)
    with rasterio.open(path, "w", **FORMAT, height=size, width=size) as dataset:
        dataset.write(array[:size, :size], 1)
    return path


if __name__ == "__main__":
    main()
