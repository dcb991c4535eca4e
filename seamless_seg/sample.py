"""A sample of an image: windows of it, drawn with a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .axis import Axis
from .grid import Grid


class Window(NamedTuple):
    """A part of an image, in half-open pixels."""

    rows: slice
    cols: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start


class Sample:
    """Some of the windows that an image falls into.

    Each window is cut half-way between the starts of tiles, so that it holds one tile's start in
    either direction, and with it a place where tiles meet; together they are the whole image.

    Parameters
    ----------
    grid : Grid
        The tiles.
    count : int
        Windows to draw; all of them where there are no more.
    seed : int
        The same seed draws the same windows.
    """

    def __init__(self, grid: Grid, count: int, seed: int) -> None:
        self._grid = grid
        rows, cols = grid.shape
        self.population = rows * cols
        drawn = np.random.default_rng(seed).choice(
            self.population, min(count, self.population), replace=False, shuffle=False
        )
        self._drawn = np.sort(drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __iter__(self) -> Iterator[Window]:
        for number in self._drawn:
            i, j = divmod(int(number), self._grid.shape[1])
            yield Window(_between(self._grid.rows, i), _between(self._grid.cols, j))


def _between(axis: Axis, k: int) -> slice:
    start = (axis.start(k - 1) + axis.start(k)) // 2 if k else 0
    stop = (axis.start(k) + axis.start(k + 1)) // 2 if k < axis.count - 1 else axis.size
    return slice(start, stop)
