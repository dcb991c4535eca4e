"""Coverage: which tiles of a grid an area needs, and which pixels of a window are wanted.

A pixel is wanted if its center lies inside the area. A tile is loaded if and only if it
covers a wanted pixel; so all tiles that contribute to a wanted pixel are loaded, and skipping
the others changes no wanted bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Mask
from ..errors import GeometryError
from .grid import Grid

COARSE = 16
"""Step in pixels of the first test of a tile: it suffices for most tiles on an area's boundary."""


class Coverage:
    """An area laid over a grid.

    Parameters
    ----------
    grid : Grid
        The tiles.
    area : shapely.Geometry
        Polygon or multi-polygon in (y, x) pixels, holes allowed; parts outside are ignored.

    Raises
    ------
    GeometryError
        If the area is empty, has no surface or is not valid.
    """

    def __init__(self, grid: Grid, area: shapely.Geometry) -> None:
        self._grid = grid
        self._area = _checked(area)
        shapely.prepare(self._area)
        row_low, col_low, row_high, col_high = self._area.bounds
        self.rows = grid.rows.tiles_over(int(np.floor(row_low)), int(np.ceil(row_high)))
        self.columns = grid.cols.tiles_over(int(np.floor(col_low)), int(np.ceil(col_high)))
        # Where tiles of a row change from skipped to loaded and back: a few numbers per row.
        self._turns = [_turns(self._row(i)) for i in self.rows]
        self.tiles = sum(int((turns[1::2] - turns[0::2]).sum()) for turns in self._turns)

    def loaded(self, i: int) -> Mask:
        """Return whether each tile of row ``i`` in ``self.columns`` is loaded."""
        mask = np.zeros(len(self.columns) + 1, dtype=np.bool_)
        mask[self._turns[i - self.rows.start]] = True
        return np.logical_xor.accumulate(mask)[:-1]

    def wanted(self, box: shapely.Geometry) -> Mask | None:
        """Return the wanted pixels of a box, shape ``(height, width)``; None if all are."""
        return None if self._area.covers(box) else self._centers_inside(box, 1)

    def _row(self, i: int) -> Mask:
        boxes = self._grid.tile_boxes(i, self.columns)
        loaded = shapely.covers(self._area, boxes)
        for j in np.flatnonzero(~loaded & shapely.intersects(self._area, boxes)):
            box = boxes[j]
            loaded[j] = any(self._centers_inside(box, step).any() for step in (COARSE, 1))
        return np.asarray(loaded)

    def _centers_inside(self, box: shapely.Geometry, step: int) -> Mask:
        row_low, col_low, row_high, col_high = box.bounds
        # Pixels of an aligned last tile beyond the image are never wanted.
        row_high = min(row_high, self._grid.rows.size)
        col_high = min(col_high, self._grid.cols.size)
        rows = np.arange(row_low, row_high, step) + 0.5
        cols = np.arange(col_low, col_high, step) + 0.5
        return np.asarray(shapely.contains_xy(self._area, rows[:, None], cols[None, :]))


def _turns(mask: Mask) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.diff(mask, prepend=False, append=False))


def _checked(area: shapely.Geometry) -> shapely.Geometry:
    if not isinstance(area, shapely.Polygon | shapely.MultiPolygon) or area.is_empty:
        raise GeometryError(
            f"area must be a shapely polygon or multi-polygon in (y, x) pixels, not {area!r:.80}"
        )
    if not area.is_valid:
        reason = shapely.is_valid_reason(area)
        raise GeometryError(f"area is not valid: {reason}; area.buffer(0) may repair it")
    return area
