"""``seamless-seg info``: what a model is, and what ``run`` would make of it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import numpy as np

from seamless_seg import Options, SeamlessError, Settings
from seamless_seg.model import OnnxFile, OnnxModel
from seamless_seg.preprocessing import decide_pixels
from seamless_seg.probing import probe_for
from seamless_seg.tiling import decide_tiling

from . import options
from .text import decisions, say


@click.command()
@click.argument("path", metavar="MODEL")
@options.debug
def info(path: str) -> None:
    """Say what MODEL takes and gives, its metadata, and what run would assume."""
    file = OnnxFile(path)
    for tensor in file.inputs:
        click.echo(f"{'input':<12}{tensor}")
    for tensor in file.outputs:
        click.echo(f"{'output':<12}{tensor}")
    for key, value in sorted(file.properties.items()):
        click.echo(f"{'metadata':<12}{key}: {value}")
    try:
        for line in _assumed(path, OnnxModel(file)):
            click.echo(line)
    except SeamlessError as error:
        say(f"note: run would refuse it: {error}")


def _assumed(path: str, model: OnnxModel) -> Iterator[str]:
    notes = list(model.metadata.notes)
    found = probe_for(path, model, Options(), notes)
    count, dtype = model.channels or 1, np.dtype(np.uint8)
    read = decide_pixels(Options(), model, count, False, dtype)
    yield "run assumes, for a uint8 raster and unless options say otherwise:"
    for line in decisions(Settings(decide_tiling(Options(), model, found), read)):
        yield f"  {line}"
    if model.metadata.class_names:
        yield f"  {'classes':<12}{', '.join(model.metadata.class_names)}"
    for sentence in notes:
        yield f"  note: {sentence}"
