"""Rasterizing: the pixels whose centers lie in each of many polygons, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely

from ..arrays import Floats, Geometries, Integers, Mask


class Piece(NamedTuple):
    """The pixels of a window that lie in a polygon."""

    polygon: int
    """Index of the polygon."""
    part: tuple[slice, slice]
    """Rows and columns in the window that hold all of these pixels."""
    mask: Mask | None
    """The pixels of that part; None for all of them."""


class Scanlines:
    """The sides of polygons, sorted by the rows in which they begin.

    Along a row of pixel centers, a center lies inside a polygon after an odd number of crossings
    of its outline, and outside after an even one.

    Parameters
    ----------
    polygons : array of shapely.Geometry, shape (n,)
        Valid polygons, or collections of which only the polygons count, in (y, x) pixels. They may
        overlap.
    size : (height, width)
        Pixels of the raster. What lies beyond it does not count.
    """

    def __init__(self, polygons: Geometries, size: tuple[int, int]) -> None:
        height, self._width = size
        starts, ends, owners = _sides(polygons)
        first, last = (
            np.clip(np.ceil(points[:, 0] - 0.5), 0, height).astype(np.int64)
            for points in (starts, ends)
        )
        crossed = first < last
        order = np.flatnonzero(crossed)[np.argsort(first[crossed], kind="stable")]
        self._first, self._last, self._owners = first[order], last[order], owners[order]
        self._starts, sides = starts[order], (ends - starts)[order]
        self._slopes = sides[:, 1] / sides[:, 0]

    def on(self, rows: slice) -> Strip:
        """Find where these rows cross the outlines."""
        begun = int(np.searchsorted(self._first, rows.stop))
        crossed = np.flatnonzero(self._last[:begun] > rows.start)
        first = np.maximum(self._first[crossed], rows.start)
        lengths = np.minimum(self._last[crossed], rows.stop) - first
        sides = np.repeat(crossed, lengths)
        own = np.arange(len(sides)) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)
        along = self._starts[sides, 1] + (own + 0.5 - self._starts[sides, 0]) * self._slopes[sides]
        columns = np.clip(np.ceil(along - 0.5), 0, self._width).astype(np.int64)
        return Strip(rows, self._owners[sides], own, columns)


class Strip:
    """Crossings of some rows with outlines: polygon, row, and the first column behind each."""

    def __init__(self, rows: slice, owners: Integers, own: Integers, columns: Integers) -> None:
        order = np.argsort(owners, kind="stable")
        self._top, self._rows, self._columns = rows.start, own[order], columns[order]
        self._owners, self._starts = np.unique(owners[order], return_index=True)
        self._ends = np.append(self._starts[1:], len(order))
        reach = (self._columns, self._starts) if len(order) else None
        self._left = np.minimum.reduceat(*reach) if reach else self._starts
        self._right = np.maximum.reduceat(*reach) if reach else self._starts

    def touches(self, cols: slice) -> bool:
        """Whether one of the polygons may have pixels in these columns."""
        return bool(len(self._reaching(cols)))

    def pieces(self, cols: slice) -> Iterator[Piece]:
        """Yield the pixels of each polygon in the window of these columns."""
        for k in self._reaching(cols).tolist():
            which = slice(self._starts[k], self._ends[k])
            piece = self._piece(int(self._owners[k]), self._rows[which], self._columns[which], cols)
            if piece is not None:
                yield piece

    def _reaching(self, cols: slice) -> Integers:
        return np.flatnonzero((self._left < cols.stop) & (self._right > cols.start))

    def _piece(self, owner: int, rows: Integers, columns: Integers, cols: slice) -> Piece | None:
        top, bottom = int(rows.min()), int(rows.max()) + 1
        left, right = max(int(columns.min()), cols.start), min(int(columns.max()), cols.stop)
        turns = np.zeros((bottom - top, right - left + 1), np.uint8)
        np.bitwise_xor.at(turns, (rows - top, np.clip(columns, left, right) - left), np.uint8(1))
        part = (
            slice(top - self._top, bottom - self._top),
            slice(left - cols.start, right - cols.start),
        )
        if not turns[:, 1:-1].any():  # no outline is crossed between the ends
            turns = turns[:, :1]
            if turns.all():
                return Piece(owner, part, None)
        mask = np.bitwise_xor.accumulate(turns, axis=1).astype(np.bool_)
        mask = mask[:, : right - left]
        if not mask.any():
            return None
        return Piece(owner, part, np.broadcast_to(mask, (bottom - top, right - left)))


def _sides(
    polygons: Geometries,
) -> tuple[Floats, Floats, Integers]:
    """Upper and lower ends of all sides of all rings, and the index of the polygon of each."""
    parts, owners = shapely.get_parts(polygons, return_index=True)
    parts, nested = shapely.get_parts(parts, return_index=True)  # of multi-polygons in collections
    rings, inside = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    starts, ends = points[:-1][joined], points[1:][joined]
    downward = (starts[:, 0] <= ends[:, 0])[:, None]
    upper, lower = np.where(downward, starts, ends), np.where(downward, ends, starts)
    return upper, lower, owners[nested][inside][ring[:-1][joined]]
