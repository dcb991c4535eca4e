"""Tiling: how to cut a raster into tiles for a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..decisions import AT_MOST, DEFAULT, METADATA, OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import BATCH_PIXELS, Model
from ..models.receptive_field import Probe
from ..tiling.trust import Profile, profile
from ..validation import format_size, number_of, pair, pair_of, whole_number
from ..windows import Pair
from .exact_tiling import Wish, choose
from .options import Options
from .settings import Tiling
from .tile_timing import Price

TILE = 512
"""Pixels of a tile where neither an option nor the model says anything."""

MOST_TILES = 8
"""A default batch holds this many pixels or tiles at most, whichever is fewer, but one tile."""

MEASURED, TIMED = "measured", "the cheapest, by timings"

TRUST = "bell"
"""It brings tiles that differ nearest to the model's own answer, of all whose steps are bounded:
see ``benchmarks/quality.py``. Where tiles agree, any trust gives the same bits."""


def decide_tiling(
    options: Options,
    model: Model | None,
    found: Probe | None = None,
    size: Pair | None = None,
    price: Price | None = None,
) -> Tiling:
    """Decide on how to tile a raster of ``size`` for a model of which so much has been ``found``.

    Where the tile is open and does not matter, it is the one with the least ``price``.

    Raises
    ------
    OptionError
        Where an option contradicts the model.
    GeometryError
        Where a number of pixels is none.
    """
    trust: Decision[str | Profile] = decide((options.trust, OPTION), (TRUST, DEFAULT))
    profile(trust.value)
    if options.tolerance is not None and (number_of("tolerance", options.tolerance) or 0) <= 0:
        raise OptionError(f"tolerance must be above 0, not {options.tolerance}")
    if found is not None:
        tile, overlap, margin, align = _measured(options, model, found, size, price)
    else:
        tile, overlap, margin, align = _usual(options, model)
    pixels = model.spec.batch_pixels if model else BATCH_PIXELS
    usual = max(1, min(MOST_TILES, pixels // math.prod(tile.value)))
    batch_size = decide(
        (options.batch_size, OPTION),
        (model.spec.batch if model else None, "the model's fixed batch"),
        (price.batch if price and price.batch > 1 else None, TIMED),
        (_suggested(model, tile.value), SIDECAR),
        (usual, AT_MOST if usual > 1 else DEFAULT),
    )
    whole_number("batch size", batch_size.value, 1)
    return Tiling(tile, overlap, margin, align, trust, batch_size)


Four = tuple[Decision[Pair], Decision[Pair], Decision[Pair], Decision[Pair]]
"""Tile, overlap, margin and align."""


def _usual(options: Options, model: Model | None) -> Four:
    """Options, metadata and defaults, where nothing has been measured."""
    tile = _tile(options, model)
    margin = decide((pair_of("margin", options.margin, 0), OPTION), ((0, 0), DEFAULT))
    align = decide((pair_of("align", options.align, 1), OPTION), ((1, 1), DEFAULT))
    stated = model.spec.metadata.overlap_percent if model else None
    overlap = decide(
        (pair_of("overlap", options.overlap, 0), OPTION),
        (_share(tile.value, stated, margin.value, align.value), METADATA),
        (_share(tile.value, 25, margin.value, align.value), f"{DEFAULT}, a quarter of the tile"),
    )
    return tile, overlap, margin, align


@dataclass(frozen=True)
class Needed:
    """What the tiles of a plan need for it to be exact, (down, across)."""

    overlap: Pair
    align: Pair


def needed(options: Options, model: Model, found: Probe | None) -> Needed | None:
    """What tiles need where their size is open and changes no bit; None where it is not so."""
    open_tile = pair_of("tile", options.tile, 1) is None and model.spec.tile == (None, None)
    if not open_tile or found is None or found.depends_on_batch or not found.deterministic:
        return None
    if any(found.reach(axis).across for axis in (0, 1)):
        return None
    down, across = (
        choose(wish, found.reach(axis)) for axis, wish in enumerate(_wishes(options, model, None))
    )
    for axis, choice in enumerate((down, across)):
        reach = found.reach(axis)
        if choice.margin < reach.effective(options.tolerance or 0.0) or choice.align % reach.stride:
            return None
    return Needed((down.overlap, across.overlap), (down.align, across.align))


def _wishes(
    options: Options,
    model: Model | None,
    size: Pair | None,
    price: Price | None = None,
) -> Iterator[Wish]:
    """What is settled along each axis."""
    usual = _tile(options, model)
    given = [
        pair_of("tile", options.tile, 1),
        pair_of("overlap", options.overlap, 0),
        pair_of("margin", options.margin, 0),
        pair_of("align", options.align, 1),
    ]
    fixed = model.spec.tile if model else (None, None)
    stated = model.spec.metadata.overlap_percent if model else None
    for axis in (0, 1):
        tile, overlap, margin, align = (pair and pair[axis] for pair in given)
        yield Wish(
            size=size and size[axis],
            tile=fixed[axis] or tile or (price.tile if price else None),
            usual_tile=usual.value[axis],
            overlap=overlap,
            usual_overlap=(25 if stated is None else stated) / 100,
            margin=margin,
            align=align,
            tolerance=number_of("tolerance", options.tolerance),
        )


def _measured(
    options: Options, model: Model | None, found: Probe, size: Pair | None, price: Price | None
) -> Four:
    """Options, and what was found for what they leave open."""
    down, across = (
        choose(wish, found.reach(axis))
        for axis, wish in enumerate(_wishes(options, model, size, price))
    )
    tile = _tile(options, model)
    if price is not None:
        tile = Decision((down.tile, across.tile), TIMED)
    elif (down.tile, across.tile) != tile.value:
        tile = Decision((down.tile, across.tile), f"{MEASURED}, for at most 1.5 x the pixels")
    return (
        tile,
        decide(
            (pair_of("overlap", options.overlap, 0), OPTION),
            ((down.overlap, across.overlap), MEASURED),
        ),
        decide(
            (pair_of("margin", options.margin, 0), OPTION),
            ((down.margin, across.margin), MEASURED),
        ),
        decide(
            (pair_of("align", options.align, 1), OPTION),
            ((down.align, across.align), MEASURED),
        ),
    )


def _tile(options: Options, model: Model | None) -> Decision[Pair]:
    asked = pair_of("tile", options.tile, 1)
    if model is None:
        return decide((asked, OPTION), ((TILE, TILE), DEFAULT))
    fixed, stated = model.spec.tile, _stated(model)
    if asked and any(length not in (None, own) for own, length in zip(asked, fixed, strict=True)):
        raise OptionError(
            f"tile {format_size(asked)} contradicts the model, {_takes(model)} only: leave the "
            f"tile out"
        )
    usual = (TILE, TILE) if stated is None else stated.value
    height, width = (length or other for length, other in zip(fixed, usual, strict=True))
    return decide(
        (asked, OPTION),
        ((height, width) if any(fixed) else None, "the model's fixed size"),
        ((height, width) if stated else None, stated.origin if stated else DEFAULT),
        ((height, width), DEFAULT),
    )


def _takes(model: Model) -> str:
    """Which tiles a model of fixed size takes, and why, where they are not of its input's size."""
    tile, border = model.spec.tile, model.spec.border
    if not border:
        return f"which takes tiles of {format_size(tile)}"
    given = format_size(length and length + 2 * border for length in tile)
    return (
        f"which takes inputs of {given} and gives {format_size(tile)}, because a border of "
        f"{border} px is lost, so that it takes tiles of {format_size(tile)}"
    )


def _stated(model: Model) -> Decision[Pair] | None:
    """The tile that a model states: its input, and so larger than what it answers by its border."""
    if model.spec.metadata.tile is None:
        return None
    height, width = (
        length - 2 * model.spec.border
        for length in pair("the model's tile", model.spec.metadata.tile, 1)
    )
    if min(height, width) < 1:
        return None
    less = f", less a border of {model.spec.border} px" if model.spec.border else ""
    return Decision((height, width), f"{model.spec.metadata.origin('tile')}{less}")


def _suggested(model: Model | None, tile: Pair) -> int | None:
    """Tiles at a time that the model suggests, and no more than are of use: memory is short."""
    if model is None or model.spec.metadata.batch is None:
        return None
    return max(1, min(model.spec.metadata.batch, model.spec.batch_pixels // math.prod(tile)))


def _share(tile: Pair, percent: float | None, margin: Pair, align: Pair) -> Pair | None:
    """An overlap of so many per cent, widened for the margin and left room for the alignment."""
    if percent is None:
        return None

    def along(axis: int) -> int:
        least = 2 * margin[axis] + 1 if margin[axis] else 0
        wide = max(int(tile[axis] * percent / 100), least)
        return max(0, min(wide, tile[axis] - align[axis]))

    return along(0), along(1)
