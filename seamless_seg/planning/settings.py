"""The settings of a run: every decision, with its value and its origin.

An option wins over what the model states and over what is measured, and these win over defaults.
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

NO_TTA = Decision(NONE, DEFAULT)
"""No test-time augmentation."""

LINEAR = ("scale", "mean", "std")
"""Settings that a value scaling replaces."""


@dataclass(frozen=True)
class Tiling:
    """Decisions about the size, the place and the weights of tiles, in pixels (down, across)."""

    tile: Decision[Pair]
    overlap: Decision[Pair]
    margin: Decision[Pair]
    align: Decision[Pair]
    trust: Decision[str | Profile]
    batch_size: Decision[int]


@dataclass(frozen=True)
class Pixels:
    """Decisions about the bands of the model's input and their normalization."""

    bands: Decision[tuple[int, ...]]
    scale: Decision[float]
    mean: Decision[tuple[float, ...]]
    std: Decision[tuple[float, ...]]
    value_scaling: Decision[Scaling] | None = None
    """Operations of STAC MLM that replace scale, mean and std."""

    @classmethod
    def scaled(cls, bands: Decision[tuple[int, ...]], scaling: Decision[Scaling]) -> Pixels:
        """Return pixels that are normalized by a value scaling alone."""
        scale: Decision[float] = Decision(1.0, scaling.origin)
        mean: Decision[tuple[float, ...]] = Decision((0.0,), scaling.origin)
        std: Decision[tuple[float, ...]] = Decision((1.0,), scaling.origin)
        return cls(bands, scale, mean, std, scaling)

    @property
    def normalization(self) -> Normalization:
        """The arithmetic of these decisions."""
        scaling = None if self.value_scaling is None else self.value_scaling.value
        return Normalization(self.scale.value, self.mean.value, self.std.value, scaling)

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Yield the name and the decision of each setting that has an effect."""
        unused = LINEAR if self.value_scaling is not None else ("value_scaling",)
        yield from ((name, value) for name, value in vars(self).items() if name not in unused)


@dataclass(frozen=True)
class Settings:
    """All decisions of a run, and notes about them for the user.

    Settings never change: ``noting`` and ``writing`` return new ones.
    """

    tiling: Tiling
    pixels: Pixels | None = None
    """None if no raster is given."""
    tta: Decision[str] = NO_TTA
    """Test-time augmentation."""
    notes: tuple[str, ...] = ()
    """Sentences that the user should read."""
    warnings: tuple[str, ...] = ()
    """Sentences on what may be wrong with the result."""
    model: Mapping[str, Decision[Any]] = field(default_factory=dict)
    """Decisions about the model itself: its output, and the value for nodata."""
    reading: Reading = Reading()
    """Decisions about how the raster is read."""
    outputs: Mapping[str, Decision[Any]] = field(default_factory=dict)
    """Decisions about the outputs: activation, threshold, clean-up."""

    def noting(self, *notes: str) -> Settings:
        """Return the settings with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def warning(self, *warnings: str) -> Settings:
        """Return the settings with more warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))

    def writing(self, outputs: Mapping[str, Decision[Any]]) -> Settings:
        """Return the settings with decisions about outputs."""
        return replace(self, outputs=outputs)

    @property
    def normalization(self) -> Normalization:
        """The normalization of pixels; the identity if no raster is given."""
        return Normalization() if self.pixels is None else self.pixels.normalization

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Yield each setting's name and decision, in the order in which they are shown."""
        yield from self.model.items()
        yield from vars(self.tiling).items()
        if self.pixels is not None:
            yield from self.pixels.decisions()
        yield "tta", self.tta
        yield from (
            (name, value) for name, value in vars(self.reading).items() if value is not None
        )
        yield from self.outputs.items()

    def figures(self) -> dict[str, Any]:
        """Return each setting's value and origin as JSON can represent them."""
        return {
            name: {"value": _figure(decision.value), "origin": decision.origin}
            for name, decision in self.decisions()
        }


def _figure(value: Any) -> Any:
    if isinstance(value, Scaling):
        return value.document()
    return name_of(value) if callable(value) else value
