"""``seamless-seg run``: one raster through one model."""

from __future__ import annotations

import shlex
from typing import Any

import click

from seamless_seg import Forecast, Summary, segment
from seamless_seg.system import peak_bytes

from . import options
from .formatting import decisions, prices, say, schedule, size
from .progress import ProgressBar


@click.command()
@click.argument("raster", metavar="INPUT")
@click.argument("model", metavar="MODEL")
@click.argument("output", metavar="OUTPUT")
@options.tiling
@options.pixels
@options.reading
@options.tta
@options.execution
@options.memory
@options.region
@click.option("--crop", is_flag=True, help="Let OUTPUT cover the area's bounding window alone.")
@options.products
@options.writing
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but warnings and errors.")
@click.option("--verbose", "-v", is_flag=True, help="Say what was decided, and why.")
@options.debug
@click.pass_obj
def run(
    arguments: list[str],
    /,
    raster: str,
    model: str,
    output: str,
    quiet: bool,
    verbose: bool,
    provider: str,
    threads: int | None,
    max_memory: int | None,
    area: str | None,
    bbox: tuple[float, ...] | None,
    crop: bool,
    overwrite: bool,
    **choices: Any,
) -> None:
    """Segment INPUT with MODEL (ONNX) into OUTPUT, a GeoTIFF of blended logits or another kind.

    OUTPUT has one float32 band a class; --kind classes has the best class of each pixel. It
    appears under its name once it is complete. Of several models joined by commas, logits are
    averaged.
    """

    def on_start(forecast: Forecast) -> None:
        for line in [] if quiet else prices(forecast.pricing):
            say(line)
        if verbose:
            for line in decisions(forecast.settings):
                say(line)
            for line in schedule(forecast.schedule):
                say(line)
        if forecast.warning:
            say(f"warning: {forecast.warning}")
        for sentence in [] if quiet else forecast.settings.notes:
            say(f"note: {sentence}")

    with ProgressBar() as bar:
        summary = segment(
            raster,
            model,
            output,
            provider=provider,
            threads=threads,
            max_memory=max_memory,
            overwrite=overwrite,
            area=area,
            bbox=bbox,
            crop=crop,
            command=shlex.join(["seamless-seg", *arguments]),
            on_start=on_start,
            on_progress=None if quiet else bar,
            **choices,
        )
    if summary.not_finite:
        say(f"warning: {summary.not_finite} logits are not finite (NaN or infinite)")
    if not quiet:
        say(_line(summary))


def _line(summary: Summary) -> str:
    speed = summary.pixels / 1e6 / summary.seconds
    share = summary.model_seconds / summary.seconds
    return (
        f"{summary.tiles} tiles in {summary.seconds:.1f} s, {speed:.2f} Mpx/s, "
        f"{f'{summary.skipped} skipped, ' if summary.skipped else ''}"
        f"{share:.0%} of the time in the model, peak memory {peak_memory()}"
        + (f"; {summary.exactness}" if summary.exactness else "")
    )


def peak_memory() -> str:
    """The most that this process had in memory at any time."""
    peak = peak_bytes()
    return "unknown" if peak is None else size(peak)
