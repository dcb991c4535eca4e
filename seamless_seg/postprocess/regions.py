"""Regions of one class: their connected components within a window, and links between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Integers, Mask, Pixels
from ..windows import Window

Indices: TypeAlias = npt.NDArray[np.integer[Any]]
"""Indices of runs, components or nodes, in any integer dtype."""

COMPARISONS_PER_PIXEL = 4
"""Number of neighbors with which a pixel is compared, at most."""


class Components:
    """Connected components of equal pixels within a window, numbered from 0.

    They are built of runs, which are equal pixels side by side in a row. Only finding the runs
    takes time for each pixel; everything else takes time for each run.

    Pixels are compared in the order of GDAL's sieve: row by row, each pixel with the one above it,
    with diagonals also with those above it on the left and on the right, then with the one on its
    left. Comparisons are numbered in that order. Equal pixels that are compared are of one
    component; components with different pixels that are compared are neighbors.

    Parameters
    ----------
    pixels : ndarray
        Classes of the window, shape ``(height, width)``.
    window : Window
        Where in the raster the window lies.
    raster_width : int
        Width of the raster in pixels.
    diagonal : bool
        Compare pixels that touch at a corner only, too.
    nodata : int, optional
        Pixels of this value have no neighbors and are nobody's neighbors.
    """

    def __init__(
        self, pixels: Pixels, window: Window, raster_width: int, diagonal: bool, nodata: int | None
    ) -> None:
        self.window = window
        self._raster_width = raster_width
        is_start = _run_starts(pixels)
        self._run_start = np.flatnonzero(is_start)
        self._run_of_pixel = np.cumsum(is_start, dtype=np.int32) - 1
        run_values = pixels.ravel()[self._run_start]
        equal_pairs, self._adjacent = [], []
        for pairs in self._compared_runs(is_start.ravel(), diagonal):
            later, earlier = run_values[pairs.later], run_values[pairs.earlier]
            differ = later != earlier
            equal_pairs.append(np.stack([pairs.later[~differ], pairs.earlier[~differ]]))
            if nodata is not None:
                differ &= (later != nodata) & (earlier != nodata)
            self._adjacent.append(RunPairs(*(column[differ] for column in pairs)))
        self._component_of_run, self.count = connected_components(
            len(run_values), *np.concatenate(equal_pairs, axis=1)
        )
        self.values = np.empty(self.count, pixels.dtype)
        """Class of each component."""
        self.values[self._component_of_run] = run_values

    def sizes(self, part: Window) -> Integers:
        """Return each component's number of pixels in a part that ends where the window ends."""
        height, width = self.window.shape
        rows, cols = part.within(self.window)
        lengths = np.diff(self._run_start, append=height * width)
        lengths[self._run_start % width < cols.start] -= cols.start
        lengths[self._run_start < rows.start * width] = 0
        return np.bincount(self._component_of_run, lengths, self.count).astype(np.int64)

    def along_edge(self, axis: int, position: int) -> Indices:
        """Return the component of each pixel of an edge of the window.

        Parameters
        ----------
        axis : int
            0 for a row, 1 for a column.
        position : int
            0 for the first row or column, -1 for the last.
        """
        runs = self._run_of_pixel.reshape(self.window.shape).take(position, axis)
        components: Indices = self._component_of_run[runs]
        return components

    def largest_neighbors(self, sizes: Integers, selected: Mask) -> LargestNeighbors:
        """Return the largest neighbor of each selected component, the first one of equal size.

        Parameters
        ----------
        sizes : ndarray of int64
            Size of each component, shape ``(count,)``; for one that the window cuts, the size of
            the whole region.
        selected : ndarray of bool
            Components whose neighbors are searched, shape ``(count,)``.
        """
        component, neighbor, comparison = self._neighbors(selected)
        size = sizes[neighbor]
        largest_size = np.zeros(self.count, np.int64)
        np.maximum.at(largest_size, component, size)
        kept = np.flatnonzero(size == largest_size[component])
        component, neighbor, comparison = component[kept], neighbor[kept], comparison[kept]
        first_comparison = np.full(self.count, np.iinfo(np.int64).max)
        np.minimum.at(first_comparison, component, comparison)
        is_first = comparison == first_comparison[component]
        largest = np.full(self.count, -1)
        largest[component[is_first]] = neighbor[is_first]
        return LargestNeighbors(largest, first_comparison)

    def comparisons_in_raster(self, comparisons: Integers) -> Integers:
        """Convert numbers of comparisons in the window to those in the whole raster."""
        pixel, order = np.divmod(comparisons, COMPARISONS_PER_PIXEL)
        rows, cols = np.divmod(pixel, self.window.shape[1])
        rows += self.window.rows.start
        cols += self.window.cols.start
        return (rows * self._raster_width + cols) * COMPARISONS_PER_PIXEL + order

    def to_pixels(self, values: Pixels) -> Pixels:
        """Give each pixel of the window the value of its component; shape ``(height, width)``."""
        lengths = np.diff(self._run_start, append=len(self._run_of_pixel))
        return np.repeat(values[self._component_of_run], lengths).reshape(self.window.shape)

    def _neighbors(self, selected: Mask) -> tuple[Indices, Indices, Integers]:
        """Return selected components, a neighbor of each, and the comparison that found it."""
        found = []
        is_selected = selected[self._component_of_run]
        for later, earlier, comparison in self._adjacent:
            for run, other in ((later, earlier), (earlier, later)):
                kept = np.flatnonzero(is_selected[run])
                pair = self._component_of_run[run[kept]], self._component_of_run[other[kept]]
                found.append((*pair, comparison[kept]))
        component, neighbor, comparison = map(np.concatenate, zip(*found, strict=True))
        return component, neighbor, comparison

    def _compared_runs(self, is_start: Mask, diagonal: bool) -> Iterator[RunPairs]:
        """Yield the first comparison of each two runs, and a few of the later ones.

        Two runs meet first where one of them starts, above, below or beside the other.
        """
        height, width = self.window.shape
        run_of, start = self._run_of_pixel, self._run_start
        run, per_pixel = np.arange(len(start), dtype=np.int32), COMPARISONS_PER_PIXEL
        not_top = start >= width
        yield RunPairs(run[not_top], run_of[start[not_top] - width], start[not_top] * per_pixel)
        not_bottom = start < (height - 1) * width
        below, above = start[not_bottom] + width, run[not_bottom]
        inside = ~is_start[below]
        yield RunPairs(run_of[below[inside]], above[inside], below[inside] * per_pixel)
        if diagonal:
            not_left = below % width != 0
            below, above = below[not_left], above[not_left]
            yield RunPairs(run_of[below], above - 1, below * per_pixel + 1)
            yield RunPairs(run_of[below - 1], above, (below - 1) * per_pixel + 2)
        not_left = start % width != 0
        yield RunPairs(run[not_left], run[not_left] - 1, start[not_left] * per_pixel + 3)


class LargestNeighbors(NamedTuple):
    """The largest neighbor of each component, the first one compared among equally large ones."""

    largest: Integers
    """Index of the neighbor; -1 for components without neighbors and those not selected."""
    first_comparison: Integers
    """Number of the first comparison with that neighbor."""


class RunPairs(NamedTuple):
    """Pairs of runs that were compared, and by which comparison."""

    later: Indices
    """Run of the later pixel in row order."""
    earlier: Indices
    """Run of the earlier pixel."""
    comparison: Integers
    """Number of the comparison in the window."""


def connected_components(count: int, one: Indices, other: Indices) -> tuple[Indices, int]:
    """Label the connected components of a graph by the order of their first nodes.

    Parameters
    ----------
    count : int
        Number of nodes.
    one, other : ndarray of int
        Nodes that each edge connects, shape ``(edges,)``.

    Returns
    -------
    labels : ndarray of int
        Component of each node, from 0, shape ``(count,)``.
    components : int
        Number of components.
    """
    from scipy.sparse import coo_array, csgraph

    edges = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    components, labels = csgraph.connected_components(edges, directed=False)
    return labels, int(components)


def follow_links(links: Indices) -> Indices:
    """Follow links from each node, ``i`` to ``links[i]`` and so on, to a node that links to itself.

    Parameters
    ----------
    links : ndarray of int
        Node to which each node links, shape ``(nodes,)``.

    Returns
    -------
    ndarray of int
        The last node on the way from each node; -1 if the links form a cycle.
    """
    is_last = links == np.arange(len(links))
    for _ in range(len(links).bit_length()):  # each round doubles the number of links followed
        if is_last[links].all():
            break
        links = links[links]
    return np.where(is_last[links], links, -1)


def _run_starts(pixels: Pixels) -> Mask:
    is_start = np.ones(pixels.shape, np.bool_)
    np.not_equal(pixels[:, 1:], pixels[:, :-1], out=is_start[:, 1:])
    return is_start
