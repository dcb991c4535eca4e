"""``seamless-seg run``: segment a raster with a model."""

from __future__ import annotations

import shlex
from typing import Any

import click

from seamless_seg import Forecast, Summary, segment
from seamless_seg.planning.class_file import read_classes
from seamless_seg.system import peak_bytes

from . import options
from .command import Command, Section, argument, option
from .formatting import decisions, prices, schedule, size
from .messages import say
from .progress import ProgressBar


@click.command(cls=Command)
@argument("raster", "INPUT", "Raster to segment, in any format that GDAL reads.")
@argument("model", "MODEL", "ONNX model, or several joined by commas: their logits are averaged.")
@argument("output", "OUTPUT", "GeoTIFF to write.")
@options.pixels
@options.region
@options.reading
@options.tiling
@options.model
@options.kind
@options.also
@options.classes
@options.overwrite
@option(
    Section.OUTPUTS,
    "--crop",
    is_flag=True,
    help="Crop outputs to the bounding box of --area or --bbox.",
)
@options.probabilities
@options.clean_up
@options.file_format
@options.execution
@options.batch_size
@options.max_memory
@options.quiet("warnings and errors")
@option(
    Section.MESSAGES,
    "--verbose",
    "-v",
    is_flag=True,
    help="Print all settings and where they come from.",
)
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
    classes: str | None,
    overwrite: bool,
    **choices: Any,
) -> None:
    """Segment a raster with an ONNX model, without tile seams.

    By default OUTPUT holds logits, one float32 band per class; --kind classes writes the best class
    of each pixel instead. OUTPUT appears only when it is complete.
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

    if classes is not None:
        listed = read_classes(classes)
        choices |= {"class_names": listed.names, "class_colors": listed.colors or None}
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
