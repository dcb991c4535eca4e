"""Settings: one decision for each thing that can be chosen, and where it came from.

An explicit option wins over the model's fixed shape and metadata, those win over defaults, and
every decision remembers which it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .normalise import Normalisation
from .symmetry import NONE
from .trust import Profile

OPTION, METADATA, DEFAULT = "option", "the model's metadata", "default"

T = TypeVar("T")
Pair = tuple[int, int]


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A setting and where it came from."""

    value: T
    origin: str


@dataclass(frozen=True)
class Tiling:
    """Everything that a plan and its run need to know."""

    tile: Decision[Pair]
    overlap: Decision[Pair]
    margin: Decision[Pair]
    align: Decision[Pair]
    trust: Decision[str | Profile]
    batch_size: Decision[int]


@dataclass(frozen=True)
class Pixels:
    """Everything that is done to a raster's pixels before the model sees them."""

    bands: Decision[tuple[int, ...]]
    scale: Decision[float]
    mean: Decision[tuple[float, ...]]
    std: Decision[tuple[float, ...]]

    @property
    def normalisation(self) -> Normalisation:
        """The arithmetic that it comes to."""
        return Normalisation(self.scale.value, self.mean.value, self.std.value)


@dataclass(frozen=True)
class Settings:
    """All decisions, and what the user should know about them."""

    tiling: Tiling
    pixels: Pixels | None = None
    """None where no raster is known."""
    tta: Decision[str] = Decision(NONE, DEFAULT)
    """In which ways tiles are turned, so that the mean of the logits is taken."""
    notes: list[str] = field(default_factory=list)

    @property
    def normalisation(self) -> Normalisation:
        """What is done to pixels: nothing where no raster is known."""
        return Normalisation() if self.pixels is None else self.pixels.normalisation

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Each setting's name and decision, in the order in which they are shown."""
        yield from vars(self.tiling).items()
        if self.pixels is not None:
            yield from vars(self.pixels).items()
        yield "tta", self.tta


def decide(*candidates: tuple[T | None, str]) -> Decision[T]:
    """Take the first candidate that has a value; the last one must."""
    return next(Decision(value, origin) for value, origin in candidates if value is not None)
