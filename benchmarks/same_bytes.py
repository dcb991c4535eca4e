"""Whether two states of the code make the same of the same input, to the last bit.

    python benchmarks/same_bytes.py BEFORE.json
    python benchmarks/same_bytes.py AFTER.json
    python benchmarks/same_bytes.py --compare BEFORE.json AFTER.json

The first two run every command and function over the sample data and over rasters and models that
are made on the spot, and write a SHA-256 for each thing that comes of it; the last one names what
differs or is missing, and exits with 1 if anything does. Only what is public is used, so that the
same script runs before and after the code behind it has changed.

A case is called by its command line or by what its function does; `said` is what it prints or
returns, a file's name stands for what the file holds, and `bytes` for the file as it is. What
depends on time, memory or place is left out: seconds, speeds, batches, panels, and the version and
the command in an output's tags. So are the bytes of GeoPackages, which hold the time, and those of
an output where panels follow from the memory that there is. Nothing here times a model: tiles are
given, or rasters are too small for it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import onnx
import pyarrow.parquet
import pyogrio.raw
import rasterio
import shapely
from onnx import TensorProto, helper, numpy_helper
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_geom
from rasterio.windows import Window

import seamless_seg
from seamless_seg_cli.program import run_program

Pixels: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = Sequence[int | str]
Parts: TypeAlias = dict[str, str]
"""What came of a case: a digest for each thing."""

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data"
OUT = Path("out")
"""Folder for the outputs of a case, in the working folder."""

INTERRUPTED = 130
PROGRAM = [sys.executable, "-c", "import seamless_seg_cli; seamless_seg_cli.main()"]
"""The program in a process of its own."""

COMMANDS = """
# The sample scene. Larger rasters than some 4 Mpx would be timed, so the whole of it has a tile.
run scene.tif model.onnx out/out.tif --tile 792 --also classes=out/classes.tif
run long.tif model.onnx out/out.tif
run part.tif model.onnx out/out.tif --verbose
run part.tif model.onnx out/out.tif --tile 264x320 --overlap 159 --margin 79 --align 8
run part.tif model.onnx out/out.tif --tile 256 --overlap 64x48 --margin 20 --align 16
run part.tif model.onnx out/out.tif --tile 256 --tolerance 0.1
run bit.tif model_tile_wide.onnx out/out.tif --tile 256
run part.tif model_tile_wide.onnx out/out.tif --tile 256 --overlap 96 --margin 8 --align 8
run part.tif model.onnx out/out.tif --tile 320 --cog
run part.tif model.onnx out/out.tif --tile 320 --kind classes --cog --also confidence=out/sure.tif
run part.tif model.onnx out/out.tif --tile 320 --kind classes --smooth 3 --sieve 50
run bit.tif model.onnx out/out.tif --tile 256 --kind classes --smooth 2 --smooth-by median
run bit.tif model.onnx out/out.tif --tile 256 --kind classes --sieve 200
run bit.tif model.onnx out/out.tif --tile 256 --kind classes
run bit.tif model.onnx out/out.tif --tile 256 --kind probabilities
run bit.tif model.onnx out/out.tif --tile 256 --kind probabilities --activation sigmoid
run bit.tif model.onnx out/out.tif --tile 256 --overlap 32 --kind probabilities \
--blend probabilities
run bit.tif model.onnx out/out.tif --tile 256 --kind confidence
run bit.tif model.onnx out/out.tif --tile 256 --kind confidence --confidence margin
run bit.tif model.onnx out/out.tif --tile 256 --kind confidence --confidence entropy
run bit.tif model.onnx out/out.tif --tile 256 --compress zstd --compress-level 9
run bit.tif model.onnx out/out.tif --tile 256 --compress deflate
run bit.tif model.onnx out/out.tif --tile 256 --compress lzw
run bit.tif model.onnx out/out.tif --tile 256 --compress lerc
run bit.tif model.onnx out/out.tif --tile 256 --compress lerc --max-error 0.01
run bit.tif model.onnx out/out.tif --tile 256 --compress none -co BLOCKXSIZE=128 -co BLOCKYSIZE=64
run bit.tif model.onnx out/out.tif --tile 256 --dtype float16 --also classes=out/classes.tif
run bit.tif model.onnx out/out.tif --tile 256 -co INTERLEAVE=PIXEL
run bit.tif model.onnx out/out.tif --tile 256 --tta d4 --margin 20 --align 8
run bit.tif model.onnx out/out.tif --tile 256 --overlap 48 --tta flips --margin 20 --align 8
run bit.tif model.onnx,model_tile_wide.onnx out/out.tif --tile 256 --margin 20 --align 8
run part.tif model.onnx out/out.tif --tile 256 --area area.geojson
run part.tif model.onnx out/out.tif --tile 256 --area area.geojson --crop --kind classes --smooth 2
run part.tif model.onnx out/out.tif --tile 256 --area area_84.geojson --crop --cog
run part.tif model.onnx out/out.tif --tile 256 --bbox 568250,5933400,568400,5933500
run part.tif model.onnx out/out.tif --tile 256 --bbox 568250,5933400,568400,5933500 --crop
run bit.tif model.onnx out/out.tif --tile 256 --normalize percentile:2,98
run bit.tif model.onnx out/out.tif --tile 256 --normalize zscore
run bit.tif model.onnx out/out.tif --tile 256 --scale 0.01 --mean 1 --std 0.5,0.6,0.7 --bands 3,2,1
run bit.tif model.onnx out/out.tif --tile 256 --threads 1 --batch-size 2

# Odd rasters.
run 1x1.tif conv.onnx out/out.tif
run 1x200.tif conv.onnx out/out.tif --tile 64
run 200x1.tif conv.onnx out/out.tif --tile 64 --kind classes --smooth 1
run 257.tif conv.onnx out/out.tif --tile 256 --overlap 32
run 257.tif conv.onnx out/out.tif --tile 256 --kind classes --cog
run uint16.tif conv.onnx out/out.tif --tile 64 --scale 0.0001
run uint16.tif conv.onnx out/out.tif --tile 64 --normalize percentile:1,99
run int16.tif conv.onnx out/out.tif --tile 64 --scale 0.01 --mean -3
run int16.tif conv.onnx out/out.tif --tile 64 --normalize zscore --nodata -7
run float32.tif conv.onnx out/out.tif --tile 64
run float64.tif conv.onnx out/out.tif --tile 64 --std 2
run uint32.tif conv.onnx out/out.tif --tile 64 --scale 1e-9
run palette.tif conv.onnx out/out.tif --tile 64
run palette.tif four.onnx out/out.tif --tile 64
run palette.tif grey.onnx out/out.tif --tile 64
run nodata.tif conv.onnx out/out.tif --tile 64
run nodata.tif conv.onnx out/out.tif --tile 64 --fill 100 --kind classes \
--also confidence=out/sure.tif
run nodata.tif conv.onnx out/out.tif --tile 64 --normalize percentile:2,98 \
--kind probabilities --cog
run nodata.tif conv.onnx out/out.tif --tile 64 --kind classes --smooth 2 --sieve 9
run float_nodata.tif conv.onnx out/out.tif --tile 64
run nan.tif conv.onnx out/out.tif --tile 64
run nan.tif conv.onnx out/out.tif --tile 64 --nodata nan --kind classes
run empty.tif conv.onnx out/out.tif --tile 64
run empty.tif conv.onnx out/out.tif --tile 64 --kind classes
run mask.tif conv.onnx out/out.tif --tile 64
run mask_beside.tif conv.onnx out/out.tif --tile 64 --kind classes
run alpha.tif conv.onnx out/out.tif --tile 64
run alpha.tif four.onnx out/out.tif --tile 64 --bands 1,2,3,4
run degrees.tif conv.onnx out/out.tif --tile 64 --kind classes --cog
run degrees.tif conv.onnx out/out.tif --tile 64 --area degrees.geojson
run rotated.tif conv.onnx out/out.tif --tile 64
run rotated.tif conv.onnx out/out.tif --tile 64 --area rotated.geojson --crop
run south_up.tif conv.onnx out/out.tif --tile 64 --bbox 500010,5600010,500050,5600040 --crop
run gcps.tif conv.onnx out/out.tif --tile 64
run rpcs.tif conv.onnx out/out.tif --tile 64
run points.tif conv.onnx out/out.tif --tile 64
run nowhere.tif conv.onnx out/out.tif --tile 64 --kind classes
run nowhere.tif conv.onnx out/out.tif --tile 64 --area pixels.geojson --crop
run overviews.tif conv.onnx out/out.tif --tile 64 --level 1
run overviews.tif conv.onnx out/out.tif --tile 64 --level 2 --kind classes
run rgb.tif conv.onnx out/out.tif --tile 64 --resolution 0.7
run rgb.tif conv.onnx out/out.tif --tile 64 --resolution 0.3,0.4
run nodata.tif conv.onnx out/out.tif --tile 64 --resolution 1
run rgb.tif named.onnx out/out.tif --match-resolution
run scaled.tif conv.onnx out/out.tif --tile 64 --unscale --scale 1
run scaled.tif conv.onnx out/out.tif --tile 64 --unscale --normalize zscore
run bands.tif conv.onnx out/out.tif --tile 64 --bands 5,1,1 --scale 0.001
run bands.tif any.onnx out/out.tif --tile 64 --scale 1
run strips.tif conv.onnx out/out.tif --tile 64 --compress deflate

# Odd models.
run rgb.tif u_net.onnx out/out.tif --tile 96
run rgb.tif u_net.onnx out/out.tif --tile 100 --overlap 40
run rgb.tif u_net.onnx out/out.tif --tile 96 --tta d4 --margin 16 --align 8 --kind classes
run rgb.tif nhwc.onnx out/out.tif --tile 64
run rgb.tif nhwc.onnx out/out.tif --tile 64 --tta flips
run rgb.tif valid.onnx out/out.tif --tile 64
run rgb.tif valid.onnx out/out.tif --tile 64 --kind classes --area area_rgb.geojson --crop
run rgb.tif half.onnx out/out.tif --tile 64
run rgb.tif half.onnx out/out.tif --tile 64 --overlap 20 --margin 0 --trust hann
run rgb.tif fixed.onnx out/out.tif
run 1x200.tif fixed.onnx out/out.tif
run rgb.tif fixed_batch.onnx out/out.tif --tile 64
run rgb.tif bytes.onnx out/out.tif --tile 64
run uint16.tif bytes.onnx out/out.tif --tile 64 --scale 0.005 --mean 20
run rgb.tif halves.onnx out/out.tif --tile 64
run rgb.tif one.onnx out/out.tif --tile 64 --kind classes --also confidence=out/sure.tif
run rgb.tif one.onnx out/out.tif --tile 64 --kind classes --threshold 0.51
run rgb.tif one.onnx out/out.tif --tile 64 --kind probabilities
run rgb.tif flat.onnx out/out.tif --tile 64 --kind classes
run rgb.tif sigmoid.onnx out/out.tif --tile 64 --kind probabilities
run rgb.tif softmax.onnx out/out.tif --tile 64 --kind confidence --confidence entropy
run tiny.tif many.onnx out/out.tif --tile 48 --margin 3 --align 1 --kind classes \
--also confidence=out/sure.tif
run 1x200.tif many.onnx out/out.tif --tile 64 --margin 3 --align 1
run rgb.tif outputs.onnx out/out.tif --tile 64
run rgb.tif outputs.onnx out/out.tif --tile 64 --model-output logits
run rgb.tif outputs.onnx out/out.tif --tile 64 --model-output 2 --kind classes
run rgb.tif named.onnx out/out.tif --kind classes --also logits=out/logits.tif
run rgb.tif named_one.onnx out/out.tif --tile 64 --kind classes
run rgb.tif mlm.onnx out/out.tif --tile 64 --kind classes --also logits=out/logits.tif
run rgb.tif mlm.onnx out/out.tif --tile 64 --scale 0.01
run bands.tif mlm_bands.onnx out/out.tif --tile 64
run rgb.tif wide.onnx out/out.tif --tile 64
run rgb.tif conv.onnx,u_net.onnx out/out.tif --tile 64
run rgb.tif conv.onnx,nhwc.onnx,valid.onnx out/out.tif --tile 64 --margin 3 --align 1 --tta flips \
--kind classes

# Polygons.
polygonize labels.tif out/out.geojson
polygonize labels.tif out/out.fgb --min-area 20 --simplify 0.5
polygonize patches.tif out/out.geojson
polygonize patches.tif out/out.gpkg
polygonize patches.tif out/out.fgb
polygonize patches.tif out/out.parquet
polygonize patches.tif out/out.geojson --simplify 0.5
polygonize patches.tif out/out.gpkg --classes 1,3 --min-area 20
polygonize patches.tif out/out.fgb --classes water,road --simplify 1
polygonize patches_degrees.tif out/out.geojson
polygonize patches_degrees.tif out/out.parquet --min-area 1e5
polygonize patches_feet.tif out/out.gpkg
polygonize patches_rotated.tif out/out.fgb
polygonize patches_nowhere.tif out/out.geojson
polygonize patches_nowhere.tif out/out.parquet --min-area 30 --simplify 2
polygonize patches_int16.tif out/out.fgb

# Statistics.
stats labels.tif
stats patches.tif
stats patches.tif --json
stats patches.tif --csv
stats patches.tif --nodata 2 -o out/table.csv --csv
stats patches.tif --zones zones.geojson
stats patches.tif --zones zones.geojson --json --zone-key code
stats patches_degrees.tif --json
stats patches_degrees.tif --zones zones_degrees.geojson --csv
stats patches_feet.tif
stats patches_rotated.tif --json
stats patches_nowhere.tif
stats patches_int16.tif --csv

# Checks.
check part.tif model.onnx --tile 256 --overlap 64 --windows 4 --json
check part.tif model.onnx --tile 256 --overlap 64 --windows 3 --seed 2 --compare
check part.tif model.onnx --tile 256 --windows 2 --json
check bit.tif model_tile_wide.onnx --tile 256 --windows 2 --json
check rgb.tif conv.onnx --tile 64 --overlap 8 --margin 0 --json --map out/apart.tif
check nodata.tif u_net.onnx --tile 64 --overlap 16 --json --compare --map out/apart.tif
check rgb.tif half.onnx --tile 64 --overlap 16 --json
check rgb.tif valid.onnx --tile 64 --json
check rgb.tif fixed.onnx --json
check rgb.tif wide.onnx --tile 64 --overlap 16 --json --compare
check rgb.tif conv.onnx,u_net.onnx --tile 64 --json
run rgb.tif u_net.onnx out/out.tif --tile 64 --overlap 16 && \
check rgb.tif u_net.onnx out/out.tif --json
run rgb.tif conv.onnx out/out.tif --tile 64 --tta d4 --area area_rgb.geojson --crop && \
check rgb.tif conv.onnx out/out.tif

# Plans, models and how far they see.
plan part.tif model.onnx
plan part.tif model.onnx --json -o out/plan.json
plan scene.tif model.onnx --tile 256 --overlap 64 --json -o out/plan.json
plan scene.tif model.onnx --tile 512 --area area.geojson --kind classes --also confidence --json
plan bit.tif model_tile_wide.onnx --tile 256 --json
plan bit.tif model.onnx --tile 256 --tta d4 --margin 20 --align 8 --json
plan rgb.tif valid.onnx --tile 64 --json -o out/plan.json
plan rgb.tif fixed.onnx --json
plan rgb.tif --tile 64 --overlap 20 --align 8 --margin 3 --json
plan --size 40000x30000 --tile 256 --overlap 64 --dry-run --json
plan --size 4000x3000 --tile 512x256 --overlap 100x64 --json -o out/plan.json
plan --size 1000x900 u_net.onnx --json
plan --size 1000x900 --tile 200 --bbox 10,400,500,20
info model.onnx
info model.onnx --json
info model_tile_wide.onnx --json
info nhwc.onnx --json
info valid.onnx --json
info fixed.onnx --json
info bytes.onnx --json
info outputs.onnx --json
info named.onnx --json
info mlm.onnx
info mlm.onnx --json
info mlm_bands.onnx --json
info softmax.onnx --json
probe model.onnx
probe model.onnx --json
probe model_tile_wide.onnx --json
probe u_net.onnx --json
probe half.onnx --json
probe valid.onnx --json
probe fixed.onnx --json
probe wide.onnx --json
probe conv.onnx --tta d4 --json
probe conv.onnx,u_net.onnx --json
probe u_net.onnx rgb.tif --json
"""
"""A command a line; what follows `&&` is run if what stands before has worked."""


class CaseError(Exception):
    """A case that did not work."""


def main() -> None:
    """Run all cases and write what came of them, or compare two such files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", type=Path, help="JSON file to write")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    options = parser.parse_args()
    if (options.output is None) == (options.compare is None):
        parser.error("give a file to write, or --compare and two files")
    if options.compare is not None:
        before, after = options.compare
        sys.exit(compare(before, after, options.only))
    output = options.output.resolve()
    started, found = time.monotonic(), record(options.only)
    output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    failures = [name for name, digest in found.items() if digest.startswith("failed")]
    for name in failures:
        print(f"{name}: {found[name]}", file=sys.stderr)
    said = f"{len(found)} results, {len(failures)} failures, {time.monotonic() - started:.0f} s"
    print(f"{said}, with {Path(seamless_seg.__file__).parent}", file=sys.stderr)
    sys.exit(1 if failures else 0)


def compare(before: Path, after: Path, only: str = "") -> int:
    """Name what differs or is missing in one of two files; returns the exit status."""
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    lines = []
    names = [name for name in sorted(old | new) if only in name]
    for name in names:
        if name not in new:
            lines.append(f"missing in {after}: {name}")
        elif name not in old:
            lines.append(f"missing in {before}: {name}")
        elif old[name] != new[name]:
            lines.append(f"differs: {name}")
    print("\n".join(lines) if lines else f"all {len(names)} results are the same")
    return 1 if lines else 0


def record(only: str) -> Parts:
    """Run the cases that have a text in their names; returns the digests of what they made."""
    found: Parts = {}
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
        work = Path(folder, "work")
        work.mkdir()
        os.chdir(work)
        try:
            make_inputs()
            for name, do in cases().items():
                if only in name:
                    found |= {f"{name}: {part}": own for part, own in outcome(do).items()}
        finally:
            os.chdir(home)
    return found


def outcome(do: Callable[[], Parts]) -> Parts:
    """What comes of a case in an empty folder for its outputs, or why it failed."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    try:
        return do()
    except CaseError as error:
        return {"said": f"failed: {error}"}
    except Exception:
        return {"said": f"failed: {traceback.format_exc()}"}


def cases() -> dict[str, Callable[[], Parts]]:
    """All cases by name."""
    found: dict[str, Callable[[], Parts]] = {}
    for line in COMMANDS.splitlines():
        if line and not line.startswith("#"):
            found[line] = partial(commands, line)
    for trust in seamless_seg.PROFILES:
        tiling = f"--tile 256 --overlap 64 --margin 0 --align 1 --trust {trust}"
        line = f"run part.tif model.onnx out/out.tif {tiling}"
        found[line] = partial(commands, line)
        found[f"run_plan, {trust}"] = partial(blended, trust=trust)
    return found | functions()


# What is said and written, as digests


def digest(*parts: bytes | str) -> str:
    """SHA-256 of some bytes and texts."""
    made = hashlib.sha256()
    for part in parts:
        made.update(part.encode() if isinstance(part, str) else part)
    return made.hexdigest()


def files(folder: Path = OUT, with_bytes: bool = True) -> Parts:
    """Digests of what the files in a folder hold and, as far as they do not change, of them."""
    found: Parts = {}
    for path in sorted(folder.iterdir()):
        found[path.name] = digest(*CONTENTS.get(path.suffix, as_it_is)(path))
        if with_bytes and path.suffix not in (".gpkg", ".json"):
            found[f"{path.name}, bytes"] = digest(path.read_bytes())
    return found


def as_it_is(path: Path) -> Iterator[bytes]:
    """A file of any kind."""
    yield path.read_bytes()


def raster(path: Path) -> Iterator[bytes | str]:
    """All that a raster says of itself, its pixels, its mask and its overviews."""
    with rasterio.open(path) as dataset:
        yield json.dumps(look(dataset), sort_keys=True, default=str)
        yield from (dataset.read(band).tobytes() for band in dataset.indexes)
        yield dataset.dataset_mask().tobytes()
        factors = dataset.overviews(1)
    for level in range(len(factors)):
        with rasterio.open(path, overview_level=level) as dataset:
            yield dataset.read().tobytes()
            yield dataset.dataset_mask().tobytes()


def look(dataset: Any) -> dict[str, Any]:
    """What a raster says of itself, but for which program made it by which command."""
    own = dataset.tags(ns="seamless_seg")
    points, crs = dataset.gcps
    return {
        "size": (dataset.count, dataset.height, dataset.width),
        "dtypes": dataset.dtypes,
        "place": (tuple(dataset.transform), dataset.crs and dataset.crs.to_wkt()),
        "gcps": ([point.asdict() for point in points], crs and crs.to_wkt()),
        "rpcs": dataset.rpcs and dataset.rpcs.to_dict(),
        "nodata": dataset.nodatavals,
        "masks": [[flag.name for flag in flags] for flags in dataset.mask_flag_enums],
        "descriptions": dataset.descriptions,
        "colors": [own.name for own in dataset.colorinterp],
        "colormap": colormap(dataset),
        "scaling": (dataset.scales, dataset.offsets, dataset.units),
        "blocks": dataset.block_shapes,
        "overviews": [dataset.overviews(band) for band in dataset.indexes],
        "storage": dataset.tags(ns="IMAGE_STRUCTURE"),
        "tags": dataset.tags(),
        "band tags": [dataset.tags(band) for band in dataset.indexes],
        "own tags": {name: own[name] for name in own if name not in ("version", "command")},
    }


def colormap(dataset: Any) -> Any:
    """The first band's, if it has one."""
    try:
        return dataset.colormap(1)
    except ValueError:
        return None


def layer(path: Path) -> Iterator[bytes | str]:
    """Polygons and attributes as GDAL reads them."""
    said, _, geometries, columns = pyogrio.raw.read(path)
    yield json.dumps([str(said["crs"]), [str(name) for name in said["fields"]]])
    yield from geometries
    yield from (repr(column.tolist()) for column in columns)


def table(path: Path) -> Iterator[bytes | str]:
    """Columns of a Parquet file, of which GDAL as it comes with wheels knows nothing."""
    found = pyarrow.parquet.read_table(path)
    yield f"{found.schema.to_string(show_schema_metadata=False)}"
    yield (found.schema.metadata or {}).get(b"geo", b"")
    yield from (repr(found.column(name).to_pylist()) for name in found.column_names)


def names_beside(path: Path) -> Iterator[str]:
    """What GDAL has written beside a raster."""
    yield ElementTree.canonicalize(path.read_text(encoding="utf-8"), strip_text=True)


def document(path: Path) -> Iterator[str]:
    """JSON without what changes."""
    yield stable(json.loads(path.read_text(encoding="utf-8")))


CONTENTS: dict[str, Callable[[Path], Iterable[bytes | str]]] = {
    ".tif": raster,
    ".gpkg": layer,
    ".fgb": layer,
    ".geojson": layer,
    ".parquet": table,
    ".xml": names_beside,
    ".json": document,
}
"""What is read of files, by the ending of their names."""

CHANGING = {"model_seconds", "seconds", "timed", "panels", "batch_size", "workers", "path"} | {
    "memory_bytes",
    "memory",
}
"""Keys of JSON that depend on time, memory or place."""

PASSING = re.compile(r"\d+/\d+ |(panels|batches|batch size|memory|timed|taken) ")
"""How lines of text begin that do so, and progress."""

SUMMARY = re.compile(
    r"(\d+ (?:tiles|polygons)) in .*? Mpx/s, (\d+ skipped, )?.*?peak memory [^;]*(; .*)?"
)
"""A last line, with what is kept of it in groups."""


def stable(value: Any) -> str:
    """JSON of a value without what changes, its keys in order."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: kept(own) for key, own in value.items() if key not in CHANGING}
        return [kept(own) for own in value] if isinstance(value, list) else value

    return json.dumps(kept(value), sort_keys=True)


def lines_of(text: str) -> Iterator[str]:
    """Lines of text without what changes."""
    for line in text.splitlines():
        summary = SUMMARY.fullmatch(line)
        if summary is not None:
            yield " ".join(group for group in summary.groups() if group)
        elif not PASSING.match(line):
            yield line


def said(output: str, errors: str) -> str:
    """What a command printed, without what changes."""
    try:
        printed = stable(json.loads(output))
    except ValueError:
        printed = "\n".join(lines_of(output))
    return "\n--\n".join([printed, *lines_of(errors)])


# Commands


def commands(line: str) -> Parts:
    """Run a line of commands; what it said and wrote."""
    printed = [said(*call(shlex.split(part))) for part in line.split("&&")]
    return {"said": digest(*printed)} | files()


def call(arguments: list[str]) -> tuple[str, str]:
    """Run the program in this process; what it printed to stdout and stderr."""
    taken = io.BytesIO(), io.BytesIO()
    output, errors = (
        io.TextIOWrapper(own, encoding="utf-8", newline="", write_through=True) for own in taken
    )
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = run_program(arguments)
    printed, complaints = (own.getvalue().decode() for own in taken)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise CaseError(f"exit status {status}: {complaints.strip()}")
    return printed, complaints


def narrow_panels() -> Parts:
    """Run in little more memory than the least, so that a wide raster is walked in panels."""
    line = "run wide.tif deep.onnx out/out.tif --tile 128 --overlap 32 --margin 0 --align 1"
    arguments, limit = [*PROGRAM, *line.split(), "--verbose"], 1
    for _ in range(8):  # the least depends on the memory that the process happens to take
        limited = [*arguments, "--max-memory", f"{limit}MB"]
        done = subprocess.run(limited, capture_output=True, text=True, check=False)
        least = re.search(r"needs (?:at least )?(\d+) MB", done.stderr)
        if least is None:
            break
        limit = int(least[1]) + 5
    panels = re.search(r"^panels +(\d+)", done.stderr, re.MULTILINE)
    if done.returncode or panels is None or int(panels[1]) < 2:
        raise CaseError(f"exit status {done.returncode} with {limit} MB: {done.stderr.strip()}")
    return files(with_bytes=False)


# Functions


def functions() -> dict[str, Callable[[], Parts]]:
    """Cases that are calls of Python functions."""
    area = shapely.Polygon([(10.2, 20.1), (150.7, 40.3), (120.4, 170.8), (30.9, 90.6)])
    calls = {name: partial(returned, do) for name, do in calls_of_models().items()}
    calls |= {name: partial(returned, do) for name, do in calls_of_classes().items()}
    return calls | {
        "overlap_weights": partial(returned, weights),
        "run --max-memory, in panels": narrow_panels,
        "run_plan, an area": partial(blended, area=area, nodata=-1.0),
        "run_plan, panels": partial(blended, panel=2, margin=5, align=4),
        "run_plan, panels of an area": partial(blended, area=area, panel=1, trust="linear"),
        "run_plan, a margin": partial(blended, margin=(3, 7), trust="hann", batch_size=3),
        "run_plan, whole numbers": partial(blended, dtype="uint8", batch_size=5),
        "run_plan, a trust of one's own": partial(blended, trust=steep),
        "run_plan, no blending": partial(blended, overlap=0),
        "run_plan, one tile": partial(blended, size=(50, 60), tile=64),
    }


def calls_of_models() -> dict[str, Callable[[], Any]]:
    """Calls of functions that run a model, most of them one that is a function itself."""
    segment = partial(seamless_seg.segment, "rgb.tif")
    out, tiles = OUT / "out.tif", {"tile": 64, "overlap": 16}
    ways = [{"type": "min-max", "minimum": 10, "maximum": 240}, {"type": "clip-max", "maximum": 1}]
    own = seamless_seg.Options(tile=64, overlap=16, trust=steep, margin=2, bands=[2, 2, 1])
    others = {"also": {"classes": OUT / "classes.tif"}, "cog": True}
    probed = {"margin": "auto", "kind": "classes"}
    check = partial(seamless_seg.check, "rgb.tif", blur, compare=["linear", "crop"])
    return {
        "segment, a function": partial(segment, blur, out, **tiles),
        "segment, a function that is probed": partial(segment, blur, out, **tiles, **probed),
        "segment, functions and a file": partial(
            segment, [blur, "pointwise.onnx"], out, **tiles, tta="flips"
        ),
        "segment, value_scaling": partial(
            segment, "pointwise.onnx", out, tile=64, value_scaling=ways
        ),
        "segment, options": partial(segment, blur, out, options=own),
        "segment, several kinds": partial(segment, blur, out, **tiles, **others),
        "check, a function": partial(check, **tiles),
        "probe, a function": partial(seamless_seg.probe, blur),
        "probe, a file": partial(seamless_seg.probe, "u_net.onnx"),
    }


def calls_of_classes() -> dict[str, Callable[[], Any]]:
    """Calls of functions that take rasters of classes."""
    class_stats, polygonize = seamless_seg.class_stats, seamless_seg.polygonize
    chosen: dict[str, Any] = {"classes": ["water", 3], "min_area": 10, "simplify": 0.5}
    return {
        "class_stats": partial(class_stats, "patches.tif"),
        "class_stats, zones": partial(class_stats, "patches.tif", "zones.geojson"),
        "class_stats, sample": partial(class_stats, "labels.tif"),
        "polygonize": partial(polygonize, "patches.tif", OUT / "out.geojson", **chosen),
    }


def returned(do: Callable[[], Any]) -> Parts:
    """What a function returned and wrote."""
    return {"said": digest(stable(plain(do())))} | files()


def plain(value: Any) -> Any:
    """A value as JSON can hold it, without what changes; tables of classes are told by `repr`."""
    if isinstance(value, seamless_seg.ClassStats):
        return [repr(own) for own in (*value.tables, value.notes)]
    if isinstance(value, seamless_seg.Summary):
        names = ("tiles", "pixels", "classes", "not_finite", "skipped", "exactness")
        figures = {name: getattr(value, name) for name in names}
        return figures | {"notes": value.settings.notes}
    if isinstance(value, seamless_seg.Report):
        names = ("windows", "population", "pixels", "reference_run", "context", "complete")
        figures = {name: plain(getattr(value, name)) for name in (*names, "qualities")}
        dispute = value.dispute and value.dispute._asdict()
        return figures | {"dispute": dispute, "exactness": value.forecast.exactness}
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, digest(value.tobytes())]
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def steep(length: int, before: int, after: int, margin: int) -> Pixels:
    """A trust of one's own: the third power of the linear one."""
    trust: Pixels = seamless_seg.PROFILES["linear"](length, before, after, margin) ** 3
    return trust


def blur(batch: Pixels) -> Pixels:
    """A model: means of 3 x 3 pixels, the brightness, and how far red is from blue."""
    height, width = batch.shape[2:]
    around = np.pad(batch, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="edge")
    total = np.zeros_like(batch)
    for top in range(3):
        for left in range(3):
            total += around[:, :, top : top + height, left : left + width]
    apart = np.abs(batch[:, :1] - batch[:, -1:])
    return np.concatenate([total / np.float32(9), batch.mean(axis=1, keepdims=True), apart], axis=1)


def weights() -> list[Any]:
    """Weights of boxes that lie on no grid, with several trusts."""
    central = shapely.box(0, 0, 40, 50)
    nearby = [shapely.box(20, 30, 70, 90), shapely.box(-15, -10, 12, 45), shapely.box(5, 8, 30, 20)]
    found: list[Any] = []
    for trust in ("linear", "bell", "gaussian"):
        for trim in (None, (0, 5, None, -10)):
            made = seamless_seg.overlap_weights(central, nearby, trim, trust=trust)
            found.append(list(made))
    return found


def blended(
    size: tuple[int, int] = (190, 230),
    tile: int = 64,
    overlap: int = 20,
    area: Any = None,
    batch_size: int = 2,
    dtype: str = "float32",
    nodata: float = float("nan"),
    **options: Any,
) -> Parts:
    """Plan a run without files, and blend tiles of which no two agree."""
    plan, _ = seamless_seg.plan_run_grid(size, (tile, tile), (overlap, overlap), area, **options)
    output = np.zeros((*size, 2), "float64")
    windows = []

    def get_tile(index: Any, geom: Any) -> Pixels:
        rows, cols = seamless_seg.shape_to_slices(geom)
        shape = (rows.stop - rows.start, cols.stop - cols.start, 2)
        return (np.random.default_rng(list(index)).random(shape) * 200).astype(dtype)

    def write_tile(index: Any, geom: Any, window: Pixels) -> None:
        output[seamless_seg.shape_to_slices(geom)] = window
        windows.append(f"{tuple(index)} {geom.wkt} {window.dtype}")

    seamless_seg.run_plan(
        plan, batch_size, None, write_tile=write_tile, get_tile=get_tile, nodata=nodata
    )
    steps = [f"{type(step).__name__} {step.index} {getattr(step, 'geom', None)}" for step in plan]
    held = seamless_seg.tiles_held(plan, batch_size)
    figures = [plan.tiles, plan.skipped, plan.written, plan.redundancy, plain(plan.peak), held]
    return {
        "pixels": digest(output.tobytes()),
        "windows": digest("\n".join(windows)),
        "plan": digest("\n".join(steps), json.dumps(figures)),
    }


# Rasters

UTM = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}
DEGREES = {"crs": "EPSG:4326", "transform": from_origin(9, 50, 0.0005, 0.0004)}
FEET = {"crs": "EPSG:2263", "transform": from_origin(980_000, 200_000, 3, 3)}
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}
ROTATED = Affine.translation(500_000, 5_600_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.25)
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
SIZE = 170, 210


def make_inputs() -> None:
    """Make all rasters, models and areas in the working folder."""
    make_sample()
    make_sizes_and_types()
    make_gaps()
    make_places()
    make_patches()
    make_areas()
    make_models()
    make_documents()


def save_raster(path: str, pixels: Pixels, **profile: Any) -> None:
    """Write bands of pixels as a GeoTIFF."""
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "dtype": pixels.dtype} | UTM | TILED | profile
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as dataset:
        dataset.write(pixels)


def noise(bands: int, size: tuple[int, int] = SIZE, dtype: str = "uint8", seed: int = 0) -> Pixels:
    """Random pixels in the usual range of a type, with hills that make neighbors alike."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[: size[0], : size[1]]
    hills = np.stack([np.sin(rows / 9 + n) * np.cos(cols / (11 + n)) for n in range(bands)])
    values = hills + 0.5 * random.standard_normal((bands, *size))
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    center, spread = (0, 800) if limits.min else (limits.max / 2, limits.max / 6)
    return np.clip(np.rint(center + spread * values), limits.min, limits.max).astype(dtype)


def make_sample() -> None:
    """The sample data, and parts of the scene that are run quickly."""
    for name in ("scene.tif", "labels.tif", "model.onnx", "model_tile_wide.onnx"):
        shutil.copy(SAMPLE / name, name)
    with rasterio.open("scene.tif") as scene:
        for name, window in (
            ("long.tif", Window(100, 1500, 1800, 400)),
            ("part.tif", Window(400, 900, 700, 600)),
            ("bit.tif", Window(1300, 300, 330, 280)),
        ):
            place = {"crs": scene.crs, "transform": scene.window_transform(window)}
            save_raster(name, scene.read(window=window), **place)


def make_sizes_and_types() -> None:
    """Rasters of odd sizes, of several types of pixels, and with more or fewer bands."""
    save_raster("rgb.tif", noise(3))
    save_raster("tiny.tif", noise(3, (70, 90)))
    save_raster("wide.tif", noise(3, (260, 4000)))
    for height, width in ((1, 1), (1, 200), (200, 1)):
        layout = {"tiled": False}
        save_raster(f"{height}x{width}.tif", noise(3, (height, width)), **layout)
    save_raster("257.tif", noise(3, (257, 257)))
    for dtype in ("uint16", "int16", "uint32", "float32", "float64"):
        save_raster(f"{dtype}.tif", noise(3, dtype=dtype))
    save_raster("strips.tif", noise(3), tiled=False, blockysize=1, interleave="band")
    save_raster("bands.tif", noise(5, dtype="uint16", seed=1))
    with rasterio.open("bands.tif", "r+") as dataset:
        for band, name in enumerate(["coastal", "blue", "green", "red", "nir"], start=1):
            dataset.set_band_description(band, name)
    indices = noise(1) // 32
    save_raster("palette.tif", indices, photometric="palette")
    with rasterio.open("palette.tif", "r+") as dataset:
        colors = np.random.default_rng(5).integers(0, 256, (8, 3)).tolist()
        dataset.write_colormap(1, {n: (*color, 255) for n, color in enumerate(colors)})
    save_raster("overviews.tif", noise(3, (301, 403)))
    with rasterio.open("overviews.tif", "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    save_raster("scaled.tif", noise(3, dtype="int16"))
    with rasterio.open("scaled.tif", "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01, 0.02, 0.005), (1.0, -2.0, 0.5)


def make_gaps() -> None:
    """Rasters with pixels that are not there, said in all ways."""
    there = np.random.default_rng(1).random(SIZE) > 0.02
    there[:80, :90] = False
    there[100:] = True
    for name, pixels, value, nodata in (
        ("nodata.tif", np.maximum(noise(3), 1), 0, 0),
        ("float_nodata.tif", noise(3, dtype="float32"), -9999, -9999),
        ("nan.tif", noise(3, dtype="float32"), np.nan, None),
        ("empty.tif", np.zeros((3, *SIZE), "uint8"), 0, 0),
    ):
        pixels[:, ~there] = value
        save_raster(name, pixels, nodata=nodata)
    mask = np.where(there, 255, 0).astype("uint8")
    for name, is_inside in (("mask.tif", True), ("mask_beside.tif", False)):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=is_inside):
            save_raster(name, noise(3))
            with rasterio.open(name, "r+") as dataset:
                dataset.write_mask(mask)
    save_raster("alpha.tif", np.stack([*noise(3), mask]), photometric="rgb", alpha="yes")
    with rasterio.open("alpha.tif") as dataset:
        assert dataset.colorinterp[-1] == ColorInterp.alpha


def make_places() -> None:
    """Rasters that lie anywhere, in all ways, or nowhere."""
    save_raster("degrees.tif", noise(3), **DEGREES)
    save_raster("rotated.tif", noise(3), transform=ROTATED)
    save_raster("south_up.tif", noise(3), transform=Affine(0.5, 0, 500_000, 0, 0.5, 5_600_000))
    for name in ("nowhere.tif", "gcps.tif", "rpcs.tif"):
        save_raster(name, noise(3), **NOWHERE)
    corners = [(0, 0, 9, 50), (0, 210, 9.01, 50.001), (170, 0, 9.001, 49.99), (170, 210, 9.01, 50)]
    with rasterio.open("gcps.tif", "r+") as dataset:
        points = [GroundControlPoint(*corner) for corner in corners]
        dataset.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    ones = [1.0] + [0.0] * 19
    with rasterio.open("rpcs.tif", "r+") as dataset:
        dataset.rpcs = RPC(10, 100, 47, 1, ones, ones, 85, 170, 8, 1, ones, ones, 105, 210, -1, -1)
    save_raster("points.tif", noise(3))
    with rasterio.open("points.tif", "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")


def patches(size: tuple[int, int], seed: int = 0) -> Pixels:
    """One band of classes 0 to 4, in patches with ragged borders and single pixels."""
    random = np.random.default_rng(seed)
    rows, cols = (np.indices(size) + random.integers(0, 3, (2, *size))) // 17
    found = random.integers(0, 5, (rows.max() + 1, cols.max() + 1))[rows, cols]
    alone = random.random(size) < 0.01
    found[alone] = random.integers(0, 5, np.count_nonzero(alone))
    return found[None].astype("uint8")


def make_patches() -> None:
    """Rasters of classes, with and without names, colors, nodata and a place."""
    named = patches((400, 330))
    named[0, 100:150, 200:] = 255
    save_raster("patches.tif", named, nodata=255)
    with rasterio.open("patches.tif", "r+") as dataset:
        dataset.write_colormap(1, {n: (50 * n, 255 - 50 * n, 90, 255) for n in range(5)})
    names = ("field", "forest", "water", "road", "building")
    listed = "".join(f"<Category>{name}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames></PAMRasterBand>'
    text = f"<PAMDataset>{band}</PAMDataset>"
    Path("patches.tif.aux.xml").write_text(text, encoding="utf-8")
    for name, place in (
        ("degrees", DEGREES),
        ("feet", FEET),
        ("rotated", {"transform": ROTATED}),
        ("nowhere", NOWHERE),
    ):
        save_raster(f"patches_{name}.tif", patches((200, 260), 1), **place)
    save_raster("patches_int16.tif", patches((150, 140), 2).astype("int16") * 100 - 200)


def make_areas() -> None:
    """GeoJSON of areas and zones, of which most lie anywhere on a raster's pixels."""
    outline = [(60, 50), (610, 120), (480, 530), (250, 300), (100, 560)]
    part = rasterio.open("part.tif")
    save_areas("area.geojson", [outline], part.transform, "EPSG:32632")
    save_areas("area_84.geojson", [outline], part.transform, "EPSG:32632", in_degrees=True)
    small = [(20, 30), (180, 50), (150, 150), (90, 80), (40, 160)]
    for name, place in (("area_rgb", UTM["transform"]), ("rotated", ROTATED)):
        save_areas(f"{name}.geojson", [small], place, "EPSG:32632")
    save_areas("degrees.geojson", [small], DEGREES["transform"], None)
    save_areas("pixels.geojson", [small], Affine.identity(), None)
    zones = [small, [(100, 20), (300, 60), (210, 390)], [(5, 5), (40.4, 9), (30, 33.3)]]
    save_areas("zones.geojson", zones, UTM["transform"], "EPSG:32632")
    save_areas("zones_degrees.geojson", zones[:1] + zones[2:], DEGREES["transform"], None)


def save_areas(
    path: str,
    outlines: Sequence[Sequence[tuple[float, float]]],
    place: Any,
    crs: str | None,
    in_degrees: bool = False,
) -> None:
    """Write polygons of columns and rows as they lie on the ground, in a CRS or in degrees."""
    features = []
    for number, outline in enumerate(outlines):
        ring = [list(place * corner) for corner in (*outline, outline[0])]
        geometry: Any = {"type": "Polygon", "coordinates": [ring]}
        if in_degrees:
            geometry = transform_geom(crs, "OGC:CRS84", geometry)
        properties = {"name": f"zone {number}", "code": 100 - number}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    made: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs is not None and not in_degrees:
        made["crs"] = {"type": "name", "properties": {"name": crs}}
    Path(path).write_text(json.dumps(made, default=float), encoding="utf-8")


# Models

IMAGE = ("batch", 3, "height", "width")
FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


class Network:
    """A graph that grows from its input, ``image``."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *given: str, **attributes: Any) -> str:
        """Add a node; the name of what it makes."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(given), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a weight; its name."""
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(self, given: str, channels: int, made: int, kernel: int = 3, **attributes: Any) -> str:
        """Add a convolution that keeps height and width, unless attributes say otherwise."""
        shape = (made, channels, kernel, kernel)
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight = self.random.standard_normal(shape) * scale
        if channels > 1:  # what is told apart is what differs, so that no class wins everywhere
            weight -= weight.mean(axis=(1, 2, 3), keepdims=True)
        named = self.constant(weight.astype(np.float32))
        return self.add("Conv", given, named, **{"pads": [kernel // 2] * 4} | attributes)

    def stack(
        self, given: str = "image", classes: int = 4, last: int = 1, **attributes: Any
    ) -> str:
        """Add three convolutions of 3 x 3, the last with a kernel of its own."""
        given = self.add("Relu", self.conv(given, 3, 8, **attributes))
        given = self.add("Relu", self.conv(given, 8, 8, **attributes))
        return self.conv(given, 8, classes, last)

    def save(
        self,
        path: str,
        outputs: Mapping[str, tuple[str, Shape]],
        image: Shape = IMAGE,
        dtypes: tuple[int, int] = (FLOAT, FLOAT),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write it as ONNX; ``outputs`` are values and shapes by name."""
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("image", dtypes[0], image)],
            [
                helper.make_tensor_value_info(name, dtypes[1], shape)
                for name, (_, shape) in outputs.items()
            ],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(
            made, {key: json.dumps(value) for key, value in (metadata or {}).items()}
        )
        onnx.checker.check_model(made)
        onnx.save(made, path)


def save_stack(path: str, classes: int = 4, ending: str | None = None, **options: Any) -> None:
    """Write a stack of convolutions, with an activation at its end if one is named."""
    network = Network()
    last = network.stack(classes=classes)
    if ending is not None:
        last = network.add(ending, last, **({"axis": 1} if ending == "Softmax" else {}))
    shape = options.pop("shape", ("batch", classes, "height", "width"))
    network.save(path, {"logits": (last, shape)}, **options)


def make_models() -> None:
    """Models of many shapes."""
    save_stack("conv.onnx")
    save_stack("one.onnx", 1)
    save_stack("many.onnx", 300)
    save_stack("sigmoid.onnx", 1, "Sigmoid")
    save_stack("softmax.onnx", 4, "Softmax")
    save_stack("deep.onnx", 48)
    save_stack("fixed.onnx", shape=("batch", 4, 96, 80), image=("batch", 3, 96, 80))
    save_stack("fixed_batch.onnx", shape=(3, 4, "h", "w"), image=(3, 3, "h", "w"))
    save_stack(
        "named.onnx",
        metadata={
            "model_type": "Segmentor",
            "class_names": {str(n): name for n, name in enumerate(["a", "b & c", "d", "e"])},
            "resolution": 70,
            "tile_size": 96,
            "tiles_overlap": 20,
            "standardization_mean": [0.4, 0.5, 0.3],
            "standardization_std": [0.2, 0.25, 0.3],
        },
    )
    save_stack("named_one.onnx", 1, metadata={"class_names": {"0": "roof"}, "seg_thresh": 0.49})
    for name, bands in (("pointwise", 3), ("four", 4), ("grey", 1)):
        network = Network()
        last = network.conv("image", bands, 5, 1)
        image = ("batch", bands, "height", "width")
        network.save(f"{name}.onnx", {"logits": (last, ("batch", 5, "height", "width"))}, image)
    network = Network()
    free = ("batch", "channels", "height", "width")
    network.save("any.onnx", {"logits": (network.add("Neg", "image"), free)}, free)
    make_odd_models()


def make_odd_models() -> None:
    """Models that lay out, cut or type their input and output otherwise."""
    network, shape = Network(), ("batch", 4, "height", "width")
    small = network.add("MaxPool", network.stack(), kernel_shape=[8, 8], strides=[8, 8])
    scales = network.constant(np.array([1, 1, 8, 8], np.float32))
    large = network.add("Resize", small, "", scales, mode="nearest")
    joined = network.add("Concat", network.conv("image", 3, 4), large, axis=1)
    network.save("u_net.onnx", {"logits": (network.conv(joined, 8, 4), shape)})
    network = Network()
    first = network.add("Transpose", "image", perm=[0, 3, 1, 2])
    last = network.add("Transpose", network.stack(first), perm=[0, 2, 3, 1])
    axes = ("batch", "height", "width")
    network.save("nhwc.onnx", {"logits": (last, (*axes, 4))}, (*axes, 3))
    network = Network()
    cut = network.stack(pads=[0, 0, 0, 0])
    network.save("valid.onnx", {"logits": (cut, ("batch", 4, "less_height", "less_width"))})
    network = Network()
    half = network.conv(network.stack(), 4, 4, 4, strides=[2, 2], pads=[1, 1, 1, 1])
    network.save("half.onnx", {"logits": (half, ("batch", 4, "half_height", "half_width"))})
    for name, dtypes in (("bytes", (BYTE, FLOAT)), ("halves", (FLOAT, HALF))):
        network = Network()
        last = network.stack(network.add("Cast", "image", to=FLOAT))
        last = network.add("Cast", last, to=dtypes[1])
        network.save(f"{name}.onnx", {"logits": (last, shape)}, dtypes=dtypes)
    network = Network()
    axis = network.constant(np.array([1]))
    flat = network.add("Squeeze", network.stack(classes=1), axis)
    network.save("flat.onnx", {"logits": (flat, axes)})
    network = Network()
    aux = network.stack(classes=2)
    outputs = {"aux": (aux, ("batch", 2, "height", "width")), "logits": (network.stack(), shape)}
    network.save("outputs.onnx", outputs | {"other": (network.stack(last=3), shape)})
    network = Network()
    ones = [network.constant(np.ones(4, np.float32)) for _ in range(2)]
    wide = network.add("InstanceNormalization", network.stack(), *ones)
    network.save("wide.onnx", {"logits": (wide, shape)})


def make_documents() -> None:
    """Models with a document of STAC MLM beside them."""
    classes = [
        {"value": n, "name": f"class {n}", "color_hint": f"{n}0C0{n}A"} for n in reversed(range(4))
    ]
    scaling = [
        {"type": "min-max", "minimum": 0, "maximum": 200},
        {"type": "z-score", "mean": 100, "stddev": 40},
        {"type": "scale", "value": 255},
    ]
    chain = [{"type": "clip", "minimum": 0, "maximum": 50000}, {"type": "scale", "value": 9000}]
    for name, bands, steps, is_item in (
        ("mlm", [], scaling, False),
        ("mlm_bands", ["nir", "red", "green"], chain, True),
    ):
        save_stack(f"{name}.onnx")
        order = ["batch", "channel", "height", "width"]
        taken = {"shape": [-1, 3, -1, -1], "dim_order": order, "data_type": "float32"}
        given = {"name": "image", "bands": bands, "input": taken, "value_scaling": steps}
        task = {"name": "logits", "tasks": ["semantic-segmentation"]}
        properties = {
            "mlm:name": name,
            "mlm:tasks": ["semantic-segmentation"],
            "mlm:batch_size_suggestion": 2,
            "mlm:input": [given],
            "mlm:output": [task | {"classification:classes": classes}],
        }
        made = {"type": "Feature", "properties": properties} if is_item else properties
        Path(f"{name}.onnx.json").write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main()
