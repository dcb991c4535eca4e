"""Fitting: tiles of a plan made to the measure of a model, and its logits cut back to theirs."""

from __future__ import annotations

import math
import time
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..system import resident_bytes
from .base import FLOAT, Model

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Numbers of which a model's tiles may have to be multiples: its poolings halve that often."""


class Working(NamedTuple):
    """Bytes that a model works with: for the first tile of a batch, and for each one more."""

    first: int
    more: int

    def on(self, batch_size: int) -> int:
        """For a batch of that size."""
        return self.first + (batch_size - 1) * self.more


class FittedModel:
    """A model together with the shape of the tiles that it will be given.

    ``seconds`` is what a trial run on one of them took. ``border`` is how many pixels around a tile
    the model needs; its tiles are to be given with them.

    A tile smaller than what the model takes is extended by reflection at its right and
    bottom, and the logits there are dropped. A model with a fixed batch gets exactly that.

    Parameters
    ----------
    model : Model
        The model.
    channels : int
        Bands of the tiles.
    tile : (height, width)
        Pixels of the tiles.
    align : (int, int)
        Where the model's lengths are free, it gets multiples of these.

    Raises
    ------
    ModelError
        Where a trial run on an empty tile fails for every length that could be right, or has
        an output that is not ``(B, K, H, W)`` for its input's ``H`` and ``W``.
    """

    def __init__(
        self, model: Model, channels: int, tile: tuple[int, int], align: tuple[int, int]
    ) -> None:
        self._model = model
        self._tile = tile
        self._channels = channels
        before = resident_bytes()
        self.shape, self.classes, self.seconds = _try(model, channels, tile, align)
        self.border = model.border
        self._working = max(0, resident_bytes() - before)

    def working_bytes(self, batch_size: int) -> Working:
        """Bytes that the model works with on batches of up to that size, by trying it."""
        if batch_size == 1 or self._model.batch:
            return Working(self._working, 0)
        before = resident_bytes()
        self._model(np.zeros((batch_size, self._channels, *self.shape), np.float32))
        more = max(0, resident_bytes() - before) // (batch_size - 1)
        return Working(self._working, more)

    @cached_property
    def zeros(self) -> npt.NDArray[np.float32]:
        """Logits of a tile that say nothing, ``(height, width, K)``."""
        return np.zeros((self.classes, *self._tile), np.float32).transpose(1, 2, 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the model computes its input from."""
        return self._model.dtype

    def normalizes(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Whether the model takes pixels from here on and does that to them itself."""
        return self._model.normalizes(normalization, dtype)

    def empty(self, count: int, channels: int, dtype: npt.DTypeLike = FLOAT) -> npt.NDArray[Any]:
        """Room for ``count`` tiles of the plan as the model takes them, ``(B, C, H, W)``."""
        return np.empty((count, channels, *self.shape), dtype)

    def place(self, tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of one tile of such a batch that is the plan's tile and its border."""
        height, width = (length + 2 * self.border for length in self._tile)
        return tile[..., :height, :width]

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Logits of a batch from ``empty``: ``(B, height, width, K)``, the plan's tiles."""
        self._reflect(batch)
        logits = self._in_batches(batch)
        return logits[..., : self._tile[0], : self._tile[1]].transpose(0, 2, 3, 1)

    def _reflect(self, batch: npt.NDArray[Any]) -> None:
        own = self.place(batch)
        if own.shape != batch.shape:
            beyond = [(0, full - part) for full, part in zip(batch.shape, own.shape, strict=True)]
            batch[:] = np.pad(own, beyond, mode="reflect")

    def _in_batches(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        size = self._model.batch or len(batch)
        if size == len(batch):
            return self._run(batch)
        parts = []
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            missing = size - len(part)
            full = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
            parts.append(self._run(full)[: len(part)])
        return np.concatenate(parts)

    def _run(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        logits = self._model(batch)
        expected = (len(batch), self.classes, *_answered(self._model, batch.shape))
        if logits.shape != expected:
            raise ModelError(f"{self._model.name} gave {logits.shape}, not {expected}")
        return logits.astype(np.float32, copy=False)


def _try(
    model: Model, channels: int, tile: tuple[int, int], align: tuple[int, int]
) -> tuple[tuple[int, int], int, float]:
    """The smallest shape of tiles that the model takes, its number of classes and its time."""
    first_error: ModelError | None = None
    border = model.border
    for shape in _shapes(model, tile, align):
        started = time.perf_counter()
        try:
            classes = _classes(model, (model.batch or 1, channels, *shape))
        except ModelError as error:
            first_error = first_error or error
            if model.border == border:
                continue
        if model.border != border:  # which has only now been seen
            return _try(model, channels, tile, align)
        return shape, classes, time.perf_counter() - started
    raise first_error or ModelError(f"{model.name} takes no tile of {tile}")


def _shapes(model: Model, tile: tuple[int, int], align: tuple[int, int]) -> list[tuple[int, int]]:
    shapes = []
    for multiple in MULTIPLES:
        height, width = (
            (fixed or _at_least(own, math.lcm(multiple, a), remainder)) + 2 * model.border
            for own, fixed, a, remainder in zip(
                tile, model.tile, align, model.remainder, strict=True
            )
        )
        shapes.append((height, width))
    return list(dict.fromkeys(shapes))


def _at_least(length: int, step: int, remainder: int) -> int:
    """The smallest length of no less that leaves this remainder on division by a step."""
    return length + (remainder - length) % step


def _answered(model: Model, given: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width of the logits for a batch of that shape."""
    return tuple(length - 2 * model.border for length in given[2:])


def _classes(model: Model, given: tuple[int, ...]) -> int:
    """Number of classes that the model has for tiles of a shape that it can be given."""
    logits = model(np.zeros(given, np.float32))
    expected = (given[0], *_answered(model, given))
    if logits.ndim != 4 or (logits.shape[0], *logits.shape[2:]) != expected:
        raise ModelError(
            f"{model.name} maps {list(given)} to {list(logits.shape)}: only logits of the "
            f"input's own height and width, [N, K, H, W], can be blended"
        )
    if not logits.shape[1]:
        raise ModelError(f"{model.name} has no classes: it maps to {list(logits.shape)}")
    return int(logits.shape[1])
