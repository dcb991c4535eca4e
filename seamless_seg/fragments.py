"""Fragments: the parts of regions of one class that lie in one window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .cleaning import Pixels
from .sample import Window

Integers = npt.NDArray[np.integer]
Places = npt.NDArray[np.int64]
"""Pixels of a window, counted row by row."""

ORDERS = 4
"""Pixels at most with which each pixel is compared."""


class Neighbours(NamedTuple):
    """The largest neighbour of each fragment, of several the one that is met first."""

    largest: Places
    """Its number; -1 where there is none, or none was asked for."""
    met: Places
    """The comparison by which it is met first; they are numbered throughout the raster."""


class Fragments:
    """Connected pixels of one value within a window, numbered from 0.

    They are made of runs, pixels of one value side by side in a row: but for finding those, what
    they cost depends on the number of runs and not of pixels.

    Each pixel is compared with the one above it, if diagonals count with those above on the left
    and on the right, and then with the one on its left; pixels come row by row. Those of the same
    value belong together, and fragments of different values are neighbours where pixels of theirs
    are compared.

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
        The value of pixels that have no neighbours, and are none.
    """

    def __init__(
        self, pixels: Pixels, window: Window, across: int, diagonal: bool, nodata: int | None
    ) -> None:
        self.window = window
        self._pixels = np.ascontiguousarray(pixels).ravel()
        self._across = across
        self._diagonal = diagonal
        self._nodata = nodata
        starts = _starts(pixels)
        self._first = np.flatnonzero(starts)
        self._run = np.cumsum(starts, dtype=np.int32) - 1
        self._of_run, self.count = self._connect()
        self.values = np.empty(self.count, pixels.dtype)
        self.values[self._of_run] = self._pixels[self._first]

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
        return self._of_run[runs]

    def neighbours(self, sizes: Places, asked: npt.NDArray[np.bool_]) -> Neighbours:
        """The largest neighbours of those that are asked for, by sizes that are given."""
        largest, met = np.full(self.count, -1), np.full(self.count, np.iinfo(np.int64).max)
        mine, its, when = self._contacts(asked)
        most = np.zeros(self.count, np.int64)
        np.maximum.at(most, mine, sizes[its])
        best = np.flatnonzero(sizes[its] == most[mine])
        np.minimum.at(met, mine[best], when[best])
        best = best[when[best] == met[mine[best]]]
        largest[mine[best]] = its[best]
        return Neighbours(largest, met)

    def painted(self, values: Pixels) -> Pixels:
        """Pixels of the window, those of each fragment with its value."""
        lengths = np.diff(self._first, append=len(self._pixels))
        return np.repeat(values[self._of_run], lengths).reshape(self.window.shape)

    def _connect(self) -> tuple[Integers, int]:
        pairs = [
            (self._run[one[same]], self._run[other[same]])
            for one, other, _ in self._compared()
            for same in [self._pixels[one] == self._pixels[other]]
        ]
        return connected(len(self._first), *map(np.concatenate, zip(*pairs, strict=True)))

    def _contacts(self, asked: npt.NDArray[np.bool_]) -> tuple[Integers, Integers, Places]:
        """Fragments that are asked for, their neighbours, and the comparisons by which they are."""
        contacts = []
        for one, other, order in self._compared():
            differ = self._pixels[one] != self._pixels[other]
            if self._nodata is not None:
                differ &= self._pixels[one] != self._nodata
                differ &= self._pixels[other] != self._nodata
            one, other = one[differ], other[differ]
            when = self._number(one, order)
            ours, others = (self._of_run[self._run[place]] for place in (one, other))
            for mine, its in ((ours, others), (others, ours)):
                kept = asked[mine]
                contacts.append((mine[kept], its[kept], when[kept]))
        mine, its, when = map(np.concatenate, zip(*contacts, strict=True))
        return mine, its, when

    def _compared(self) -> Iterator[tuple[Places, Places, int]]:
        """Pixels, those with which they are compared, and in which order at one pixel.

        Of all comparisons between two runs there is the first one, and not many more.
        """
        height, width = self.window.shape
        first = self._first
        below = first[first < (height - 1) * width] + width
        inner = first[first % width != 0]
        below_inner = below[below % width != 0]
        for place in (first[first >= width], below):
            yield place, place - width, 0
        if self._diagonal:
            yield below_inner, below_inner - width - 1, 1
            yield below_inner - 1, below_inner - width, 2
        yield inner, inner - 1, 3

    def _number(self, places: Places, order: int) -> Places:
        rows, cols = np.divmod(places, self.window.shape[1])
        rows += self.window.rows.start
        cols += self.window.cols.start
        return (rows * self._across + cols) * ORDERS + order


def connected(count: int, one: Integers, other: Integers) -> tuple[Integers, int]:
    """Number what is connected by pairs: for each of ``count`` nodes its number, and how many.

    Numbers are in the order of the first node of each.
    """
    root = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    while len(one):
        root[np.maximum(one, other)] = np.minimum(one, other)
        while not np.array_equal(further := root[root], root):
            root = further
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
    is_first = root == np.arange(count)
    numbers = np.cumsum(is_first, dtype=root.dtype) - 1
    return numbers[root], int(np.count_nonzero(is_first))


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
