"""Ensembles: the mean of what several models, or one on turned tiles, say of each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError, OptionError
from ..normalization import Normalization
from ..validation import format_size
from .base import FLOAT, Batch, Model
from .metadata import ModelMetadata
from .tta import Turn, turns_of, variant_of

COMPARED = {"mean": "mean", "std": "std", "class_names": "class names"}
"""What models may say of themselves that cannot be true of all, and how it is called."""


class Ensemble:
    """Models on a tile turned in every way, as one model.

        logits = (sum over models, for each over turns, of undo(model(apply(tile)))) / count

    The sum is in float32 and always in this order, so that the bits depend on nothing else. Only
    one turned copy of a batch is held at a time.

    Parameters
    ----------
    models : sequence of Model
        They take the same bands and tiles and tell the same number of classes apart. Batches are
        of the least size that those with fixed ones divide.
    tta : str, optional
        Name in ``seamless_seg.symmetry.TURNS``.

    Raises
    ------
    ModelError
        Where two of them contradict each other.
    OptionError
        Where tiles are to be turned by 90 degrees and must not be.
    """

    def __init__(self, models: Sequence[Model], tta: str | None = None) -> None:
        self._models, self._turns = list(models), turns_of(tta)
        self._is_seen = False
        self.name = ",".join(model.name for model in models)
        self.channels = _agreed(models, "takes {} bands", [model.channels for model in models])
        self.classes = _agreed(
            models, "tells {} classes apart", [model.classes for model in models]
        )
        height = _agreed(models, "takes tiles of {} rows", [model.tile[0] for model in models])
        width = _agreed(models, "takes tiles of {} columns", [model.tile[1] for model in models])
        if any(turn.transposed for turn in self._turns):
            if None not in (height, width) and height != width:
                raise OptionError(
                    f"tta {tta} turns tiles by 90 degrees, and {self.name} takes tiles of "
                    f"{format_size((height, width))} only: choose flips"
                )
            height = width = height or width
        self.tile = height, width
        batches = [model.batch for model in models if model.batch is not None]
        self.batch = math.lcm(*batches) if batches else None
        self.batch_pixels = max(model.batch_pixels for model in models)
        self.workers = min(model.workers for model in models)
        self.metadata = _metadata(models)
        self.variant = (
            "+".join(model.variant or "-" for model in models)
            if len(models) > 1
            else models[0].variant
        )
        self.variant += variant_of(tta)
        types = {model.dtype for model in models}
        self.dtype = types.pop() if len(types) == 1 else FLOAT

    @property
    def models(self) -> list[Model]:
        """Its members."""
        return list(self._models)

    @property
    def border(self) -> int:
        """Pixels at each side that the one needs that needs the most."""
        return max(model.border for model in self._models)

    @property
    def remainder(self) -> tuple[int, int]:
        """Heights and widths of its logits, but for multiples of 128."""
        return max(self._models, key=lambda model: model.border).remainder

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Get all of them ready, for as many workers as the one that takes the fewest."""
        for model in self._models:
            model.tune(tile, most_workers)
        self.workers = min(model.workers for model in self._models)
        for model in self._models:
            if model.workers > self.workers:
                model.tune(tile, self.workers)

    def normalizes(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Whether all of them take pixels; those that would still take values."""
        return all(model.normalizes(normalization, dtype) for model in self._models)

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Average the logits of a batch, which is left as it is."""
        if not self._is_seen:
            self._show_borders(batch)
        total: npt.NDArray[np.float32] | None = None
        with np.errstate(over="ignore", invalid="ignore"):  # infinite logits are counted later
            for model in self._models:
                for turn in self._turns:
                    total = self._add(total, model, turn, batch)
            if total is None:
                raise ModelError("an ensemble of no models has no logits")
            total /= np.float32(len(self._models) * len(self._turns))
        return total

    def _show_borders(self, batch: Batch) -> None:
        """Call all of them once: a border is seen then, and all must know of the widest."""
        before, self._is_seen = self.border, True
        if len(self._models) > 1:
            for model in self._models:
                with suppress(ModelError):  # said when it is called again
                    _answer(model, batch.copy())
        if self.border != before:
            raise ModelError(f"{self.name} needs {self.border} px around a tile")

    def _add(
        self, total: npt.NDArray[np.float32] | None, model: Model, turn: Turn, batch: Batch
    ) -> npt.NDArray[np.float32]:
        # A copy even of what is not turned: a function may write into what it is given.
        within = self.border - model.border
        own = batch[..., within : batch.shape[2] - within, within : batch.shape[3] - within]
        logits = _answer(model, np.array(turn.apply(own), order="C"))
        if logits.ndim != 4:
            raise ModelError(
                f"{model.name} maps {list(batch.shape)} to {list(logits.shape)}: only logits "
                f"[N, K, H, W] can be averaged"
            )
        logits = turn.undo(logits)
        if total is None:
            return np.array(logits, np.float32, order="C")
        if logits.shape != total.shape:
            raise ModelError(
                f"{self._models[0].name} gives logits of {list(total.shape)} and {model.name} of "
                f"{list(logits.shape)}: only those of one shape can be averaged"
            )
        total += logits.astype(np.float32, copy=False)
        return total


def _answer(model: Model, batch: Batch) -> npt.NDArray[Any]:
    """A model's logits of several of its own batches."""
    size = model.batch or len(batch)
    if size == len(batch):
        return model(batch)
    parts = [model(batch[start : start + size]) for start in range(0, len(batch), size)]
    return np.concatenate(parts)


def _agreed(models: Sequence[Model], what: str, numbers: Sequence[int | None]) -> int | None:
    """The number that all models have in common that have one."""
    stated = [(model.name, n) for model, n in zip(models, numbers, strict=True) if n is not None]
    for name, number in stated[1:]:
        if number != stated[0][1]:
            first, other = what.format(stated[0][1]), what.format(number)
            raise ModelError(
                f"{stated[0][0]} {first}, and {name} {other}: only models that do the same can be "
                f"averaged"
            )
    return stated[0][1] if stated else None


def _metadata(models: Sequence[Model]) -> ModelMetadata:
    """What the first says of itself, with notes on where others say something else."""
    first, *others = models
    notes = list(first.metadata.notes)
    for other in others:
        notes += other.metadata.notes
        said = {key: getattr(other.metadata, key) for key in COMPARED}
        apart = [
            COMPARED[key]
            for key, value in said.items()
            if value and value != getattr(first.metadata, key)
        ]
        if apart:
            notes.append(
                f"{other.name} states another {' and '.join(apart)} than {first.name}, whose "
                f"settings hold for all: check that they were trained alike"
            )
    return replace(first.metadata, notes=tuple(dict.fromkeys(notes)))
