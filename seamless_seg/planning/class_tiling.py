"""Models that give class numbers: recognize them, and cut their tiles where that is exact."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.base import Model
from ..models.callable_model import CallableModel
from ..models.ensemble import Ensemble, refuse_class_numbers
from ..models.onnx_model import OnnxModel
from .class_probe import RADIUS_FACTOR
from .forecast import Forecast
from .probing import NOT_MEASURED

TRIAL_SIDES = (256, 224, 512)
"""Sides in px of the images on which a function is tried: the first that it takes."""

EXPORT_LOGITS = (
    "export the model without its argmax, so that its logits can be blended, or give a tile that "
    "holds the whole image"
)
"""Advice at the end of a refusal."""


def recognized(model: Model, channels: int) -> Model:
    """Return the model; one that gives class numbers with a spec that says so.

    A function is run once on noise, and so is an ONNX model of one channel whose graph does not
    show what it gives. Class numbers are integers in one channel, or floats without fractions of
    which some are above 1.

    Raises
    ------
    ModelError
        If class numbers would have to be averaged.
    """
    if isinstance(model, Ensemble):
        refuse_class_numbers([recognized(own, channels).spec for own in model.models])
        return model
    if model.spec.gives_classes or (model.spec.classes or 1) > 1:
        return model
    if not isinstance(model, CallableModel | OnnxModel):
        return model
    output = _on_noise(model, channels)
    if output is None or not _are_class_numbers(output):
        return model
    found = copy(model)
    found.spec = replace(model.spec, gives_classes=True)
    return found


def require_exact_classes(forecast: Forecast, model: Model) -> Forecast:
    """Return the forecast of a model that gives class numbers, with a note on how tiles are cut.

    Raises
    ------
    ModelError
        If its tiles are not exact: class numbers of tiles that differ cannot be blended.
    """
    if not model.spec.gives_classes or forecast.plan.grid.shape == (1, 1):
        return forecast
    start = f"{model.spec.name} gives class numbers, which cannot be blended"
    if forecast.exact is None:
        failures = [note for note in forecast.settings.notes if note.startswith(NOT_MEASURED)]
        if failures:
            raise ModelError(f"{start}, and {failures[0]}: {EXPORT_LOGITS}")
        raise ModelError(
            f'{start}, and its receptive field is not measured: give margin="auto" and '
            f'align="auto", or {EXPORT_LOGITS}'
        )
    if not (forecast.exact or forecast.exact_by):
        raise ModelError(f"{start}, and its tiles are {forecast.exactness}: {EXPORT_LOGITS}")
    radius = f"{RADIUS_FACTOR} times the receptive-field radius that was measured on them"
    if forecast.exact_by == "graph":
        radius = "the receptive-field radius that its graph proves"
    return forecast.noting(
        f"{model.spec.name} gives class numbers: tiles are cut, not blended, at {radius}"
    )


def _on_noise(model: Model, channels: int) -> npt.NDArray[np.generic] | None:
    """Return the output for an image of noise; None if the model fails at each size."""
    spec, random = model.spec, np.random.default_rng(0)
    for side in TRIAL_SIDES:
        height, width = (
            (fixed or side + rest) + 2 * spec.border
            for fixed, rest in zip(spec.tile, spec.remainder, strict=True)
        )
        shape = (spec.batch or 1, spec.channels or channels, height, width)
        with suppress(ModelError):
            return np.asarray(model(random.standard_normal(shape, np.float32)))
    return None


def _are_class_numbers(output: npt.NDArray[np.generic]) -> bool:
    if output.ndim == 4 and output.shape[1] != 1:
        return False
    if output.dtype.kind in "iub":
        return True
    values = output.astype(np.float64)
    with np.errstate(invalid="ignore"):
        is_whole = np.array_equal(values, np.rint(values)) and bool((values >= 0).all())
    return is_whole and bool(values.max(initial=0) > 1)
