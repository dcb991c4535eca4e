"""Decisions: a value that was chosen, and where the choice came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

THE_GRAPH = "the graph ends in one"

OPTION, METADATA, DEFAULT = "option", "the model's metadata", "default"

SIDECAR = "the model's MLM sidecar"

T = TypeVar("T")

AT_MOST = "default, fewer where the model is slow"


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A setting and where it came from."""

    value: T
    origin: str


def decide(*candidates: tuple[T | None, str]) -> Decision[T]:
    """Take the first candidate that has a value; the last one must."""
    return next(Decision(value, origin) for value, origin in candidates if value is not None)
