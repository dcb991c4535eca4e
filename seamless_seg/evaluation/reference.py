"""The reference: a model run with all the context that it can use, in plain loops.

It shares no code with the plan and the blending that are compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Values
from ..inference.tile_reader import InputWriter, takes_integers
from ..models.base import Model
from ..models.tile_model import TileModel
from ..normalization import Normalization
from ..probes.receptive_field import Probe, Reach
from ..raster.source import Reader, gaps_extended, read_extended
from ..windows import Window

LARGEST_RUN = 2048
"""Largest length of a run in pixels, unless the context of a piece needs more."""

SMALLEST_PIECE = 64
"""Smallest length of a piece in pixels, if the model takes inputs of any size."""


class Pieces(NamedTuple):
    """Pieces of the reference along one axis, each from the middle of a run of its own."""

    size: int
    """Pixels of the image."""
    run: int
    """Pixels of a run."""
    piece: int
    """Pixels of a piece at most."""
    stride: int
    """Runs start at multiples of this."""
    complete: bool
    """Whether each run holds the whole receptive field of its piece."""

    @property
    def context(self) -> int:
        """Least pixels on each side of a piece in its run, unless the image ends there."""
        return max(0, (self.run - self.piece) // 2 - self.stride // 2)

    def within(self, window: slice) -> Iterator[tuple[slice, int]]:
        """Yield the pieces of a window, each with the first pixel of its run."""
        last = -(-max(0, self.size - self.run) // self.stride) * self.stride
        for start in range(window.start, window.stop, self.piece):
            piece = slice(start, min(start + self.piece, window.stop))
            centered = start - (self.run - self.piece) // 2 + self.stride // 2
            centered = centered // self.stride * self.stride
            yield piece, max(0, min(centered, last))


class Reference:
    """The logits of a model for an image, without the effect of tiles if that is possible.

    If the receptive field is finite, each piece has that much context on every side: the logits
    are those of the model on the whole image. Otherwise, or if the model's fixed size is too small
    for that context, pieces are a quarter of a tile long and lie in the middle of a tile.

    Parameters
    ----------
    reader : Reader
        The raster.
    model : Model
        The model.
    normalization : Normalization
        Applied to the raster's pixels.
    found : Probe or None
        The measured receptive field; None if it is unknown.
    tile : (int, int)
        Height and width of the tiles that are compared with the reference.
    window : (int, int)
        Height and width of the largest window.
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
        """Whether the reference equals the model run on the whole image."""
        return self.rows.complete and self.cols.complete

    def logits(self, window: Window) -> Values:
        """Run the model for a window; return logits, shape ``(height, width, classes)``."""
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
        is_unchanged = takes_integers(self._model, self._normalization, pixels.dtype)
        dtype = pixels.dtype if is_unchanged else None
        feed = InputWriter(self._normalization, self._fill, len(pixels), dtype)
        batch = self._model.empty_batch(1, len(pixels), feed.dtype)
        feed.write(pixels, gaps, self._model.tile_view(batch[0]))
        logits: Values = self._model(batch)[0]
        return logits


def _shifted(interval: slice, origin: int) -> slice:
    return slice(interval.start - origin, interval.stop - origin)


def _pieces(size: int, window: int, tile: int, fixed: int | None, reach: Reach | None) -> Pieces:
    """Choose runs and pieces along one axis; ``fixed`` is the model's length of an input."""
    if reach is None or not reach.is_tileable:
        run = fixed or tile
        # Starts on a coarser grid could put a piece outside of its run.
        stride = 1 if reach is None or reach.stride > run // 4 else reach.stride
        return _clipped(size, run, run // 4, stride, False)
    # A run starts at the multiple of the stride that centers its piece best.
    around = 2 * (reach.radius + 2 * reach.stride)
    if fixed is not None:
        # If the far side of a run is off the model's grid, its effect reaches up to a stride more.
        around += 2 * (reach.stride if fixed % reach.stride else 0)
        if fixed - around >= fixed // 8:
            return _clipped(size, fixed, fixed - around, reach.stride, True)
        stride = 1 if reach.stride > fixed // 4 else reach.stride
        return _clipped(size, fixed, fixed // 4, stride, False)
    piece = max(SMALLEST_PIECE, min(window, LARGEST_RUN - around))
    run = math.ceil(max(tile, around + piece) / reach.stride) * reach.stride
    return _clipped(size, run, run - around, reach.stride, True)


def _clipped(size: int, run: int, piece: int, stride: int, complete: bool) -> Pieces:
    """Return pieces of runs within the image; a single run if the image is no larger than one."""
    if size > run:
        return Pieces(size, run, max(1, piece), stride, complete)
    return Pieces(size, size, size, stride, True)
