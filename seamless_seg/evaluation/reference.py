"""The reference: a model's answer with all the context that it can be given, in plain loops.

It shares nothing with the plan and the blending that it is there to judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Values
from ..inference.tile_reader import Feed, takes_integers
from ..models.base import Model
from ..models.receptive_field import Probe, Reach
from ..models.tile_model import TileModel
from ..normalization import Normalization
from ..raster.source import Reader, gaps_extended, read_extended
from ..windows import Window

LARGEST = 2048
"""Pixels of a run at most, where they are enough."""

SMALLEST = 64
"""Pixels of a piece at least, where the model's size is free."""


class Pieces(NamedTuple):
    """Along one axis: pieces from the middle of runs of their own."""

    size: int
    run: int
    """Pixels of a run."""
    piece: int
    """Pixels of a piece at most."""
    stride: int
    """Runs start at multiples of this."""
    complete: bool
    """Whether nothing that the model can see is missing."""

    @property
    def context(self) -> int:
        """Pixels around a piece at least, unless the image ends before."""
        return max(0, (self.run - self.piece) // 2 - self.stride // 2)

    def within(self, window: slice) -> Iterator[tuple[slice, int]]:
        """The pieces of a window, and where the run of each begins."""
        last = -(-max(0, self.size - self.run) // self.stride) * self.stride
        for start in range(window.start, window.stop, self.piece):
            piece = slice(start, min(start + self.piece, window.stop))
            centered = start - (self.run - self.piece) // 2 + self.stride // 2
            centered = centered // self.stride * self.stride
            yield piece, max(0, min(centered, last))


class Reference:
    """A model's answer to an image, without tiles where that is possible.

    Where the model sees only so far, each piece has that much context on every side: this is its
    answer to the whole image. Else, or where its fixed size leaves no room for that, pieces are a
    quarter of a tile long and lie in the middle of it.

    Parameters
    ----------
    reader : Reader
        Where pixels come from.
    model : Model
        The model.
    normalization : Normalization
        What is done to pixels.
    found : Probe or None
        What is known of how far it sees.
    tile : (int, int)
        Height and width of the tiles that it is used with.
    window : (int, int)
        Height and width of the largest window that will be asked for.
    fill : float, optional
        As for ``TileReader``.
    """

    def __init__(
        self,
        reader: Reader,
        model: Model,
        normalization: Normalization,
        found: Probe | None,
        tile: tuple[int, int],
        window: tuple[int, int],
        fill: float | None = None,
    ) -> None:
        reaches = (None, None) if found is None else (found.reach(0), found.reach(1))
        self.rows, self.cols = (
            _pieces(*along)
            for along in zip(reader.size, window, tile, model.spec.tile, reaches, strict=True)
        )
        self._reader = reader
        self._normalization, self._fill = normalization, fill
        runs = self.rows.run, self.cols.run
        strides = self.rows.stride, self.cols.stride
        self._model = TileModel(model, len(reader.bands), runs, strides)

    @property
    def complete(self) -> bool:
        """Whether it is the model's answer to the whole image."""
        return self.rows.complete and self.cols.complete

    def answer(self, window: Window) -> Values:
        """Logits of a window, shape ``(height, width, classes)``."""
        result = np.empty((*window.shape, self._model.classes), np.float32)
        for rows, top in self.rows.within(window.rows):
            for cols, left in self.cols.within(window.cols):
                own = _shifted(rows, top), _shifted(cols, left)
                to = _shifted(rows, window.rows.start), _shifted(cols, window.cols.start)
                result[to] = self._run(top, left)[own]
        return result

    def _run(self, top: int, left: int) -> Values:
        rows, cols = slice(top, top + self.rows.run), slice(left, left + self.cols.run)
        pixels = read_extended(self._reader, rows, cols, self._model.border)
        gaps = gaps_extended(self._reader, rows, cols, self._model.border)
        is_as_it_is = takes_integers(self._model, self._normalization, pixels.dtype)
        as_they_are = pixels.dtype if is_as_it_is else None
        feed = Feed(self._normalization, self._fill, len(pixels), as_they_are)
        batch = self._model.empty_batch(1, len(pixels), feed.dtype)
        feed.put(pixels, gaps, self._model.tile_view(batch[0]))
        logits: Values = self._model(batch)[0]
        return logits


def _shifted(interval: slice, origin: int) -> slice:
    return slice(interval.start - origin, interval.stop - origin)


def _pieces(size: int, window: int, tile: int, fixed: int | None, reach: Reach | None) -> Pieces:
    if reach is None or reach.across:
        run = fixed or tile
        # So coarse a grid would leave a piece no room in its run.
        stride = 1 if reach is None or reach.stride > run // 4 else reach.stride
        return _clipped(size, run, run // 4, stride, False)
    # A run starts at the multiple of the stride that centers its piece best.
    around = 2 * (reach.radius + 2 * reach.stride)
    if fixed is not None:
        # Where the far side is cut off the model's grid, that is seen from up to a stride more.
        around += 2 * (reach.stride if fixed % reach.stride else 0)
        if fixed - around >= fixed // 8:
            return _clipped(size, fixed, fixed - around, reach.stride, True)
        stride = 1 if reach.stride > fixed // 4 else reach.stride
        return _clipped(size, fixed, fixed // 4, stride, False)
    piece = max(SMALLEST, min(window, LARGEST - around))
    run = math.ceil(max(tile, around + piece) / reach.stride) * reach.stride
    return _clipped(size, run, run - around, reach.stride, True)


def _clipped(size: int, run: int, piece: int, stride: int, complete: bool) -> Pieces:
    """All at once where the image is no larger than a run."""
    if size > run:
        return Pieces(size, run, max(1, piece), stride, complete)
    return Pieces(size, size, size, stride, True)
