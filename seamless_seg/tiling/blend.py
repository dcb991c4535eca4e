"""Blending: a running mean along x into the strip of a tile row, then along y.

Another operation on two values can take the place of the mean: see ``Combine``.

Each tile that is added finishes one window. Between tiles only the carry is held: the means that
later tiles still change, that is the columns shared with the next tile and, over a panel's width,
the rows shared with the next tile row. The columns that a panel's last tiles share with the next
panel's first, its seam, are stored row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np

from ..arrays import Array
from ..errors import TileError
from .grid import Index
from .plan import Plan
from .weights import Alpha, alpha

Combine: TypeAlias = Callable[[Array, Array, Array, Array], object]
"""``(held, new, share, out)``: fill ``out`` with the held values, updated by a tile's new ones.

``share`` is the newest tile's share in the trust so far, and broadcasts; ``out`` may be
``new``.
"""


class Seams(Protocol):
    """Storage of a panel's seam until the next panel: a dict, or an object with its methods."""

    def __setitem__(self, row: int, seam: Array, /) -> None:
        """Store a copy of the seam of a tile row."""
        ...

    def pop(self, row: int, /) -> Array:
        """Remove the seam of a tile row and return it."""
        ...


class _Copies(dict[int, Array]):
    """Seams in memory."""

    def __setitem__(self, row: int, seam: Array) -> None:
        super().__setitem__(row, seam.copy())


REAL = "biuf"
"""Kinds of dtype that can be blended: bool, integers and floats."""


def running_mean(held: Array, new: Array, share: Array, out: Array) -> None:
    """Move held values towards new ones by ``share``; equal values stay, to the last bit.

    Parameters
    ----------
    held, new : ndarray
        Values so far, and the newest tile's.
    share : ndarray
        The newest tile's share in the trust so far, 0 to 1; it broadcasts.
    out : ndarray
        Where the result goes; it may be ``new``.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        try:
            with np.errstate(invalid="raise"):
                np.subtract(new, held, out=out, dtype=out.dtype, casting="unsafe")
        except FloatingPointError:  # equal infinities: their difference counts as 0, not NaN
            out[np.isnan(out) & np.isinf(held)] = 0
        out *= share
        out += held


def largest(held: Array, new: Array, share: Array, out: Array) -> None:
    """Fill ``out`` with the larger value; parameters as for ``running_mean``."""
    np.maximum(held, new, out=out)


def smallest(held: Array, new: Array, share: Array, out: Array) -> None:
    """Fill ``out`` with the smaller value; parameters as for ``running_mean``."""
    np.minimum(held, new, out=out)


class Blender:
    """Blends the tiles of a plan, which are added one by one in the plan's order.

    Parameters
    ----------
    plan : Plan
        Where the tiles lie and how far they are trusted.
    combine : callable
        The operation where tiles overlap.
    seams : Seams, optional
        Where seams of panels are stored; in memory if None. A seam has the tile's trailing shape
        after ``plan.seam_shape``.

    Notes
    -----
    The first tile determines the trailing shape, the memory layout and the dtype of all arrays
    that are held: float32 and wider floats keep their dtype, others blend in float32.
    """

    def __init__(
        self, plan: Plan, combine: Combine = running_mean, seams: Seams | None = None
    ) -> None:
        self._plan = plan
        self._combine = combine
        self._seams: Seams = _Copies() if seams is None else seams
        self._panels = iter(plan.panels)
        self._panel = range(0)
        self._trailing: tuple[int, ...] | None = None
        self._row, self._row_loaded = -1, np.empty(0, np.bool_)
        self._last_row_added = np.full(len(plan.columns), -1)
        self._expanded: dict[tuple[int, bytes], Array] = {}

    def add(self, index: Index, tile: Array) -> Array:
        """Add a tile and return the window that it finishes.

        Parameters
        ----------
        index : (row, column)
            Index of the tile: the next one in the plan.
        tile : ndarray
            Shape ``(tile height, tile width, ...)``. It is neither kept nor changed.

        Returns
        -------
        ndarray
            Shape ``(window height, window width, ...)``; a new array.

        Raises
        ------
        TileError
            If the tile has another shape, or a dtype that is not of real numbers.
        """
        self._check(index, tile)
        if self._trailing is None:
            self._allocate(tile)
        while index[1] not in self._panel:
            self._panel = next(self._panels)
        x, y = self._shares(index)
        self._take_seam(index)
        top, bottom = self._plan.grid.rows.window(index[0])
        left, right = self._plan.grid.cols.window(index[1])
        height, width = bottom - top, right - left
        origin = self._plan.grid.cols.start(self._panel[0])
        below = self._below[:, left - origin : right - origin]

        window = self._empty(height, width)
        self._fill(window, tile, below, x, y, 0)

        # The new carry overwrites the old one. Where tiles overlap by more than half, part of the
        # old carry is still to be read, so the new one is made in an array of its own first.
        rest = y.stop - height
        lower = below[:rest] if y.middle <= height else self._empty(rest, width)
        self._fill(lower, tile, below, x, y, height)
        below[:rest] = lower

        rows, rest = slice(y.first, y.stop), x.stop - width
        further = self._right[:, :rest] if x.middle <= width else self._empty(len(tile), rest)
        self._mean(further[rows], tile[rows, width : x.stop], self._right[rows], x, width, axis=1)
        self._right[rows, :rest] = further[rows]
        self._leave_seam(index)
        return window

    def _take_seam(self, index: Index) -> None:
        i, j = index
        if j == self._panel[0] and self._is_loaded(i, j - 1):
            self._right[:] = self._seams.pop(i)

    def _leave_seam(self, index: Index) -> None:
        i, j = index
        if j == self._panel[-1] and self._is_loaded(i, j + 1):
            self._seams[i] = self._right

    def _is_loaded(self, i: int, j: int) -> bool:
        if i != self._row:
            self._row, self._row_loaded = i, self._plan.loaded(i)
        at = j - self._plan.columns.start
        return 0 <= at < len(self._row_loaded) and bool(self._row_loaded[at])

    def _check(self, index: Index, tile: Array) -> None:
        if tile.dtype.kind not in REAL:
            raise TileError(f"tile {index} is of {tile.dtype}: only real numbers can be blended")
        trailing = tile.shape[2:] if self._trailing is None else self._trailing
        expected = (*self._plan.grid.tile_shape, *trailing)
        if tile.shape != expected:
            raise TileError(f"tile {index} has shape {tile.shape}, not {expected}")

    def _allocate(self, tile: Array) -> None:
        grid = self._plan.grid
        self._trailing = tile.shape[2:]
        self._dtype = np.result_type(tile.dtype if tile.dtype.kind == "f" else "f4", "f4")
        self._slowest_first = sorted(range(tile.ndim), key=lambda axis: -abs(tile.strides[axis]))
        self._back = [self._slowest_first.index(axis) for axis in range(tile.ndim)]
        self._right = self._empty(*self._plan.seam_shape)
        self._below = self._empty(grid.rows.carried, self._plan.held_columns)

    def _shares(self, index: Index) -> tuple[Alpha, Alpha]:
        (i, j), grid, trust = index, self._plan.grid, self._plan.trust
        x, y = alpha(grid.cols, j, trust), alpha(grid.rows, i, trust)
        at = j - self._plan.columns.start
        # Where an area skips the tile before, the pixels shared with it are not wanted.
        x = x if self._is_loaded(i, j - 1) else x.alone()
        y = y if i and self._last_row_added[at] == i - 1 else y.alone()
        self._last_row_added[at] = i
        return x, y

    def _fill(self, out: Array, tile: Array, below: Array, x: Alpha, y: Alpha, top: int) -> None:
        """Fill ``out`` with the mean, from row ``top`` of the tile and its first column on."""
        height, width = out.shape[:2]
        skip = min(max(y.first - top, 0), height)
        rows = slice(top + skip, top + height)
        self._mean(out[skip:], tile[rows, :width], self._right[rows], x, 0, axis=1)
        self._mean(out, out, below, y, top, axis=0)

    def _mean(
        self, out: Array, tile: Array, carry: Array, share: Alpha, start: int, axis: int
    ) -> None:
        """Fill ``out`` with the running mean along ``axis`` after ``tile`` has been added.

        ``out`` and ``tile`` begin ``start`` pixels into the tile, ``carry`` at its beginning.
        """

        def along(low: int, high: int) -> tuple[slice, ...]:
            return (slice(None),) * axis + (slice(low, high),)

        length = out.shape[axis]
        first, middle = (min(max(at - start, 0), length) for at in (share.first, share.middle))
        if first:
            out[along(0, first)] = carry[along(start, start + first)]
        if first < middle:
            held = carry[along(start + first, start + middle)]
            part = out[along(first, middle)]
            offset = start - share.first
            weight = self._weight(share, axis)[along(offset + first, offset + middle)]
            self._combine(held, tile[along(first, middle)], weight, part)
        if middle < length and out is not tile:
            out[along(middle, length)] = tile[along(middle, length)]

    def _weight(self, share: Alpha, axis: int) -> Array:
        """Return ``share.values`` in the blend's dtype.

        Weights along x are repeated over the trailing axes, so that numpy's inner loop is long.
        """
        key = (axis, share.values.tobytes())
        if key not in self._expanded:
            shape = (1, -1) if axis else (-1, 1)
            values = share.values.astype(self._dtype).reshape(
                shape + (1,) * (len(self._slowest_first) - 2)
            )
            if axis:
                full = self._empty(1, values.size)
                full[:] = values
                values = full
            self._expanded[key] = values
        return self._expanded[key]

    def _empty(self, height: int, width: int) -> Array:
        shape = (height, width, *(self._trailing or ()))
        array: Array = np.empty([shape[axis] for axis in self._slowest_first], self._dtype)
        return array.transpose(self._back)
