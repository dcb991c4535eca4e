"""``seamless-seg info``: what a model is, and what ``run`` would make of it."""

from __future__ import annotations

import click
import numpy as np

from seamless_seg.model import OnnxModel
from seamless_seg.settings import Options, normalisation, tiling

from . import options
from .text import decisions


@click.command()
@click.argument("path", metavar="MODEL")
@options.debug
def info(path: str, debug: bool) -> None:
    """Say what MODEL takes and gives, its metadata, and what run would assume."""
    model = OnnxModel(path)
    for tensor in model.inputs:
        click.echo(f"{'input':<12}{tensor}")
    for tensor in model.outputs:
        click.echo(f"{'output':<12}{tensor}")
    for key, value in sorted(model.properties.items()):
        click.echo(f"{'metadata':<12}{key}: {value}")
    assumed = tiling(Options(), model)
    normalisation(assumed, Options(), model, model.channels or 1, np.dtype(np.uint8))
    click.echo("run assumes, for a uint8 raster and unless options say otherwise:")
    for line in decisions(assumed):
        click.echo(f"  {line}")
    if model.metadata.class_names:
        click.echo(f"  {'classes':<12}{', '.join(model.metadata.class_names)}")
    for sentence in model.metadata.notes:
        click.echo(f"note: {sentence}", err=True)
