"""Tracing: polygons of a raster of classes that is read window by window.

GDAL's polygonizer gets one window at a time. Polygons that touch no other window are complete. The
pieces of others are kept, with a label for each of their pixels along the edges where later windows
join on, until no such pixel is left; then the pieces are united, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import shapely
from rasterio.features import shapes

from ..arrays import Array, Integers, Mask
from ..windows import cut
from .rings import (
    Outlines,
    concatenated,
    from_geojson,
    polygon_of,
    with_nodes,
    without_collinear,
)

MAX_POLYGONIZED_PIXELS = 1024 * 1024
"""Pixels of a window at most: GDAL holds its polygons in memory, 250 MB of them in pure noise."""

POLYGONIZER_DTYPES = ("uint8", "uint16", "int16", "int32")
"""Integer types that ``rasterio.features.shapes`` takes."""

NO_POLYGON = -1
"""Label of a pixel that belongs to no polygon."""

Read: TypeAlias = Callable[[slice, slice], tuple[Array, Mask | None]]
"""Reads classes of a window, shape ``(height, width)``, and a mask of those to trace; None: all."""


class Traced(NamedTuple):
    """Polygons that are complete once a window has been read."""

    outlines: Outlines
    classes: Integers
    """The class of each."""
    window: tuple[slice, slice]
    """Rows and columns of the window."""


@dataclass
class _Part:
    """The pieces so far of a polygon that extends into other windows."""

    value: int
    """Its class."""
    pieces: list[Outlines]
    labels: list[int]
    open_pixels: int = 0
    """Pixels along the edges where windows are still to come."""


def window_shape(size: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    """Height and width of windows for a raster in such blocks: of whole blocks where these fit."""
    height, width = size
    side = int(MAX_POLYGONIZED_PIXELS**0.5)
    across = min(width, MAX_POLYGONIZED_PIXELS, -(-side // block[1]) * block[1])
    down = max(1, MAX_POLYGONIZED_PIXELS // across)
    return min(height, down - down % block[0] if down > block[0] else down), across


def trace(read: Read, size: tuple[int, int], window: tuple[int, int]) -> Iterator[Traced]:
    """Trace the polygons of equal pixels, 4-connected, of a raster of any size.

    Parameters
    ----------
    read : callable
        Reads a window: see ``Read``.
    size, window : (height, width)
        Pixels of the raster and of the windows in which it is read.

    Yields
    ------
    Traced
        Once for each window, row by row: the polygons that it completes. All of them together are
        the polygons of the whole raster, each once.
    """
    seam = _Seam(size, window)
    for rows, cols in cut(slice(0, size[0]), slice(0, size[1]), window):
        outlines, classes = _polygonized(*read(rows, cols), cols.start, rows.start)
        yield Traced(*seam.join(outlines, classes, rows, cols), (rows, cols))


def _polygonized(
    pixels: Array, mask: Mask | None, left: int, top: int
) -> tuple[Outlines, Integers]:
    """Polygons of one window, and their classes."""
    table, numbers = None, pixels
    if pixels.dtype.name not in POLYGONIZER_DTYPES:
        table, numbers = np.unique(pixels, return_inverse=True)
        numbers = numbers.astype(np.int32).reshape(pixels.shape)
    values: list[int] = []

    def geometries() -> Iterator[dict[str, Any]]:
        for geometry, value in shapes(numbers, mask=mask):
            values.append(int(value))
            yield geometry

    outlines = from_geojson(geometries(), left, top)
    classes = np.array(values, np.int64)
    return outlines, classes if table is None else table[classes].astype(np.int64)


class _Seam:
    """The edge between windows that have been read and those that have not.

    Each pixel along it has the label of the piece of a polygon that it belongs to.
    """

    def __init__(self, size: tuple[int, int], window: tuple[int, int]) -> None:
        self._size, self._window = size, window
        self._above: Integers = np.full(size[1], NO_POLYGON, np.int64)
        self._left: Integers = np.full(0, NO_POLYGON, np.int64)
        self._parts: dict[int, _Part] = {}
        self._next = 0

    def join(
        self, outlines: Outlines, classes: Integers, rows: slice, cols: slice
    ) -> tuple[Outlines, Integers]:
        """Add the polygons of the next window; return those that are complete.

        Parameters
        ----------
        outlines, classes : Outlines, array of int
            The window's polygons and the class of each.
        rows, cols : slice
            The window.

        Returns
        -------
        outlines, classes : Outlines, array of int
            Polygons to which no later window adds, and the class of each.
        """
        top = _polygons_along(outlines, 0, rows.start, cols)
        left = _polygons_along(outlines, 1, cols.start, rows)
        bottom = _polygons_along(outlines, 0, rows.stop, cols, rows.stop < self._size[0])
        right = _polygons_along(outlines, 1, cols.stop, rows, cols.stop < self._size[1])
        if not cols.start:
            self._left = np.full_like(left, NO_POLYGON)
        before = np.concatenate([self._above[cols], self._left])
        pairs = self._same(before, np.concatenate([top, left]), classes)
        waiting = np.unique(np.concatenate([pairs[:, 1], bottom, right]))
        waiting = waiting[waiting != NO_POLYGON]
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
        inside = np.ones(len(outlines), np.bool_)
        inside[waiting] = False
        closed = self._closed(touched)
        return (
            concatenated([outlines.selected(inside), *(self._united(part) for part in closed)]),
            np.concatenate([classes[inside], [part.value for part in closed]]).astype(np.int64),
        )

    def _same(self, labels: Integers, indices: Integers, classes: Integers) -> Integers:
        """Pairs of a label and a polygon's index, for the same class on both sides of a seam."""
        both = (labels != NO_POLYGON) & (indices != NO_POLYGON)
        pairs = np.unique(np.stack([labels[both], indices[both]], axis=1), axis=0)
        values = np.array([self._parts[label].value for label in pairs[:, 0].tolist()], np.int64)
        same: Integers = pairs[values == classes[pairs[:, 1]]]
        return same

    def _labels(self, indices: Integers) -> Integers:
        """Labels of polygons of the window with these indices."""
        return np.where(indices == NO_POLYGON, NO_POLYGON, indices + self._next)

    def _unite(self, one: int, other: int) -> None:
        """Merge two parts: the smaller into the larger, so that no label is moved often."""
        small, large = self._parts[one], self._parts[other]
        if small is large:
            return
        if len(small.labels) > len(large.labels):
            small, large = large, small
        large.pieces += small.pieces
        large.labels += small.labels
        large.open_pixels += small.open_pixels
        for label in small.labels:
            self._parts[label] = large

    def _count(self, labels: Integers, sign: int) -> list[int]:
        """Add the pixels with each label to the open ones, or subtract them; return the labels."""
        found, counts = np.unique(labels[labels != NO_POLYGON], return_counts=True)
        for label, count in zip(found.tolist(), counts.tolist(), strict=True):
            self._parts[label].open_pixels += sign * count
        return list(found.tolist())

    def _closed(self, labels: list[int]) -> list[_Part]:
        """Remove and return the parts with these labels that have no open pixel left."""
        closed = []
        for label in labels:
            part = self._parts.get(label)
            if part is not None and not part.open_pixels:
                closed.append(part)
                for own in part.labels:
                    del self._parts[own]
        return closed

    def _united(self, part: _Part) -> Outlines:
        """Unite the pieces into which windows have cut a polygon.

        Only outer rings are united: holes inside a window stay as they are.
        """
        if len(part.pieces) == 1:
            return part.pieces[0]
        shells = concatenated(
            [polygon_of([piece.points[: piece.rings[1]]]) for piece in part.pieces]
        )
        holes = [ring for piece in part.pieces for ring in piece.holes]
        # Edges that two pieces share are removed only if they have the same vertices.
        united = shapely.coverage_union_all(with_nodes(shells, self._window).geometries)
        rings = [united.exterior, *united.interiors]
        turning = [
            without_collinear(shapely.get_coordinates(ring).astype(np.int32)) for ring in rings
        ]
        return polygon_of([*turning, *holes])


def _polygons_along(
    outlines: Outlines, along: int, at: int, pixels: slice, is_open: bool = True
) -> Integers:
    """Index of the polygon that each pixel along a side of a window belongs to.

    The side is row ``at`` for ``along`` 0, else column ``at``. The index is ``NO_POLYGON`` where a
    pixel is in no polygon, and everywhere if the side is not open.
    """
    owners = np.full(pixels.stop - pixels.start, NO_POLYGON, np.int64)
    if not is_open:
        return owners
    position, line = outlines.points[:, along], outlines.points[:, 1 - along]
    is_edge = (line[:-1] == at) & (line[1:] == at)
    is_edge[outlines.rings[1:-1] - 1] = False
    edges = np.flatnonzero(is_edge)
    first = np.minimum(position[edges], position[edges + 1]) - pixels.start
    counts = np.abs(position[edges + 1] - position[edges])
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = outlines.rings[outlines.polygons]
    polygons = np.searchsorted(starts, edges, side="right") - 1
    owners[np.repeat(first, counts) + within] = np.repeat(polygons, counts)
    return owners
