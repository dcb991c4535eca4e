"""``seamless-seg plan``: what a run would do and cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import click
import shapely

from seamless_seg import Options
from seamless_seg.areas.geojson import area_of
from seamless_seg.atomic import Document
from seamless_seg.inference.prepared import prepare
from seamless_seg.models.base import DEFAULT_CHANNELS
from seamless_seg.models.load import open_models
from seamless_seg.planning.autotune import price
from seamless_seg.planning.forecast import Forecast, forecast_raster, forecast_size, warned
from seamless_seg.planning.open_raster import open_raster, refuse_reading
from seamless_seg.planning.options import Execution, lazy_model
from seamless_seg.planning.outputs import copies_of, pixel_bytes
from seamless_seg.planning.probing import probe_for
from seamless_seg.tiling.plan import Step

from . import options
from .text import decisions, prices, say, schedule, size, to_json


@click.command()
@click.argument("raster", metavar="[INPUT]", required=False)
@click.argument("model", metavar="[MODEL]", required=False)
@click.option(
    "--size",
    "image_size",
    type=options.Size(),
    metavar="HxW",
    help="Instead of INPUT: its size.",
)
@options.tiling
@options.pixels
@options.reading
@options.tta
@options.execution
@options.memory
@options.region
@options.kind
@click.option(
    "--also",
    type=options.Kind(),
    metavar="KIND",
    multiple=True,
    help="What else is written in the same run; may be given again, and as KIND=PATH.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("-o", "--output", metavar="FILE", help="Write it to a JSON file, too.")
@click.option("--overwrite", is_flag=True, help="Replace that file where it exists.")
@options.debug
def plan(
    raster: str | None,
    model: str | None,
    image_size: tuple[int, int] | None,
    area: str | None,
    bbox: tuple[float, ...] | None,
    kind: str,
    also: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    output: str | None,
    overwrite: bool,
    provider: str,
    threads: int | None,
    max_memory: int | None,
    **choices: Any,
) -> None:
    """Say what a run would do and cost, without reading a pixel unless --normalize asks for it.

    INPUT gives the size, or --size does. MODEL settles what the options leave open.
    """
    if image_size is not None and raster is not None and model is None:
        raster, model = None, raster
    wanted, execution = Options(**choices), Execution(provider, threads, max_memory)
    document = None
    if output is not None and not dry_run:
        document = Document(output, [raster, model], overwrite)
    if image_size is not None and raster is None:
        region = area_of(area, bbox, image_size, None)
        forecast = _of_size(image_size, model, region, wanted, execution)
    elif image_size is None and raster is not None:
        forecast = _of_raster(raster, model, (area, bbox), wanted, execution, (kind, *also))
    else:
        raise click.UsageError("give either INPUT or --size HxW")
    if forecast.stored is None and forecast.classes is not None:
        forecast = replace(forecast, stored=pixel_bytes((kind, *also), forecast.classes))
    if document is not None:
        document.write(json.dumps(forecast.figures() | forecast.starts(), indent=1) + "\n")
    if as_json:
        click.echo(to_json(forecast.figures()))
    else:
        click.echo("\n".join(_report(forecast)))
    if forecast.warning:
        say(f"warning: {forecast.warning}")
    for sentence in forecast.settings.notes:
        say(f"note: {sentence}")
    if max_memory is not None and forecast.schedule is None:
        say("note: what max-memory leads to depends on INPUT and MODEL: give both")
    if wanted.normalize is not None and forecast.settings.pixels is None:
        say("note: what normalize leads to depends on INPUT and MODEL: give both")


def _of_size(
    image_size: tuple[int, int],
    model: str | None,
    region: shapely.Geometry | None,
    wanted: Options,
    execution: Execution,
) -> Forecast:
    refuse_reading(wanted)
    if model is None:
        return forecast_size(image_size, None, wanted, region)
    notes: list[str] = []
    network = open_models(
        model, execution.provider, execution.threads, wanted.tta, wanted.model_output
    )
    bands = None if wanted.bands is None else len(wanted.bands)
    channels = network.spec.channels or bands or DEFAULT_CHANNELS
    network = network.resolved(channels)
    found = probe_for(model, network, wanted, notes, channels)
    pricing = price(model, network, wanted, found, image_size, channels, execution)
    chosen = None if pricing is None else pricing.chosen
    forecast = forecast_size(image_size, network, wanted, region, found, chosen)
    forecast.settings.notes.extend(notes)
    return warned(replace(forecast, pricing=pricing), network, found)


def _of_raster(
    raster: str,
    model: str | None,
    area: tuple[str | None, tuple[float, ...] | None],
    wanted: Options,
    execution: Execution,
    kinds: tuple[str, ...],
) -> Forecast:
    given = None
    if model is not None:
        given = lazy_model(model, wanted, execution.provider, execution.threads)
    with open_raster(raster, wanted, given) as reader:
        region = area_of(*area, reader.size, reader.georeference)
        if given is None:
            return forecast_raster(reader, None, wanted, region)
        task = prepare(reader, given, wanted, execution, region)
        stored = pixel_bytes(kinds, task.classes)
        found = task.schedule(stored, copies=copies_of(kinds))
        return replace(task.forecast, schedule=found, stored=stored)


def _report(forecast: Forecast) -> Iterator[str]:
    made = forecast.plan
    height, width = made.image_size
    rows, cols = made.grid.shape
    yield f"{'image':<12}{height} x {width} px"
    yield from decisions(forecast.settings)
    yield f"{'grid':<12}{rows} x {cols}, {made.tiles} tiles, {made.skipped} skipped"
    yield from prices(forecast.pricing)
    yield f"{'redundancy':<12}{made.redundancy:.2f} x the pixels written"
    held = f"{made.peak.pixels} px at most between tiles, {made.peak.fraction:.2%} of the image"
    written = f"{made.tiles} windows, {made.written / 1e6:.6g} Mpx"
    if forecast.held_bytes is not None and forecast.written_bytes is not None:
        held += f", {size(forecast.held_bytes)}"
        written += f", {size(forecast.written_bytes)} before compression"
    if forecast.exactness is not None:
        yield f"{'exactness':<12}{forecast.exactness}"
    yield f"{'held':<12}{held}"
    yield f"{'written':<12}{written}"
    yield from schedule(forecast.schedule)
    made = forecast.schedule.plan if forecast.schedule else made
    yield from (f"{'first':<12}{_step(step)}" for step in islice(made, 3))
    yield from (f"{'last':<12}{_step(step)}" for step in made.last_steps(3))


def _step(step: Step) -> str:
    text = f"{step.action} {step.index}"
    if step.action == "unload":
        return text
    top, left, bottom, right = (int(bound) for bound in step.geom.bounds)
    return f"{text}: rows {top} to {bottom}, columns {left} to {right}"
