"""Choose margin, alignment, overlap and tile size along an axis so that tiles are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import GeometryError
from ..probes.receptive_field import Reach
from ..tiling.axis import Axis

MAX_REDUNDANCY = 1.5
"""Pixels of all tiles over pixels of the raster for which an automatic tile is large enough."""

MAX_AUTOMATIC_TILE = 2048
"""Side in pixels of the largest automatic tile."""


def choose_tiling(constraints: AxisConstraints, field: Reach) -> AxisTiling:
    """Choose what the constraints leave open along an axis.

    If the receptive field is smaller than a tile, a margin of its radius makes tiles exact; the
    overlap is made large enough for the margin, and the tile for the overlap. If that does not
    fit, the margin is that of the smallest steps: see ``smoothest_margin``. If the receptive field
    covers the whole tile, no margin makes tiles exact, and it is 0.

    Parameters
    ----------
    constraints : AxisConstraints
        Values that are fixed, and defaults.
    field : Reach
        The model's receptive field along the axis.
    """
    exact, measured = (
        _exact_margin(constraints, field),
        _margin_of(constraints, field, field.radius),
    )
    tile = constraints.tile or _tile(constraints, field, exact)
    overlap = constraints.overlap
    if overlap is None:
        overlap = _overlap(constraints, exact, tile)
    align = constraints.align or (field.stride if tile - overlap >= field.stride else 1)
    margin = constraints.margin
    if margin is None:
        if exact is None:
            margin = 0
        elif overlap_for(exact) <= overlap:
            margin = exact
        elif constraints.tolerance is None and overlap_for(measured) <= overlap:
            margin = measured
        else:
            margin = smoothest_margin(field, overlap)
    return AxisTiling(tile, overlap, margin, align)


def smoothest_margin(field: Reach, overlap: int) -> int:
    """Return the margin that minimizes the step between neighboring output pixels.

    Tiles differ by ``change(margin)`` at most where they are blended, over ``overlap - 2 *
    margin`` pixels: a larger margin leaves smaller differences and fewer pixels to blend them.

    Parameters
    ----------
    field : Reach
        The model's receptive field along the axis.
    overlap : int
        Pixels that neighboring tiles share.
    """
    margins = range(max(0, (overlap - 1) // 2) + 1)
    return min(margins, key=lambda margin: field.change(margin) / (overlap - 2 * margin + 1))


@dataclass(frozen=True)
class AxisConstraints:
    """What is fixed along one axis before anything is chosen, in pixels; None for what is open."""

    size: int | None
    tile: int | None
    default_tile: int
    overlap: int | None
    default_overlap: float
    """Share of the tile that overlaps if no overlap is exact."""
    margin: int | None
    align: int | None
    tolerance: float | None
    """Accepted change of logits, in standard deviations of the logits."""
    by_measurement: bool = False
    """Whether the measured radius is the margin, also where the graph allows a larger one."""


@dataclass(frozen=True)
class AxisTiling:
    """Tile, overlap, margin and alignment along one axis, in pixels."""

    tile: int
    overlap: int
    margin: int
    align: int


def _exact_margin(constraints: AxisConstraints, field: Reach) -> int | None:
    """The margin that makes tiles exact, or exact to the tolerance; None if there is none."""
    tolerance = constraints.tolerance
    exact = field.radius if constraints.by_measurement else field.exact_margin
    margin = exact if tolerance is None else field.effective(tolerance)
    if not field.equivariant or (field.across and margin >= field.radius):
        return None
    return _margin_of(constraints, field, margin)


def _margin_of(constraints: AxisConstraints, field: Reach, radius: int) -> int:
    """The margin for a radius: larger where the tile's far side is cut off the model's stride."""
    is_off = constraints.tile is not None and constraints.tile % field.stride
    return radius + field.stride - 1 if is_off else radius


def overlap_for(margin: int) -> int:
    """The smallest overlap that leaves a pixel to blend between the margins of two tiles."""
    return 2 * margin + 1 if margin else 0


def _overlap(constraints: AxisConstraints, exact: int | None, tile: int) -> int:
    margin = constraints.margin
    overlap = overlap_for((exact or 0) if margin is None else margin)
    if exact is None or (margin is not None and margin < exact):
        overlap = max(overlap, int(tile * constraints.default_overlap))
    # With more than half of a tile each pixel would run through the model four times and more.
    most = tile - 1 if margin is not None else (tile - 1) // 2
    return max(0, min(overlap, most))


def _tile(constraints: AxisConstraints, field: Reach, exact: int | None) -> int:
    """The default tile, or the next larger one that keeps the redundancy within its bound."""
    first = math.ceil(constraints.default_tile / field.stride) * field.stride
    if exact is None:
        return first
    overlap = constraints.overlap
    if overlap is None:
        overlap = overlap_for(exact if constraints.margin is None else constraints.margin)
    step = math.lcm(field.stride, 8)
    tiles = [tile for tile in range(first, MAX_AUTOMATIC_TILE + 1, step) if tile > 2 * overlap]
    if not tiles:
        return max(first, math.ceil((2 * overlap + 1) / step) * step)
    redundancies = {tile: _redundancy(constraints, field, tile, overlap) for tile in tiles}
    enough = (tile for tile in tiles if redundancies[tile] <= math.sqrt(MAX_REDUNDANCY))
    return next(enough, None) or min(tiles, key=lambda tile: redundancies[tile])


def _redundancy(constraints: AxisConstraints, field: Reach, tile: int, overlap: int) -> float:
    """Pixels of all tiles over pixels of the raster, along the axis alone."""
    if constraints.size is None:
        return tile / (tile - overlap)
    try:
        axis = Axis(constraints.size, tile, overlap, constraints.align or field.stride)
    except GeometryError:
        return math.inf
    return axis.count * axis.length / constraints.size
