"""A model that sees images in one orientation, so that each orientation can have its own graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..normalization import Normalization
from .base import Batch, ModelSpec
from .onnx_model import OnnxModel
from .tta import Symmetry


class OrientedModel:
    """An ONNX model that is run on transformed images, and its logits transformed back.

    Parameters
    ----------
    model : OnnxModel
        The model.
    symmetry : Symmetry
        Applied to images and undone on logits.
    """

    def __init__(self, model: OnnxModel, symmetry: Symmetry) -> None:
        self.model, self.symmetry = model, symmetry
        self.workers = model.workers
        self.spec = _spec(model.spec, symmetry)

    def resolved(self, channels: int | None = None) -> OrientedModel:
        """Return the resolved model in this orientation."""
        model = self.model.resolved(channels)
        return self if model is self.model else OrientedModel(model, self.symmetry)

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Tune the model."""
        self.model.tune(tile, most_workers)
        self.workers = self.model.workers

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Return whether the model normalizes pixels itself."""
        return self.model.take_over_normalization(normalization, dtype)

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Return the logits of images as they are."""
        oriented = np.array(self.symmetry.apply(batch), order="C")
        return np.ascontiguousarray(self.symmetry.undo(self.model(oriented)))


def _spec(spec: ModelSpec, symmetry: Symmetry) -> ModelSpec:
    variant = f"{spec.variant}-{''.join(str(int(own)) for own in symmetry)}"
    if not symmetry.transposed:
        return replace(spec, variant=variant)
    (height, width), (down, across) = spec.tile, spec.remainder
    return replace(spec, variant=variant, tile=(width, height), remainder=(across, down))
