"""Damaged files of the cache: they are not used, and the result is that of an empty cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from seamless_seg import forecast, probe, segment
from seamless_seg.planning.probing import to_json

from . import valid
from .calls import Call, program
from .children import FaultError
from .damage import as_bytes, damaged_bytes, damaged_json


def make(random: Random) -> tuple[Path, str]:
    """Write a damaged entry of the cache; return its path, and what it is."""
    _start()
    entry = random.choice(_entries())
    kind = random.choice(("bytes", "json", "signed", "signed", "signed", "link", "folder", "pipe"))
    what = ""
    if kind == "bytes":
        content, what = damaged_bytes(entry.read_bytes(), random)
        entry.write_bytes(content)
    elif kind == "json":
        text, what = damaged_json(json.loads(entry.read_bytes()), random)
        entry.write_bytes(as_bytes(text, random))
    elif kind == "signed":
        text, what = damaged_json(json.loads(entry.read_bytes())["document"], random)
        _sign(entry, text)
    else:
        entry.unlink()
        if kind == "link":
            entry.symlink_to(random.choice(("/etc/passwd", entry, "nowhere", "/dev/zero")))
        elif kind == "folder":
            entry.mkdir()
        else:
            os.mkfifo(entry)
    return entry, f"{entry.parent.name}: {kind} {what}"


def from_corpus(source: Path) -> Path:
    """Put a document of the corpus in place of an entry's."""
    _start()
    (entry,) = (own for own in _entries() if own.parent.name == source.name.partition("@")[0])
    _sign(entry, source.read_text())
    return entry


def _start() -> None:
    """Make the model, and what the cache holds of it."""
    os.environ["XDG_CACHE_HOME"] = str(Path("cache").resolve())
    valid.raster("in.tif")
    Path("model.onnx").write_bytes(valid.network("u-net").SerializeToString())
    kept = Path("../kept_cache")
    if not kept.exists():
        segment("in.tif", "model.onnx", "out/out.tif", overwrite=True)
        shutil.copytree("cache", kept)
    shutil.copytree(kept, "cache", dirs_exist_ok=True)


def _entries() -> list[Path]:
    return sorted(own for own in Path("cache").rglob("*.json") if own.is_file())


def _sign(entry: Path, text: str) -> None:
    """Put a document into an entry together with its digest, if it is JSON at all."""
    try:
        document = json.loads(text)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        changed = json.loads(entry.read_text()) | {"document": document, "sha256": digest}
        entry.write_text(json.dumps(changed))
    except (ValueError, RecursionError):
        entry.write_text(text, errors="replace")


@cache
def _probed() -> dict[str, Any]:
    return to_json(probe("model.onnx"))


def _check(result: Any) -> None:
    names = ("radius", "stride", "tile_wide", "depends_on_size")
    found, expected = to_json(result), _probed()
    if {name: found[name] for name in names} != {name: expected[name] for name in names}:
        raise FaultError(f"the result is another: {found['radius']}, {found['stride']}")


def calls(path: Path, random: Random) -> list[Call]:
    """Return all calls that read the cache."""
    outputs = ("out.tif",)
    return [
        Call("probe", lambda: probe("model.onnx", cached=True)),
        Call("segment", lambda: segment("in.tif", "model.onnx", "out/out.tif"), outputs=outputs),
        Call("forecast", lambda: forecast("in.tif", "model.onnx")),
        program(["probe", "model.onnx"]),
        program(["run", "in.tif", "model.onnx", "out/out.tif", "-q"], outputs),
    ]
