"""Fragments: the parts of regions of one class that lie in one window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Pixels
from ..windows import Window

Integers = npt.NDArray[np.integer]

Places = npt.NDArray[np.int64]
"""Pixels of a window, counted row by row."""

ORDERS = 4
"""Pixels at most with which each pixel is compared."""


class Neighbors(NamedTuple):
    """The largest neighbor of each fragment, of several the one that is met first."""

    largest: Places
    """Its number; -1 where there is none, or none was asked for."""
    met: Places
    """The first comparison with it."""


class Contacts(NamedTuple):
    """Pairs of runs, the earlier pixel's as the other, and the comparisons that make them."""

    one: Integers
    other: Integers
    comparison: Places


class Fragments:
    """Connected pixels of one value within a window, numbered from 0.

    They are made of runs, pixels of one value side by side in a row: but for finding those, what
    they cost depends on the number of runs and not of pixels.

    Each pixel is compared with the one above it, if diagonals count with those above on the left
    and on the right, and then with the one on its left; pixels come row by row, and comparisons
    are numbered in that order. Pixels of the same value belong together, and fragments of
    different values are neighbors where pixels of theirs are compared.

    Parameters
    ----------
    pixels : ndarray of shape ``(height, width)``
        Of the window.
    window : Window
        Where in the raster it lies.
    across : int
        The raster's width.
    diagonal : bool
        Whether pixels that share no more than a corner are compared.
    nodata : int, optional
        The value of pixels that have no neighbors, and are none.
    """

    def __init__(
        self, pixels: Pixels, window: Window, across: int, diagonal: bool, nodata: int | None
    ) -> None:
        self.window = window
        self._across = across
        starts = _starts(pixels)
        self._first = np.flatnonzero(starts)
        self._run = np.cumsum(starts, dtype=np.int32) - 1
        values = pixels.ravel()[self._first]
        joins, self._contacts = [], []
        for pairs in self._compared(starts.ravel(), diagonal):
            one, other = values[pairs.one], values[pairs.other]
            differ = one != other
            joins.append(np.stack([pairs.one[~differ], pairs.other[~differ]]))
            if nodata is not None:
                differ &= (one != nodata) & (other != nodata)
            self._contacts.append(Contacts(*(part[differ] for part in pairs)))
        self._of_run, self.count = connected(len(values), *np.concatenate(joins, axis=1))
        self.values = np.empty(self.count, pixels.dtype)
        self.values[self._of_run] = values

    def sizes(self, part: Window) -> Places:
        """How many pixels of each lie in a part of the window that reaches to its last pixel."""
        height, width = self.window.shape
        rows, cols = part.within(self.window)
        lengths = np.diff(self._first, append=height * width)
        lengths[self._first % width < cols.start] -= cols.start
        lengths[self._first < rows.start * width] = 0
        return np.bincount(self._of_run, lengths, self.count).astype(np.int64)

    def along(self, axis: int, end: int) -> Integers:
        """The fragments of the first (0) or last (-1) row (axis 0) or column (axis 1)."""
        runs = self._run.reshape(self.window.shape).take(end, axis)
        along: Integers = self._of_run[runs]
        return along

    def neighbors(self, sizes: Places, asked: npt.NDArray[np.bool_]) -> Neighbors:
        """The largest neighbors of those that are asked for, by sizes that are given."""
        mine, its, when = self._contacts_of(asked)
        size = sizes[its]
        most = np.zeros(self.count, np.int64)
        np.maximum.at(most, mine, size)
        best = np.flatnonzero(size == most[mine])
        mine, its, when = mine[best], its[best], when[best]
        met = np.full(self.count, np.iinfo(np.int64).max)
        np.minimum.at(met, mine, when)
        first = when == met[mine]
        largest = np.full(self.count, -1)
        largest[mine[first]] = its[first]
        return Neighbors(largest, met)

    def throughout(self, comparisons: Places) -> Places:
        """Numbers of comparisons as they are in the whole raster and not in the window."""
        places, order = np.divmod(comparisons, ORDERS)
        rows, cols = np.divmod(places, self.window.shape[1])
        rows += self.window.rows.start
        cols += self.window.cols.start
        return (rows * self._across + cols) * ORDERS + order

    def painted(self, values: Pixels) -> Pixels:
        """Pixels of the window, those of each fragment with its value."""
        lengths = np.diff(self._first, append=len(self._run))
        return np.repeat(values[self._of_run], lengths).reshape(self.window.shape)

    def _contacts_of(self, asked: npt.NDArray[np.bool_]) -> tuple[Integers, Integers, Places]:
        """Fragments that are asked for, their neighbors, and the comparisons by which they are."""
        found = []
        is_asked = asked[self._of_run]
        for one, other, comparison in self._contacts:
            for own, its in ((one, other), (other, one)):
                kept = np.flatnonzero(is_asked[own])
                pair = self._of_run[own[kept]], self._of_run[its[kept]]
                found.append((*pair, comparison[kept]))
        mine, its, when = map(np.concatenate, zip(*found, strict=True))
        return mine, its, when

    def _compared(self, starts: npt.NDArray[np.bool_], diagonal: bool) -> Iterator[Contacts]:
        """Of all comparisons between two runs the first one, and not many more."""
        height, width = self.window.shape
        run, first, number = self._run, self._first, np.arange(len(self._first), dtype=np.int32)
        lower = first >= width
        yield Contacts(number[lower], run[first[lower] - width], first[lower] * ORDERS)
        upper = first < (height - 1) * width
        under, over = first[upper] + width, number[upper]
        within = ~starts[under]
        yield Contacts(run[under[within]], over[within], under[within] * ORDERS)
        if diagonal:
            inner = under % width != 0
            under, over = under[inner], over[inner]
            yield Contacts(run[under], over - 1, under * ORDERS + 1)
            yield Contacts(run[under - 1], over, (under - 1) * ORDERS + 2)
        inner = first % width != 0
        yield Contacts(number[inner], number[inner] - 1, first[inner] * ORDERS + 3)


def connected(count: int, one: Integers, other: Integers) -> tuple[Integers, int]:
    """Number what is connected by pairs: for each of ``count`` nodes its number, and how many.

    Numbers are in the order of the first node of each.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    found, numbers = connected_components(pairs, directed=False)
    return numbers, int(found)


def ends(after: Integers) -> Integers:
    """Where one comes to from each place, going from ``i`` to ``after[i]``, and so on.

    Places with ``after[i] == i`` are ends; -1 where one goes round in circles.
    """
    is_end = after == np.arange(len(after))
    for _ in range(len(after).bit_length()):
        if is_end[after].all():
            break
        after = after[after]
    return np.where(is_end[after], after, -1)


def _starts(pixels: Pixels) -> npt.NDArray[np.bool_]:
    starts = np.ones(pixels.shape, np.bool_)
    np.not_equal(pixels[:, 1:], pixels[:, :-1], out=starts[:, 1:])
    return starts
