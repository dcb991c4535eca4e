"""What exact tiles cost in pixels, and the options with which they would cost less."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..probes.receptive_field import Probe, Reach
from ..tiling.plan import Plan
from ..validation import format_size
from .exact_tiling import MAX_REDUNDANCY
from .exactness import Basis
from .options import MEASURED, Options

TOLERANCES = (1e-4, 1e-3, 1e-2)
"""Tolerances that a note may propose, in standard deviations of the logits, the smallest first."""

WORTHWHILE = 0.9
"""Share of the pixels that a proposed tolerance leaves at most, unless it halves the tile."""

MUCH_LARGER = 1.25
"""Factor by which the graph's radius is larger than the measured one if a note says so."""

MUCH_LARGER_PIXELS = 16
"""Pixels by which it is larger at least, too."""

MAX_SENSIBLE_REDUNDANCY = 20
"""Pixels of all tiles over pixels of the raster from which on a run is warned of."""


@dataclass(frozen=True)
class ExactTiles:
    """Tiles that are exact, and what they were chosen by."""

    plan: Plan
    """The tiles; if timing chose larger or smaller ones, those of the fewest pixels."""
    basis: Basis
    """What it rests on that they are exact."""
    options: Options
    """The user's options."""
    probe: Probe
    """The model's receptive field."""
    replanned: Callable[[Options], Plan]
    """Returns the plan of the same raster with other options."""


def overlap_warnings(plan: Plan, is_fixed: bool) -> Iterator[str]:
    """Yield a warning if tiles overlap so much that a run takes many times as long as need be.

    Parameters
    ----------
    plan : Plan
        The tiles.
    is_fixed : bool
        Whether the model takes tiles of one size alone.
    """
    axes = [axis for axis in (plan.grid.rows, plan.grid.cols) if axis.count > 1]
    # Of the whole raster: tiles at an area of a few pixels run many times its pixels.
    redundancy = math.prod(axis.count * axis.length / axis.size for axis in axes)
    if redundancy <= MAX_SENSIBLE_REDUNDANCY:
        return
    needed = max(max(4 * axis.overlap, axis.overlap + axis.align) for axis in axes)
    step = math.lcm(8, *(axis.align for axis in axes))
    larger = f"tile={math.ceil(needed / step) * step} or more"
    yield (
        f"tiles of {_tile(plan)} px run {redundancy:.0f} x the raster's pixels, as they overlap by "
        f"{max(axis.overlap for axis in axes)} px: give "
        f"{'a smaller overlap=' if is_fixed else larger}"
    )


def cost_notes(tiles: ExactTiles) -> Iterator[str]:
    """Yield notes on what exact tiles cost, where another option would save much."""
    cheaper = _by_measurement(tiles)
    if cheaper is not None:
        yield _bound_note(tiles, cheaper)
    if tiles.options.tolerance is None:
        yield from _tolerance_note(tiles, cheaper or tiles.plan)


def _by_measurement(tiles: ExactTiles) -> Plan | None:
    """Return the plan for the measured radius if the graph's is much larger and costs pixels."""
    options = tiles.options
    if options.margin == MEASURED or options.pair("margin") is not None:
        return None
    if not any(_is_much_larger(field) for field in _fields(tiles)):
        return None
    other = tiles.replanned(replace(options, margin=MEASURED))
    return other if other.redundancy < tiles.plan.redundancy else None


def _fields(tiles: ExactTiles) -> list[Reach]:
    """Receptive fields along the axes that have several tiles."""
    axes = tiles.plan.grid.rows, tiles.plan.grid.cols
    return [tiles.probe.reach(n) for n, axis in enumerate(axes) if axis.count > 1]


def _bound_note(tiles: ExactTiles, other: Plan) -> str:
    """Say what both radii cost."""
    field = max(_fields(tiles), key=lambda own: own.exact_margin)
    cost = f"{tiles.plan.redundancy:.2f} x the raster's pixels"
    if tiles.basis == "graph":
        cost = f"a margin of {field.exact_margin} px is proven to be enough and runs {cost}"
    else:
        cost = f"there is no room for a margin of {field.exact_margin} px, and tiles run {cost}"
    return (
        f"the graph allows a receptive-field radius of up to {field.exact_margin} px, and "
        f'{field.radius} px were measured: {cost}; margin="measured" is exact as far as measured '
        f"and could run {other.redundancy:.2f} x"
    )


def _is_much_larger(field: Reach) -> bool:
    return (
        field.exact_margin > MUCH_LARGER * field.radius
        and field.exact_margin > field.radius + MUCH_LARGER_PIXELS
    )


def _tolerance_note(tiles: ExactTiles, cheapest: Plan) -> Iterator[str]:
    """Propose the smallest tolerance that saves much, if exact tiles cost much.

    Parameters
    ----------
    tiles : ExactTiles
        The tiles.
    cheapest : Plan
        The cheapest exact tiles.
    """
    plan = tiles.plan
    if plan.redundancy <= MAX_REDUNDANCY and not _exceeds_along_an_axis(plan):
        return
    for tolerance in TOLERANCES:
        other = tiles.replanned(replace(tiles.options, tolerance=tolerance))
        if _saves(cheapest, other):
            yield (
                f"exact tiles of {_tile(plan)} px run {plan.redundancy:.2f} x the raster's "
                f"pixels; tolerance={tolerance:g} could take tiles of {_tile(other)} px and run "
                f"{other.redundancy:.2f} x: as measured, it changes logits near tile edges by less "
                f"than {tolerance:g} of their standard deviation"
            )
            return


def _exceeds_along_an_axis(plan: Plan) -> bool:
    """Whether no automatic tile kept the redundancy along an axis, whatever the other saves."""
    axes = plan.grid.rows, plan.grid.cols
    most = math.sqrt(MAX_REDUNDANCY)
    return any(axis.count * axis.length > most * axis.size for axis in axes)


def _saves(plan: Plan, other: Plan) -> bool:
    """Whether another plan needs much fewer pixels, or tiles half as large and no more pixels."""
    if other.redundancy <= WORTHWHILE * plan.redundancy:
        return True
    is_half = 2 * max(other.grid.tile_shape) <= max(plan.grid.tile_shape)
    return is_half and other.redundancy <= plan.redundancy


def _tile(plan: Plan) -> str:
    height, width = plan.grid.tile_shape
    return str(height) if height == width else format_size((height, width))
