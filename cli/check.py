"""``seamless-seg check``: the tiled result compared with an untiled run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import click

from seamless_seg import PROFILES, Report, check
from seamless_seg.errors import SeamlessError
from seamless_seg.evaluation.class_gap import FEW
from seamless_seg.tiling.trust import name_of

from . import options
from .command import Command, Section, argument, option
from .formatting import plain, to_json
from .keywords import in_options
from .messages import note, warn
from .messages import show as show_result
from .progress import ProgressBar
from .types import Bound

MEASURES: dict[str, Callable[[Report], float | None]] = {
    "seams": lambda report: report.judged.seams,
    "largest": lambda report: report.judged.largest,
    "mean": lambda report: report.judged.mean,
    "other-class": lambda report: report.judged.other_class,
    "not-identical": lambda report: 1 - report.judged.identical,
    "disagreement": lambda report: report.dispute.p99 if report.dispute else None,
    "tile-mismatch": lambda report: report.tile_mismatch and report.tile_mismatch.value,
}
"""Measures that ``--fail-above`` can limit."""


class QualityError(SeamlessError):
    """A measure above its limit."""


@click.command(name="check", cls=Command)
@argument("raster", "INPUT", "Raster, in any format that GDAL reads.")
@argument("model", "MODEL", "ONNX model, or several joined by commas: their logits are averaged.")
@argument(
    "output",
    "[OUTPUT]",
    "Logits that run wrote for INPUT and MODEL. Without it, check segments the windows itself.",
    required=False,
)
@options.pixels
@options.reading
@options.tiling
@options.model
@option(
    Section.CHECK,
    "--compare",
    is_flag=True,
    help=f"Also check the other blending weights: {', '.join(PROFILES)}.",
)
@option(
    Section.CHECK,
    "--fail-above",
    "bounds",
    type=Bound(MEASURES),
    multiple=True,
    metavar=Bound.name,
    help=f"Exit with status 1 if a measure is above F: {', '.join(MEASURES)}. Repeatable.  "
    "[default measure: seams]",
)
@option(
    Section.CHECK,
    "--windows",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="about 4 million pixels in total",
    help="Number of windows of INPUT to compare.",
)
@option(
    Section.CHECK,
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed for choosing windows.",
)
@option(
    Section.REPORT,
    "--map",
    "map_path",
    metavar="PATH",
    help="Run all tiles and write a GeoTIFF of how much overlapping tiles differ at each pixel.",
)
@option(Section.REPORT, "--overwrite", is_flag=True, help="Replace the map if it exists.")
@options.as_json
@options.execution
@options.batch_size
@options.quiet("the report and errors")
@options.debug
def check_command(
    raster: str,
    model: str,
    output: str | None,
    provider: str,
    threads: int | None,
    windows: int | None,
    seed: int,
    compare: bool,
    map_path: str | None,
    overwrite: bool,
    bounds: tuple[tuple[str, float], ...],
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> None:
    """Compare tiled with untiled results and report visible seams.

    The check chooses windows of INPUT at random and runs MODEL on each with full context. It
    compares these logits with OUTPUT, or without OUTPUT with the blended tiles of a run. The
    tiling of OUTPUT is read from its tags.
    """

    def show(report: Report) -> None:
        bar.interrupt()
        if as_json:
            show_result(to_json(figures(report)))
        else:
            show_result(*_lines(report))
        for sentence in [] if quiet else report.forecast.settings.notes:
            note(sentence)
        for sentence in [] if quiet else report.forecast.warnings:
            warn(sentence)

    with ProgressBar() as bar:
        report = check(
            raster,
            model,
            output,
            windows=windows,
            seed=seed,
            compare=list(PROFILES) if compare else (),
            disagreement_map=map_path,
            overwrite=overwrite,
            provider=provider,
            threads=threads,
            on_progress=None if quiet else bar,
            on_report=show,
            **choices,
        )
    _hold(report, bounds)


def _hold(report: Report, bounds: tuple[tuple[str, float], ...]) -> None:
    """Raise where measures are above their bounds."""
    broken = []
    for measure, bound in bounds:
        value = MEASURES[measure](report)
        if value is not None and not value <= bound:
            broken.append(f"{measure} is {value:.6g}, above {bound:g}")
    if broken:
        raise QualityError(f"{report.judged.name}: {'; '.join(broken)}")


def _lines(report: Report) -> Iterator[str]:
    """A report as people read it."""
    tiling, shown = report.forecast.settings.tiling, ("overlap", "margin", "align")
    pixels = ", ".join(f"{name} {plain(getattr(tiling, name).value)}" for name in shown)
    trust = name_of(tiling.trust.value)
    yield f"{'tiles':<11}{plain(tiling.tile.value)}, {pixels}, trust {trust}"
    if report.forecast.exactness is not None:
        yield f"{'exactness':<11}{in_options(report.forecast.exactness)}"
    yield (
        f"{'windows':<11}{report.windows} of {report.population}, {report.pixels / 1e6:.3g} Mpx, "
        f"seed {report.seed}"
    )
    yield f"{'reference':<11}{_reference(report)}"
    yield ""
    width = max(len(quality.name) for quality in report.qualities) + 2
    heads = ("identical", "largest", "mean", "other class", "seams", "steps", "reference")
    yield " " * width + "".join(f"{head:>13}" for head in heads)
    for quality in report.qualities:
        cells = (
            f"{_share(quality.identical)}",
            f"{quality.largest:.3g}",
            f"{quality.mean:.3g}",
            f"{_share(quality.other_class)}",
            _score(quality.seams),
            _score(quality.steps),
            _score(quality.reference_steps),
        )
        yield quality.name.ljust(width) + "".join(f"{cell:>13}" for cell in cells)
    yield ""
    yield from _tolerances(report)
    yield from _mismatch(report)
    yield _dispute(report)


def _reference(report: Report) -> str:
    run, context = plain(report.reference_run), plain(report.context)
    if report.complete:
        return f"identical to one run over the whole image, from runs of {run} px"
    return f"the middle of runs of {run} px, with {context} px of context, not the whole image"


def _tolerances(report: Report) -> Iterator[str]:
    """Offer a tolerance to a run that pays for exactness."""
    found = report.class_gap
    if found is None or report.dispute is None:
        return
    least = f"{found.tolerance:.2g}" if found.tolerance else "none, as classes tie at a pixel"
    yield (
        f"Tolerance that changes no class of these pixels: {least}; that changes at most "
        f"{FEW:.1%} of them: {found.tolerance_for_few:.2g}."
    )


def _mismatch(report: Report) -> Iterator[str]:
    found = report.tile_mismatch
    if found is None:
        return
    yield f"Tile mismatch, 1 - Dice of the classes of overlapping tiles: {found.value:.3g}."


def _dispute(report: Report) -> str:
    found = report.dispute
    if found is None:
        return "No pixel is covered by two tiles."
    return (
        f"Overlapping tiles disagree by {found.mean:.3g} (mean), {found.p95:.3g} (95th "
        f"percentile), {found.p99:.3g} (99th), and in the class of {_share(found.other_class)} of "
        f"the pixels."
    )


def _share(value: float) -> str:
    """A share in per cent: 100 % and 0 % only where it is all and nothing."""
    if value in (0, 1):
        return f"{value:.0%}"
    return "<0.001%" if value < 1e-5 else ">99.999%" if value > 1 - 1e-5 else f"{value:.3%}"


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def figures(report: Report) -> dict[str, Any]:
    """A report in numbers; pairs are [height, width]."""
    return {
        "tiling": report.forecast.figures(),
        "windows": report.windows,
        "population": report.population,
        "pixels": report.pixels,
        "seed": report.seed,
        "reference": {
            "run": list(report.reference_run),
            "context": list(report.context),
            "complete": report.complete,
        },
        "results": [asdict(quality) for quality in report.qualities],
        "disagreement": report.dispute and report.dispute._asdict(),
        "tile_mismatch": report.tile_mismatch and report.tile_mismatch._asdict(),
        "class_gap": report.class_gap and report.class_gap._asdict(),
    }
