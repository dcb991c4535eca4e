"""Activations: from logits to probabilities, as the model's last layer would have done it."""

from __future__ import annotations

from .decisions import DEFAULT, METADATA, OPTION, THE_GRAPH, Decision, decide
from .errors import OptionError
from .models.base import Model
from .models.graph_analysis import activation_within
from .models.metadata import ModelMetadata
from .postprocess.products import ACTIVATIONS
from .validation import check_among

REGRESSORS = ("regressor", "superresolution")
"""Model types whose values are no scores of classes, in lower case."""


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
