"""A sample of an image: windows of it, drawn with a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tiling.axis import Axis
from ..tiling.grid import Grid
from ..windows import Window

PIXELS, FEWEST = 4_000_000, 4
"""Pixels to look at, and windows at least, where nobody says how many windows."""


class Sample:
    """Some of the windows that an image falls into.

    Most windows are cut half-way between the starts of tiles, so that each holds one tile's start
    in either direction, and with it a place where tiles meet; together they are the whole image.

    Parameters
    ----------
    grid : Grid
        The tiles.
    count : int, optional
        Windows to draw; all of them where there are no more. By default about as many as hold
        ``PIXELS``.
    seed : int
        The same seed draws the same windows.
    part : Window, optional
        Rows and columns of the image; only windows that reach into them are drawn.
    """

    def __init__(
        self, grid: Grid, count: int | None, seed: int, part: Window | None = None
    ) -> None:
        self._axes = _Cuts(grid.rows), _Cuts(grid.cols)
        rows, cols = self._axes
        within = part or (slice(0, grid.rows.size), slice(0, grid.cols.size))
        self._rows, self._cols = (
            [k for k in range(cuts.count) if _meet(cuts.between(k), along)]
            for cuts, along in zip(self._axes, within, strict=True)
        )
        self.population = len(self._rows) * len(self._cols)
        self.largest = rows.largest, cols.largest
        if count is None:
            pixels = grid.rows.size * grid.cols.size
            count = max(FEWEST, PIXELS * rows.count * cols.count // pixels)
        drawn = np.random.default_rng(seed).choice(
            self.population, min(count, self.population), replace=False, shuffle=False
        )
        self._drawn = np.sort(drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __iter__(self) -> Iterator[Window]:
        rows, cols = self._axes
        for number in self._drawn:
            i, j = divmod(int(number), len(self._cols))
            yield Window(rows.between(self._rows[i]), cols.between(self._cols[j]))


def _meet(one: slice, other: slice) -> bool:
    return bool(one.start < other.stop and other.start < one.stop)


class _Cuts:
    """Where an axis is cut: half-way between the starts of tiles, and the last tile in halves."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self.count = axis.count + 1 if axis.count > 1 else 1
        ends = {0, 1, self.count - 2, self.count - 1} & set(range(self.count))
        self.largest = max(k.stop - k.start for k in map(self.between, ends)) + 1

    def between(self, k: int) -> slice:
        return slice(self._cut(k), self._cut(k + 1))

    def _cut(self, k: int) -> int:
        axis = self._axis
        if k == 0:
            return 0
        if k == self.count:
            return axis.size
        if k == axis.count:
            return (axis.start(k - 1) + axis.size + 1) // 2
        return (axis.start(k - 1) + axis.start(k) + 1) // 2
