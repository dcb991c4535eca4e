"""``seamless-seg plan``: what a run would do and cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from seamless_seg import OptionError, Options
from seamless_seg.forecast import Forecast, forecast_raster, forecast_size
from seamless_seg.geojson import read_area
from seamless_seg.opening import open_models
from seamless_seg.plan import Step
from seamless_seg.pricing import Execution, price
from seamless_seg.probing import probe_for
from seamless_seg.reach import USUAL_CHANNELS
from seamless_seg.task import open_task

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
@options.tta
@options.execution
@options.memory
@click.option(
    "--area",
    metavar="FILE",
    help="GeoJSON polygons: plan only the tiles that they touch. WGS 84 unless the file names a "
    "CRS; pixels (column, row) with --size.",
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
    dry_run: bool,
    as_json: bool,
    output: str | None,
    overwrite: bool,
    provider: str,
    threads: int | None,
    max_memory: int | None,
    **choices: Any,
) -> None:
    """Say what a run would do and cost, without reading a pixel.

    INPUT gives the size, or --size does. MODEL settles what the options leave open.
    """
    if image_size is not None and raster is not None and model is None:
        raster, model = None, raster
    wanted, execution = Options(**choices), Execution(provider, threads, max_memory)
    if image_size is not None and raster is None:
        forecast = _of_size(image_size, model, area, wanted, execution)
    elif image_size is None and raster is not None:
        forecast = _of_raster(raster, model, area, wanted, execution)
    else:
        raise click.UsageError("give either INPUT or --size HxW")
    if output is not None and not dry_run:
        _save(output, forecast, overwrite)
    if as_json:
        click.echo(to_json(forecast.figures()))
    else:
        click.echo("\n".join(_report(forecast)))
    for sentence in forecast.settings.notes:
        say(f"note: {sentence}")
    if max_memory is not None and forecast.schedule is None:
        say("note: what max-memory leads to depends on INPUT and MODEL: give both")


def _of_size(
    image_size: tuple[int, int],
    model: str | None,
    area: str | None,
    wanted: Options,
    execution: Execution,
) -> Forecast:
    region = read_area(area, image_size) if area is not None else None
    if model is None:
        return forecast_size(image_size, None, wanted, region)
    notes = list[str]()
    network = open_models(model, execution.provider, execution.threads, wanted.tta)
    bands = None if wanted.bands is None else len(wanted.bands)
    channels = network.channels or bands or USUAL_CHANNELS
    found = probe_for(model, network, wanted, notes, channels)
    pricing = price(model, network, wanted, found, image_size, channels, execution)
    chosen = None if pricing is None else pricing.chosen
    forecast = forecast_size(image_size, network, wanted, region, found, chosen)
    forecast.settings.notes.extend(notes)
    return replace(forecast, pricing=pricing)


def _of_raster(
    raster: str,
    model: str | None,
    area: str | None,
    wanted: Options,
    execution: Execution,
) -> Forecast:
    from seamless_seg.raster import RasterReader

    with RasterReader(raster) as reader:
        region = read_area(area, reader.size, reader.georeference) if area is not None else None
        if model is None:
            return forecast_raster(reader, None, wanted, region)
        task = open_task(reader, model, wanted, execution, region)
        return replace(task.forecast, schedule=task.schedule())


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


def _save(path: str, forecast: Forecast, overwrite: bool) -> None:
    text = json.dumps(forecast.figures() | forecast.starts(), indent=1) + "\n"
    try:
        with Path(path).open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise OptionError(f"{path} exists already: --overwrite replaces it") from None
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror}") from error
