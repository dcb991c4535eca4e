"""Gathering: windows in any shape and order become the blocks of a file, each of them whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..spill import Spill
from ..windows import Window, common

Place = tuple[int, int]
"""Row and column of a block in the file."""


class Block:
    """A block of a file while its windows come in."""

    def __init__(self, window: Window, whole: npt.NDArray[Any], missing: int) -> None:
        self.window = window
        self.whole = whole
        """All of its pixels, ``(bands, height, width)``."""
        self.missing = missing
        """Pixels that have not come in."""

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """Those that lie in the raster: others are not written."""
        height, width = self.window.shape
        return self.whole[:, :height, :width]

    def fill(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Take from a window, ``(height, width, bands)``, what falls into this block."""
        to, part = common(self.window, (rows, cols))
        taken = window[part]
        self.pixels[:, *to][:] = taken.transpose(2, 0, 1)
        self.missing -= taken.shape[0] * taken.shape[1]


class Gathering:
    """Gathers windows into blocks.

    Where more blocks are open than may be held, those that have waited longest do so on the disk.

    Parameters
    ----------
    size : (height, width)
        Pixels of the raster.
    block : (height, width)
        Pixels of a block.
    count : int
        Bands.
    dtype : dtype
        Of the pixels.
    folder : Path
        Where blocks are put aside.
    held : int, optional
        Open blocks in memory at most.
    empty : float, optional
        What pixels are that no window brings; all must be brought where None.
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
        self._blocks: dict[Place, Block] = {}
        self._aside: Spill[Place] = Spill(folder)
        self._missing_aside: dict[Place, int] = {}

    @property
    def open_blocks(self) -> int:
        """Blocks that are not whole."""
        return len(self._blocks) + len(self._aside)

    def add(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> Iterator[Block]:
        """Take a window, ``(height, width, bands)``; blocks that are whole by it come out."""
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
        """Take out the blocks that are not whole."""
        for place in [*self._blocks, *self._missing_aside]:
            yield self._take(place)

    def close(self) -> None:
        """Let go of what is on the disk."""
        self._aside.__exit__(None, None, None)

    def _take(self, place: Place) -> Block:
        """The block at a place, which is then held by the caller alone."""
        if place in self._blocks:
            return self._blocks.pop(place)
        rows, cols = (
            slice(at * step, min((at + 1) * step, length))
            for at, step, length in zip(place, self._block, self._size, strict=True)
        )
        window = Window(rows, cols)
        if place in self._aside:
            return Block(window, self._aside.pop(place), self._missing_aside.pop(place))
        pixels = np.empty(self._shape, self._dtype)
        if self._empty is not None:
            pixels.fill(self._empty)
        return Block(window, pixels, window.shape[0] * window.shape[1])

    def _keep(self, place: Place, block: Block) -> None:
        """Keep an open block, if need be at the cost of the one that has waited longest."""
        self._blocks[place] = block
        if self._held is not None and len(self._blocks) > self._held:
            longest = next(iter(self._blocks))
            waiting = self._blocks.pop(longest)
            self._aside[longest] = waiting.whole
            self._missing_aside[longest] = waiting.missing
