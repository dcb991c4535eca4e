"""Sieving: small regions take the class of their largest neighbor, exactly as in GDAL's sieve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Integers, Pixels
from ..errors import OptionError
from ..windows import Window
from .class_raster import ClassRaster, WriteWindow, iterate_windows
from .regions import Components, Indices, LargestNeighbors, connected_components, follow_links

WINDOW_SIZE = 1024
"""Height and width in pixels of the windows in which a raster is sieved."""

MAX_REGION_PIXELS = 2**31 - 1
"""Number of pixels at which GDAL stops counting; regions beyond it are equally large."""

UNCHANGED = 2**16
"""Result for regions that keep their class; larger than any class number."""


def sieve(
    source: ClassRaster,
    write: WriteWindow,
    min_pixels: int,
    connectivity: int = 4,
    nodata: int | None = None,
    window_size: int = WINDOW_SIZE,
) -> None:
    """Give small regions of a raster of classes the class of their largest neighbor.

    A region is a connected component of one class. One of fewer than ``min_pixels`` pixels takes
    the class of its largest neighbor, the first that GDAL compares it with among equally large
    ones. If that neighbor is small as well, the class of its largest neighbor is taken, and so on.
    A region keeps its class if no large region is reached: if all regions are small, nothing
    changes. The result is identical to GDAL's sieve of the whole raster.

    The raster is read three times. Memory holds a few windows, a row of pixels, and some numbers
    for each region that windows cut, once for each window.

    Parameters
    ----------
    source : ClassRaster
        The raster of classes.
    write : callable
        Called as ``write(rows, cols, window)`` with windows that tile the raster, row by row.
    min_pixels : int
        Smallest region in pixels that keeps its class, 1 or more.
    connectivity : int
        4, or 8 to connect pixels that touch at a corner only, too.
    nodata : int, optional
        Pixels of this value are left unchanged and are nobody's neighbors.
    window_size : int
        Height and width of the windows in pixels. The result does not depend on it.

    Raises
    ------
    OptionError
        If ``min_pixels`` is less than 1, or the connectivity neither 4 nor 8.
    """
    if min_pixels < 1:
        raise OptionError(f"the smallest region to keep must be at least 1 pixel, not {min_pixels}")
    if connectivity not in (4, 8):
        raise OptionError(f"connectivity must be 4 or 8, not {connectivity}")
    windows = _LabeledWindows(source, window_size, connectivity == 8, nodata)
    regions = _find_cut_regions(windows)
    result_of_target = _resolve_targets(windows, regions, min_pixels)
    for labeled in windows:
        _, _, targets = _small_regions(labeled, regions, min_pixels)
        write(*labeled.window, _pixels(labeled, result_of_target[targets])[..., None])


class _LabeledWindow(NamedTuple):
    """A window and the components in it, its row above and its column on the left included."""

    number: int
    window: Window
    components: Components
    cut: Integers
    """Components, ascending, whose region may continue in other windows."""


class _LabeledWindows:
    """All windows of a raster with their components, read again in each iteration."""

    def __init__(
        self, source: ClassRaster, window_size: int, diagonal: bool, nodata: int | None
    ) -> None:
        self._source = source
        self._window_size = window_size
        self._diagonal = diagonal
        self._nodata = nodata
        self.size = source.size

    def __iter__(self) -> Iterator[_LabeledWindow]:
        for number, window in enumerate(iterate_windows(self.size, self._window_size)):
            extended = window.extended()
            pixels = self._source.read(*extended)
            components = Components(pixels, extended, self.size[1], self._diagonal, self._nodata)
            yield _LabeledWindow(number, window, components, self._cut(window, components))

    def _cut(self, window: Window, components: Components) -> Integers:
        is_cut = np.zeros(components.count, np.bool_)
        for axis, (span, length) in enumerate(zip(window, self.size, strict=True)):
            if span.start > 0:
                is_cut[components.along_edge(axis, 0)] = True
            if span.stop < length:
                is_cut[components.along_edge(axis, -1)] = True
        return np.flatnonzero(is_cut)


class _CutRegions:
    """Regions that windows cut, with their size in the whole raster and their class.

    Parameters
    ----------
    sizes : list of ndarray of int64
        For each window, the pixels in it of each cut component.
    classes : list of ndarray
        For each window, the class of each cut component.
    same_region : list of ndarray of int64
        Pairs of cut components of one region, shape ``(2, pairs)``, counted over all windows.
    """

    def __init__(
        self, sizes: list[Integers], classes: list[Pixels], same_region: list[Integers]
    ) -> None:
        self._first_component = np.cumsum([0, *map(len, sizes)])
        one, other = np.concatenate([np.zeros((2, 0), np.int64), *same_region], axis=1)
        self._region_of_component, self.count = connected_components(
            int(self._first_component[-1]), one, other
        )
        totals = np.bincount(self._region_of_component, np.concatenate(sizes), self.count)
        self.sizes = np.minimum(totals, MAX_REGION_PIXELS).astype(np.int64)
        self.classes = np.empty(self.count, classes[0].dtype)
        self.classes[self._region_of_component] = np.concatenate(classes)

    def of(self, labeled: _LabeledWindow) -> Indices:
        """Return the region of each cut component of a window."""
        first, end = self._first_component[labeled.number : labeled.number + 2]
        return self._region_of_component[first:end]


def _find_cut_regions(windows: _LabeledWindows) -> _CutRegions:
    """Measure the components that windows cut, and connect those of one region."""
    sizes, classes, seams, count = [], [], _Seams(windows.size[1]), 0
    for labeled in windows:
        components, cut = labeled.components, labeled.cut
        ids = np.full(components.count, -1)
        ids[cut] = np.arange(count, count + len(cut))
        count += len(cut)
        sizes.append(components.sizes(labeled.window)[cut])
        classes.append(components.values[cut])
        seams.add(labeled, ids)
    return _CutRegions(sizes, classes, seams.same_region)


class _Seams:
    """Components along the edges of earlier windows, to which the next windows connect.

    A window and its neighbors above and on the left share a row or column of pixels: components
    of the same pixel are of one region.
    """

    def __init__(self, raster_width: int) -> None:
        self._above = np.zeros(raster_width, np.int64)
        self._bottom = np.zeros(raster_width, np.int64)
        self._left = np.zeros(0, np.int64)
        self.same_region: list[Integers] = []
        """Pairs of components of one region, shape ``(2, pairs)``."""

    def add(self, labeled: _LabeledWindow, ids: Integers) -> None:
        """Connect the next window; ``ids`` numbers its components over all windows."""
        (rows, cols), components = labeled.window, labeled.components
        extended = components.window
        if cols.start == 0:
            self._above, self._bottom = self._bottom, self._above
        if extended.rows.start < rows.start:
            self._connect(ids[components.along_edge(0, 0)], self._above[extended.cols])
        if extended.cols.start < cols.start:
            self._connect(ids[components.along_edge(1, 0)], self._left)
        self._left = ids[components.along_edge(1, -1)]
        bottom = ids[components.along_edge(0, -1)]
        self._bottom[cols] = bottom[cols.start - extended.cols.start :]

    def _connect(self, one: Integers, other: Integers) -> None:
        pairs = np.stack([one, other])
        is_new = np.diff(pairs, axis=1, prepend=-1).any(axis=0)
        self.same_region.append(pairs[:, is_new])


def _resolve_targets(windows: _LabeledWindows, regions: _CutRegions, min_pixels: int) -> Integers:
    """Return the result of each target: a class, or ``UNCHANGED``.

    A target is the index of a cut region, or ``regions.count`` plus a result. Each small cut
    region links to the target of its largest neighbor in all windows, any other one to its class.
    """
    count = regions.count
    links = np.arange(count + UNCHANGED + 1)
    links[:count] = regions.classes.astype(np.int64) + count
    size, comparison = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max)
    for labeled in windows:
        sizes, neighbors, targets = _small_regions(labeled, regions, min_pixels)
        region, largest, when = _neighbors_of_cut(labeled, regions, sizes, neighbors)
        is_first = (sizes[largest] == size[region]) & (when < comparison[region])
        is_better = (sizes[largest] > size[region]) | is_first
        region, largest, when = region[is_better], largest[is_better], when[is_better]
        links[region], size[region], comparison[region] = targets[largest], sizes[largest], when
    last = follow_links(links)
    return np.where(last >= count, last - count, UNCHANGED)  # cycles, too, leave regions unchanged


def _neighbors_of_cut(
    labeled: _LabeledWindow, regions: _CutRegions, sizes: Integers, neighbors: LargestNeighbors
) -> tuple[Indices, Integers, Integers]:
    """Return small cut regions, the largest neighbor of each in a window, and its comparison.

    A region appears once, although several components of the window may belong to it.
    """
    has_neighbor = neighbors.largest[labeled.cut] >= 0
    region, cut = regions.of(labeled)[has_neighbor], labeled.cut[has_neighbor]
    largest = neighbors.largest[cut]
    comparison = labeled.components.comparisons_in_raster(neighbors.first_comparison[cut])
    best_first = np.lexsort((comparison, -sizes[largest], region))
    region, first = np.unique(region[best_first], return_index=True)
    best = best_first[first]
    return region, largest[best], comparison[best]


def _small_regions(
    labeled: _LabeledWindow, regions: _CutRegions, min_pixels: int
) -> tuple[Integers, LargestNeighbors, Integers]:
    """Return region sizes, small components' largest neighbors, and targets in a window."""
    sizes = labeled.components.sizes(labeled.window)
    sizes[labeled.cut] = regions.sizes[regions.of(labeled)]
    neighbors = labeled.components.largest_neighbors(sizes, sizes < min_pixels)
    return sizes, neighbors, _targets(labeled, regions, neighbors)


def _targets(
    labeled: _LabeledWindow, regions: _CutRegions, neighbors: LargestNeighbors
) -> Integers:
    """Return the target of each component of a window, as far as the window determines it.

    Links from small components to their largest neighbors end at one that is large or cut.
    """
    components, cut = labeled.components, labeled.cut
    is_linked = neighbors.largest >= 0
    is_linked[cut] = False
    last = follow_links(np.where(is_linked, neighbors.largest, np.arange(components.count)))
    targets = components.values.astype(np.int64) + regions.count
    targets[cut] = regions.of(labeled)
    return np.where(last >= 0, targets[last], regions.count + UNCHANGED)


def _pixels(labeled: _LabeledWindow, results: Integers) -> Pixels:
    """Return a window's pixels with the result of each component in place of its class."""
    components = labeled.components
    classes = components.values
    sieved = np.where(results == UNCHANGED, classes, results).astype(classes.dtype)
    return components.to_pixels(sieved)[labeled.window.within(components.window)]
