"""The grid: two axes, and the shapely boxes of its tiles and windows.

Boxes are in pixels, in (y, x) order, half-open: ``box(y0, x0, y1, x1)`` holds the rows
``y0 .. y1 - 1`` and the columns ``x0 .. x1 - 1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from .axis import Axis

Index = tuple[int, int]
"""Row and column of a tile in the grid."""

Boxes = npt.NDArray[np.object_]
"""Array of shapely boxes."""


@dataclass(frozen=True)
class Grid:
    """Tiles over an image as rows and columns, made on demand.

    ``grid[i, j]`` is the box of a tile, ``grid.shape`` the number of tile rows and columns.
    Slices give object arrays of boxes, as in numpy: ``grid[0, :]``.
    """

    rows: Axis
    cols: Axis

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tile rows and of tile columns."""
        return self.rows.count, self.cols.count

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width in pixels of every tile."""
        return self.rows.length, self.cols.length

    def __len__(self) -> int:
        return self.rows.count

    def __getitem__(self, key: Any) -> Any:
        row_key, col_key = key if isinstance(key, tuple) else (key, slice(None))
        i = np.arange(self.rows.count)[row_key]
        j = np.arange(self.cols.count)[col_key]
        boxes = _outer_boxes(
            _spans(self.rows, np.atleast_1d(i)), _spans(self.cols, np.atleast_1d(j))
        )
        return boxes.reshape(np.shape(i) + np.shape(j))[()]

    def __iter__(self) -> Iterator[Boxes]:
        return (self[i, :] for i in range(self.rows.count))

    def tile_boxes(self, i: int, columns: range) -> Boxes:
        """Return boxes of the tiles of row ``i`` in ``columns``, shape ``(len(columns),)``."""
        return _outer_boxes(_spans(self.rows, [i]), _spans(self.cols, columns)).reshape(-1)

    def window_boxes(self, i: int, columns: range) -> Boxes:
        """Return boxes of the windows that the tiles of row ``i`` in ``columns`` finish."""
        rows = np.array([self.rows.window(i)])
        cols = np.array([self.cols.window(j) for j in columns]).reshape(-1, 2)
        return _outer_boxes(rows, cols).reshape(-1)


def _spans(axis: Axis, tiles: Any) -> npt.NDArray[np.int64]:
    spans = [(axis.start(int(k)), axis.stop(int(k))) for k in tiles]
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def _outer_boxes(rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Boxes:
    boxes: Boxes = shapely.box(
        rows[:, None, 0], cols[None, :, 0], rows[:, None, 1], cols[None, :, 1]
    )
    return boxes


def shape_to_slices(geom: shapely.Geometry) -> tuple[slice, slice]:
    """Return row and column slices of a geometry's bounds in (y, x) pixels, rounded.

    ``image[shape_to_slices(box(y0, x0, y1, x1))]`` is ``image[y0:y1, x0:x1]``.
    """
    row_start, col_start, row_stop, col_stop = (round(bound) for bound in geom.bounds)
    return slice(row_start, row_stop), slice(col_start, col_stop)
