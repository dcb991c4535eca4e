"""The plan: which tiles to load, which windows to write and what to free, in which order.

A plan depends on sizes alone and is made before any pixel is read. It is lazy: its steps are made
during iteration, row by row and left to right, and it may be iterated any number of times. A wide
image can be processed in panels of columns, one after the other, so that less is held at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import shapely

from ..arrays import Mask
from ..validation import pair, whole_number
from ..windows import Size
from .axis import Axis
from .coverage import Coverage
from .grid import Boxes, Grid, Index
from .trust import Profile, profile


@dataclass(frozen=True, slots=True)
class Load:
    """Step: load a tile, once."""

    index: Index
    geom: shapely.Polygon
    action: Literal["load"] = "load"


@dataclass(frozen=True, slots=True)
class Write:
    """Step: write a window, once; no later tile changes it."""

    index: Index
    geom: shapely.Polygon
    action: Literal["write"] = "write"


@dataclass(frozen=True, slots=True)
class Unload:
    """Step: a tile is free; nothing of it is held any longer."""

    index: Index
    action: Literal["unload"] = "unload"


Step: TypeAlias = Load | Write | Unload
"""A step of a plan."""


class Peak(NamedTuple):
    """The most that is held of the tiles between two steps, without what is read ahead."""

    pixels: int
    """Pixels of the carry, which later tiles still change: mostly rows of a panel's width, and the
    columns that one panel leaves to the next."""
    fraction: float
    """``pixels`` over the pixels of the image."""
    tiles: int
    """``pixels`` in whole tiles, rounded up."""


class Batch(NamedTuple):
    """Tiles that are loaded together, in the plan's order."""

    indices: list[Index]
    geoms: list[shapely.Polygon]


@dataclass(frozen=True)
class Plan:
    """How to run a model over an image in overlapping tiles, as a sequence of steps.

    Iterating yields ``Load``, ``Write`` and ``Unload`` steps, each with its ``action``, tile
    ``index`` and, but for the last kind, ``geom``. ``len(plan)`` counts them.

    It takes O(rows + columns) memory, and with an area a few numbers per tile row more.
    """

    grid: Grid
    trust: str | Profile
    coverage: Coverage | None = None
    """The area; None for the whole image."""
    panel: int | None = None
    """Tile columns of a panel at most; None for all."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.grid.rows.size, self.grid.cols.size

    @property
    def rows(self) -> range:
        """Tile rows that may have something to load."""
        return self.coverage.rows if self.coverage else range(self.grid.rows.count)

    @property
    def columns(self) -> range:
        """Tile columns that may have something to load."""
        return self.coverage.columns if self.coverage else range(self.grid.cols.count)

    @property
    def tiles(self) -> int:
        """Number of tiles that are loaded."""
        return self.coverage.tiles if self.coverage else self.grid.rows.count * self.grid.cols.count

    @property
    def skipped(self) -> int:
        """Number of tiles that are not loaded, because they cover no wanted pixel."""
        return self.grid.rows.count * self.grid.cols.count - self.tiles

    @cached_property
    def panels(self) -> list[range]:
        """Tile columns of each panel, as equal in number as they can be."""
        columns = self.columns
        if not columns:
            return []
        count = -(-len(columns) // (self.panel or len(columns)))
        ends = [len(columns) * n // count for n in range(count + 1)]
        return [columns[first:last] for first, last in pairwise(ends)]

    @property
    def held_columns(self) -> int:
        """Width in pixels of the carried rows at most: the columns that a panel writes."""
        cols = self.grid.cols
        widths = (cols.window(panel[-1])[1] - cols.start(panel[0]) for panel in self.panels)
        return max(widths, default=0)

    @property
    def seam_shape(self) -> tuple[int, int]:
        """Pixels that a panel leaves to the next in each tile row, (height, width)."""
        return self.grid.tile_shape[0], self.grid.cols.carried

    @cached_property
    def peak(self) -> Peak:
        """The most that is held between two steps, without what is read ahead."""
        height, width = self.grid.tile_shape
        seams = 1 + (len(self.rows) if len(self.panels) > 1 else 0)
        pixels = self.grid.rows.carried * self.held_columns + seams * math.prod(self.seam_shape)
        pixels = pixels if self.tiles else 0
        image_height, image_width = self.image_size
        return Peak(pixels, pixels / (image_height * image_width), -(-pixels // (height * width)))

    @property
    def written(self) -> int:
        """Pixels of all windows; each is written once."""
        rows, cols = self.grid.rows, self.grid.cols
        if self.coverage is None:
            return rows.size * cols.size
        widths = np.array([stop - start for start, stop in map(cols.window, self.columns)])
        heights = (stop - start for start, stop in map(rows.window, self.rows))
        return sum(
            height * int(widths[self.loaded(i)].sum())
            for i, height in zip(self.rows, heights, strict=True)
        )

    @property
    def redundancy(self) -> float:
        """Pixels loaded over pixels written: the cost of the overlap, 1.0 for none."""
        height, width = self.grid.tile_shape
        return self.tiles * height * width / max(1, self.written)

    def __len__(self) -> int:
        return 3 * self.tiles

    def __iter__(self) -> Iterator[Step]:
        for i, panel in self._walk():
            yield from self.row_steps(i, panel)

    def row_steps(self, i: int, panel: range) -> Iterator[Step]:
        """Yield the steps at tile row ``i`` in a panel: each tile, and the tiles free after it."""
        tiles = self.grid.tile_boxes(i, panel)
        windows = self.grid.window_boxes(i, panel)
        loaded = self.loaded(i, panel)
        done_rows = {row: self.loaded(row) for row in self._done_rows.get(i, ())}
        for at, j in enumerate(panel):
            if loaded[at]:
                yield Load((i, j), tiles[at])
                yield Write((i, j), windows[at])
            for row, was_loaded in done_rows.items():
                for col in self._done_columns.get(j, ()):
                    if was_loaded[col - self.columns.start]:
                        yield Unload((row, col))

    def last_steps(self, count: int) -> list[Step]:
        """Return the last ``count`` steps without iterating over those before them."""
        steps: list[Step] = []
        for panel in reversed(self.panels):
            for i in reversed(self.rows):
                steps = [*self.row_steps(i, panel), *steps]
                if len(steps) >= count:
                    return steps[-count:]
        return steps

    @cached_property
    def _done_rows(self) -> dict[int, list[int]]:
        return _done(self.grid.rows, self.rows)

    @cached_property
    def _done_columns(self) -> dict[int, list[int]]:
        return _done(self.grid.cols, self.columns)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the tiles to load in the plan's order, ``size`` at a time, fewer at the end."""
        indices: list[Index] = []
        geoms: list[shapely.Polygon] = []
        for i, panel in self._walk():
            boxes = self.grid.tile_boxes(i, panel)
            for at in np.flatnonzero(self.loaded(i, panel)):
                indices.append((i, panel[at]))
                geoms.append(boxes[at])
                if len(indices) == size:
                    yield Batch(indices, geoms)
                    indices, geoms = [], []
        if indices:
            yield Batch(indices, geoms)

    def windows(self) -> Iterator[tuple[Index, shapely.Polygon]]:
        """Yield the windows in the order in which they are finished, with their tiles' indices."""
        for i, panel in self._walk():
            boxes: Boxes = self.grid.window_boxes(i, panel)
            for at in np.flatnonzero(self.loaded(i, panel)):
                yield (i, panel[at]), boxes[at]

    def wanted(self, window: shapely.Polygon) -> Mask | None:
        """Return the wanted pixels of a window, shape ``(height, width)``; None if all are."""
        return self.coverage.wanted(window) if self.coverage else None

    def loaded(self, i: int, panel: range | None = None) -> Mask:
        """Return whether each tile of row ``i`` in a panel, or in all columns, is loaded."""
        panel = self.columns if panel is None else panel
        if self.coverage is None:
            return np.ones(len(panel), np.bool_)
        first = panel.start - self.columns.start
        return self.coverage.loaded(i)[first : first + len(panel)]

    def _walk(self) -> Iterator[tuple[int, range]]:
        """Yield the tile rows of each panel, one panel after the other."""
        return ((i, panel) for panel in self.panels for i in self.rows)


def _done(axis: Axis, tiles: range) -> dict[int, list[int]]:
    """Return, for each window, those of ``tiles`` that are free once it is finished."""
    done: dict[int, list[int]] = {}
    for k in tiles:
        last_pixel = min(axis.stop(k), axis.size) - 1
        done.setdefault(min(axis.window_at(last_pixel), tiles[-1]), []).append(k)
    return done


def plan_run_grid(
    image_size: Size,
    tile_size: Size,
    overlap: Size,
    area: shapely.Geometry | None = None,
    *,
    margin: Size = 0,
    align: Size = 1,
    trust: str | Profile = "linear",
    panel: int | None = None,
) -> tuple[Plan, Grid]:
    """Plan to run a model over an image in a grid of overlapping tiles.

    A plan depends on sizes and an area alone; no data is read.

    Parameters
    ----------
    image_size, tile_size : int or (height, width)
        Pixels. A tile is never larger than the image.
    overlap : int or (height, width)
        Least overlap of neighboring tiles in pixels; they are spaced evenly, so that no
        overlap is much larger than the others.
    area : shapely.Geometry, optional
        Polygon in (y, x) pixels; tiles that cover no pixel whose center is inside are skipped.
        Inside the area the result has the bits of the full run.
    margin : int or (height, width)
        Pixels next to a cut side that get no trust. With a model's receptive-field radius the
        result equals the model run on the whole image.
    align : int or (height, width)
        Tiles start at multiples of this: a model's total stride. The last tile may then
        stick out of the image by less than that; fill what sticks out by reflection.
    trust : str or callable
        Name of a profile in ``seamless_seg.PROFILES``; or a symmetric window of
        ``scipy.signal.windows`` with its parameters, such as ``"tukey:0.5"``, ``"kaiser:8"`` or
        ``"general_gaussian:1.5,20"``; or a function with the profiles' signature:
        ``(length, before, after, margin) -> trust``, positive outside the margin.
    panel : int, optional
        Tile columns of a panel at most. Rows of a panel's width are held instead of rows of the
        image's, and between two panels the columns that they share. The result has the same bits.

    Returns
    -------
    plan : Plan
        Steps for ``run_plan``.
    grid : Grid
        ``grid[i, j]`` is the box of a tile in (y, x) pixels.

    Raises
    ------
    GeometryError
        If sizes, overlap, margin, align or area do not fit each other.
    OptionError
        If ``trust`` names no profile, or a window that suits no tiles of this size.
    """
    shape = profile(trust)
    named = {
        "size": pair("image_size", image_size),
        "tile": pair("tile_size", tile_size),
        "overlap": pair("overlap", overlap),
        "align": pair("align", align),
        "margin": pair("margin", margin),
    }
    rows, cols = (Axis(**{name: pair[axis] for name, pair in named.items()}) for axis in (0, 1))
    if isinstance(trust, str):  # a window may suit no tiles of this size: fail before any is run
        for axis in (rows, cols):
            shape(axis.length, axis.overlap_after(0), 0, axis.margin)
    grid = Grid(rows, cols)
    if panel is not None:
        panel = whole_number("panel", panel, 1)
    return Plan(grid, trust, None if area is None else Coverage(grid, area), panel), grid
