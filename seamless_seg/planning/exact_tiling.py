"""Automatic tiling: margin, alignment, overlap and tile from what a probe found, axis by axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import GeometryError
from ..models.receptive_field import Reach
from ..tiling.axis import Axis

REDUNDANCY = 1.5
"""Pixels run over pixels of the image that a tile of free size is made large enough for."""

LARGEST = 2048
"""Pixels of an automatic tile at most."""


@dataclass(frozen=True)
class Wish:
    """What is settled along one axis before anything is chosen; None for what is open."""

    size: int | None
    tile: int | None
    usual_tile: int
    overlap: int | None
    usual_overlap: float
    """Share of the tile where no overlap makes it exact."""
    margin: int | None
    align: int | None
    tolerance: float | None


@dataclass(frozen=True)
class Choice:
    """What was chosen along one axis."""

    tile: int
    overlap: int
    margin: int
    align: int


@dataclass(frozen=True)
class _Goal:
    margin: int
    """The margin that makes it exact, or exact to the tolerance."""
    finite: bool
    """Whether there is one."""


def _goal(wish: Wish, reach: Reach) -> _Goal:
    margin = reach.radius if wish.tolerance is None else reach.effective(wish.tolerance)
    if reach.across and margin == reach.radius:
        return _Goal(0, False)
    if wish.tile is not None and wish.tile % reach.stride:
        margin += reach.stride - 1  # the tile's far side is then cut off the model's grid
    return _Goal(margin, True)


def choose(wish: Wish, reach: Reach) -> Choice:
    """Choose what is open along an axis.

    Where the model does not see across its tile, a margin of its radius makes it exact; the
    overlap leaves room for that, and the tile for the overlap. Where there is no room, the
    margin is the one with the smallest steps: see ``smoothest_margin``. Where the model does see
    across its tile there is none: the default trust does without.
    """
    goal = _goal(wish, reach)
    tile = wish.tile or _tile(wish, reach, goal)
    overlap = wish.overlap if wish.overlap is not None else _overlap(wish, goal, tile)
    align = wish.align or (reach.stride if tile - overlap >= reach.stride else 1)
    margin = wish.margin
    if margin is None and not goal.finite:
        margin = 0
    elif margin is None:
        fits = _room(goal.margin) <= overlap
        margin = goal.margin if fits else smoothest_margin(reach, overlap)
    return Choice(tile, overlap, margin, align)


def smoothest_margin(reach: Reach, overlap: int) -> int:
    """The margin that leaves the smallest step between neighboring pixels of the output.

    Tiles disagree by ``change(margin)`` at most where they are blended, over ``overlap - 2 *
    margin`` pixels: a larger margin leaves less disagreement and less room to blend it in.
    """
    margins = range(max(0, (overlap - 1) // 2) + 1)
    return min(margins, key=lambda margin: reach.change(margin) / (overlap - 2 * margin + 1))


def _room(margin: int) -> int:
    return 2 * margin + 1 if margin else 0


def _overlap(wish: Wish, goal: _Goal, tile: int) -> int:
    wanted = _room(goal.margin if wish.margin is None else wish.margin)
    if not goal.finite or (wish.margin is not None and wish.margin < goal.margin):
        wanted = max(wanted, int(tile * wish.usual_overlap))
    # Beyond half of the tile each pixel would be run four times and more.
    most = tile - 1 if wish.margin is not None else (tile - 1) // 2
    return max(0, min(wanted, most))


def _tile(wish: Wish, reach: Reach, goal: _Goal) -> int:
    """The usual tile, or the next larger one that keeps the redundancy within its bound."""
    first = math.ceil(wish.usual_tile / reach.stride) * reach.stride
    if not goal.finite:
        return first
    overlap = _room(goal.margin if wish.margin is None else wish.margin)
    overlap = overlap if wish.overlap is None else wish.overlap
    step = math.lcm(reach.stride, 8)
    tiles = [tile for tile in range(first, LARGEST + 1, step) if tile > 2 * overlap]
    if not tiles:
        return max(first, math.ceil((2 * overlap + 1) / step) * step)
    cost = {tile: _redundancy(wish, reach, tile, overlap) for tile in tiles}
    enough = (tile for tile in tiles if cost[tile] <= math.sqrt(REDUNDANCY))
    return next(enough, None) or min(tiles, key=lambda tile: cost[tile])


def _redundancy(wish: Wish, reach: Reach, tile: int, overlap: int) -> float:
    if wish.size is None:
        return tile / (tile - overlap)
    try:
        axis = Axis(wish.size, tile, overlap, wish.align or reach.stride)
    except GeometryError:
        return math.inf
    return axis.count * axis.length / wish.size
