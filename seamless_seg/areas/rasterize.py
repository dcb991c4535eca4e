"""Scanlines: which pixels have their centers in which of many polygons, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Mask

Ints = npt.NDArray[np.int64]


class Piece(NamedTuple):
    """What a polygon has of a window."""

    polygon: int
    part: tuple[slice, slice]
    """Rows and columns in the window beyond which it has nothing."""
    mask: Mask | None
    """Its pixels of that part; None for all of them."""


class Scanlines:
    """The sides of polygons, in the order of the rows in which they begin.

    On its way along a row of pixel centers, one is inside a polygon after each odd crossing of its
    outline and outside after each even one.

    Parameters
    ----------
    polygons : array of shapely.Geometry, shape (n,)
        Valid polygons, or collections of which only the polygons count, in (y, x) pixels. They may
        overlap.
    size : (height, width)
        Pixels of the raster. What lies beyond it does not count.
    """

    def __init__(self, polygons: npt.NDArray[np.object_], size: tuple[int, int]) -> None:
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
        """Where these rows cross them."""
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
    """Crossings of some rows with outlines: behind which column of which row, and of what."""

    def __init__(self, rows: slice, owners: Ints, own: Ints, columns: Ints) -> None:
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
        """What each polygon has of the window of these columns."""
        for k in self._reaching(cols).tolist():
            which = slice(self._starts[k], self._ends[k])
            piece = self._piece(int(self._owners[k]), self._rows[which], self._columns[which], cols)
            if piece is not None:
                yield piece

    def _reaching(self, cols: slice) -> Ints:
        return np.flatnonzero((self._left < cols.stop) & (self._right > cols.start))

    def _piece(self, owner: int, rows: Ints, columns: Ints, cols: slice) -> Piece | None:
        top, bottom = int(rows.min()), int(rows.max()) + 1
        left, right = max(int(columns.min()), cols.start), min(int(columns.max()), cols.stop)
        turns = np.zeros((bottom - top, right - left + 1), np.uint8)
        np.bitwise_xor.at(turns, (rows - top, np.clip(columns, left, right) - left), np.uint8(1))
        part = (
            slice(top - self._top, bottom - self._top),
            slice(left - cols.start, right - cols.start),
        )
        if not turns[:, 1:-1].any():  # nothing is crossed between the ends
            turns = turns[:, :1]
            if turns.all():
                return Piece(owner, part, None)
        mask = np.bitwise_xor.accumulate(turns, axis=1).astype(np.bool_)
        mask = mask[:, : right - left]
        if not mask.any():
            return None
        return Piece(owner, part, np.broadcast_to(mask, (bottom - top, right - left)))


def _sides(
    polygons: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Ints]:
    """All sides of all rings, from their upper to their lower ends, and whose they are."""
    parts, owners = shapely.get_parts(polygons, return_index=True)
    parts, nested = shapely.get_parts(parts, return_index=True)  # of multi-polygons in collections
    rings, inside = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    starts, ends = points[:-1][joined], points[1:][joined]
    downward = (starts[:, 0] <= ends[:, 0])[:, None]
    upper, lower = np.where(downward, starts, ends), np.where(downward, ends, starts)
    return upper, lower, owners[nested][inside][ring[:-1][joined]]
