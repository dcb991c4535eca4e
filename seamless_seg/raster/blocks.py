"""Blocks in which rasters are stored, and a walk along them, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..tiling.plan import Plan
from ..windows import Window, cut

BLOCK = 256
"""Height and width of a block of the output, in pixels; less where the raster is smaller."""

FLOAT32 = 4
"""Bytes of a value that a model takes or gives, and of one in the output."""

SMALLEST_CACHE = 8_000_000
"""Bytes that GDAL's block cache gets at least."""

BOOKKEEPING = 1.1
"""What GDAL counts of a block beside its pixels, generously."""

PIXELS = 2**20
"""Pixels of a window at most."""


class BlockLayout(NamedTuple):
    """How a file stores its pixels."""

    height: int
    width: int
    pixel_bytes: int
    """Bytes of one pixel of all bands that are decoded together with those that are read."""


def block_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the blocks of an output of that size."""
    height, width = (min(BLOCK, -(-length // 16) * 16) for length in size)
    return height, width


def cache_bytes(blocks: BlockLayout, plan: Plan, border: int = 0) -> int:
    """Bytes of block cache with which walking a panel row by row decodes each block once.

    Between two uses of a block, in one tile row and in the next, at most the blocks that one
    tile row touches are used; a cache of as many, over a panel's width, never drops one early. A
    model's ``border`` of pixels around each tile is read with it.
    """
    height, width = (length + 2 * border for length in plan.grid.tile_shape)
    touched = -(-(height - 1) // blocks.height) + 1
    across = -(-min(plan.image_size[1], plan.held_columns + width) // blocks.width)
    block_bytes = blocks.height * blocks.width * blocks.pixel_bytes
    return max(SMALLEST_CACHE, int(BOOKKEEPING * touched * across * block_bytes))


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
