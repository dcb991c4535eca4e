"""Block buffer: windows of any shape and order become whole blocks of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..spill import Spill
from ..windows import Window, common

Index: TypeAlias = tuple[int, int]
"""Row and column of a block among the file's blocks."""


class Block:
    """A block of a file that is being filled by windows.

    Parameters
    ----------
    window : Window
        Rows and columns of the raster that it covers.
    whole : array, shape (bands, height, width)
        Pixels of the block, also of those beyond the raster's edge.
    missing : int
        Pixels of the window that have not been filled.
    """

    def __init__(self, window: Window, whole: Array, missing: int) -> None:
        self.window = window
        self.whole = whole
        self.missing = missing

    @property
    def pixels(self) -> Array:
        """Pixels that lie in the raster: others are not written."""
        height, width = self.window.shape
        return self.whole[:, :height, :width]

    def fill(self, rows: slice, cols: slice, window: Array) -> None:
        """Copy the part of a window that falls into this block.

        Parameters
        ----------
        rows, cols : slice
            The window.
        window : array, shape (height, width, bands)
            Its pixels.
        """
        to, part = common(self.window, (rows, cols))
        copied = window[part]
        self.pixels[:, *to][:] = copied.transpose(2, 0, 1)
        self.missing -= copied.shape[0] * copied.shape[1]


class BlockBuffer:
    """Collects windows in blocks.

    Where more blocks are open than may be held in memory, the oldest ones are kept on the disk.

    Parameters
    ----------
    size : (height, width)
        Pixels of the raster.
    block : (height, width)
        Pixels of a block.
    count : int
        Number of bands.
    dtype : dtype
        Type of the pixels.
    folder : Path
        Where blocks are kept on the disk.
    held : int, optional
        Open blocks in memory at most; by default all.
    empty : float, optional
        Value of pixels that no window fills; where None, windows must fill all pixels.
    """

    def __init__(
        self,
        size: Sequence[int],
        block: Sequence[int],
        count: int,
        dtype: npt.DTypeLike,
        folder: Path,
        held: int | None = None,
        empty: float | None = None,
    ) -> None:
        self._size, self._block = size, block
        self._shape, self._dtype = (count, *block), np.dtype(dtype)
        self._held, self._empty = held, empty
        self._blocks: dict[Index, Block] = {}
        self._spilled: Spill[Index] = Spill(folder)
        self._missing_spilled: dict[Index, int] = {}

    @property
    def open_blocks(self) -> int:
        """Number of blocks that windows have filled in part."""
        return len(self._blocks) + len(self._spilled)

    def add(self, rows: slice, cols: slice, window: Array) -> Iterator[Block]:
        """Add a window; yield the blocks that it completes.

        Parameters
        ----------
        rows, cols : slice
            The window.
        window : array, shape (height, width, bands)
            Its pixels.
        """
        height, width = self._block
        for i in range(rows.start // height, -(-rows.stop // height)):
            for j in range(cols.start // width, -(-cols.stop // width)):
                block = self._take((i, j))
                block.fill(rows, cols, window)
                if not block.missing:
                    yield block
                else:
                    self._keep((i, j), block)

    def rest(self) -> Iterator[Block]:
        """Remove and yield the blocks that are not complete."""
        for index in [*self._blocks, *self._missing_spilled]:
            yield self._take(index)

    def close(self) -> None:
        """Remove the blocks on the disk."""
        self._spilled.__exit__(None, None, None)

    def _take(self, index: Index) -> Block:
        """Remove and return the block with an index, or a new one."""
        if index in self._blocks:
            return self._blocks.pop(index)
        rows, cols = (
            slice(at * step, min((at + 1) * step, length))
            for at, step, length in zip(index, self._block, self._size, strict=True)
        )
        window = Window(rows, cols)
        if index in self._spilled:
            return Block(window, self._spilled.pop(index), self._missing_spilled.pop(index))
        pixels = np.empty(self._shape, self._dtype)
        if self._empty is not None:
            pixels.fill(self._empty)
        return Block(window, pixels, window.shape[0] * window.shape[1])

    def _keep(self, index: Index, block: Block) -> None:
        """Hold an open block in memory, where there are too many instead of the oldest one."""
        self._blocks[index] = block
        if self._held is not None and len(self._blocks) > self._held:
            oldest = next(iter(self._blocks))
            spilled = self._blocks.pop(oldest)
            self._spilled[oldest] = spilled.whole
            self._missing_spilled[oldest] = spilled.missing
