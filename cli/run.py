"""``seamless-seg run``: segment a raster with a model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Any, Self

import click

from seamless_seg import Forecast, Progress, Summary, segment
from seamless_seg.planning.class_file import read_classes
from seamless_seg.system import peak_bytes

from . import options
from .command import Command, Section, argument, option
from .formatting import counted, decisions, prices, schedule, size, to_json
from .keywords import in_options
from .messages import note, say, show, warn
from .progress import BAR, PROGRESS

MAX_NOTES = 3
"""Notes that are printed without ``--verbose``."""

WARN_AFTER = 10.0
"""Seconds after which warnings are printed before the run ends: one may want to stop it."""


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
    help="Print all notes, all settings and where they come from, and the tile sizes that were "
    "tried.",
)
@option(
    Section.MESSAGES,
    "--progress",
    type=click.Choice([*PROGRESS, "none"]),
    default=BAR,
    show_default=True,
    help="How progress is shown on stderr. json: one line of JSON per second, also with --quiet.",
)
@option(
    Section.MESSAGES,
    "--json",
    "as_json",
    is_flag=True,
    help="Print the summary as JSON, on stdout.",
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
    progress: str,
    as_json: bool,
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
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other: give only one of them")
    if classes is not None:
        listed = read_classes(classes)
        choices |= {"class_names": listed.names, "class_colors": listed.colors or None}
    messages = _Messages(quiet, verbose, progress)
    with messages:
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
            on_start=messages.on_start,
            on_progress=messages.on_progress,
            **choices,
        )
    if as_json:
        show(to_json(summary.figures()))
    elif not quiet:
        say(_line(summary))
    for sentence in summary.warnings:
        warn(sentence)


class _Messages:
    """What a run says on stderr before its summary. Use it as a context manager.

    Parameters
    ----------
    quiet : bool
        No notes and no progress bar.
    verbose : bool
        All notes, all settings and the tile sizes that were tried.
    progress : str
        How progress is shown: a name in ``PROGRESS``, or ``none``.
    """

    def __init__(self, quiet: bool, verbose: bool, progress: str) -> None:
        self._quiet, self._verbose = quiet, verbose
        shown = None if quiet and progress == BAR else PROGRESS.get(progress)
        self._progress = None if shown is None else shown()
        self._started = time.monotonic()
        self._pending: tuple[str, ...] = ()

    def on_start(self, forecast: Forecast) -> None:
        """Print what was decided: the notes, with ``verbose`` everything."""
        self._pending = forecast.warnings
        if self._verbose:
            for line in (
                *prices(forecast.pricing),
                *decisions(forecast.settings),
                *schedule(forecast.schedule),
            ):
                say(line)
        if not self._quiet:
            self._print_notes(forecast.settings.notes)

    def on_progress(self, progress: Progress) -> None:
        """Show the progress; print warnings when it is worth while to stop the run for them."""
        if self._pending and time.monotonic() - self._started > WARN_AFTER:
            if self._progress:
                self._progress.interrupt()
            for sentence in self._pending:
                warn(sentence)
            self._pending = ()
        if self._progress:
            self._progress(progress)

    def _print_notes(self, notes: Sequence[str]) -> None:
        shown = notes if self._verbose else notes[:MAX_NOTES]
        for sentence in shown:
            note(sentence)
        if more := len(notes) - len(shown):
            say(f"{counted(more, 'more note')}: --verbose shows all of them")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._progress:
            self._progress.interrupt()


def _line(summary: Summary) -> str:
    speed = summary.pixels / 1e6 / summary.seconds
    share = summary.model_seconds / summary.seconds
    skipped = f"{summary.skipped} skipped, " if summary.skipped else ""
    exactness = f"; {in_options(summary.exactness)}" if summary.exactness else ""
    return (
        f"{counted(summary.tiles, 'tile')} in {summary.seconds:.1f} s, {speed:.2f} Mpx/s, "
        f"{skipped}{share:.0%} of the time in the model, peak memory {peak_memory()}{exactness}"
    )


def peak_memory() -> str:
    """The most that this process had in memory at any time."""
    peak = peak_bytes()
    return "unknown" if peak is None else size(peak)
