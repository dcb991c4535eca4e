"""An excerpt: windows of a raster, from all over it, that stand for the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .blocks import BOOKKEEPING, SMALLEST_CACHE, BlockLayout
from .sample import Window

PIXELS = 2**24
"""Pixels to read of a raster; of one that has no more, all are read."""

SMALLEST = 2**14
"""Pixels of a window, roughly, at least: each costs a call."""

PART, LARGEST = 2**14, 2**17
"""Pixels of a window of a sample: a larger block is read for a part of it only, since many small
windows tell more than a few large ones. That is a fourth, lest four times as many blocks be read
for more than they tell, unless that is a lot, too."""


class Excerpt:
    """Windows along a raster's blocks, none of them twice, from its first rows to its last.

    All of the raster where that is no more than ``pixels``; else the raster is divided evenly into
    rectangles, and one window is drawn in each. The same raster has the same excerpt, always.

    Parameters
    ----------
    size : pair of int
        Height and width of the raster in pixels.
    blocks : BlockLayout
        How it is stored.
    pixels : int
        To read, roughly, and hardly more.
    """

    def __init__(self, size: tuple[int, int], blocks: BlockLayout, pixels: int = PIXELS) -> None:
        self._size = size
        self._blocks = blocks
        self._shape = _whole_blocks(size, blocks)
        if math.prod(size) > pixels:
            self._shape = _part(*self._shape)
        height, width = (-(-length // step) for length, step in zip(size, self._shape, strict=True))
        self._windows = self._strata = height, width
        if math.prod(size) > pixels:
            self._strata = _strata(height, width, max(1, pixels // math.prod(self._shape)))

    @property
    def complete(self) -> bool:
        """Whether it is all of the raster."""
        return self._strata == self._windows

    @property
    def cache_bytes(self) -> int:
        """Bytes of block cache with which no window makes another one's blocks be read again."""
        touched = 1
        for step, block in zip(self._shape, self._blocks, strict=False):
            touched *= block * (-(-(step - 1) // block) + 1)
        return max(SMALLEST_CACHE, int(BOOKKEEPING * touched * self._blocks.pixel_bytes))

    def __len__(self) -> int:
        return math.prod(self._strata)

    def __iter__(self) -> Iterator[Window]:
        random = np.random.default_rng(0)
        for i in range(self._strata[0]):
            drawn = random.random((self._strata[1], 2))
            for j, (down, across) in enumerate(drawn):
                yield Window(self._between(0, i, down), self._between(1, j, across))

    def _between(self, axis: int, stratum: int, drawn: float) -> slice:
        """Rows or columns of one of the windows that a stratum holds."""
        strata, windows = self._strata[axis], self._windows[axis]
        first, stop = stratum * windows // strata, (stratum + 1) * windows // strata
        start = (first + int(drawn * (stop - first))) * self._shape[axis]
        return slice(start, min(start + self._shape[axis], self._size[axis]))


def _whole_blocks(size: tuple[int, int], blocks: BlockLayout) -> tuple[int, int]:
    """Height and width of one block, or of a few where they are small."""
    height, width = min(blocks.height, size[0]), min(blocks.width, size[1])
    while height * width < SMALLEST and (height, width) != size:
        if width < size[1] and (width <= height or height == size[0]):
            width = min(2 * width, size[1])
        else:
            height = min(2 * height, size[0])
    return height, width


def _part(height: int, width: int) -> tuple[int, int]:
    """Height and width of what is looked at of so many pixels, in a sample."""
    most = max(PART, min(LARGEST, height * width // 4))
    while height * width > most:
        height, width = (-(-height // 2), width) if height > width else (height, -(-width // 2))
    return height, width


def _strata(height: int, width: int, count: int) -> tuple[int, int]:
    """Rows and columns of about ``count`` strata of ``height x width`` windows, and no more."""
    rows = min(height, max(1, round(math.sqrt(count * height / width))))
    cols = min(width, max(1, count // rows))
    return min(height, max(1, count // cols)), cols
