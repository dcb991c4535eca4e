"""Tile mismatch: how much the classes differ that overlapping tiles give to the same pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Integers, Logits, Mask, Values, classes
from ..tiling.blend import Blender
from ..tiling.grid import Index
from ..tiling.plan import Plan
from .disagreement import UNWEIGHTED


class TileMismatch(NamedTuple):
    """1 - Dice of the classes of overlapping tiles, after Buglakova et al., ICCV 2025.

    Of a class c, ``Dice = 2 * both / (one + other)``: pixels to which both tiles of a pair give c,
    and pixels to which either gives it, summed over all pairs of tiles and all pixels that both
    tiles of a pair cover outside of their margins.
    """

    value: float
    """1 - the mean Dice of the classes that occur; of the class above 0 alone for one logit."""
    by_class: tuple[float | None, ...]
    """1 - Dice of each class; None for a class that no tile gives; one number for one logit."""


class VoteCounter:
    """Counts at every pixel how many tiles give each class; tiles are added in the plan's order."""

    def __init__(self, plan: Plan) -> None:
        self._votes = Blender(replace(plan, trust=UNWEIGHTED), _total)

    def add(self, index: Index, tile: Logits) -> Values:
        """Add a tile and return the counts in the window that it finishes.

        Parameters
        ----------
        index : (row, column)
            Index of the tile: the next one in the plan.
        tile : ndarray
            Logits, shape ``(height, width, classes)``.

        Returns
        -------
        ndarray
            Tiles that give each class and cover the pixel outside of their margins, shape
            ``(height, width, classes)``; two classes for one logit.
        """
        numbers = np.arange(max(2, tile.shape[-1]))
        return self._votes.add(index, (classes(tile)[..., None] == numbers).astype(np.float32))


def _total(held: Array, new: Array, share: Array, out: Array) -> None:
    np.add(held, new, out=out)


class MismatchStatistics:
    """The tile mismatch of the windows that were added.

    Parameters
    ----------
    logits : int
        Logits of a pixel.
    """

    def __init__(self, logits: int) -> None:
        self._has_one_logit = logits == 1
        self._both: Integers = np.zeros(max(2, logits), np.int64)
        self._either: Integers = np.zeros(max(2, logits), np.int64)

    def add(self, votes: Values, shared: Mask) -> None:
        """Add a window.

        Parameters
        ----------
        votes : ndarray
            Tiles that give each class, shape ``(height, width, classes)``.
        shared : ndarray
            Pixels that count, which several tiles cover, shape ``(height, width)``.
        """
        own = votes[shared].astype(np.int64)
        others = own.sum(axis=-1, keepdims=True) - 1
        # Of k tiles at a pixel n give the class: n (n - 1) / 2 pairs agree on it, and each of the n
        # is in k - 1 pairs.
        self._both += (own * (own - 1)).sum(axis=0)
        self._either += (own * others).sum(axis=0)

    def value(self) -> TileMismatch | None:
        """Return the mismatch; None if no pixel was added."""
        if not self._either.any():
            return None
        by_class = tuple(
            1 - int(both) / int(either) if either else None
            for both, either in zip(self._both, self._either, strict=True)
        )
        if self._has_one_logit:
            by_class = by_class[1:]
        found = [own for own in by_class if own is not None]
        return TileMismatch(sum(found) / len(found) if found else 0.0, by_class)
