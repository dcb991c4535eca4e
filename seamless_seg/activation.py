"""Activations: from logits to probabilities, as the model's last layer would have done it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import Values
from .decisions import DEFAULT, METADATA, OPTION, THE_GRAPH, Decision, decide
from .errors import OptionError
from .models.base import Model
from .models.graph_analysis import activation_within
from .models.metadata import ModelMetadata
from .validation import check_among

REGRESSORS = ("regressor", "superresolution")
"""Model types whose values are no scores of classes, in lower case."""


def softmax(logits: Values) -> Values:
    """Exponentials over their sum, ``(height, width, K)``: they sum to one at every pixel."""
    planes = np.moveaxis(logits, -1, 0)
    largest = planes.max(axis=0)
    with np.errstate(invalid="ignore"):  # what is not finite is counted elsewhere
        powers = planes - largest
        if np.isposinf(largest).any():  # they share what there is
            powers[np.isposinf(planes)] = 0
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=0)
    return np.moveaxis(powers, 0, -1)


def sigmoid(logits: Values) -> Values:
    """``1 / (1 + exp(-x))`` of each value, each class by itself."""
    with np.errstate(over="ignore"):  # to infinity, and so to zero
        powers = np.exp(-logits)
    powers += 1
    np.reciprocal(powers, out=powers)
    return powers


def unchanged(values: Values) -> Values:
    """Values that are probabilities already."""
    return values


ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": unchanged,
}
"""From ``(height, width, K)`` to the same shape, by name."""


def decide_activation(asked: str | None, model: Model, classes: int) -> Decision[str]:
    """Which activation turns a model's values into probabilities.

    What is asked for, what the metadata says, none where the graph ends in one; else the sigmoid
    for one class and the softmax for several.

    Raises
    ------
    OptionError
        Where there is none such, or it says nothing about one class.
    """
    if asked is not None:
        check_among("activation", asked, ACTIVATIONS)
    if asked == "softmax" and classes == 1:
        raise OptionError("the softmax of one class is 1 everywhere: choose sigmoid")
    return decide(
        (asked, OPTION),
        (_of_metadata(model.metadata), METADATA),
        ("none" if activation_within(model) else None, THE_GRAPH),
        ("sigmoid" if classes == 1 else "softmax", DEFAULT),
    )


def _of_metadata(metadata: ModelMetadata) -> str | None:
    return "none" if (metadata.model_type or "").lower() in REGRESSORS else None
