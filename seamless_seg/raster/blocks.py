"""Blocks in which rasters are stored, and windows that are made of whole ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..windows import Window, cut

if TYPE_CHECKING:
    from ..tiling.plan import Plan

OUTPUT_BLOCK = 256
"""Height and width of a block of the output in pixels; less where the raster is smaller."""

FLOAT32 = 4
"""Bytes of a float32: what a model takes and gives, and what the output has, are such."""

MIN_CACHE_BYTES = 8_000_000
"""Bytes that GDAL's block cache gets at least."""

CACHE_OVERHEAD = 1.1
"""Bytes that GDAL counts for a block over those of its pixels, rounded up."""

MAX_WINDOW_PIXELS = 2**20
"""Pixels of one of the ``BlockWindows`` at most."""


class BlockLayout(NamedTuple):
    """How a file stores its pixels."""

    height: int
    width: int
    pixel_bytes: int
    """Bytes of one pixel of all bands that are decoded together with those that are read."""


def block_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the blocks of an output of that size, both multiples of 16."""
    height, width = (min(OUTPUT_BLOCK, -(-length // 16) * 16) for length in size)
    return height, width


def cache_bytes(blocks: BlockLayout, plan: Plan, border: int = 0) -> int:
    """Bytes of block cache with which reading a panel tile by tile decodes each block once.

    Between two uses of a block, in one tile row and in the next, at most the blocks that one
    tile row touches are used; a cache of as many, over a panel's width, never drops one early.

    Parameters
    ----------
    blocks : BlockLayout
        How the raster is stored.
    plan : Plan
        The tiles.
    border : int
        Pixels that are read around each tile for the model.
    """
    height, width = (length + 2 * border for length in plan.grid.tile_shape)
    touched = -(-(height - 1) // blocks.height) + 1
    across = -(-min(plan.image_size[1], plan.held_columns + width) // blocks.width)
    block_bytes = blocks.height * blocks.width * blocks.pixel_bytes
    return max(MIN_CACHE_BYTES, int(CACHE_OVERHEAD * touched * across * block_bytes))


class BlockWindows:
    """Windows of whole blocks that cover a raster once, from top to bottom.

    A window has as many blocks as go into ``MAX_WINDOW_PIXELS``. A block that is larger is cut into
    windows that follow each other, so that it is decoded once.

    Parameters
    ----------
    size : (height, width)
        Pixels of the raster.
    blocks : BlockLayout
        How the raster is stored.
    """

    def __init__(self, size: tuple[int, int], blocks: BlockLayout) -> None:
        self._size = size
        self._pixel_bytes = blocks.pixel_bytes
        height, width = min(blocks.height, size[0]), min(blocks.width, size[1])
        across = max(1, MAX_WINDOW_PIXELS // (height * width))
        width = min(size[1], width * across)
        if width == size[1]:
            height = min(size[0], height * max(1, MAX_WINDOW_PIXELS // (height * width)))
        self._whole = height, width
        self._part = max(1, min(height, MAX_WINDOW_PIXELS // width)), min(width, MAX_WINDOW_PIXELS)

    @property
    def cache_bytes(self) -> int:
        """Bytes of block cache with which no block is decoded twice, a byte of mask included."""
        block_bytes = math.prod(self._whole) * (self._pixel_bytes + 1)
        return max(MIN_CACHE_BYTES, int(2 * CACHE_OVERHEAD * block_bytes))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Window]:
        height, width = self._size
        for blocks in cut(slice(0, height), slice(0, width), self._whole):
            yield from cut(*blocks, self._part)
