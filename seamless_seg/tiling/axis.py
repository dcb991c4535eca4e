"""One axis of a grid of overlapping tiles: where tiles start, overlap and finish.

All values are in pixels along that axis. A grid is two axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..errors import GeometryError
from ..validation import whole_number


@dataclass(frozen=True)
class Axis:
    """Evenly spaced tiles along ``size`` pixels.

    Tile ``k`` covers the half-open interval ``[start(k), stop(k))`` and finishes the
    half-open window ``[start(k), start(k + 1))``, the last one ``[start(k), size)``, so

        windows are disjoint, their union is [0, size), and window(k) lies in tile k.

    Parameters
    ----------
    size : int
        Pixels along the axis, at least 1.
    tile : int
        Pixels of a tile, at least 1. An image no larger than a tile is one tile.
    overlap : int
        Least overlap of neighbors: ``0 <= overlap < tile``.
    align : int
        Starts are multiples of this. The last tile then may stick out of the image by less
        than ``align``; without alignment no tile does.
    margin : int
        Pixels next to a cut side that get no trust: ``overlap > 2 * margin`` unless it is 0.

    Raises
    ------
    GeometryError
        If a value is not a whole number or breaks one of the rules above.
    """

    size: int
    tile: int
    overlap: int = 0
    align: int = 1
    margin: int = 0

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("tile", 1), ("overlap", 0), ("align", 1), ("margin", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.overlap >= self.tile:
            raise GeometryError(
                f"overlap {self.overlap} must be smaller than the tile, {self.tile} px"
            )
        if 2 * self.margin >= self.tile:
            raise GeometryError(
                f"margin {self.margin} leaves nothing of a tile of {self.tile} px: "
                f"it must be less than half of it"
            )
        if self.margin and self.overlap <= 2 * self.margin:
            raise GeometryError(
                f"overlap {self.overlap} must be more than twice the margin, {self.margin} px: "
                f"give at least {2 * self.margin + 1}"
            )
        if self.align > self.tile:
            raise GeometryError(f"align {self.align} is more than the tile, {self.tile} px")
        if self.tile - self.overlap < self.align:
            raise GeometryError(
                f"tile {self.tile} minus overlap {self.overlap} is less than align {self.align}: "
                f"choose a smaller overlap or align"
            )

    @property
    def length(self) -> int:
        """Pixels of every tile: ``tile``, or ``size`` where that is smaller."""
        return min(self.tile, self.size)

    @cached_property
    def _last_start(self) -> int:
        return -(-max(0, self.size - self.tile) // self.align) * self.align

    @cached_property
    def count(self) -> int:
        """Number of tiles: the fewest whose overlaps are all at least ``overlap``."""
        longest_stride = (self.tile - self.overlap) // self.align * self.align
        return 1 + -(-self._last_start // longest_stride)

    def start(self, k: int) -> int:
        """Return the first pixel of tile ``k``: even spacing, rounded to multiples of ``align``."""
        gaps = self.count - 1
        if not gaps:
            return 0
        steps = self._last_start // self.align
        return (2 * k * steps + gaps) // (2 * gaps) * self.align

    def stop(self, k: int) -> int:
        """Return one past the last pixel of tile ``k``; aligned tiles may end past ``size``."""
        return self.start(k) + self.length

    def window(self, k: int) -> tuple[int, int]:
        """Return the half-open interval of the pixels that tile ``k`` finishes."""
        return self.start(k), self.size if k == self.count - 1 else self.start(k + 1)

    def overlap_before(self, k: int) -> int:
        """Count the pixels that tile ``k`` shares with tile ``k - 1``; 0 at the image's border."""
        return self.stop(k - 1) - self.start(k) if k > 0 else 0

    def overlap_after(self, k: int) -> int:
        """Count the pixels that tile ``k`` shares with tile ``k + 1``; 0 at the image's border."""
        return self.overlap_before(k + 1) if k < self.count - 1 else 0

    def window_at(self, pixel: int) -> int:
        """Return the number of the window that holds ``pixel``, which lies in ``[0, size)``."""
        low, high = 0, self.count - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.start(middle) <= pixel:
                low = middle
            else:
                high = middle - 1
        return low

    def tiles_over(self, low: int, high: int) -> range:
        """Return the tiles that cover a pixel of ``[low, high)``, which is clipped to the image."""
        low, high = max(0, low), min(self.size, high)
        if low >= high:
            return range(0)
        first = self.window_at(low)
        while first > 0 and self.stop(first - 1) > low:
            first -= 1
        last = self.window_at(high - 1)
        return range(first, last + 1)

    @property
    def carried(self) -> int:
        """Most pixels of a tile that later tiles still change, and that must be kept for them.

        carried = max over k of (stop(k) - margin - start(k + 1)), 0 for a single tile
        """
        gaps = self.count - 1
        if not gaps:
            return 0
        # Even spacing rounds each stride down or up; unless all are equal, at least one goes down.
        least_stride = self._last_start // self.align // gaps * self.align
        return self.length - self.margin - least_stride
