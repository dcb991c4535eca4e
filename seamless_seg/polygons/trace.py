"""Tracing: a raster of classes, read window by window, as polygons that no window cuts.

GDAL's polygonizer sees one window at a time. Polygons that reach no other window are done. The
others wait, with the label of each pixel along the edges where the next windows will continue
them, until no such pixel is theirs; then what there is of them becomes one, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import shapes

from ..arrays import Mask
from ..windows import cut
from .rings import (
    Integers,
    Outlines,
    from_documents,
    gathered,
    polygon_of,
    with_nodes,
    without_straights,
)

WINDOW = 1024 * 1024
"""Pixels of a window: GDAL holds its polygons in memory, 250 MB of them in pure noise."""

KNOWN = ("uint8", "uint16", "int16", "int32")
"""Integers that rasterio hands to the polygonizer."""

NOBODY = -1
"""Label of a pixel that belongs to no polygon."""

Read: TypeAlias = Callable[[slice, slice], tuple[npt.NDArray[np.integer[Any]], Mask | None]]
"""Gives classes of a window, shape ``(height, width)``, and which of them are wanted."""


class Traced(NamedTuple):
    """Polygons that are complete once a window has been read."""

    outlines: Outlines
    classes: Integers
    """The class of each."""
    window: tuple[slice, slice]
    """Rows and columns of the window."""


@dataclass
class _Part:
    """What there is so far of a polygon that goes on in other windows."""

    value: int
    pieces: list[Outlines]
    labels: list[int]
    open: int = 0
    """Pixels along the edges where windows are still to come."""


def window_shape(size: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    """Height and width of windows for a raster stored in such blocks: whole blocks if these fit."""
    height, width = size
    side = int(WINDOW**0.5)
    across = min(width, WINDOW, -(-side // block[1]) * block[1])
    down = max(1, WINDOW // across)
    return min(height, down - down % block[0] if down > block[0] else down), across


def trace(read: Read, size: tuple[int, int], window: tuple[int, int]) -> Iterator[Traced]:
    """Trace the polygons of equal pixels, 4-connected, of a raster of any size.

    Parameters
    ----------
    read : callable
        Gives the pixels of a window.
    size, window : (height, width)
        Pixels of the raster and of the windows in which it is read.

    Yields
    ------
    Traced
        Once for each window, row by row; each polygon once. They are those of the whole raster.
    """
    seam = _Seam(size, window)
    for rows, cols in cut(slice(0, size[0]), slice(0, size[1]), window):
        outlines, classes = _polygonized(*read(rows, cols), cols.start, rows.start)
        yield Traced(*seam.join(outlines, classes, rows, cols), (rows, cols))


def _polygonized(
    pixels: npt.NDArray[np.integer[Any]], wanted: Mask | None, left: int, top: int
) -> tuple[Outlines, Integers]:
    """Polygons of one window, and their classes."""
    table, known = None, pixels
    if pixels.dtype.name not in KNOWN:
        table, known = np.unique(pixels, return_inverse=True)
        known = known.astype(np.int32).reshape(pixels.shape)
    values: list[int] = []

    def geometries() -> Iterator[dict[str, Any]]:
        for geometry, value in shapes(known, mask=wanted):
            values.append(int(value))
            yield geometry

    outlines = from_documents(geometries(), left, top)
    classes = np.array(values, np.int64)
    return outlines, classes if table is None else table[classes].astype(np.int64)


class _Seam:
    """Where windows that have been read meet those that have not.

    Each pixel along it has a label, of the piece of a polygon in the window that it belongs to.
    """

    def __init__(self, size: tuple[int, int], window: tuple[int, int]) -> None:
        self._size, self._window = size, window
        self._above: Integers = np.full(size[1], NOBODY, np.int64)
        self._left: Integers = np.full(0, NOBODY, np.int64)
        self._parts: dict[int, _Part] = {}
        self._next = 0

    def join(
        self, outlines: Outlines, classes: Integers, rows: slice, cols: slice
    ) -> tuple[Outlines, Integers]:
        """Take the polygons of the next window; return those, and their classes, that are done."""
        top = _along(outlines, 0, rows.start, cols)
        left = _along(outlines, 1, cols.start, rows)
        bottom = _along(outlines, 0, rows.stop, cols, rows.stop < self._size[0])
        right = _along(outlines, 1, cols.stop, rows, cols.stop < self._size[1])
        if not cols.start:
            self._left = np.full_like(left, NOBODY)
        before = np.concatenate([self._above[cols], self._left])
        pairs = self._same(before, np.concatenate([top, left]), classes)
        waiting = np.unique(np.concatenate([pairs[:, 1], bottom, right]))
        waiting = waiting[waiting != NOBODY]
        for index in waiting.tolist():
            label = self._next + index
            self._parts[label] = _Part(int(classes[index]), [outlines[index]], [label])
        for label, index in pairs.tolist():
            self._unite(label, self._next + index)
        touched = self._count(before, -1)
        self._above[cols], self._left = self._labels(bottom), self._labels(right)
        touched += self._count(np.concatenate([self._above[cols], self._left]), 1)
        touched += [self._next + index for index in waiting.tolist()]
        self._next += len(outlines)
        done = np.ones(len(outlines), np.bool_)
        done[waiting] = False
        closed = self._closed(touched)
        return (
            gathered([outlines.split(done), *(self._whole(part) for part in closed)]),
            np.concatenate([classes[done], [part.value for part in closed]]).astype(np.int64),
        )

    def _same(self, before: Integers, here: Integers, classes: Integers) -> Integers:
        """Pairs of a label and a polygon's index, for the same class on both sides of a seam."""
        both = (before != NOBODY) & (here != NOBODY)
        pairs = np.unique(np.stack([before[both], here[both]], axis=1), axis=0)
        values = np.array([self._parts[label].value for label in pairs[:, 0].tolist()], np.int64)
        same: Integers = pairs[values == classes[pairs[:, 1]]]
        return same

    def _labels(self, indices: Integers) -> Integers:
        return np.where(indices == NOBODY, NOBODY, indices + self._next)

    def _unite(self, one: int, other: int) -> None:
        """Make one part of two; the smaller goes into the larger, so that no label moves often."""
        small, large = self._parts[one], self._parts[other]
        if small is large:
            return
        if len(small.labels) > len(large.labels):
            small, large = large, small
        large.pieces += small.pieces
        large.labels += small.labels
        large.open += small.open
        for label in small.labels:
            self._parts[label] = large

    def _count(self, labels: Integers, sign: int) -> list[int]:
        """Count pixels with a label as open, or no longer so; return the labels."""
        found, counts = np.unique(labels[labels != NOBODY], return_counts=True)
        for label, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._parts[label].open += sign * count
        return list(found.tolist())

    def _closed(self, labels: list[int]) -> list[_Part]:
        """Take out the parts with these labels that nothing can be added to any more."""
        closed = []
        for label in labels:
            part = self._parts.get(label)
            if part is not None and not part.open:
                closed.append(part)
                for known in part.labels:
                    del self._parts[known]
        return closed

    def _whole(self, part: _Part) -> Outlines:
        """One polygon of the pieces that the windows have cut it into.

        Holes inside a window stay what they are; the outer rings alone are united.
        """
        if len(part.pieces) == 1:
            return part.pieces[0]
        shells = gathered([polygon_of([piece.points[: piece.rings[1]]]) for piece in part.pieces])
        holes = [ring for piece in part.pieces for ring in piece.holes]
        # Edges that two pieces share must have the same points before they can fall away.
        united = shapely.coverage_union_all(with_nodes(shells, self._window).geometries)
        rings = [united.exterior, *united.interiors]
        turning = [
            without_straights(shapely.get_coordinates(ring).astype(np.int32)) for ring in rings
        ]
        return polygon_of([*turning, *holes])


def _along(
    outlines: Outlines, along: int, at: int, pixels: slice, is_open: bool = True
) -> Integers:
    """The polygon that has each pixel along a side of a window.

    The side is row ``at`` for ``along`` 0, else column ``at``; where it is not open, or pixels are
    in no polygon, there is nobody.
    """
    owners = np.full(pixels.stop - pixels.start, NOBODY, np.int64)
    if not is_open:
        return owners
    place, line = outlines.points[:, along], outlines.points[:, 1 - along]
    is_edge = (line[:-1] == at) & (line[1:] == at)
    is_edge[outlines.rings[1:-1] - 1] = False
    edges = np.flatnonzero(is_edge)
    first = np.minimum(place[edges], place[edges + 1]) - pixels.start
    counts = np.abs(place[edges + 1] - place[edges])
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = outlines.rings[outlines.polygons]
    polygons = np.searchsorted(starts, edges, side="right") - 1
    owners[np.repeat(first, counts) + within] = np.repeat(polygons, counts)
    return owners
