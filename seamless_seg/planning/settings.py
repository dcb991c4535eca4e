"""Settings: one decision for each thing that can be chosen, and where it came from.

An explicit option wins over the model's fixed shape and metadata, those win over defaults, and
every decision remembers which it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..decisions import DEFAULT, Decision
from ..models.tta import NONE
from ..normalization import Normalization, Scaling
from ..raster.source import Reading
from ..tiling.trust import Profile, name_of
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
    """All decisions, and what the user should know about them.

    Settings are put together once and never changed: ``noting`` and ``writing`` return new ones.
    """

    tiling: Tiling
    pixels: Pixels | None = None
    """None where no raster is known."""
    tta: Decision[str] = NOT_TURNED
    """In which ways tiles are turned, so that the mean of the logits is taken."""
    notes: tuple[str, ...] = ()
    """Sentences that the user should read."""
    model: Mapping[str, Decision[Any]] = field(default_factory=dict)
    """What was chosen about the model itself."""
    reading: Reading = Reading()
    outputs: Mapping[str, Decision[Any]] = field(default_factory=dict)
    """How outputs are made of logits: activation, threshold, clean-up."""

    def noting(self, *notes: str) -> Settings:
        """The same settings with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def writing(self, outputs: Mapping[str, Decision[Any]]) -> Settings:
        """The same settings with decisions about outputs."""
        return replace(self, outputs=outputs)

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
        yield from self.outputs.items()

    def figures(self) -> dict[str, Any]:
        """Each setting's value and origin, as JSON can hold them."""
        return {
            name: {"value": _figure(decision.value), "origin": decision.origin}
            for name, decision in self.decisions()
        }


def _figure(value: Any) -> Any:
    if isinstance(value, Scaling):
        return value.document()
    return name_of(value) if callable(value) else value
