"""Damaged GeoJSON, as an area of a run and as zones of statistics."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from random import Random
from typing import Any

from seamless_seg import class_stats, forecast, segment

from . import valid
from .calls import Call, program
from .damage import as_bytes, damaged_bytes, damaged_json

CRS = (
    *("EPSG:4326", "EPSG:99999999", "urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84", "LOCAL", ""),
    *("+proj=utm +zone=32", "+proj=ob_tran +o_proj=longlat", "EPSG:" + "9" * 400, "GEOGCS[", "☃"),
    *("/etc/passwd", "http://127.0.0.1:9/crs", "a\0b", "EPSG:32761", "+proj=" + "x" * 2000),
)


def make(random: Random) -> tuple[Path, str]:
    """Write a damaged GeoJSON; return its path, and what it is."""
    path = Path("area.geojson")
    document = json.loads(json.dumps(valid.AREA))
    kind = random.choice(("json", "json", "json", "bytes", "crs", "shape", "shape", "nest"))
    what = ""
    if kind == "bytes":
        content, what = damaged_bytes(json.dumps(document).encode(), random)
        path.write_bytes(content)
        return path, what
    if kind == "crs":
        document["crs"]["properties"]["name"] = what = random.choice(CRS)
    elif kind == "shape":
        polygon, what = _odd_polygon(random)
        document["features"][0]["geometry"]["coordinates"] = polygon
    elif kind == "nest":
        node, levels = document, random.choice((5, 200, 900, 5000))
        text = json.dumps(node)
        opening = '{"type": "GeometryCollection", "geometries": ['
        path.write_text(opening * levels + text + "]}" * levels)
        return path, f"{levels} levels of collections"
    text = json.dumps(document)
    if kind == "json" or random.random() < 0.3:
        text, more = damaged_json(document, random)
        what = f"{what} {more}"
    path.write_bytes(as_bytes(text, random))
    return path, f"{kind} {what}"


def from_corpus(source: Path) -> Path:
    """Copy a file of the corpus."""
    return Path(shutil.copy(source, "area.geojson"))


def _odd_polygon(random: Random) -> tuple[Any, str]:
    """Return coordinates of a polygon that crosses itself, is tiny, huge, or is none."""
    x, y = 500_000, 5_600_000
    kind = random.choice(
        ("tangle", "huge", "tiny", "line", "holes", "many", "open", "few", "spike")
    )
    count = random.choice((5, 30, 100, 700))
    if kind == "tangle":
        points = [[x + 48 * random.random(), y - 48 * random.random()] for _ in range(count)]
    elif kind == "huge":
        far = random.choice((1e7, 1e15, 1e100, 1e300))
        points = [[-far, -far], [far, -far], [far, far], [-far, far]]
    elif kind == "tiny":
        points = [[x + 1e-9 * random.random(), y - 1e-9 * random.random()] for _ in range(count)]
    elif kind == "line":
        points = [[x + own, y - own] for own in range(count)]
    elif kind == "few":
        points = [[x, y]] * random.choice((0, 1, 2))
    else:
        turn = math.tau / count
        points = [
            [x + 24 + 20 * math.cos(turn * own), y - 24 + 20 * math.sin(turn * own)]
            for own in range(count)
        ]
    rings = [points if kind == "open" else [*points, *points[:1]]]
    if kind == "holes":
        rings = rings * random.choice((2, 50))
    if kind == "spike":
        points[0:0] = [[x, y], [x + 1e12, y], [x, y]] * random.choice((1, 20))
    return rings, f"{kind} of {len(rings[0])} points"


def calls(path: Path, random: Random) -> list[Call]:
    """Return all calls with an area."""
    raster, classes = str(valid.raster("in.tif")), str(valid.raster("classes.tif", 1, 4))
    model = str(valid.model())
    plain = {"margin": 0, "align": 1, "tile": 64, "overlap": 16, "overwrite": True}
    outputs = ("out.tif",)
    return [
        Call(
            "segment",
            lambda: segment(raster, model, "out/out.tif", area=path, **plain),
            outputs=outputs,
        ),
        Call("class_stats", lambda: class_stats(classes, path)),
        Call("class_stats by size", lambda: class_stats(classes, path, zone_key="size")),
        Call("forecast", lambda: forecast(raster, model, area=path)),
        program(["stats", classes, "--zones", str(path)]),
        program(
            ["run", raster, model, "out/out.tif", "-q", "--area", str(path), "--crop"], outputs
        ),
    ]
