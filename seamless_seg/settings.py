"""Settings: what the options, the model and the raster say, made into one decision each.

An explicit option wins over the model's fixed shape and metadata, those win over defaults, and
every decision remembers where it came from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .axis import whole_number
from .errors import OptionError
from .model import Model
from .normalise import Normalisation
from .plan import Size, pair
from .trust import profile

TILE = 512
"""Pixels of a tile where neither an option nor the model says anything."""
BATCH_PIXELS = 2**18
MOST_TILES = 8
"""A default batch holds this many pixels or tiles at most, whichever is fewer, but one tile."""
METADATA = "the model's metadata"


@dataclass(frozen=True)
class Options:
    """What the user asked for; None where they left it open."""

    tile: Size | None = None
    overlap: Size | None = None
    margin: Size | None = None
    align: Size | None = None
    trust: str | None = None
    batch_size: int | None = None
    bands: Sequence[int] | None = None
    scale: float | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


class Decision(NamedTuple):
    """A setting and where it came from."""

    value: Any
    origin: str


@dataclass
class Settings:
    """One decision a setting, in the order in which they are shown."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.decisions[name].value

    def decide(self, name: str, *candidates: Decision) -> Any:
        """Take the first candidate that has a value."""
        chosen = next(c for c in candidates if c.value is not None)
        self.decisions[name] = chosen
        return chosen.value


def tiling(options: Options, model: Model | None) -> Settings:
    """Decide on everything that a plan needs: tile, overlap, margin, align, trust, batch size.

    Raises
    ------
    OptionError
        Where an option contradicts the model, or a number is none.
    """
    settings = Settings()
    metadata = model.metadata if model else None
    tile = _tile(settings, options, model)
    margin = settings.decide(
        "margin", Decision(_pair("margin", options.margin), "option"), Decision((0, 0), "default")
    )
    align = settings.decide(
        "align", Decision(_pair("align", options.align, 1), "option"), Decision((1, 1), "default")
    )
    percent = metadata.overlap_percent if metadata else None
    settings.decide(
        "overlap",
        Decision(_pair("overlap", options.overlap), "option"),
        Decision(_share(tile, percent, margin, align), METADATA),
        Decision(_share(tile, 25, margin, align), "default, a quarter of the tile"),
    )
    settings.decide("trust", Decision(options.trust, "option"), Decision("linear", "default"))
    profile(settings["trust"])
    usual = max(1, min(MOST_TILES, BATCH_PIXELS // math.prod(tile)))
    batch_size = settings.decide(
        "batch size",
        Decision(options.batch_size, "option"),
        Decision(model.batch if model else None, "the model's fixed batch"),
        Decision(usual, "default"),
    )
    whole_number("batch size", batch_size, 1)
    settings.notes += metadata.notes if metadata else ()
    return settings


def _tile(settings: Settings, options: Options, model: Model | None) -> tuple[int, int]:
    fixed = model.tile if model else (None, None)
    asked = _pair("tile", options.tile, 1)
    stated = model.metadata.tile if model else None
    for own, length in zip(asked or (), fixed, strict=False):
        if length is not None and own != length:
            raise OptionError(
                f"tile {_by(asked)} contradicts the model, which takes tiles of {_by(fixed)} only: "
                f"leave the tile out"
            )
    usual = asked or (stated or TILE, stated or TILE)
    tile: tuple[int, int] = (fixed[0] or usual[0], fixed[1] or usual[1])
    return settings.decide(  # type: ignore[no-any-return]  # a decision's value is Any
        "tile",
        Decision(asked, "option"),
        Decision(tile if any(fixed) else None, "the model's fixed size"),
        Decision(tile if stated else None, METADATA),
        Decision(tile, "default"),
    )


def _share(
    tile: tuple[int, int],
    percent: float | None,
    margin: tuple[int, int],
    align: tuple[int, int],
) -> tuple[int, int] | None:
    """An overlap of so many per cent, widened for the margin and left room for the alignment."""
    if percent is None:
        return None
    lengths = []
    for length, untrusted, step in zip(tile, margin, align, strict=True):
        wide = max(int(length * percent / 100), 2 * untrusted + 1 if untrusted else 0)
        lengths.append(max(0, min(wide, length - step)))
    return lengths[0], lengths[1]


def bands(options: Options, model: Model, count: int, has_alpha: bool) -> Decision:
    """Decide which bands of a raster the model gets, counted from 1.

    Raises
    ------
    OptionError
        Where their number does not fit the model.
    """
    takes = model.channels
    if options.bands is not None:
        chosen = Decision(tuple(options.bands), "option")
    elif has_alpha and takes == count - 1:
        chosen = Decision(tuple(range(1, count)), "all but the alpha band")
    else:
        chosen = Decision(tuple(range(1, count + 1)), "all")
    if takes is not None and len(chosen.value) != takes:
        listed = ",".join(map(str, chosen.value))
        raise OptionError(
            f"the model takes {takes} bands and would get {len(chosen.value)} ({listed}): "
            f"choose {takes} with --bands"
        )
    return chosen


def normalisation(
    settings: Settings, options: Options, model: Model, count: int, dtype: np.dtype[Any]
) -> Normalisation:
    """Decide how pixels of ``dtype`` in ``count`` bands become the model's input.

    Raises
    ------
    OptionError
        Where mean or std have the wrong length or no good value, or integers other than uint8
        have no scale.
    """
    metadata = model.metadata
    described = metadata.mean is not None or metadata.std is not None
    if options.scale is None and not described and dtype.kind in "iu" and dtype != np.uint8:
        raise OptionError(
            f"pixels of {dtype} have no usual range: say with --scale what to multiply them by "
            f"(1 leaves them as they are)"
        )
    scale = settings.decide(
        "scale",
        Decision(options.scale, "option"),
        Decision(1 / 255 if described else None, METADATA),
        Decision(1 / 255 if dtype == np.uint8 else None, "default for uint8, 1/255"),
        Decision(1.0, f"default for {dtype}"),
    )
    mean = settings.decide(
        "mean",
        Decision(_numbers("mean", options.mean, count), "option"),
        Decision(_numbers("the model's standardization_mean", metadata.mean, count), METADATA),
        Decision((0.0,), "default"),
    )
    std = settings.decide(
        "std",
        Decision(_numbers("std", options.std, count), "option"),
        Decision(_numbers("the model's standardization_std", metadata.std, count), METADATA),
        Decision((1.0,), "default"),
    )
    if not all(std):
        raise OptionError("std must not be 0: pixels are divided by it")
    if not math.isfinite(scale):
        raise OptionError(f"scale must be a finite number, not {scale}")
    result = Normalisation(float(scale), mean, std)
    if options.scale is None:
        settings.notes.append(
            f"pixels are normalised as {result} ({settings.decisions['scale'].origin})"
        )
    return result


def _numbers(name: str, values: Sequence[float] | None, count: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) not in (1, count):
        raise OptionError(f"{name} has {len(values)} numbers for {count} bands: give {count}, or 1")
    if not all(math.isfinite(value) for value in values):
        raise OptionError(f"{name} must be finite numbers, not {','.join(map(str, values))}")
    return tuple(float(value) for value in values)


def _pair(name: str, value: Size | None, least: int = 0) -> tuple[int, int] | None:
    return None if value is None else pair(name, value, least)


def _by(lengths: Any) -> str:
    return "x".join("?" if length is None else str(length) for length in lengths)
