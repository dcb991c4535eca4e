"""Blocks: in which rasters are stored, and how many of them a walk over tiles needs at once."""

from __future__ import annotations

from typing import NamedTuple

from .tiling.plan import Plan

BLOCK = 256
"""Height and width of a block of the output, in pixels; less where the raster is smaller."""

FLOAT32 = 4
"""Bytes of a value that a model takes or gives, and of one in the output."""

SMALLEST_CACHE = 8_000_000
"""Bytes that GDAL's block cache gets at least."""

BOOKKEEPING = 1.1
"""What GDAL counts of a block beside its pixels, generously."""


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
