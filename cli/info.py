"""``seamless-seg info``: a model, its metadata and the settings that ``run`` takes from it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from seamless_seg import ModelDescription, describe_model

from . import options
from .command import Command, argument
from .formatting import decisions, to_json
from .messages import say, show


@click.command(cls=Command)
@argument("path", "MODEL", "ONNX model.")
@options.as_json
@options.debug
def info(path: str, as_json: bool) -> None:
    """Show a model's inputs, outputs, metadata and settings.

    The settings are those of run for a uint8 raster, without options.
    """
    described = describe_model(path)
    if as_json:
        show(to_json(described.figures()))
        return
    show(*_tensors(described), *_assumed(described))
    if described.refusal is not None:
        say(f"note: run would refuse it: {described.refusal}")


def _tensors(described: ModelDescription) -> Iterator[str]:
    for tensor in described.inputs:
        yield f"{'input':<12}{tensor}"
    for tensor in described.outputs:
        yield f"{'output':<12}{tensor}"
    for key, value in sorted(described.properties.items()):
        yield f"{'metadata':<12}{key}: {value}"
    if described.metadata.sidecar is not None:
        yield f"{'sidecar':<12}{described.metadata.sidecar}"


def _assumed(described: ModelDescription) -> Iterator[str]:
    if described.settings is None:
        return
    yield "run assumes, for a uint8 raster and unless options say otherwise:"
    for line in decisions(described.settings):
        yield f"  {line}"
    metadata = described.metadata
    if metadata.class_names:
        origin = f"  ({metadata.origin('class_names')})"
        yield f"  {'classes':<12}{', '.join(metadata.class_names)}{origin}"
    for sentence in described.warnings:
        yield f"  warning: {sentence}"
    for sentence in described.notes:
        yield f"  note: {sentence}"
