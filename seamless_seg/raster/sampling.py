"""Sampling: windows from all over a raster that represent the whole of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..windows import Window
from .blocks import CACHE_OVERHEAD, MIN_CACHE_BYTES, BlockLayout

SAMPLE_PIXELS = 2**24
"""Pixels to read of a raster; a raster that has no more is read completely."""

MIN_WINDOW_PIXELS = 2**13
"""Pixels of a window at least, where the raster has so many: each window costs a call."""

MIN_PART_PIXELS, MAX_PART_PIXELS = 2**14, 2**17
"""Pixels of a window that is part of a larger block, at least and at most. Of such a block a fourth
is read, within these limits: many small windows tell more than a few large ones, but the whole
block is decoded for each."""

STRATUM_STEPS = 2**20
"""Positions in a stratum along either axis."""


class StratifiedSample:
    """Windows along a raster's blocks.

    A raster of at most ``pixels`` pixels is covered completely, once. A larger one is divided
    evenly into rectangles, the strata, and one window is drawn in each. Every window is equally
    likely; one that lies in several strata may be drawn more than once. Positions within strata are
    spread evenly, down over a row of strata and across over the rows, so that a gradient of light
    over the raster is sampled at every distance. (Multi-jittered samples: Chiu, Shirley and Wang
    1994.) The same raster always has the same sample.

    Parameters
    ----------
    size : (height, width)
        Pixels of the raster.
    blocks : BlockLayout
        How the raster is stored.
    pixels : int
        Pixels to read, roughly.
    """

    def __init__(
        self, size: tuple[int, int], blocks: BlockLayout, pixels: int = SAMPLE_PIXELS
    ) -> None:
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
    def is_complete(self) -> bool:
        """Whether the sample covers all of the raster."""
        return self._strata == self._windows

    @property
    def cache_bytes(self) -> int:
        """Bytes of block cache that hold all blocks of one window."""
        touched = 1
        for step, block in zip(self._shape, self._blocks, strict=False):
            touched *= block * (-(-(step - 1) // block) + 1)
        return max(MIN_CACHE_BYTES, int(CACHE_OVERHEAD * touched * self._blocks.pixel_bytes))

    def __iter__(self) -> Iterator[Window]:
        return self.windows(seed=0)

    def windows(self, seed: int) -> Iterator[Window]:
        """Draw the windows with a seed."""
        random, (rows, cols) = np.random.default_rng(seed), self._strata
        for i, across in enumerate(_spread(random, rows)):
            for j, down in enumerate(_spread(random, cols)):
                yield Window(self._along(0, i, down), self._along(1, j, across))

    def _along(self, axis: int, stratum: int, step: int) -> slice:
        """Rows or columns of the window at a step of a stratum."""
        windows, steps = self._windows[axis], self._strata[axis] * STRATUM_STEPS
        start = (stratum * STRATUM_STEPS + step) * windows // steps * self._shape[axis]
        return slice(start, min(start + self._shape[axis], self._size[axis]))


def _spread(random: np.random.Generator, count: int) -> list[int]:
    """Steps of a stratum in random order: one in each ``count``-th part of them."""
    drawn = random.permutation(count) * STRATUM_STEPS + random.integers(0, STRATUM_STEPS, count)
    return [int(number) for number in drawn // count]


def _whole_blocks(size: tuple[int, int], blocks: BlockLayout) -> tuple[int, int]:
    """Height and width of one block, or of a few where they are small."""
    height, width = min(blocks.height, size[0]), min(blocks.width, size[1])
    while height * width < MIN_WINDOW_PIXELS and (height, width) != size:
        if width < size[1] and (width <= height or height == size[0]):
            width = min(2 * width, size[1])
        else:
            height = min(2 * height, size[0])
    return height, width


def _part(height: int, width: int) -> tuple[int, int]:
    """Height and width of the part of a block that a window of a sample has: whole rows."""
    most = max(MIN_PART_PIXELS, min(MAX_PART_PIXELS, height * width // 4))
    parts = -(-height // max(1, most // width))
    return -(-height // parts), width


def _strata(height: int, width: int, count: int) -> tuple[int, int]:
    """Rows and columns of at most ``count`` strata of ``height x width`` windows."""
    rows = min(height, max(1, round(math.sqrt(count * height / width))))
    cols = min(width, max(1, count // rows))
    return min(height, max(1, count // cols)), cols
