"""Settings: one decision for each thing that can be chosen, and where it came from.

An explicit option wins over the model's fixed shape and metadata, those win over defaults, and
every decision remembers which it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..decisions import DEFAULT, Decision
from ..models.tta import NONE
from ..normalization import Normalization, Scaling
from ..raster.source import Reading
from ..tiling.trust import Profile
from ..windows import Pair

NOT_TURNED = Decision(NONE, DEFAULT)
"""No test-time augmentation."""

LINEAR = ("scale", "mean", "std")
"""Settings that a value scaling takes the place of."""


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
    value_scaling: Decision[Scaling] | None = None
    """In place of scale, mean and std."""

    @classmethod
    def scaled(cls, bands: Decision[tuple[int, ...]], scaling: Decision[Scaling]) -> Pixels:
        """Pixels that are scaled, and not normalized otherwise."""
        scale: Decision[float] = Decision(1.0, scaling.origin)
        mean: Decision[tuple[float, ...]] = Decision((0.0,), scaling.origin)
        std: Decision[tuple[float, ...]] = Decision((1.0,), scaling.origin)
        return cls(bands, scale, mean, std, scaling)

    @property
    def normalization(self) -> Normalization:
        """The arithmetic that it comes to."""
        scaling = None if self.value_scaling is None else self.value_scaling.value
        return Normalization(self.scale.value, self.mean.value, self.std.value, scaling)

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Those that matter, by name."""
        unused = LINEAR if self.value_scaling is not None else ("value_scaling",)
        yield from ((name, own) for name, own in vars(self).items() if name not in unused)


@dataclass(frozen=True)
class Settings:
    """All decisions, and what the user should know about them."""

    tiling: Tiling
    pixels: Pixels | None = None
    """None where no raster is known."""
    tta: Decision[str] = NOT_TURNED
    """In which ways tiles are turned, so that the mean of the logits is taken."""
    notes: list[str] = field(default_factory=list)
    model: dict[str, Decision[Any]] = field(default_factory=dict)
    """What was chosen about the model itself."""
    reading: Reading = Reading()
    products: dict[str, Decision[Any]] = field(default_factory=dict)
    """What is made of logits, where that is not what they are."""

    @property
    def normalization(self) -> Normalization:
        """What is done to pixels: nothing where no raster is known."""
        return Normalization() if self.pixels is None else self.pixels.normalization

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Each setting's name and decision, in the order in which they are shown."""
        yield from self.model.items()
        yield from vars(self.tiling).items()
        if self.pixels is not None:
            yield from self.pixels.decisions()
        yield "tta", self.tta
        yield from ((name, made) for name, made in vars(self.reading).items() if made is not None)
        yield from self.products.items()
