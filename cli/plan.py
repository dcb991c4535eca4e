"""``seamless-seg plan``: what a run would do and cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from seamless_seg import OptionError, Plan
from seamless_seg.geojson import read_area
from seamless_seg.job import make_plan, open_model, prepare
from seamless_seg.plan import Step
from seamless_seg.settings import Options, Settings, tiling

from . import options
from .text import decisions, size

FLOAT32 = 4


@click.command()
@click.argument("raster", metavar="[INPUT]", required=False)
@click.argument("model", metavar="[MODEL]", required=False)
@click.option(
    "--size", "image_size", type=options.Size(), metavar="HxW", help="Instead of INPUT: its size."
)
@options.tiling
@options.pixels
@click.option(
    "--area",
    metavar="FILE",
    help="GeoJSON polygons: plan only the tiles that they touch. WGS 84 unless the file names a "
    "CRS; pixels (column, row) with --size.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("-o", "--output", metavar="FILE", help="Write it to a JSON file, too.")
@options.debug
def plan(
    raster: str | None,
    model: str | None,
    image_size: tuple[int, int] | None,
    area: str | None,
    dry_run: bool,
    as_json: bool,
    output: str | None,
    debug: bool,
    **choices: Any,
) -> None:
    """Say what a run would do and cost, without reading a pixel.

    INPUT gives the size, or --size does. MODEL settles what the options leave open.
    """
    if image_size is not None and raster is not None and model is None:
        raster, model = None, raster
    if (image_size is None) == (raster is None):
        raise click.UsageError("give either INPUT or --size HxW")
    network = open_model(model) if model else None
    decided, made = _decide(raster, network, image_size, area, Options(**choices))
    classes = network.classes if network else None
    figures = _figures(made, decided, classes)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        click.echo("\n".join(_report(made, decided, classes)))
    for sentence in decided.notes:
        click.echo(f"note: {sentence}", err=True)
    if output is not None and not dry_run:
        _save(output, figures | _starts(made))


def _decide(
    raster: str | None,
    network: Any,
    image_size: tuple[int, int] | None,
    area: str | None,
    choices: Options,
) -> tuple[Settings, Plan]:
    if image_size is not None:
        decided = tiling(choices, network)
        region = read_area(area, image_size) if area else None
        return decided, make_plan(decided, image_size, region)
    from seamless_seg.raster import RasterReader

    with RasterReader(raster) as reader:
        region = read_area(area, reader.size, reader.georeference) if area else None
        if network is None:
            decided = tiling(choices, None)
            return decided, make_plan(decided, reader.size, region)
        decided, made, _ = prepare(choices, network, reader, region)
        return decided, made


def _figures(made: Plan, decided: Settings, classes: int | None) -> dict[str, Any]:
    figures = {
        "image_size": list(made.image_size),
        "tile_size": list(decided["tile"]),
        "overlap": list(decided["overlap"]),
        "margin": list(decided["margin"]),
        "align": list(decided["align"]),
        "trust": decided["trust"],
        "grid": list(made.grid.shape),
        "tiles": made.tiles,
        "skipped": made.skipped,
        "redundancy": made.redundancy,
        "held_pixels": made.peak.pixels,
        "held_fraction": made.peak.fraction,
        "written_pixels": made.written,
    }
    if classes is not None:
        figures["classes"] = classes
        figures["held_bytes"] = made.peak.pixels * classes * FLOAT32
        figures["written_bytes"] = made.written * classes * FLOAT32
    return figures


def _starts(made: Plan) -> dict[str, list[int]]:
    """First row and column of every tile: with the figures, all of the geometry."""
    rows, cols = made.grid.rows, made.grid.cols
    return {
        "row_starts": [rows.start(i) for i in range(rows.count)],
        "col_starts": [cols.start(j) for j in range(cols.count)],
    }


def _report(made: Plan, decided: Settings, classes: int | None) -> Iterator[str]:
    height, width = made.image_size
    rows, cols = made.grid.shape
    yield f"{'image':<12}{height} x {width} px"
    yield from decisions(decided)
    yield f"{'grid':<12}{rows} x {cols}, {made.tiles} tiles, {made.skipped} skipped"
    yield f"{'redundancy':<12}{made.redundancy:.2f} x the pixels written"
    held = f"{made.peak.pixels} px at most, {made.peak.fraction:.2%} of the image"
    written = f"{made.tiles} windows, {made.written / 1e6:.6g} Mpx"
    if classes is not None:
        held += f", {size(made.peak.pixels * classes * FLOAT32)}"
        written += f", {size(made.written * classes * FLOAT32)} before compression"
    yield f"{'held':<12}{held}"
    yield f"{'written':<12}{written}"
    if made.tiles:
        yield from (f"{'first':<12}{_step(step)}" for step in islice(made, 3))
        last_row = list(made.row_steps(made.rows[-1]))
        yield from (f"{'last':<12}{_step(step)}" for step in last_row[-3:])


def _step(step: Step) -> str:
    text = f"{step.action} {step.index}"
    if step.action == "unload":
        return text
    top, left, bottom, right = (int(bound) for bound in step.geom.bounds)
    return f"{text}: rows {top} to {bottom}, columns {left} to {right}"


def _save(path: str, figures: dict[str, Any]) -> None:
    try:
        Path(path).write_text(json.dumps(figures, indent=1) + "\n")
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror}") from error
