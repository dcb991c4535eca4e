"""Sieving: small regions take the class of their largest neighbor, as GDAL's sieve does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Pixels
from ..errors import OptionError
from ..windows import Window
from .class_raster import Source, WriteWindow, windows
from .regions import Fragments, Integers, Neighbors, Places, connected, ends

SIDE = 1024
"""Height and width in pixels of the windows in which a raster is sieved."""

LARGEST = 2**31 - 1
"""Pixels at which GDAL stops counting."""

KEPT = 2**16
"""Beyond all classes: what becomes of a region that stays as it is."""


def sieve(
    source: Source,
    write: WriteWindow,
    least: int,
    connectivity: int = 4,
    nodata: int | None = None,
    side: int = SIDE,
) -> None:
    """Give small regions of a raster of classes the class of their largest neighbor.

    A region is what is connected of one class. One of fewer than ``least`` pixels takes the class
    of its largest neighbor, of several that which GDAL meets first; where that is small as well,
    that of its largest neighbor, and so on. Where no large one is ever come to, it stays: if all
    are small, nothing happens. The result is that of GDAL's sieve of the whole raster, to the bit.

    The raster is read three times. What is held are some windows, a row of pixels, and a few
    numbers for each region that windows cut, once for each window.

    Parameters
    ----------
    source : Source
        The raster of classes.
    write : callable
        Called as ``write(rows, cols, window)``, with windows that tile the raster, row by row.
    least : int
        Pixels of a region that stays, 1 or more.
    connectivity : int
        4, or 8 where pixels that share no more than a corner are connected, too.
    nodata : int, optional
        Pixels of that value stay as they are, and are nobody's neighbor.
    side : int
        Height and width of the windows. The result does not depend on it.

    Raises
    ------
    OptionError
        Where ``least`` is below 1, or the connectivity neither 4 nor 8.
    """
    if least < 1:
        raise OptionError(f"regions that stay have 1 pixel or more, not {least}")
    if connectivity not in (4, 8):
        raise OptionError(f"connectivity must be 4 or 8, not {connectivity}")
    parts = _Parts(source, side, connectivity == 8, nodata)
    regions = _find_regions(parts)
    outcome = _settle(parts, regions, least)
    for part in parts:
        sizes = _sizes(part, regions)
        neighbors = part.fragments.neighbors(sizes, sizes < least)
        values = outcome[_aims(part, regions, neighbors)]
        own = part.fragments.values
        kept = np.where(values == KEPT, own, values).astype(own.dtype)
        painted = part.fragments.painted(kept)[part.window.within(part.fragments.window)]
        write(*part.window, painted[..., None])


class _Part(NamedTuple):
    """A window, and what is in it and in the row above it and the column on its left."""

    number: int
    window: Window
    fragments: Fragments
    cut: Places
    """Fragments, ascending, of which there may be more in other windows."""


class _Parts:
    """All windows of a raster, read anew each time they are walked."""

    def __init__(self, source: Source, side: int, diagonal: bool, nodata: int | None) -> None:
        self._source = source
        self._side = side
        self._diagonal = diagonal
        self._nodata = nodata
        self.size = source.size

    def __iter__(self) -> Iterator[_Part]:
        for number, window in enumerate(windows(self.size, self._side)):
            wider = window.extended()
            pixels = self._source.read(*wider)
            fragments = Fragments(pixels, wider, self.size[1], self._diagonal, self._nodata)
            yield _Part(number, window, fragments, self._cut(window, fragments))

    def _cut(self, window: Window, fragments: Fragments) -> Places:
        is_cut = np.zeros(fragments.count, np.bool_)
        for axis, (span, length) in enumerate(zip(window, self.size, strict=True)):
            if span.start > 0:
                is_cut[fragments.along(axis, 0)] = True
            if span.stop < length:
                is_cut[fragments.along(axis, -1)] = True
        return np.flatnonzero(is_cut)


class _Regions:
    """Regions that are cut by windows: all of their size, and where to find them."""

    def __init__(
        self, sizes: list[Places], values: list[Pixels], joins: list[npt.NDArray[np.int64]]
    ) -> None:
        self._first = np.cumsum([0, *map(len, sizes)])
        one, other = np.concatenate([np.zeros((2, 0), np.int64), *joins], axis=1)
        self._region, self.count = connected(int(self._first[-1]), one, other)
        whole = np.bincount(self._region, np.concatenate(sizes), self.count)
        self.sizes = np.minimum(whole, LARGEST).astype(np.int64)
        self.values = np.empty(self.count, values[0].dtype)
        self.values[self._region] = np.concatenate(values)

    def of(self, part: _Part) -> Integers:
        """The regions of a part's cut fragments."""
        return self._region[self._first[part.number] : self._first[part.number + 1]]


def _find_regions(parts: _Parts) -> _Regions:
    """Measure the fragments that windows cut, and join those that hold the same pixels."""
    sizes, values, seams, first = [], [], _Seams(parts.size[1]), 0
    for part in parts:
        fragments = part.fragments
        names = np.full(fragments.count, -1)
        names[part.cut] = np.arange(first, first + len(part.cut))
        first += len(part.cut)
        sizes.append(fragments.sizes(part.window)[part.cut])
        values.append(fragments.values[part.cut])
        seams.join(part, names)
    return _Regions(sizes, values, seams.joins)


class _Seams:
    """Which fragments were last seen where the next windows begin."""

    def __init__(self, width: int) -> None:
        self._above = np.zeros(width, np.int64)
        self._bottom = np.zeros(width, np.int64)
        self._left = np.zeros(0, np.int64)
        self.joins: list[npt.NDArray[np.int64]] = []
        """Pairs of fragments, shape ``(2, pairs)``."""

    def join(self, part: _Part, names: Places) -> None:
        """Go on by one window, whose fragments have these names."""
        (rows, cols), wider, fragments = part.window, part.fragments.window, part.fragments
        if cols.start == 0:
            self._above, self._bottom = self._bottom, self._above
        if wider.rows.start < rows.start:
            self._add(names[fragments.along(0, 0)], self._above[wider.cols])
        if wider.cols.start < cols.start:
            self._add(names[fragments.along(1, 0)], self._left)
        self._left = names[fragments.along(1, -1)]
        self._bottom[cols] = names[fragments.along(0, -1)][cols.start - wider.cols.start :]

    def _add(self, one: Places, other: Places) -> None:
        pairs = np.stack([one, other])
        is_new = np.diff(pairs, axis=1, prepend=-1).any(axis=0)
        self.joins.append(pairs[:, is_new])


def _settle(parts: _Parts, regions: _Regions, least: int) -> Integers:
    """What becomes of each thing that ``_aims`` speaks of: a class, or ``KEPT``."""
    count = regions.count
    aim = np.arange(count + KEPT + 1)
    aim[:count] = regions.values.astype(np.int64) + count
    size, met = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max)
    for part in parts:
        sizes = _sizes(part, regions)
        neighbors = part.fragments.neighbors(sizes, sizes < least)
        aims = _aims(part, regions, neighbors)
        is_asking = neighbors.largest[part.cut] >= 0
        own, cut = regions.of(part)[is_asking], part.cut[is_asking]
        largest, when = neighbors.largest[cut], part.fragments.throughout(neighbors.met[cut])
        best = np.lexsort((when, -sizes[largest], own))
        own, first = np.unique(own[best], return_index=True)
        largest, when = largest[best[first]], when[best[first]]
        better = (sizes[largest] > size[own]) | ((sizes[largest] == size[own]) & (when < met[own]))
        own, largest, when = own[better], largest[better], when[better]
        aim[own], size[own], met[own] = aims[largest], sizes[largest], when
    end = ends(aim)
    return np.where(end >= count, end - count, KEPT)  # a region that aims at itself is no end


def _sizes(part: _Part, regions: _Regions) -> Places:
    """The sizes of the regions to which a part's fragments belong."""
    sizes = part.fragments.sizes(part.window)
    sizes[part.cut] = regions.sizes[regions.of(part)]
    return sizes


def _aims(part: _Part, regions: _Regions, neighbors: Neighbors) -> Places:
    """To what each fragment of a part comes, as far as the part itself can tell.

    A small one goes on to its largest neighbor, until one is large or cut. Numbers are those of
    regions; then come classes, and ``KEPT``.
    """
    goes_on = neighbors.largest >= 0
    goes_on[part.cut] = False
    end = ends(np.where(goes_on, neighbors.largest, np.arange(part.fragments.count)))
    aims = part.fragments.values.astype(np.int64) + regions.count
    aims[part.cut] = regions.of(part)
    return np.where(end >= 0, aims[end], regions.count + KEPT)
