"""A walk: all of a raster, window by window along the blocks in which it is stored."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .blocks import BOOKKEEPING, SMALLEST_CACHE, BlockLayout
from .windows import Window, cut

PIXELS = 2**20
"""Pixels of a window at most."""


class Walk:
    """Windows that cover a raster once, each at most ``PIXELS`` large, from top to bottom.

    A window has whole blocks, as many as go into it. One block that is larger is cut into windows
    that follow each other, so that it is decoded once.

    Parameters
    ----------
    size : (height, width)
        Pixels of the raster.
    blocks : BlockLayout
        How it is stored.
    """

    def __init__(self, size: tuple[int, int], blocks: BlockLayout) -> None:
        self._size = size
        self._pixel_bytes = blocks.pixel_bytes
        height, width = min(blocks.height, size[0]), min(blocks.width, size[1])
        across = max(1, PIXELS // (height * width))
        width = min(size[1], width * across)
        if width == size[1]:
            height = min(size[0], height * max(1, PIXELS // (height * width)))
        self._whole = height, width
        self._part = max(1, min(height, PIXELS // width)), min(width, PIXELS)

    @property
    def cache_bytes(self) -> int:
        """Bytes of block cache with which no block is decoded twice, a byte of mask included."""
        block_bytes = math.prod(self._whole) * (self._pixel_bytes + 1)
        return max(SMALLEST_CACHE, int(2 * BOOKKEEPING * block_bytes))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Window]:
        height, width = self._size
        for whole in cut(slice(0, height), slice(0, width), self._whole):
            yield from cut(*whole, self._part)
