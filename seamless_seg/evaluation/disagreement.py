"""Disagreement: differences between overlapping tiles, before blending averages them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Logits, Mask, Values, classes
from ..inference.prepared import PreparedRun
from ..progress import OnProgress, Progress
from ..tiling.axis import Axis
from ..tiling.blend import Blender, largest, smallest
from ..tiling.grid import Index, shape_to_slices
from ..tiling.plan import Plan
from ..tiling.weights import trusted

UNWEIGHTED = "flat"
"""The trust with which tiles are compared: all pixels outside of the margin count."""


class Disagreement(NamedTuple):
    """Differences between overlapping tiles in a window, shape ``(height, width)``."""

    shared: Mask
    """Whether several tiles cover the pixel outside of their margins."""
    apart: Values
    """Difference of the largest and the smallest logit, of the class where it is largest."""
    other_class: Mask
    """Whether tiles differ in the class."""

    def part(self, rows: slice, cols: slice) -> Disagreement:
        """Return the disagreement in a part of the window."""
        return Disagreement(
            self.shared[rows, cols], self.apart[rows, cols], self.other_class[rows, cols]
        )


class DisagreementTracker:
    """Finds the disagreement of a plan's tiles, which are added in the plan's order.

    Like a ``Blender`` it holds only values that later tiles can still change.
    """

    def __init__(self, plan: Plan) -> None:
        unweighted = replace(plan, trust=UNWEIGHTED)
        self._plan = plan
        self._largest, self._smallest = Blender(unweighted, largest), Blender(unweighted, smallest)

    def add(self, index: Index, geom: shapely.Polygon, tile: Logits) -> Disagreement:
        """Add a tile and return the disagreement in the window that it finishes.

        Parameters
        ----------
        index : (row, column)
            Index of the tile: the next one in the plan.
        geom : shapely.Polygon
            Box of the window in (y, x) pixels.
        tile : ndarray
            Logits, shape ``(height, width, classes)``.
        """
        values = np.concatenate([tile, classes(tile)[..., None]], axis=-1, dtype=np.float32)
        # NaN differs from every number, and not from NaN: as infinity does.
        values[np.isnan(values)] = np.inf
        highest, lowest = self._largest.add(index, values), self._smallest.add(index, values)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.where(highest == lowest, 0, highest - lowest)
        rows, cols = shape_to_slices(geom)
        tiles = _count_tiles(self._plan.grid.rows, rows)[:, None]
        shared = tiles * _count_tiles(self._plan.grid.cols, cols) > 1
        return Disagreement(shared, apart[..., :-1].max(axis=-1), apart[..., -1] > 0)


def _count_tiles(axis: Axis, interval: slice) -> npt.NDArray[np.int64]:
    """Count the tiles that cover each pixel of an interval outside of their margins."""
    count = np.zeros(interval.stop - interval.start, np.int64)
    for k in axis.tiles_over(interval.start, interval.stop):
        start, stop = trusted(axis, k, UNWEIGHTED)
        count[max(0, start - interval.start) : max(0, stop - interval.start)] += 1
    return count


class Dispute(NamedTuple):
    """Differences between overlapping tiles, over the pixels that several tiles cover."""

    pixels: int
    """Pixels that several tiles cover outside of their margins."""
    mean: float
    """Mean of the largest difference of a logit at each pixel."""
    p95: float
    """95th percentile of these differences, to a few parts in ten thousand."""
    p99: float
    """99th percentile of these differences, to a few parts in ten thousand."""
    other_class: float
    """Share of these pixels at which tiles differ in the class."""


class DisagreementStatistics:
    """Statistics of disagreements, added window by window in a fixed amount of memory."""

    _SHIFT = 11
    """Low bits of a float32 that its bin in the histogram does not depend on.

    Floats above 0 are in the order of their bits, so a bin is a range of values.
    """

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
        """Return the statistics of all windows; None if no pixel is covered by several tiles."""
        pixels = int(self._counts.sum())
        if not pixels:
            return None
        p95, p99 = (self._percentile(share * pixels) for share in (0.95, 0.99))
        return Dispute(pixels, self._total / pixels, p95, p99, self._other_class / pixels)

    def _percentile(self, rank: float) -> float:
        number = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(np.uint32(number << self._SHIFT).view(np.float32))


def map_disagreement(
    run: PreparedRun, destination: Path, overwrite: bool, on_progress: OnProgress | None
) -> None:
    """Run all tiles and write a GeoTIFF of their disagreement at every pixel.

    It has one float32 band: the difference of the largest and the smallest logit that tiles give,
    of the class where it is largest; NaN where a single tile covers the pixel.

    Parameters
    ----------
    run : PreparedRun
        The raster, the model and the plan.
    destination : Path
        Where to write.
    overwrite : bool
        Whether an existing file may be replaced.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.
    """
    from ..raster.geotiff import Output
    from ..raster.writer import RasterWriter

    reader = run.reader
    look = Output(reader.size, 1, reader.georeference, descriptions=["disagreement"], nodata=np.nan)
    progress, tracker = Progress(0, run.plan.tiles, 0), DisagreementTracker(run.plan)
    with RasterWriter(destination, look, overwrite) as writer:
        for index, geom, tile, valid in run.tile_logits(run.plan):
            found = tracker.add(index, geom, tile)
            apart = np.where(found.shared, found.apart, np.float32(np.nan))
            window = shape_to_slices(geom)
            if valid is not None:
                apart[~valid[: apart.shape[0], : apart.shape[1]]] = np.nan
            writer.write(*window, apart[..., None])
            progress = progress.more(apart.size)
            if on_progress:
                on_progress(progress)
        reader.check_unchanged()
