"""Decisions: a value of a setting, and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

OPTION = "option"
"""Origin: the user."""

METADATA = "the model's metadata"
"""Origin: metadata in the model's file."""

SIDECAR = "the model's MLM sidecar"
"""Origin: the MLM item beside the model's file."""

GRAPH = "the graph ends in one"
"""Origin of an activation: the last node of the model's graph."""

DEFAULT = "default"
"""Origin: neither the user nor the model."""

DEFAULT_OR_FEWER = "default, fewer where the model is slow"
"""Origin of a batch size that a run may lower once the model's speed is known."""


@dataclass(frozen=True)
class Decision(Generic[T]):
    """The value of a setting and its origin."""

    value: T
    origin: str
    """In words, as it is shown to the user."""


def decide(*candidates: tuple[T | None, str]) -> Decision[T]:
    """Return the first candidate (value, origin) whose value is not None; one must have a value."""
    return next(Decision(value, origin) for value, origin in candidates if value is not None)
