"""Settings: what the options, the model and the raster say, made into one decision each.

An explicit option wins over the model's fixed shape and metadata, those win over defaults, and
every decision remembers where it came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from .automatic import BLEND, Wish, choose
from .axis import whole_number
from .errors import OptionError
from .model import Model
from .normalise import Normalisation
from .plan import Size, pair
from .probe import Probe
from .trust import profile

TILE = 512
"""Pixels of a tile where neither an option nor the model says anything."""
BATCH_PIXELS = 2**18
MOST_TILES = 8
"""A default batch holds this many pixels or tiles at most, whichever is fewer, but one tile."""

MOST = float(np.finfo(np.float32).max)
"""Models see float32: what lies beyond is infinite to them."""

OPTION, METADATA, DEFAULT = "option", "the model's metadata", "default"

T = TypeVar("T")
Pair = tuple[int, int]


@dataclass(frozen=True)
class Options:
    """What the user asked for; None, or "auto" in the first four, where they left it open."""

    tile: Size | Literal["auto"] | None = None
    overlap: Size | Literal["auto"] | None = None
    margin: Size | Literal["auto"] | None = None
    align: Size | Literal["auto"] | None = None
    trust: str | None = None
    batch_size: int | None = None
    bands: Sequence[int] | None = None
    tolerance: float | None = None
    scale: float | None = None
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None


def merged(options: Options | None, choices: dict[str, Any]) -> Options:
    """Options given as such, or one by one."""
    if options is not None and choices:
        raise TypeError("give either options or their fields as keywords, not both")
    try:
        return options or Options(**choices)
    except TypeError as error:
        raise TypeError(f"{error}") from None


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
    trust: Decision[str]
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


def decide(*candidates: tuple[T | None, str]) -> Decision[T]:
    """Take the first candidate that has a value; the last one must."""
    return next(Decision(value, origin) for value, origin in candidates if value is not None)


def tiling(
    options: Options, model: Model | None, found: Probe | None = None, size: Pair | None = None
) -> Tiling:
    """Decide on how to tile a raster of ``size`` for a model of which so much has been ``found``.

    Raises
    ------
    OptionError
        Where an option contradicts the model.
    GeometryError
        Where a number of pixels is none.
    """
    if options.tolerance is not None and (_number("tolerance", options.tolerance) or 0) <= 0:
        raise OptionError(f"tolerance must be above 0, not {options.tolerance}")
    if found is not None:
        tile, overlap, margin, align, trust = _measured(options, model, found, size)
    else:
        tile, overlap, margin, align, trust = _usual(options, model)
    trust = decide((options.trust, OPTION), (trust.value, trust.origin))
    profile(trust.value)
    usual = max(1, min(MOST_TILES, BATCH_PIXELS // math.prod(tile.value)))
    batch_size = decide(
        (options.batch_size, OPTION),
        (model.batch if model else None, "the model's fixed batch"),
        (usual, DEFAULT),
    )
    whole_number("batch size", batch_size.value, 1)
    return Tiling(tile, overlap, margin, align, trust, batch_size)


Five = tuple[Decision[Pair], Decision[Pair], Decision[Pair], Decision[Pair], Decision[str]]
"""Tile, overlap, margin, align and trust."""


def _usual(options: Options, model: Model | None) -> Five:
    """Options, metadata and defaults, where nothing has been measured."""
    tile = _tile(options, model)
    margin = decide((_pair("margin", options.margin, 0), OPTION), ((0, 0), DEFAULT))
    align = decide((_pair("align", options.align, 1), OPTION), ((1, 1), DEFAULT))
    stated = model.metadata.overlap_percent if model else None
    overlap = decide(
        (_pair("overlap", options.overlap, 0), OPTION),
        (_share(tile.value, stated, margin.value, align.value), METADATA),
        (_share(tile.value, 25, margin.value, align.value), f"{DEFAULT}, a quarter of the tile"),
    )
    return tile, overlap, margin, align, Decision("linear", DEFAULT)


def _measured(options: Options, model: Model | None, found: Probe, size: Pair | None) -> Five:
    """Options, and what was found for what they leave open."""
    usual = _tile(options, model)
    given = [
        _pair("tile", options.tile, 1),
        _pair("overlap", options.overlap, 0),
        _pair("margin", options.margin, 0),
        _pair("align", options.align, 1),
    ]
    fixed = model.tile if model else (None, None)
    stated = model.metadata.overlap_percent if model else None
    choices = []
    for axis in (0, 1):
        tile, overlap, margin, align = (pair and pair[axis] for pair in given)
        wish = Wish(
            size=size and size[axis],
            tile=fixed[axis] or tile,
            usual_tile=usual.value[axis],
            overlap=overlap,
            usual_overlap=(25 if stated is None else stated) / 100,
            margin=margin,
            align=align,
            tolerance=_number("tolerance", options.tolerance),
        )
        choices.append(choose(wish, found.reach(axis)))
    down, across = choices
    measured = "measured"
    return (
        usual
        if (down.tile, across.tile) == usual.value
        else Decision((down.tile, across.tile), f"{measured}, for at most 1.5 x the pixels"),
        decide((given[1], OPTION), ((down.overlap, across.overlap), measured)),
        decide((given[2], OPTION), ((down.margin, across.margin), measured)),
        decide((given[3], OPTION), ((down.align, across.align), measured)),
        Decision("linear", DEFAULT)
        if down.enough and across.enough
        else Decision(BLEND, f"{DEFAULT} where tiles are not exact"),
    )


def _tile(options: Options, model: Model | None) -> Decision[Pair]:
    asked = _pair("tile", options.tile, 1)
    fixed = model.tile if model else (None, None)
    stated = model.metadata.tile if model else None
    if asked and any(length not in (None, own) for own, length in zip(asked, fixed, strict=True)):
        raise OptionError(
            f"tile {_by(asked)} contradicts the model, which takes tiles of {_by(fixed)} only: "
            f"leave the tile out"
        )
    usual = stated or TILE
    height, width = (length or usual for length in fixed)
    return decide(
        (asked, OPTION),
        ((height, width) if any(fixed) else None, "the model's fixed size"),
        ((height, width) if stated else None, METADATA),
        ((height, width), DEFAULT),
    )


def _share(tile: Pair, percent: float | None, margin: Pair, align: Pair) -> Pair | None:
    """An overlap of so many per cent, widened for the margin and left room for the alignment."""
    if percent is None:
        return None

    def along(axis: int) -> int:
        least = 2 * margin[axis] + 1 if margin[axis] else 0
        wide = max(int(tile[axis] * percent / 100), least)
        return max(0, min(wide, tile[axis] - align[axis]))

    return along(0), along(1)


def pixels(
    options: Options, model: Model, count: int, has_alpha: bool, dtype: np.dtype[Any]
) -> Pixels:
    """Decide which of ``count`` bands of ``dtype`` the model gets, and normalised how.

    Raises
    ------
    OptionError
        Where bands, mean or std do not fit the model or each other, or are no good numbers; where
        integers other than uint8 have no scale.
    """
    bands = _bands(options, model, count, has_alpha)
    metadata, given = model.metadata, len(bands.value)
    described = metadata.mean is not None or metadata.std is not None
    if options.scale is None and not described and dtype.kind in "iu" and dtype != np.uint8:
        raise OptionError(
            f"pixels of {dtype} have no usual range: say with --scale what to multiply them by "
            f"(1 leaves them as they are)"
        )
    scale = decide(
        (_number("scale", options.scale), OPTION),
        (1 / 255 if described else None, METADATA),
        (1 / 255 if dtype == np.uint8 else None, f"{DEFAULT} for uint8, 1/255"),
        (1.0, f"{DEFAULT} for {dtype}"),
    )
    mean = decide(
        (_numbers("mean", options.mean, given), OPTION),
        (_numbers("the model's standardization_mean", metadata.mean, given), METADATA),
        ((0.0,), DEFAULT),
    )
    std = decide(
        (_numbers("std", options.std, given), OPTION),
        (_numbers("the model's standardization_std", metadata.std, given), METADATA),
        ((1.0,), DEFAULT),
    )
    if any(np.float32(number) <= 0 for number in std.value):
        raise OptionError(
            f"std must be above 0, pixels are divided by it, not {_listed(std.value)} "
            f"({std.origin})"
        )
    if np.float32(scale.value) == 0:
        raise OptionError("scale must not be 0: it would make all pixels the same")
    return Pixels(bands, scale, mean, std)


def _bands(
    options: Options, model: Model, count: int, has_alpha: bool
) -> Decision[tuple[int, ...]]:
    takes = model.channels
    asked = None if options.bands is None else tuple(options.bands)
    without_alpha = tuple(range(1, count)) if has_alpha and takes == count - 1 else None
    bands = decide(
        (asked, OPTION),
        (without_alpha, "all but the alpha band"),
        (tuple(range(1, count + 1)), "all"),
    )
    if takes not in (None, len(bands.value)):
        raise OptionError(
            f"the model takes {takes} bands and would get {len(bands.value)} "
            f"({_listed(bands.value)}): choose {takes} with --bands"
        )
    return bands


def notes(
    options: Options, model: Model, decided: Tiling, pixels: Pixels, dtype: np.dtype[Any]
) -> list[str]:
    """Sentences about what was decided for the user and may surprise them."""
    found = list(model.metadata.notes)
    if options.overlap is None and options.margin is not None:
        found.append(f"tiles overlap by {_by(decided.overlap.value)}, given the margin")
    if options.scale is None:
        origin = pixels.scale.origin
        found.append(f"pixels are normalised as {pixels.normalisation} ({origin})")
        if origin == METADATA and dtype != np.uint8:
            found.append(
                f"the model's metadata is meant for 8-bit pixels, and these are {dtype}: "
                f"check that, or give a --scale"
            )
    return found


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) < MOST:
        raise OptionError(f"{name} must be a finite number, not {value}")
    return number


def _numbers(name: str, values: Any, count: int) -> tuple[float, ...] | None:
    """One finite number a band, or one for all; a bare number counts as one."""
    if values is None:
        return None
    listed = list(values) if isinstance(values, Sequence | np.ndarray) else [values]
    if len(listed) not in (1, count):
        raise OptionError(f"{name} has {len(listed)} numbers for {count} bands: give {count}, or 1")
    numbers = (_number(name, value) for value in listed)
    return tuple(number for number in numbers if number is not None)


def _pair(name: str, value: Size | Literal["auto"] | None, least: int) -> Pair | None:
    return None if value is None or value == "auto" else pair(name, value, least)


def _by(lengths: Any) -> str:
    return "x".join("any" if length is None else str(length) for length in lengths)


def _listed(values: Sequence[Any]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
