"""``seamless-seg probe``: the receptive field and the stride of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seamless_seg import OptionError, Probe
from seamless_seg import probe as measure
from seamless_seg.planning.exact_tiling import overlap_for
from seamless_seg.planning.probing import to_json
from seamless_seg.probes.receptive_field import TOLERANCES

from . import options
from .command import Command, Section, argument, option
from .messages import show


@click.command(cls=Command)
@argument("path", "MODEL", "ONNX model, or several joined by commas: their logits are averaged.")
@argument("raster", "[INPUT]", "Raster to measure with, in place of white noise.", required=False)
@options.reading
@options.model
@options.as_json
@option(
    Section.REPORT,
    "--plot",
    metavar="FILE",
    help="Plot the change of the logits over the distance (PNG, SVG, ...).",
)
@options.execution
@option(
    Section.EXECUTION,
    "--again",
    is_flag=True,
    help="Ignore the cached result and measure again.",
)
@options.debug
def probe(
    path: str,
    raster: str | None,
    as_json: bool,
    plot: str | None,
    **choices: Any,
) -> None:
    """Measure the receptive field and the stride of a model.

    They tell which --margin, --align and --overlap make tiles exact. The model runs a few dozen
    times, on white noise or on windows of INPUT. Results from white noise are cached.
    """
    if plot is not None:
        _check_plot(plot)
    found = measure(path, raster=raster, cached=True, **choices)
    if as_json:
        show(json.dumps(to_json(found)))
    else:
        show(sentence(found))
        show(*_table(found))
    if plot is not None:
        _plot(found, path, plot)


SIDES = ("top", "bottom", "left", "right")
"""Names of a probe's sides, in their order."""


def sentence(found: Probe) -> str:
    """What it comes to."""
    graph = found.graph
    if found.tile_wide or graph.obstacle == "global":
        reason = f" ({graph.reason})" if graph.obstacle == "global" else ""
        return (
            f"The model has global context{reason}: its output depends on the whole tile and its "
            f"size, so no margin makes tiles exact. Tiles are blended."
        )
    if not found.deterministic:
        return "The model is not deterministic: no margin makes tiles exact."
    if not all(found.equivariant) or graph.obstacle == "position":
        reason = f" ({graph.reason})" if graph.obstacle == "position" else ""
        return (
            f"A shifted input does not give a shifted answer{reason}: the output depends on where "
            f"pixels lie in a tile, so no margin makes tiles exact. Tiles are blended."
        )
    radius = max(found.reach(axis).exact_margin for axis in (0, 1))
    stride = max(found.reach(axis).stride for axis in (0, 1))
    overlap = overlap_for(radius)
    one = "one by one (--batch-size 1) " if found.depends_on_batch else ""
    bits = "" if found.bitwise else ", but for the last bits"
    if found.depends_on_size or graph.obstacle == "size":
        reason = f" ({graph.reason})" if graph.obstacle == "size" else ""
        return (
            f"The output depends on the size of the input{reason}: with --margin {radius} --align "
            f"{stride} tiles of one size {one}agree, but differ from one run over the whole image."
        )
    return (
        f"The receptive-field radius is {radius} px and the total stride {stride} px, "
        f"{_basis(found)}: --margin {radius} --align {stride} --overlap {overlap} or more, with "
        f"tile sizes that are multiples of {stride}, {one}give the result of one run over the "
        f"whole image{bits}."
    )


def _basis(found: Probe) -> str:
    """What the numbers rest on."""
    if not found.graph.is_proof:
        return f"as far as measured ({found.graph.reason})"
    measured, proven = max(found.radius), max(found.graph.radius)
    return "proven from the graph" + (f"; {measured} px were measured" * (measured < proven))


def _table(found: Probe) -> Iterator[str]:
    shares = [f"{tolerance:.0e}".replace("e-0", "e-") for tolerance in TOLERANCES]
    shown = "".join(f"{'< ' + share:>10}" for share in shares)
    yield f"{'side':<10}{'graph':>8}{'measured':>10}{shown}"
    for index, side in enumerate(found.sides):
        proven = str(found.graph.radius[index]) if found.graph.is_proof else "-"
        radius = f"{side.radius}+" if side.reaches_across else str(side.radius)
        effective = "".join(f"{side.effective(tolerance):>10}" for tolerance in TOLERANCES)
        yield f"{SIDES[index]:<10}{proven:>8}{radius:>10}{effective}"
    if found.graph.is_proof:
        yield f"{'stride (graph)':<18}{found.graph.stride[0]} x {found.graph.stride[1]}"
    yield f"{'stride (measured)':<18}{found.stride[0]} x {found.stride[1]}"
    yield f"{'measured at':<14}{found.size[0]} x {found.size[1]} px"
    yield f"{'global context':<15}{_word(found.tile_wide or found.graph.obstacle == 'global')}"
    is_equivariant = all(found.equivariant) and found.graph.obstacle != "position"
    yield f"{'shift-equivariant':<18}{_word(is_equivariant)}"
    depends_on_size = found.depends_on_size or found.graph.obstacle == "size"
    yield f"{'depends on size':<16}{_word(depends_on_size)}"
    yield f"{'depends on batch':<17}{_word(found.depends_on_batch)}"
    yield f"{'deterministic':<14}{_word(found.deterministic)}"


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _check_plot(path: str) -> None:
    """Raise ``OptionError`` if no plot can be written, before anything is measured."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ModuleNotFoundError:
        raise OptionError("--plot needs matplotlib: pip install 'seamless-seg[plot]'") from None
    if not Path(path).resolve().parent.is_dir():
        raise OptionError(f"cannot draw {path}: there is no folder {Path(path).parent}")
    endings = FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix.lower().lstrip(".") not in endings:
        raise OptionError(f"cannot draw {path}: name it with one of {', '.join(sorted(endings))}")


def _plot(found: Probe, title: str, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, side in zip(SIDES, found.sides, strict=True):
        axes.semilogy(range(len(side.curve)), side.curve, label=name)
    for tolerance in TOLERANCES:
        axes.axhline(tolerance, color="0.8", linewidth=0.8, zorder=0)
    axes.set(
        xlabel="distance from the cut, px",
        ylabel="largest change / standard deviation",
        title=title,
    )
    axes.legend(frameon=False)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"cannot draw {path}: {error}") from error
