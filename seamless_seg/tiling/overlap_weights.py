"""Weights for tiles that lie anywhere, not on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from ..errors import GeometryError
from ..windows import Slices
from .grid import shape_to_slices
from .trust import Profile, profile

Trim = tuple[int, int, int | None, int | None]
"""Slice bounds (top, left, bottom, right) of the part of a tile that is kept."""


class OverlapWeights(NamedTuple):
    """How to combine a central tile with those near it; see ``overlap_weights``."""

    out_geom: shapely.Polygon
    central_weights: npt.NDArray[np.float64]
    central_slices: Slices
    nearby_weights: npt.NDArray[np.float64]
    slice_pairs: list[tuple[Slices, Slices]]


def overlap_weights(
    central: shapely.Geometry,
    nearby: Sequence[shapely.Geometry],
    trim_bounds: Trim | None = None,
    *,
    trust: str | Profile = "linear",
) -> OverlapWeights:
    """Return weights that blend a central tile with tiles near it, wherever those lie.

    For tiles on a grid ``plan_run_grid`` and ``run_plan`` do the same with far less work.

    Parameters
    ----------
    central : shapely.Geometry
        Box of the central tile in (y, x) pixels.
    nearby : sequence of shapely.Geometry
        Boxes of the other tiles.
    trim_bounds : (top, left, bottom, right), optional
        Leaves out that much of the central tile, as slice bounds: ``(0, 20, None, -10)`` is
        ``tile[0:None, 20:-10]``.
    trust : str or callable
        As for ``plan_run_grid``. A box's trust falls towards a side only where another box
        overlaps it there and reaches beyond that side.

    Returns
    -------
    out_geom : shapely.Polygon
        Box of the output: the central one, trimmed. Its shape is (h, w) below.
    central_weights : ndarray
        Shape (h, w), float64, in 0 to 1.
    central_slices : (slice, slice)
        ``central_tile[central_slices]`` is the part of the central tile in the output.
    nearby_weights : ndarray
        Shape (n, h, w). ``central_weights + nearby_weights.sum(axis=0) == 1`` everywhere.
    slice_pairs : list of ((slice, slice), (slice, slice))
        For each nearby tile, where it lies in the output, and which part of it lies there::

            out[to] += nearby_tile[part] * nearby_weights[n][to]

    Raises
    ------
    GeometryError
        If a box has no pixel.
    OptionError
        If ``trust`` names no profile, or a window that suits no boxes of this size.
    """
    boxes = [_bounds(geom) for geom in (central, *nearby)]
    trusts = [_box_trust(n, boxes, trust) for n in range(len(boxes))]
    trimmed, central_slices = _trim(boxes[0], trim_bounds)
    shape = trimmed[2] - trimmed[0], trimmed[3] - trimmed[1]

    placed = np.zeros((len(boxes), *shape))
    pairs = [_slice_pair(trimmed, box) for box in boxes]
    for n, (to, part) in enumerate(pairs):
        placed[n][to] = trusts[n][part]
    total = placed.sum(axis=0)
    placed = np.divide(placed, total, out=np.zeros_like(placed), where=total > 0)
    # Where no tile has trust, at a hard cut between others, the central tile alone counts.
    placed[0][total == 0] = 1.0
    return OverlapWeights(shapely.box(*trimmed), placed[0], central_slices, placed[1:], pairs[1:])


Bounds = tuple[int, int, int, int]
"""First row and column of a box, and one past the last, in pixels."""


def _bounds(geom: shapely.Geometry) -> Bounds:
    if geom.is_empty:
        raise GeometryError("a box must not be an empty geometry")
    if not np.isfinite(geom.bounds).all():
        raise GeometryError(f"a box must have finite sides: {geom.wkt:.80}")
    rows, cols = shape_to_slices(geom)
    if rows.start >= rows.stop or cols.start >= cols.stop:
        raise GeometryError(f"a box must hold at least one pixel: {geom.wkt:.80}")
    return rows.start, cols.start, rows.stop, cols.stop


def _box_trust(n: int, boxes: list[Bounds], trust: str | Profile) -> npt.NDArray[np.float64]:
    own = boxes[n]
    top, left, bottom, right = own
    overlapping = [
        box
        for m, box in enumerate(boxes)
        if m != n and box[0] < bottom and box[2] > top and box[1] < right and box[3] > left
    ]
    shape = profile(trust)

    def along(low: int, high: int) -> npt.NDArray[np.float64]:
        start, stop = own[low], own[high]
        before = max((box[high] - start for box in overlapping if box[low] < start), default=0)
        after = max((stop - box[low] for box in overlapping if box[high] > stop), default=0)
        return shape(stop - start, min(before, stop - start), min(after, stop - start), 0)

    return along(0, 2)[:, None] * along(1, 3)[None, :]


def _trim(box: Bounds, trim_bounds: Trim | None) -> tuple[Bounds, Slices]:
    top, left, bottom, right = trim_bounds or (0, 0, None, None)
    slices = slice(top, bottom), slice(left, right)
    row_start, row_stop, _ = slices[0].indices(box[2] - box[0])
    col_start, col_stop, _ = slices[1].indices(box[3] - box[1])
    if row_start >= row_stop or col_start >= col_stop:
        raise GeometryError(f"trim_bounds {trim_bounds} leave no pixel of the central box")
    trimmed = box[0] + row_start, box[1] + col_start, box[0] + row_stop, box[1] + col_stop
    return trimmed, slices


def _slice_pair(to: Bounds, box: Bounds) -> tuple[Slices, Slices]:
    """Return the slices of ``to`` and of ``box`` that both share; empty ones if they share none."""

    def along(low: int, high: int) -> tuple[slice, slice]:
        start, stop = max(to[low], box[low]), min(to[high], box[high])
        if start >= stop:
            return slice(0, 0), slice(0, 0)
        return slice(start - to[low], stop - to[low]), slice(start - box[low], stop - box[low])

    rows, cols = along(0, 2), along(1, 3)
    return (rows[0], cols[0]), (rows[1], cols[1])
