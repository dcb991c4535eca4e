"""Disagreement: how far tiles that overlap are apart, which is what blending has to hide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Logits, Mask, classes
from ..inference.prepared import PreparedRun
from ..progress import OnProgress, Progress
from ..raster.geotiff import Output
from ..raster.writer import RasterWriter
from ..tiling.axis import Axis
from ..tiling.blend import Blender, largest, smallest
from ..tiling.grid import Index, shape_to_slices
from ..tiling.plan import Plan
from ..tiling.weights import trusted

EVERYONE = "flat"
"""The trust by which all tiles speak, outside of their margin."""


class Disagreement(NamedTuple):
    """How far the tiles are apart at each pixel of a window, shape ``(height, width)``."""

    shared: Mask
    """Whether more than one tile speaks for the pixel: outside of the margin of several."""
    apart: npt.NDArray[np.float32]
    """The difference of the largest and the smallest logit, of the class where it is largest."""
    other_class: Mask
    """Whether the tiles name different classes."""

    def part(self, rows: slice, cols: slice) -> Disagreement:
        """The same for a part of the window."""
        return Disagreement(
            self.shared[rows, cols], self.apart[rows, cols], self.other_class[rows, cols]
        )


class Disagreements:
    """Follows the tiles of a plan, in its order, and tells how far they are apart.

    Like a ``Blender`` it holds what later tiles can still change, and nothing else.
    """

    def __init__(self, plan: Plan) -> None:
        everyone = replace(plan, trust=EVERYONE)
        self._plan = plan
        self._largest, self._smallest = Blender(everyone, largest), Blender(everyone, smallest)

    def add(self, index: Index, geom: shapely.Polygon, tile: Logits) -> Disagreement:
        """Add a tile ``(height, width, classes)``; returns what its window ``geom`` comes to."""
        # NaN is what no tile should say: from all others it is infinitely far.
        said = np.concatenate([tile, classes(tile)[..., None]], axis=-1, dtype=np.float32)
        said[np.isnan(said)] = np.inf
        highest, lowest = self._largest.add(index, said), self._smallest.add(index, said)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.where(highest == lowest, 0, highest - lowest)
        rows, cols = shape_to_slices(geom)
        speakers = _speakers(self._plan.grid.rows, rows)[:, None]
        shared = speakers * _speakers(self._plan.grid.cols, cols) > 1
        return Disagreement(shared, apart[..., :-1].max(axis=-1), apart[..., -1] > 0)


class Dispute(NamedTuple):
    """How far overlapping tiles are apart, over the pixels for which more than one speaks."""

    pixels: int
    mean: float
    p95: float
    """95th percentile, and the 99th: to a few parts in ten thousand."""
    p99: float
    other_class: float
    """Share of those pixels for which tiles name different classes."""


class Disputes:
    """Gathers disagreements in a fixed amount of memory."""

    _SHIFT = 11
    """Floats above 0 are in the order of their bits: these are too fine to be counted apart."""

    def __init__(self) -> None:
        self._counts = np.zeros(2**31 >> self._SHIFT, np.int64)
        self._total = 0.0
        self._other_class = 0

    def add(self, found: Disagreement) -> None:
        """Add a window."""
        apart = np.ascontiguousarray(found.apart[found.shared], np.float32)
        numbers = apart.view(np.uint32) >> np.uint32(self._SHIFT)
        np.add.at(self._counts, numbers, 1)
        self._total += float(apart.sum(dtype=np.float64))
        self._other_class += int(found.other_class[found.shared].sum())

    def value(self) -> Dispute | None:
        """What it comes to; None where no two tiles speak for a pixel."""
        pixels = int(self._counts.sum())
        if not pixels:
            return None
        p95, p99 = (self._percentile(share * pixels) for share in (0.95, 0.99))
        return Dispute(pixels, self._total / pixels, p95, p99, self._other_class / pixels)

    def _percentile(self, rank: float) -> float:
        number = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(np.uint32(number << self._SHIFT).view(np.float32))


def _speakers(axis: Axis, interval: slice) -> npt.NDArray[np.int64]:
    """How many tiles speak for each pixel of an interval."""
    count = np.zeros(interval.stop - interval.start, np.int64)
    for k in axis.tiles_over(interval.start, interval.stop):
        start, stop = trusted(axis, k, EVERYONE)
        count[max(0, start - interval.start) : max(0, stop - interval.start)] += 1
    return count


def map_disagreement(
    task: PreparedRun, destination: Path, overwrite: bool, on_progress: OnProgress | None
) -> None:
    """Run all tiles and write how far they are apart at every pixel.

    One band of float32: the difference of the largest and the smallest logit that tiles give, of
    the class where it is largest; NaN where one tile alone speaks.
    """
    reader = task.reader
    look = Output(reader.size, 1, reader.georeference, descriptions=["disagreement"], nodata=np.nan)
    progress, disagreements = Progress(0, task.plan.tiles, 0), Disagreements(task.plan)
    with RasterWriter(destination, look, overwrite) as writer:
        for index, geom, tile, valid in task.tile_logits(task.plan):
            found = disagreements.add(index, geom, tile)
            apart = np.where(found.shared, found.apart, np.float32(np.nan))
            window = shape_to_slices(geom)
            if valid is not None:
                apart[~valid[: apart.shape[0], : apart.shape[1]]] = np.nan
            writer.write(*window, apart[..., None])
            progress = progress.more(apart.size)
            if on_progress:
                on_progress(progress)
