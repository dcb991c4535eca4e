"""Peaks of whole runs under the least ``--max-memory`` that the program itself names.

    python benchmarks/memory_peaks.py
    python benchmarks/memory_peaks.py --size 6000 --classes 5 --only cog sieve

Each row is a run of a U-Net over a raster of 3 bands of uint8. A first run, whose limit is far too
small, names the least limit; a second keeps to that. Both start with an empty cache, so that the
model is probed. Peaks are those that the system reports for the process (VmHWM).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from end_to_end import SAMPLE, cli, make_image

MB = 1e6

ROWS = {
    "logits": "",
    "float16": "--dtype float16",
    "probabilities": "--kind probabilities",
    "classes": "--kind classes",
    "confidence": "--kind confidence",
    "entropy": "--kind confidence --confidence entropy",
    "cog": "--cog",
    "classes cog": "--kind classes --cog",
    "smooth": "--kind classes --smooth 3",
    "smooth wide": "--kind classes --smooth 40",
    "sieve": "--kind classes --sieve 50",
    "all cleaned": "--kind classes --smooth 3 --sieve 50 --cog",
    "area": "--area {area}",
    "area classes": "--kind classes --area {area} --crop --sieve 50 --cog",
    "also": "--kind classes --also confidence={folder}/confidence.tif "
    "--also probabilities={folder}/probabilities.tif --cog --sieve 50",
}
"""Names of the rows, and their options."""

LARGE = ("logits", "float16", "probabilities", "cog", "area", "also")
"""Rows that write a band for each class: of many classes, on a quarter of the pixels."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 150])
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    options = parser.parse_args()
    print("| classes | output | size, px | limit, MB | peak, MB | peak / limit |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for classes in options.classes:
            model = make_model(folder / "model.onnx", classes)
            for row in options.only:
                size = options.size // 2 if classes > 20 and row in LARGE else options.size
                image = make_image(folder / "image.tif", size)
                limit, peak = limit_and_peak(folder, image, model, ROWS[row])
                figures = f"{limit} | {peak / MB:.0f} | {peak / MB / limit:.2f}"
                print(f"| {classes} | {row} | {size} | {figures} |", flush=True)


def limit_and_peak(folder: Path, image: Path, model: Path, options: str) -> tuple[int, int]:
    """Return the least limit that is named, in MB, and the peak of the run that keeps to it."""
    chosen = options.format(area=make_area(folder / "area.geojson", image), folder=folder).split()
    command = cli("run", image, model, folder / "out.tif", *chosen, "--overwrite", "--max-memory")
    _, refused = peak_of([*command, "1MB"], expected=1)
    found = re.search(r"at least (\d+) MB", refused)
    if found is None:
        raise SystemExit(f"no limit is named: {refused}")
    peak, _ = peak_of([*command, f"{found[1]}MB", "-q"])
    return int(found[1]), peak


def peak_of(command: list[str], expected: int = 0) -> tuple[int, str]:
    """Return the peak resident bytes of a command with an empty cache, and what it says."""
    with tempfile.TemporaryDirectory() as cache:
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"XDG_CACHE_HOME": cache},
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != expected:
        raise SystemExit(f"{' '.join(command)} ended with {code}: {said}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), said


def make_model(path: Path, classes: int) -> Path:
    """The sample model, its last convolution widened or narrowed to so many classes."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(SAMPLE / "model.onnx")
    last = next(node for node in model.graph.node if model.graph.output[0].name in node.output)
    random = np.random.default_rng(0)
    for weight in model.graph.initializer:
        if weight.name in last.input[1:]:
            values = numpy_helper.to_array(weight)
            picked = values[np.arange(classes) % len(values)]
            noisy = picked + random.normal(0, 0.1, picked.shape).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(noisy, weight.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = classes
    del model.metadata_props[:]
    onnx.save(model, path)
    return path


def make_area(path: Path, image: Path) -> Path:
    """A rhombus that fills half of a raster."""
    with rasterio.open(image) as raster:
        bounds, crs = raster.bounds, raster.crs
    middle = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
    corners = [
        (bounds.left, middle[1]),
        (middle[0], bounds.bottom),
        (bounds.right, middle[1]),
        (middle[0], bounds.top),
        (bounds.left, middle[1]),
    ]
    ring = ", ".join(f"[{x}, {y}]" for x, y in corners)
    path.write_text(
        f'{{"type": "Polygon", "coordinates": [[{ring}]], "crs": {{"type": "name", '
        f'"properties": {{"name": "{crs}"}}}}}}'
    )
    return path


if __name__ == "__main__":
    main()
