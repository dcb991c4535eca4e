"""A random sample of an image's windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tiling.axis import Axis
from ..tiling.grid import Grid
from ..windows import Window

DEFAULT_PIXELS = 4_000_000
"""Pixels in all windows of a sample, about, if no number of windows is given."""

FEWEST_WINDOWS = 4
"""Least number of windows of a sample, if no number of windows is given."""


class Sample:
    """Windows drawn at random from those that an image is divided into.

    Most windows are cut half-way between the starts of tiles, so that each holds one tile's start
    in either direction, and with it a place where tiles meet; all windows are the whole image.

    Parameters
    ----------
    grid : Grid
        The tiles.
    count : int, optional
        Number of windows to draw; all windows if there are no more. By default about as many as
        hold ``DEFAULT_PIXELS``.
    seed : int
        Random seed.
    part : Window, optional
        Part of the image; only windows that intersect it are drawn.
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
            count = max(FEWEST_WINDOWS, DEFAULT_PIXELS * rows.count * cols.count // pixels)
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
    """Cuts of an axis: half-way between the starts of tiles, and in the middle of the last tile."""

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
