"""An excerpt: windows of a raster, from all over it, that stand for the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..windows import Window
from .blocks import BOOKKEEPING, SMALLEST_CACHE, BlockLayout

PIXELS = 2**24
"""Pixels to read of a raster; of one that has no more, all are read."""

SMALLEST = 2**13
"""Pixels of a window at least, where the raster has them: each costs a call."""

PART, LARGEST = 2**14, 2**17
"""Pixels of a window of a sample: of a larger block only some rows are looked at, since many small
windows tell more than a few large ones. They are a fourth of it, lest many more pixels be decoded
than are looked at, unless that is too little or too much."""

FINE = 2**20
"""Places in a stratum, down and across."""


class Excerpt:
    """Windows along a raster's blocks.

    All of the raster where that is no more than ``pixels``, once. Else the raster is divided evenly
    into rectangles, the strata, and the window around a place in each is taken. Every window is as
    likely as any other; one that lies in several strata may come more than once. How far into its
    stratum a place lies is spread evenly, down over a row of strata and across over the rows, so
    that light which falls off to one side is seen at every distance. (Multi-jittered samples: Chiu,
    Shirley and Wang 1994.) The same raster has the same excerpt, always.

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

    def __iter__(self) -> Iterator[Window]:
        return self.drawn(seed=0)

    def drawn(self, seed: int) -> Iterator[Window]:
        """The windows as they would be drawn with another seed."""
        random, (rows, cols) = np.random.default_rng(seed), self._strata
        for i, across in enumerate(_spread(random, rows)):
            for j, down in enumerate(_spread(random, cols)):
                yield Window(self._between(0, i, down), self._between(1, j, across))

    def _between(self, axis: int, stratum: int, drawn: int) -> slice:
        """Rows or columns of the window that lies so far into a stratum."""
        windows, finely = self._windows[axis], self._strata[axis] * FINE
        start = (stratum * FINE + drawn) * windows // finely * self._shape[axis]
        return slice(start, min(start + self._shape[axis], self._size[axis]))


def _spread(random: np.random.Generator, count: int) -> list[int]:
    """Numbers from 0 up to ``FINE``, in any order: one in each ``count``-th part of them."""
    drawn = random.permutation(count) * FINE + random.integers(0, FINE, count)
    return [int(number) for number in drawn // count]


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
    """Height and width of what is looked at of so many pixels in a sample: whole rows."""
    most = max(PART, min(LARGEST, height * width // 4))
    parts = -(-height // max(1, most // width))
    return -(-height // parts), width


def _strata(height: int, width: int, count: int) -> tuple[int, int]:
    """Rows and columns of about ``count`` strata of ``height x width`` windows, and no more."""
    rows = min(height, max(1, round(math.sqrt(count * height / width))))
    cols = min(width, max(1, count // rows))
    return min(height, max(1, count // cols)), cols
