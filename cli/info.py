"""``seamless-seg info``: what a model is, and what ``run`` would make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import click
import numpy as np

from seamless_seg import Options, SeamlessError, Settings
from seamless_seg.decisions import Decision
from seamless_seg.models.graph_analysis import tile_wide_nodes
from seamless_seg.models.metadata import ModelMetadata
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile
from seamless_seg.models.signature import Tensor
from seamless_seg.planning.bands import decide_pixels
from seamless_seg.planning.exactness import judge
from seamless_seg.planning.probing import probe_for
from seamless_seg.planning.tile_geometry import decide_tiling

from . import options
from .text import decisions, figure, say, to_json


@click.command()
@click.argument("path", metavar="MODEL")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@options.debug
def info(path: str, as_json: bool) -> None:
    """Say what MODEL takes and gives, its metadata, and what run would assume."""
    file = OnnxFile(path)
    assumed = _assume(path, file)
    if as_json:
        click.echo(to_json(_figures(path, file, assumed)))
        return
    for line in (*_found(file, assumed.metadata), *_lines(assumed)):
        click.echo(line)
    if assumed.refusal is not None:
        say(f"note: run would refuse it: {assumed.refusal}")


@dataclass
class _Assumed:
    """What ``run`` would make of a model, for a uint8 raster and without options."""

    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    settings: Settings | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusal: str | None = None


def _assume(path: str, file: OnnxFile) -> _Assumed:
    assumed = _Assumed()
    try:
        model = OnnxModel(file).resolved()
        assumed.metadata = model.spec.metadata
        assumed.notes.extend(model.spec.metadata.notes)
        found = probe_for(path, model, Options(), assumed.notes)
        is_tile_wide = found is not None and found.tile_wide
        said = judge(tile_wide_nodes(model), found, is_tile_wide)
        assumed.notes.extend(said.notes)
        assumed.warnings.extend([said.warning] if said.warning else [])
        count = model.spec.channels or model.spec.metadata.channels or 1
        read = decide_pixels(Options(), model, count, False, np.dtype(np.uint8))
        assumed.settings = Settings(decide_tiling(Options(), model, found), read)
        if model.spec.metadata.output is not None:
            output = Decision(model.spec.metadata.output, model.spec.metadata.origin("output"))
            assumed.settings.model["model_output"] = output
    except SeamlessError as error:
        assumed.refusal = str(error)
    return assumed


def _found(file: OnnxFile, metadata: ModelMetadata) -> Iterator[str]:
    for tensor in file.inputs:
        yield f"{'input':<12}{tensor}"
    for tensor in file.outputs:
        yield f"{'output':<12}{tensor}"
    for key, value in sorted(file.properties.items()):
        yield f"{'metadata':<12}{key}: {value}"
    if metadata.sidecar is not None:
        yield f"{'sidecar':<12}{metadata.sidecar}"


def _lines(assumed: _Assumed) -> Iterator[str]:
    if assumed.settings is None:
        return
    yield "run assumes, for a uint8 raster and unless options say otherwise:"
    for line in decisions(assumed.settings):
        yield f"  {line}"
    metadata = assumed.metadata
    if metadata.class_names:
        origin = f"  ({metadata.origin('class_names')})"
        yield f"  {'classes':<12}{', '.join(metadata.class_names)}{origin}"
    for sentence in assumed.warnings:
        yield f"  warning: {sentence}"
    for sentence in assumed.notes:
        yield f"  note: {sentence}"


def _figures(path: str, file: OnnxFile, assumed: _Assumed) -> dict[str, Any]:
    """The same as JSON can hold it; lengths that are free are null."""
    metadata, settings = assumed.metadata, assumed.settings
    return {
        "path": path,
        "inputs": [_tensor(tensor) for tensor in file.inputs],
        "outputs": [_tensor(tensor) for tensor in file.outputs],
        "metadata": {key: _value(text) for key, text in sorted(file.properties.items())},
        "sidecar": None if metadata.sidecar is None else str(metadata.sidecar),
        "settings": None if settings is None else _settings(settings),
        "classes": _classes(metadata),
        "notes": assumed.notes,
        "warnings": assumed.warnings,
        "refusal": assumed.refusal,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _value(text: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        name: {"value": figure(decision.value), "origin": decision.origin}
        for name, decision in settings.decisions()
    }


def _classes(metadata: ModelMetadata) -> dict[str, Any] | None:
    if not metadata.class_names:
        return None
    each = zip_longest(metadata.class_names, metadata.class_colors)
    listed = [{"name": name, "color": color} for name, color in each]
    return {"value": listed, "origin": metadata.origin("class_names")}
