"""Which features of a tile count in statistics of the whole image: each of them in one tile alone.

Features are the values of a tensor inside of the model, on a grid that may be coarser than the
pixels. Neighboring tiles both have those of their overlap; the middle of it divides them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..arrays import Mask
from ..errors import OptionError
from ..graphs.image_axis import ImageAxis
from ..tiling.axis import Axis


@dataclass(frozen=True)
class FeatureAxis:
    """Features of tiles along one axis.

    Feature ``j`` of tile ``k`` lies at pixel ``start(k) + offset + j * step`` of the image, and
    belongs to the tile if ``cut(k) <= pixel < cut(k + 1)``, where ``cut(k)`` is the middle of the
    overlap of tiles ``k - 1`` and ``k``. So each feature of the image belongs to one tile.

    Parameters
    ----------
    tiles : Axis
        The tiles.
    features : ImageAxis
        The features of one tile.
    length : int
        Pixels of the model's input along the axis.
    border : int
        Pixels of it before the tile.
    """

    tiles: Axis
    features: ImageAxis
    length: int
    border: int

    @property
    def offset(self) -> Fraction:
        """Pixels from the tile's start to its first feature."""
        beyond = self.length - self.features.length * self.features.step
        return Fraction(beyond) / 2 - self.border

    def owned(self, k: int) -> tuple[int, int]:
        """Return the half-open interval of the features that belong to tile ``k``."""
        first = self._at(k, self._cut(k)) if k else 0
        if k == self.tiles.count - 1:
            return first, self.features.length
        return first, self._at(k, self._cut(k + 1))

    def check(self, model: str) -> None:
        """Raise ``OptionError`` unless the features of each tile are those of the whole image."""
        if self.tiles.count == 1:
            return
        period, features = self.features.period, self.features
        if self.tiles.align % period:
            raise OptionError(
                f"the statistics of {model} need tiles that start at multiples of {period} px: use "
                f"align={math.lcm(period, self.tiles.align)}"
            )
        if self.length != self.tiles.tile + 2 * self.border:
            raise OptionError(
                f"the statistics of {model} need tiles that it takes without padding: choose a "
                f"tile= that is a multiple of {period} px"
            )
        for k in range(self.tiles.count):
            first, stop = self.owned(k)
            is_clean = k == 0 or first >= features.start
            is_clean &= k == self.tiles.count - 1 or stop <= features.stop
            if not is_clean:
                raise OptionError(
                    f"the statistics of {model} need an overlap of {self.needed_overlap} px: give "
                    f"overlap={self.needed_overlap} or more, and larger tiles if they are too small"
                )

    @property
    def needed_overlap(self) -> int:
        """Pixels of overlap with which all features of a tile that belong to it are clean."""
        step, start = self.features.step, self.features.start
        after = self.features.length - self.features.stop
        first = math.floor(2 * ((start - 1) * step + self.offset)) + 1
        return max(0, first, math.ceil(2 * (after * step + self.offset)))

    def blocks(self, tile: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the first pixel, and one past the last, of each feature's step, in the tile."""
        step = self.features.step
        places = [self.offset + j * step for j in range(self.features.length)]
        first = np.array([min(max(math.floor(own), 0), tile - 1) for own in places])
        stop = np.array([min(math.ceil(own + step), tile) for own in places])
        return first, np.maximum(stop, first + 1)

    def _cut(self, k: int) -> Fraction:
        return Fraction(self.tiles.start(k) + self.tiles.stop(k - 1), 2)

    def _at(self, k: int, pixel: Fraction) -> int:
        """Return the first feature of tile ``k`` at a pixel or after it."""
        place = (pixel - self.tiles.start(k) - self.offset) / self.features.step
        return min(max(math.ceil(place), 0), self.features.length)


def counted_features(
    rows: FeatureAxis, cols: FeatureAxis, index: tuple[int, int], valid: Mask | None
) -> Mask:
    """Return the features of a tile that count: its own, with a valid pixel in their step.

    Parameters
    ----------
    rows, cols : FeatureAxis
        Features down and across.
    index : (int, int)
        Row and column of the tile.
    valid : ndarray of bool or None
        Valid pixels of the model's input without its border; None for all.

    Returns
    -------
    ndarray of bool, shape (rows, columns) of the features
    """
    counted = np.zeros((rows.features.length, cols.features.length), np.bool_)
    own = slice(*rows.owned(index[0])), slice(*cols.owned(index[1]))
    counted[own] = True
    if valid is None:
        return counted
    total = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int64)
    total[1:, 1:] = valid.cumsum(0).cumsum(1)
    top, bottom = (own[:, None] for own in rows.blocks(valid.shape[0]))
    left, right = cols.blocks(valid.shape[1])
    within = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    both: Mask = counted & (within > 0)
    return both
