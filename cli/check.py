"""``seamless-seg check``: how good tiles are, next to the model's own answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import click

from seamless_seg import PROFILES, Report, check
from seamless_seg.errors import SeamlessError
from seamless_seg.tiling.trust import name_of

from . import options
from .formatting import plain, say, to_json
from .progress import ProgressBar
from .types import Bound

MEASURES: dict[str, Callable[[Report], float | None]] = {
    "seams": lambda report: report.judged.seams,
    "largest": lambda report: report.judged.largest,
    "mean": lambda report: report.judged.mean,
    "other-class": lambda report: report.judged.other_class,
    "not-identical": lambda report: 1 - report.judged.identical,
    "disagreement": lambda report: report.dispute.p99 if report.dispute else None,
}
"""What ``--fail-above`` can look at."""


class QualityError(SeamlessError):
    """A result that is worse than it may be."""


@click.command(name="check")
@click.argument("raster", metavar="INPUT")
@click.argument("model", metavar="MODEL")
@click.argument("output", metavar="[OUTPUT]", required=False)
@options.tiling
@options.pixels
@options.reading
@options.tta
@options.execution
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Parts of INPUT to look at.  [default: about four million pixels of it]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="It draws the windows."
)
@click.option("--compare", is_flag=True, help=f"Compare with {', '.join(PROFILES)}.")
@click.option(
    "--map",
    "map_path",
    metavar="PATH",
    help="Run all tiles, and write how far they are apart at every pixel, a GeoTIFF.",
)
@click.option("--overwrite", is_flag=True, help="Replace the map where it exists.")
@click.option(
    "--fail-above",
    "bounds",
    type=Bound(MEASURES),
    multiple=True,
    metavar=Bound.name,
    help="Exit with 1 where a measure is above F: "
    f"{', '.join(MEASURES)}.  [default measure: seams]",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print the report and errors only.")
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
    """Say how near the tiles of MODEL over INPUT come to its own answer, and whether one sees them.

    Windows of INPUT are drawn; the model's answer to each with all the context that there is
    stands against OUTPUT there, which says itself how it was tiled, or else against the tiles
    that a run would blend.
    """

    def show(report: Report) -> None:
        bar.interrupt()
        if as_json:
            click.echo(to_json(figures(report)))
        else:
            click.echo("\n".join(_lines(report)))
        if report.forecast.warning and not quiet:
            say(f"warning: {report.forecast.warning}")
        for sentence in [] if quiet else report.forecast.settings.notes:
            say(f"note: {sentence}")

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
        yield f"{'exactness':<11}{report.forecast.exactness}"
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
    yield _dispute(report)


def _reference(report: Report) -> str:
    run, context = plain(report.reference_run), plain(report.context)
    if report.complete:
        return f"the model's answer to the whole image, from runs of {run} px"
    return f"the middle of runs of {run} px, with {context} px around, not the whole image's answer"


def _dispute(report: Report) -> str:
    found = report.dispute
    if found is None:
        return "No two tiles speak for one pixel."
    return (
        f"Where tiles overlap they are {found.mean:.3g} apart on average, {found.p95:.3g} at the "
        f"95th and {found.p99:.3g} at the 99th percentile, and name different classes for "
        f"{_share(found.other_class)} of the pixels."
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
    }
