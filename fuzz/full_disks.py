"""Outputs of every kind on disks that fill up at any byte: no file may be published truncated.

    python -m fuzz.full_disks --sizes 20
    python -m fuzz.full_disks --sizes 20 --mount    # file systems in memory, as root on Linux

A process of its own writes each output. Its files may not grow beyond a limit (RLIMIT_FSIZE), or
they lie in a file system of that size. It must either fail and leave nothing, or write the very
files that it writes without a limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import rasterio
from onnx import helper, numpy_helper
from rasterio.transform import from_origin

SIDE = 700
"""Height and width of the raster, px."""

AREA = """{"type": "Polygon", "coordinates":
[[[500010, 5599990], [500160, 5599980], [500150, 5599800], [500020, 5599900], [500010, 5599990]]],
"crs": {"type": "name", "properties": {"name": "EPSG:32632"}}}"""

CLASSES = ["--kind", "classes", "--classes", "classes.csv"]

KINDS: dict[str, list[str]] = {
    "logits": [],
    "logits zstd": ["--compress", "zstd"],
    "probabilities": ["--kind", "probabilities"],
    "classes": CLASSES,
    "classes cleaned": [*CLASSES, "--smooth", "2", "--sieve", "20"],
    "sparse": ["--area", "area.geojson"],
    "COG": ["--cog"],
    "COG of classes": [*CLASSES, "--cog"],
    "sparse COG": ["--area", "area.geojson", "--cog"],
    "sparse COG of classes": [*CLASSES, "--area", "area.geojson", "--cog"],
    "two outputs": ["--also", "classes=out/second.tif"],
    "two COGs": ["--also", "classes=out/second.tif", "--cog", "--area", "area.geojson"],
    "geojson": ["polygonize", "out/out.geojson"],
    "gpkg": ["polygonize", "out/out.gpkg"],
    "fgb": ["polygonize", "out/out.fgb"],
    "parquet": ["polygonize", "out/out.parquet"],
    "stats": ["stats", "--output", "out/out.json"],
    "plan": ["plan", "--output", "out/out.json"],
}
"""Options of a run, or another command and its output."""


def main() -> int:
    """Attack all kinds of output; return 1 if a file was published truncated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, default=20, help="limits for each kind of output")
    parser.add_argument("--mount", action="store_true", help="full file systems, too: needs root")
    parser.add_argument("--only", help="one kind")
    given = parser.parse_args()
    faults = runs = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_inputs()
        for kind, options in KINDS.items():
            if given.only in (None, kind):
                for disk in (limited, *[mounted] * given.mount):
                    tried, failed, wrong = attack(kind, options, disk, given.sizes)
                    runs, refused, faults = runs + tried, refused + failed, faults + wrong
    print(f"{runs} runs, {refused} of them refused, {faults} faults")
    return int(faults > 0)


def make_inputs() -> None:
    """Write a raster, a model, a raster of classes and an area."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (3, SIDE // 20, SIDE // 20), np.uint8)
    pixels = coarse.repeat(20, axis=1).repeat(20, axis=2)
    pixels += random.integers(0, 20, pixels.shape, np.uint8)
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}
    for name, array in (
        ("in.tif", pixels),
        ("classes.tif", coarse[:1].repeat(20, 1).repeat(20, 2) % 3),
    ):
        count, height, width = array.shape
        size = {"count": count, "height": height, "width": width, "dtype": "uint8"}
        with rasterio.open(name, "w", driver="GTiff", tiled=True, **size, **place) as dataset:
            dataset.write(array)
    weights = random.standard_normal((3, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "weights"], ["logits"], pads=[1] * 4)
    shape = ["n", 3, "h", "w"]
    image, logits = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("image", "logits")
    )
    constants = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph([node], "made", [image], [logits], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        "model.onnx",
    )
    Path("area.geojson").write_text(AREA)
    Path("classes.csv").write_text("value,name,color\n0,water,\n1,road,\n2,forest,\n")


def command_of(options: list[str]) -> list[str]:
    """Return the command line of a kind of output."""
    program = [sys.executable, "-m", "seamless_seg"]
    if options[:1] == ["polygonize"]:
        return [*program, "polygonize", "classes.tif", options[1], "-q"]
    if options[:1] == ["stats"]:
        return [*program, "stats", "classes.tif", *options[1:]]
    if options[:1] == ["plan"]:
        return [*program, "plan", "in.tif", "model.onnx", *options[1:]]
    return [*program, "run", "in.tif", "model.onnx", "out/out.tif", "-q", *options]


def attack(kind: str, options: list[str], disk: Any, sizes: int) -> tuple[int, int, int]:
    """Write an output on disks of some sizes; return the runs, those that failed, and faults."""
    with disk(None):
        subprocess.run(command_of(options), check=True, capture_output=True)
        whole = contents()
    largest = max(len(content) for content in whole.values())
    if disk is mounted:
        largest = 3 * sum(len(content) for content in whole.values())
    failed = faults = 0
    for limit in np.linspace(largest / sizes, largest - 1, sizes).astype(int).tolist():
        with disk(limit) as begin:
            done = subprocess.run(
                command_of(options), capture_output=True, text=True, preexec_fn=begin
            )
            left = contents()
        failed += done.returncode != 0
        if done.returncode == 0:
            fault = None if same(left, whole) else "it published another file without an error"
        elif left:
            fault = f"it failed and left {', '.join(left)}"
        else:
            is_clear = "error: " in done.stderr and "Traceback" not in done.stderr
            fault = None if is_clear and "should not happen" not in done.stderr else done.stderr
        if fault:
            faults += 1
            print(f"{kind}, {disk.__name__} to {limit} of {largest} bytes: {fault}")
    return sizes, failed, faults


def same(one: dict[str, bytes], other: dict[str, bytes]) -> bool:
    """Whether files are the same; those of GDAL's vector drivers hold the time."""
    if one.keys() != other.keys():
        return False
    return all(
        one[name] == other[name] or (len(one[name]) == len(other[name]) and name.endswith(".gpkg"))
        for name in one
    )


def contents() -> dict[str, bytes]:
    """Return all files of the folder of outputs."""
    files = (path for path in Path("out").rglob("*") if path.is_file())
    return {str(path.relative_to("out")): path.read_bytes() for path in files}


@contextmanager
def limited(limit: int | None) -> Iterator[Callable[[], None] | None]:
    """Make a folder for outputs whose files may grow to a limit in bytes."""
    Path("out").mkdir()
    try:
        if limit is None:
            yield None
        else:
            yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    finally:
        shutil.rmtree("out")


@contextmanager
def mounted(limit: int | None) -> Iterator[Callable[[], None] | None]:
    """Make a folder for outputs that is a file system of so many bytes."""
    Path("out").mkdir()
    size = f"size={limit or 1_000_000_000}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", "out"], check=True)
    try:
        yield None
    finally:
        subprocess.run(["umount", "out"], check=True)
        Path("out").rmdir()


if __name__ == "__main__":
    sys.exit(main())
