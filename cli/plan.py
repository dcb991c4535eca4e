"""``seamless-seg plan``: the tiles and the memory of a run, beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from seamless_seg import Forecast, Load, Unload, Write, forecast
from seamless_seg.foreign_files import IMAGE, identify
from seamless_seg.publishing.text_file import Document

from . import options
from .command import Command, Section, argument, option
from .formatting import counted, decisions, prices, schedule, size, to_json
from .keywords import in_options
from .messages import note, show, warn
from .types import Kind, Size


@click.command(cls=Command)
@argument("raster", "[INPUT]", "Raster to segment. Or give its --size.", required=False)
@argument(
    "model",
    "[MODEL]",
    "ONNX model, or several joined by commas. It sets what the options leave open.",
    required=False,
)
@option(
    Section.INPUT,
    "--size",
    "image_size",
    type=Size(),
    metavar="HxW",
    show_default="the size of INPUT",
    help="Height and width of a raster in pixels, in place of INPUT.",
)
@options.pixels
@options.region
@options.reading
@options.tiling
@options.model
@options.kind
@option(
    Section.OUTPUTS,
    "--also",
    type=Kind(),
    metavar="KIND",
    multiple=True,
    help="Another output type of the same run, as KIND or KIND=PATH. Repeatable.",
)
@option(
    Section.REPORT,
    "-o",
    "--output",
    metavar="FILE",
    help="Also write the plan to a JSON file, with the origins of all tiles.",
)
@options.as_json
@option(Section.REPORT, "--dry-run", is_flag=True, help="Write no file: ignore --output.")
@option(Section.REPORT, "--overwrite", is_flag=True, help="Replace FILE if it exists.")
@options.execution
@options.batch_size
@options.max_memory
@options.debug
def plan(
    raster: str | None,
    model: str | None,
    image_size: tuple[int, int] | None,
    kind: str,
    also: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    output: str | None,
    overwrite: bool,
    max_memory: int | None,
    **choices: Any,
) -> None:
    """Show the tiles and the memory of a run beforehand.

    Give INPUT or --size. Next to no pixels are read, and nothing is segmented.
    """
    if image_size is not None and raster is not None and model is None:
        if (found := identify(Path(raster))) is not None and found.kind == IMAGE:
            raise click.UsageError("give either INPUT or --size, not both")
        raster, model = None, raster
    if (image_size is None) == (raster is None):
        raise click.UsageError("give either INPUT or --size HxW")
    document = None
    if output is not None and not dry_run:
        document = Document(output, [raster, model], overwrite)
    made = forecast(
        raster, model, size=image_size, kinds=(kind, *also), max_memory=max_memory, **choices
    )
    if document is not None:
        document.write(to_json(made.figures() | made.starts(), indent=1) + "\n")
    show(*([to_json(made.figures())] if as_json else _report(made)))
    for sentence in made.settings.notes:
        note(sentence)
    for sentence in made.warnings:
        warn(sentence)


def _report(made: Forecast) -> Iterator[str]:
    plan = made.plan
    height, width = plan.image_size
    rows, cols = plan.grid.shape
    yield f"{'image':<12}{height} x {width} px"
    yield from decisions(made.settings)
    yield f"{'grid':<12}{rows} x {cols}, {counted(plan.tiles, 'tile')}, {plan.skipped} skipped"
    yield from prices(made.pricing)
    yield f"{'redundancy':<12}{plan.redundancy:.2f} x the pixels written"
    held = f"{plan.peak.pixels} px at most between tiles, {plan.peak.fraction:.2%} of the image"
    written = f"{counted(plan.tiles, 'window')}, {plan.written / 1e6:.6g} Mpx"
    if made.held_bytes is not None and made.written_bytes is not None:
        held += f", {size(made.held_bytes)}"
        written += f", {size(made.written_bytes)} before compression"
    if made.exactness is not None:
        yield f"{'exactness':<12}{in_options(made.exactness)}"
    yield f"{'held':<12}{held}"
    yield f"{'written':<12}{written}"
    yield from schedule(made.schedule)
    plan = made.schedule.plan if made.schedule else plan
    yield from (f"{'first':<12}{_step(step)}" for step in islice(plan, 3))
    yield from (f"{'last':<12}{_step(step)}" for step in plan.last_steps(3))


def _step(step: Load | Write | Unload) -> str:
    text = f"{step.action} {step.index}"
    if step.action == "unload":
        return text
    top, left, bottom, right = (int(bound) for bound in step.geom.bounds)
    return f"{text}: rows {top} to {bottom}, columns {left} to {right}"
