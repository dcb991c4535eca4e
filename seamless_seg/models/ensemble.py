"""Ensembles: the mean of the logits of several models, and of a model on augmented tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError, OptionError
from ..normalization import Normalization
from ..validation import format_size
from .base import FLOAT, Batch, Model, ModelSpec
from .metadata import ModelMetadata
from .tta import Symmetry, symmetries_of, variant_of

COMPARED_FIELDS = {"mean": "mean", "std": "std", "class_names": "class names"}
"""Fields of metadata in which members should agree, and how a note calls them."""


class Ensemble:
    """Several models, each on a tile in every symmetry of an augmentation, as one model.

        logits = (sum over models, for each over symmetries, of undo(model(apply(tile)))) / count

    The sum is taken in float32 and always in this order, so that the same input gives the same
    bits. Only one transformed copy of a batch is held at a time.

    Parameters
    ----------
    models : sequence of Model
        Members, which must agree in bands, tiles and classes. Batches are of the least common
        multiple of the members' fixed ones.
    tta : str, optional
        Name in ``seamless_seg.models.tta.AUGMENTATIONS``.

    Attributes
    ----------
    tta : str or None
        The augmentation.

    Raises
    ------
    ModelError
        Where members disagree, or there are none.
    OptionError
        Where the augmentation transposes tiles of a fixed size that is not square.
    """

    def __init__(self, models: Sequence[Model], tta: str | None = None) -> None:
        if not models:
            raise ModelError("an ensemble needs one model at least")
        self._models, self.tta = list(models), tta
        self._symmetries = symmetries_of(tta)
        refuse_class_numbers([model.spec for model in models])
        self.workers = min(model.workers for model in models)
        self.spec = _spec([model.spec for model in models], tta)

    @property
    def models(self) -> list[Model]:
        """Its members."""
        return list(self._models)

    def resolved(self, channels: int | None = None) -> Ensemble:
        """Return the ensemble of the resolved members.

        ``channels`` are the bands of trial images where no member states a number.
        """
        channels = self.spec.channels or channels
        models = [model.resolved(channels) for model in self._models]
        is_resolved = all(new is old for new, old in zip(models, self._models, strict=True))
        return self if is_resolved else Ensemble(models, self.tta)

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Tune all members, for as many workers as the one that takes the fewest."""
        for model in self._models:
            model.tune(tile, most_workers)
        self.workers = min(model.workers for model in self._models)
        for model in self._models:
            if model.workers > self.workers:
                model.tune(tile, self.workers)

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Return whether all members normalize pixels; those that do take values as well."""
        return all(model.take_over_normalization(normalization, dtype) for model in self._models)

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Return the mean of the members' logits; the batch is not changed."""
        first, *others = product(self._models, self._symmetries)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite logits are counted later
            total = self._add(None, *first, batch)
            for model, symmetry in others:
                total = self._add(total, model, symmetry, batch)
            total /= np.float32(1 + len(others))
        return total

    def _add(
        self, total: npt.NDArray[np.float32] | None, model: Model, symmetry: Symmetry, batch: Batch
    ) -> npt.NDArray[np.float32]:
        """Add a member's logits of a batch that has the border of the member with the widest."""
        excess = self.spec.border - model.spec.border
        own = batch[..., excess : batch.shape[2] - excess, excess : batch.shape[3] - excess]
        # A copy even for the identity: a function may write into its argument.
        logits = _run_in_batches(model, np.array(symmetry.apply(own), order="C"))
        if logits.ndim != 4:
            raise ModelError(
                f"{model.spec.name} maps {list(batch.shape)} to {list(logits.shape)}: only logits "
                f"[N, K, H, W] can be averaged"
            )
        logits = symmetry.undo(logits)
        if total is None:
            return np.array(logits, np.float32, order="C")
        if logits.shape != total.shape:
            raise ModelError(
                f"{self._models[0].spec.name} gives logits of {list(total.shape)} and "
                f"{model.spec.name} of {list(logits.shape)}: only those of one shape can be "
                f"averaged"
            )
        total += logits.astype(np.float32, copy=False)
        return total


def _run_in_batches(model: Model, batch: Batch) -> npt.NDArray[Any]:
    """Return a member's logits of a batch that is a multiple of its own."""
    size = model.spec.batch or len(batch)
    if size == len(batch):
        return model(batch)
    parts = [model(batch[start : start + size]) for start in range(0, len(batch), size)]
    return np.concatenate(parts)


def refuse_class_numbers(specs: Sequence[ModelSpec]) -> None:
    """Raise ``ModelError`` where a model gives class numbers, of which there is no mean."""
    for spec in specs:
        if spec.gives_classes:
            raise ModelError(
                f"{spec.name} gives class numbers, which cannot be averaged, as tta= and several "
                f"models need it: export the model without its argmax"
            )


def _spec(specs: Sequence[ModelSpec], tta: str | None) -> ModelSpec:
    """Return the spec of an ensemble of models with these."""
    name = ",".join(spec.name for spec in specs)
    widest = max(specs, key=lambda spec: spec.border)
    variant = (
        "+".join(spec.variant or "-" for spec in specs) if len(specs) > 1 else specs[0].variant
    )
    batches = [spec.batch for spec in specs if spec.batch is not None]
    types = {spec.dtype for spec in specs}
    return ModelSpec(
        name=name,
        channels=_common(specs, "takes {} bands", [spec.channels for spec in specs]),
        classes=_common(specs, "has {} classes", [spec.classes for spec in specs]),
        tile=_common_tile(name, specs, tta),
        border=widest.border,
        remainder=widest.remainder,
        batch=math.lcm(*batches) if batches else None,
        batch_pixels=max(spec.batch_pixels for spec in specs),
        dtype=types.pop() if len(types) == 1 else FLOAT,
        metadata=_common_metadata(specs),
        variant=variant + variant_of(tta),
    )


def _common_tile(
    name: str, specs: Sequence[ModelSpec], tta: str | None
) -> tuple[int | None, int | None]:
    height = _common(specs, "takes tiles of {} rows", [spec.tile[0] for spec in specs])
    width = _common(specs, "takes tiles of {} columns", [spec.tile[1] for spec in specs])
    if not any(symmetry.transposed for symmetry in symmetries_of(tta)):
        return height, width
    if None not in (height, width) and height != width:
        raise OptionError(
            f"tta {tta} rotates tiles by 90 degrees, and {name} takes tiles of "
            f"{format_size((height, width))} only: choose flips"
        )
    return height or width, height or width


def _common(specs: Sequence[ModelSpec], what: str, numbers: Sequence[int | None]) -> int | None:
    """Return the number on which all members agree that state one."""
    stated = [(spec.name, n) for spec, n in zip(specs, numbers, strict=True) if n is not None]
    for name, number in stated[1:]:
        if number != stated[0][1]:
            first, other = what.format(stated[0][1]), what.format(number)
            raise ModelError(
                f"{stated[0][0]} {first}, and {name} {other}: only models that agree in this can "
                f"be averaged"
            )
    return stated[0][1] if stated else None


def _common_metadata(specs: Sequence[ModelSpec]) -> ModelMetadata:
    """Return the first member's metadata, with notes on where others state something else."""
    first, *others = specs
    notes = list(first.metadata.notes)
    for other in others:
        notes += other.metadata.notes
        differing = [
            name
            for key, name in COMPARED_FIELDS.items()
            if (value := getattr(other.metadata, key)) and value != getattr(first.metadata, key)
        ]
        if differing:
            notes.append(
                f"{other.name} states another {' and '.join(differing)} than {first.name}, whose "
                f"settings hold for all: check that they were trained alike"
            )
    return replace(first.metadata, notes=tuple(dict.fromkeys(notes)))
