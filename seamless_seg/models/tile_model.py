"""A model for tiles of one size: padded to shapes that the model takes, and cropped back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..system import resident_bytes
from .base import FLOAT, Model, ModelSpec
from .layout import JOINT_MULTIPLES, SIZE_MULTIPLES

POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64, 128)
"""Numbers that may have to divide a tile's sides: the total strides of most models, px."""


MAX_REFUSED = 8
"""Outputs that are no logits after which no other shape is tried."""


class WorkingMemory(NamedTuple):
    """Bytes that a model allocates for a batch."""

    first: int
    """For its first tile."""
    more: int
    """For each further tile."""

    def on(self, batch_size: int) -> int:
        """Return the bytes for a batch of that many tiles."""
        return self.first + (batch_size - 1) * self.more


class TileModel:
    """A model for tiles of one size.

    A tile smaller than what the model takes is extended by reflection at its right and bottom,
    and the logits there are dropped. A model with a fixed batch gets exactly that.

    Parameters
    ----------
    model : Model
        The model, resolved.
    channels : int
        Bands of the tiles.
    tile : (int, int)
        Height and width of the tiles, px.
    align : (int, int)
        Numbers that divide the sides of what the model is given, where its size is free, px.

    Attributes
    ----------
    shape : (int, int)
        Height and width of what the model is given, px.
    border : int
        Pixels at each side that are to be read around a tile.
    classes : int
        Classes of the logits.
    seconds : float
        Time of a trial run on one batch of the model.

    Raises
    ------
    ModelError
        Where a trial run on zeros fails for every shape that may be right, or its output is not
        ``(B, K, H, W)`` for its input's ``H`` and ``W`` less the border.
    """

    def __init__(
        self, model: Model, channels: int, tile: tuple[int, int], align: tuple[int, int]
    ) -> None:
        self._model = model
        self._tile = tile
        self._channels = channels
        before = resident_bytes()
        self.shape, self.classes, self.seconds = _first_that_works(model, channels, tile, align)
        self.border = model.spec.border
        self._working = max(0, resident_bytes() - before)

    def working_memory(self, batch_size: int) -> WorkingMemory:
        """Measure what the model allocates for batches of up to that size."""
        if batch_size == 1 or self._model.spec.batch:
            return WorkingMemory(self._working, 0)
        before = resident_bytes()
        self._model(np.zeros((batch_size, self._channels, *self.shape), np.float32))
        more = max(0, resident_bytes() - before) // (batch_size - 1)
        return WorkingMemory(self._working, more)

    @cached_property
    def zero_logits(self) -> npt.NDArray[np.float32]:
        """Logits of a tile that is not run, ``(height, width, K)``."""
        return np.zeros((self.classes, *self._tile), np.float32).transpose(1, 2, 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the model's input."""
        return self._model.spec.dtype

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Let the model normalize pixels of a dtype itself, if it can; return whether it will."""
        return self._model.take_over_normalization(normalization, dtype)

    def empty_batch(
        self, count: int, channels: int, dtype: npt.DTypeLike = FLOAT
    ) -> npt.NDArray[Any]:
        """Allocate a batch as the model takes it.

        Parameters
        ----------
        count : int
            Tiles of the batch.
        channels : int
            Bands of the tiles.
        dtype : dtype
            Type of their pixels.

        Returns
        -------
        array
            Not initialized, ``(count, channels, H, W)``.
        """
        return np.empty((count, channels, *self.shape), dtype)

    def tile_view(self, tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the part of a padded tile of a batch that is the tile and its border."""
        height, width = (length + 2 * self.border for length in self._tile)
        return tile[..., :height, :width]

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the logits of the tiles of an ``empty_batch``, ``(B, height, width, K)``.

        What is not in a ``tile_view`` is overwritten.
        """
        self._pad(batch)
        logits = self._run_in_batches(batch)
        return logits[..., : self._tile[0], : self._tile[1]].transpose(0, 2, 3, 1)

    def padded(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an ``empty_batch`` whose tiles are extended by reflection, in place."""
        self._pad(batch)
        return batch

    def _pad(self, batch: npt.NDArray[Any]) -> None:
        own = self.tile_view(batch)
        if own.shape != batch.shape:
            beyond = [(0, full - part) for full, part in zip(batch.shape, own.shape, strict=True)]
            batch[:] = np.pad(own, beyond, mode="reflect")

    def _run_in_batches(self, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        size = self._model.spec.batch or len(batch)
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
        expected = (len(batch), self.classes, *_logits_size(self._model.spec, batch.shape))
        if logits.shape != expected:
            raise ModelError(
                f"{self._model.spec.name} maps {list(batch.shape)} to {list(logits.shape)}, not to "
                f"{list(expected)} as before"
            )
        return logits.astype(np.float32, copy=False)


def _first_that_works(
    model: Model, channels: int, tile: tuple[int, int], align: tuple[int, int]
) -> tuple[tuple[int, int], int, float]:
    """Return the smallest shape of tiles that a model takes, its classes and its seconds."""
    first_error: ModelError | None = None
    refused = 0
    for shape in dict.fromkeys(_shapes(model.spec, tile, align)):
        started = time.perf_counter()
        try:
            classes = _classes(model, (model.spec.batch or 1, channels, *shape))
        except ModelError as error:
            first_error = first_error or error
            # Where the model itself does not fail, but gives no logits, few other shapes help.
            refused += error.__cause__ is None
            if refused == MAX_REFUSED:
                break
        else:
            return shape, classes, time.perf_counter() - started
    raise first_error or ModelError(f"{model.spec.name} takes no tile of {tile}")


def _shapes(
    spec: ModelSpec, tile: tuple[int, int], align: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield the shapes in which a model may take a tile with its border, the smallest first."""
    for multiple in (*POWERS_OF_TWO, *SIZE_MULTIPLES, *JOINT_MULTIPLES):
        height, width = (
            (fixed or _at_least(own, math.lcm(multiple, a), remainder)) + 2 * spec.border
            for own, fixed, a, remainder in zip(tile, spec.tile, align, spec.remainder, strict=True)
        )
        yield height, width


def _at_least(length: int, step: int, remainder: int) -> int:
    """Return the least number, not below a length, with that remainder of division by a step."""
    return length + (remainder - length) % step


def _logits_size(spec: ModelSpec, batch: tuple[int, ...]) -> tuple[int, ...]:
    """Return height and width of the logits of a batch of that shape."""
    return tuple(length - 2 * spec.border for length in batch[2:])


def _classes(model: Model, batch: tuple[int, ...]) -> int:
    """Run a model on zeros of a shape, and return the number of its classes."""
    logits = model(np.zeros(batch, np.float32))
    expected = (batch[0], *_logits_size(model.spec, batch))
    if logits.ndim != 4 or (logits.shape[0], *logits.shape[2:]) != expected:
        raise ModelError(
            f"{model.spec.name} maps {list(batch)} to {list(logits.shape)}: only logits of the "
            f"input's own height and width, [N, K, H, W], can be blended"
        )
    if not logits.shape[1]:
        raise ModelError(
            f"{model.spec.name} has no classes, as it maps {list(batch)} to "
            f"{list(logits.shape)}: give a model with one class at least"
        )
    return int(logits.shape[1])
