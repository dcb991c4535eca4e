"""Outlines: many polygons along the edges of pixels, as a few arrays of integers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Array, Geometries, Integers, Mask

Vertices: TypeAlias = npt.NDArray[np.integer[Any]]
"""Corners of pixels as (column, row), shape ``(n, 2)``."""


@dataclass(frozen=True)
class Outlines:
    """Polygons whose edges run along rows and columns of pixels.

    ``points[rings[r] : rings[r + 1]]`` is ring ``r``, closed, in (column, row), the first being
    the last; rings ``polygons[p]`` to ``polygons[p + 1]`` are polygon ``p``, the outer one first.
    """

    points: Vertices
    rings: Integers
    polygons: Integers

    def __len__(self) -> int:
        return len(self.polygons) - 1

    def __getitem__(self, index: int) -> Outlines:
        """Return one of the polygons."""
        rings = self.rings[self.polygons[index] : self.polygons[index + 1] + 1]
        points = self.points[rings[0] : rings[-1]].copy()  # a view would keep all others in memory
        return Outlines(points, rings - rings[0], np.array([0, len(rings) - 1]))

    @property
    def holes(self) -> list[Vertices]:
        """The inner rings of a single polygon."""
        return [self.points[a:b] for a, b in pairwise(self.rings[1:].tolist())]

    @property
    def geometries(self) -> Geometries:
        """The polygons as shapely has them."""
        points, offsets = self.points.astype(np.float64), (self.rings, self.polygons)
        made: Geometries = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, offsets)
        return made

    def selected(self, chosen: Mask) -> Outlines:
        """Return the polygons that a mask of shape ``(len(self),)`` chooses."""
        rings = np.repeat(chosen, np.diff(self.polygons))
        points = np.repeat(rings, np.diff(self.rings))
        return Outlines(
            self.points[points],
            _offsets(np.diff(self.rings)[rings]),
            _offsets(np.diff(self.polygons)[chosen]),
        )


def from_geojson(geometries: Iterable[dict[str, Any]], left: int, top: int) -> Outlines:
    """Make outlines of GeoJSON polygons in pixels of a window.

    Parameters
    ----------
    geometries : iterable of dict
        GeoJSON polygons, (column, row) in the window.
    left, top : int
        First column and row of the window in the raster.
    """
    numbers, lengths, counts = array("d"), array("q"), array("q")
    for geometry in geometries:
        rings = geometry["coordinates"]
        counts.append(len(rings))
        for ring in rings:
            lengths.append(len(ring))
            numbers.extend(chain.from_iterable(ring))
    points = np.frombuffer(numbers).reshape(-1, 2).astype(np.int32) + np.array(
        [left, top], np.int32
    )
    return Outlines(points, _offsets(lengths), _offsets(counts))


def concatenated(parts: Sequence[Outlines]) -> Outlines:
    """Return the polygons of several outlines in one."""
    return Outlines(
        np.concatenate([np.empty((0, 2), np.int32), *(part.points for part in parts)]),
        _offsets(np.concatenate([[0], *(np.diff(part.rings) for part in parts)])[1:]),
        _offsets(np.concatenate([[0], *(np.diff(part.polygons) for part in parts)])[1:]),
    )


def polygon_of(rings: Sequence[Vertices]) -> Outlines:
    """Make one polygon of closed rings, the outer one first."""
    lengths = [len(ring) for ring in rings]
    return Outlines(np.concatenate(rings), _offsets(lengths), np.array([0, len(rings)]))


def with_nodes(outlines: Outlines, lines: tuple[int, int] = (1, 1)) -> Outlines:
    """Put a vertex wherever a corner of one polygon lies on an edge of another.

    Parameters
    ----------
    outlines : Outlines
        The polygons.
    lines : (height, width)
        Only edges along rows and columns that are multiples of these get vertices.
    """
    for along, step in enumerate(lines):
        outlines = _noded(outlines, along, step)
    return outlines


def _noded(outlines: Outlines, along: int, step: int) -> Outlines:
    """Put vertices on edges along rows, for axis 0, or along columns, for axis 1."""
    points = outlines.points.astype(np.int64)
    position, line = points[:, along], points[:, 1 - along]
    width = int(position.max(initial=0)) + 1
    keys = np.unique((line * width + position)[line % step == 0])
    starts, ends = line[:-1] * width + position[:-1], line[1:] * width + position[1:]
    is_edge = (line[:-1] == line[1:]) & (line[:-1] % step == 0)
    is_edge[outlines.rings[1:-1] - 1] = False  # from the end of a ring to the next one's start
    first = np.searchsorted(keys, np.minimum(starts, ends), side="right")
    last = np.searchsorted(keys, np.maximum(starts, ends), side="left")
    counts = np.where(is_edge, last - first, 0)
    edges = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
    ascending = (starts < ends)[edges]
    found = keys[np.where(ascending, first[edges] + nth, last[edges] - 1 - nth)]
    added = np.empty((len(edges), 2), np.int64)
    added[:, along], added[:, 1 - along] = found % width, found // width
    return _inserted(outlines, edges, added)


def densified(outlines: Outlines, step: int) -> Outlines:
    """Put vertices on edges wherever they cross a row or column that is a multiple of ``step``."""
    for along in (0, 1):
        points = outlines.points.astype(np.int64)
        position, line = points[:, along], points[:, 1 - along]
        low, high = (
            np.minimum(position[:-1], position[1:]),
            np.maximum(position[:-1], position[1:]),
        )
        counts = np.where(line[:-1] == line[1:], (high - 1) // step - low // step, 0)
        counts[outlines.rings[1:-1] - 1] = 0
        edges = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
        ascending = (position[:-1] < position[1:])[edges]
        steps = np.where(ascending, low[edges] // step + 1 + nth, (high[edges] - 1) // step - nth)
        added = np.empty((len(edges), 2), np.int64)
        added[:, along], added[:, 1 - along] = steps * step, line[edges]
        outlines = _inserted(outlines, edges, added)
    return outlines


def _inserted(outlines: Outlines, edges: Integers, points: Integers) -> Outlines:
    """Insert points after those with the indices ``edges``, which ascend."""
    before = np.searchsorted(edges, outlines.rings, side="left")
    merged = np.insert(outlines.points, edges + 1, points, axis=0)
    return Outlines(merged, outlines.rings + before, outlines.polygons)


def without_collinear(ring: Vertices) -> Vertices:
    """Return a closed ring without the vertices at which it does not turn."""
    open_ring = ring[:-1]
    is_level = open_ring[:, 1] == np.roll(open_ring[:, 1], -1)
    corners = open_ring[is_level != np.roll(is_level, 1)]
    return np.concatenate([corners, corners[:1]])


def _offsets(lengths: Sequence[int] | array[int] | Array) -> Integers:
    """Where each of consecutive parts of these lengths begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))])
