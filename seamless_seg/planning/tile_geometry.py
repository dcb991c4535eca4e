"""Decide on tile, overlap, margin, alignment, blending weights and batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..decisions import DEFAULT, DEFAULT_OR_FEWER, METADATA, OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import BATCH_PIXELS, Model
from ..probes.receptive_field import Probe
from ..tiling.trust import Profile
from ..validation import format_size, pair, whole_number
from ..windows import Pair
from .exact_tiling import MAX_REDUNDANCY, AxisConstraints, choose_tiling
from .exactness import limitation
from .options import MEASURED as MEASURED_MARGIN
from .options import Options
from .settings import Tiling
from .tile_timing import TileCost

DEFAULT_TILE = 512
"""Side in pixels of a tile if neither an option nor the model states one."""

DEFAULT_OVERLAP_PERCENT = 25
"""Overlap in per cent of the tile if neither an option nor the model states one."""

MAX_DEFAULT_BATCH = 8
"""Tiles of a batch at most, if neither an option nor the model states a number."""

MEASURED = "measured"
"""Origin of a decision that follows from the measured receptive field."""

PROVEN = "proven from the graph"
"""Origin of a decision that follows from the receptive field by the model's graph."""

DEPENDS_ON_BATCH = f"{MEASURED}, as other tiles of a batch change the output"
"""Origin of a batch of one tile."""

ROUNDED_BY_BATCH = f"{MEASURED}, as the size of a batch changes the last bits"
"""As above: the number of tiles of a batch may depend on timings, and bits may not."""

TIMED = "fastest by timing"
"""Origin of a decision that follows from timings."""

DEFAULT_TRUST = "bell"
"""Blending weights if no option states them. Of all profiles with bounded steps, it gives the
smallest error where tiles differ: see ``benchmarks/quality.py``. Where tiles agree, every profile
gives the same bits."""


def decide_tiling(
    options: Options,
    model: Model | None,
    probe: Probe | None = None,
    size: Pair | None = None,
    cost: TileCost | None = None,
) -> Tiling:
    """Decide on how to cut a raster into tiles.

    Parameters
    ----------
    options : Options
        The user's options.
    model : Model or None
        The model, if one is given.
    probe : Probe, optional
        The model's measured receptive field.
    size : (height, width), optional
        Pixels of the raster.
    cost : TileCost, optional
        Tile size that was chosen by timing, for what the options leave open.

    Returns
    -------
    Tiling

    Raises
    ------
    OptionError
        Where an option contradicts the model.
    GeometryError
        Where a number of pixels is out of range.
    """
    trust: Decision[str | Profile] = decide((options.trust, OPTION), (DEFAULT_TRUST, DEFAULT))
    if probe is not None:
        tile, overlap, margin, align = _measured_tiling(options, model, probe, size, cost)
    else:
        tile, overlap, margin, align = _default_tiling(options, model)
    pixels = model.spec.batch_pixels if model else BATCH_PIXELS
    default_batch = max(1, min(MAX_DEFAULT_BATCH, pixels // math.prod(tile.value)))
    batch_size = decide(
        (options.batch_size, OPTION),
        (model.spec.batch if model else None, "the model's fixed batch"),
        (1 if probe and probe.depends_on_batch else None, DEPENDS_ON_BATCH),
        (1 if probe and probe.batch_rounding else None, ROUNDED_BY_BATCH),
        (cost.batch if cost and cost.batch > 1 else None, TIMED),
        (_stated_batch(model, tile.value), SIDECAR),
        (default_batch, DEFAULT_OR_FEWER if default_batch > 1 else DEFAULT),
    )
    whole_number("batch size", batch_size.value, 1)
    return Tiling(tile, overlap, margin, align, trust, batch_size)


@dataclass(frozen=True)
class ExactRequirements:
    """What makes the tiles of a plan exact, in pixels (down, across)."""

    overlap: Pair
    align: Pair


def exact_requirements(
    options: Options, model: Model, probe: Probe | None
) -> ExactRequirements | None:
    """Return the overlap and alignment with which tiles of every size give the same output.

    Parameters
    ----------
    options : Options
        The user's options.
    model : Model
        The model.
    probe : Probe or None
        The model's receptive field, if it was measured.

    Returns
    -------
    ExactRequirements or None
        None if the tile size is fixed, or if the output depends on it.
    """
    is_tile_open = options.pair("tile") is None and model.spec.tile == (None, None)
    if not is_tile_open or probe is None or not probe.deterministic:
        return None
    if probe.depends_on_batch and (options.batch_size or 1) > 1:
        return None
    if limitation(probe) is not None:
        return None
    fields = [probe.reach(axis) for axis in (0, 1)]
    constraints = _constraints(options, model, None)
    down, across = map(choose_tiling, constraints, fields)
    for chosen, field in zip((down, across), fields, strict=True):
        margin = field.effective(options.tolerance or 0.0)
        if chosen.margin < margin or chosen.align % field.stride:
            return None
    return ExactRequirements((down.overlap, across.overlap), (down.align, across.align))


TileOverlapMarginAlign = tuple[Decision[Pair], Decision[Pair], Decision[Pair], Decision[Pair]]


def _default_tiling(options: Options, model: Model | None) -> TileOverlapMarginAlign:
    """Options, metadata and defaults, if the receptive field was not measured."""
    tile = _tile(options, model)
    margin = decide((options.pair("margin"), OPTION), ((0, 0), DEFAULT))
    align = decide((options.pair("align"), OPTION), ((1, 1), DEFAULT))
    stated = model.spec.metadata.overlap_percent if model else None
    overlap = decide(
        (options.pair("overlap"), OPTION),
        (_overlap(tile.value, stated, margin.value, align.value), METADATA),
        (
            _overlap(tile.value, DEFAULT_OVERLAP_PERCENT, margin.value, align.value),
            f"{DEFAULT}, a quarter of the tile",
        ),
    )
    return tile, overlap, margin, align


def _constraints(
    options: Options,
    model: Model | None,
    size: Pair | None,
    cost: TileCost | None = None,
) -> Iterator[AxisConstraints]:
    """Yield what is fixed down and across."""
    default_tile = _tile(options, model).value
    tiles = options.pair("tile")
    overlaps = options.pair("overlap")
    margins = options.pair("margin")
    aligns = options.pair("align")
    fixed = model.spec.tile if model else (None, None)
    stated = model.spec.metadata.overlap_percent if model else None
    for axis in (0, 1):
        tile = fixed[axis] or (tiles and tiles[axis]) or (cost.tile if cost else None)
        yield AxisConstraints(
            size=size and size[axis],
            tile=tile,
            default_tile=default_tile[axis],
            overlap=overlaps and overlaps[axis],
            default_overlap=(DEFAULT_OVERLAP_PERCENT if stated is None else stated) / 100,
            margin=margins and margins[axis],
            align=aligns and aligns[axis],
            tolerance=options.tolerance,
            by_measurement=options.margin == MEASURED_MARGIN,
        )


def _measured_tiling(
    options: Options, model: Model | None, probe: Probe, size: Pair | None, cost: TileCost | None
) -> TileOverlapMarginAlign:
    """Options, and what the receptive field leads to where they leave a value open."""
    fields = (probe.reach(0), probe.reach(1))
    constraints = _constraints(options, model, size, cost)
    down, across = map(choose_tiling, constraints, fields)
    is_proven = probe.graph.is_proof and options.margin != MEASURED_MARGIN
    origin = PROVEN if is_proven else MEASURED
    tile = _tile(options, model)
    if cost is not None:
        tile = Decision((down.tile, across.tile), TIMED)
    elif (down.tile, across.tile) != tile.value:
        more = round(100 * (MAX_REDUNDANCY - 1))
        reason = f"{origin}, for at most {more} % more pixels because of overlap"
        tile = Decision((down.tile, across.tile), reason)
    overlap = decide((options.pair("overlap"), OPTION), ((down.overlap, across.overlap), origin))
    margin = decide((options.pair("margin"), OPTION), ((down.margin, across.margin), origin))
    align = decide((options.pair("align"), OPTION), ((down.align, across.align), origin))
    return tile, overlap, margin, align


def _tile(options: Options, model: Model | None) -> Decision[Pair]:
    given = options.pair("tile")
    default = (DEFAULT_TILE, DEFAULT_TILE)
    if model is None:
        return decide((given, OPTION), (default, DEFAULT))
    fixed, stated = model.spec.tile, _stated_tile(model)
    if given and any(length not in (None, own) for own, length in zip(given, fixed, strict=True)):
        raise OptionError(
            f"tile {format_size(given)} contradicts the model, {_fixed_size(model)}: leave out "
            f"tile="
        )
    lengths = default if stated is None else stated.value
    height, width = (length or other for length, other in zip(fixed, lengths, strict=True))
    return decide(
        (given, OPTION),
        ((height, width) if any(fixed) else None, "the model's fixed size"),
        ((height, width) if stated else None, stated.origin if stated else DEFAULT),
        ((height, width), DEFAULT),
    )


def _fixed_size(model: Model) -> str:
    """Say which tiles a model of fixed size takes, and why if they differ from its input."""
    if not model.spec.border:
        return f"which takes only tiles of {format_size(model.spec.tile)}"
    shape = format_size(length and length + 2 * model.spec.border for length in model.spec.tile)
    return (
        f"which takes only tiles of {format_size(model.spec.tile)}: its input is {shape}, and its "
        f"output is smaller by a border of {model.spec.border} px at each side"
    )


def _stated_tile(model: Model) -> Decision[Pair] | None:
    """The tile size that a model's metadata states: its input's, less the border of its output."""
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


def _stated_batch(model: Model | None, tile: Pair) -> int | None:
    """The batch size that a model's metadata states, but no more tiles than make it faster."""
    if model is None or model.spec.metadata.batch is None:
        return None
    return max(1, min(model.spec.metadata.batch, model.spec.batch_pixels // math.prod(tile)))


def _overlap(tile: Pair, percent: float | None, margin: Pair, align: Pair) -> Pair | None:
    """An overlap in per cent of the tile, with room for the margin and for the alignment."""
    if percent is None:
        return None

    def along(axis: int) -> int:
        least = 2 * margin[axis] + 1 if margin[axis] else 0
        overlap = max(int(tile[axis] * percent / 100), least)
        return max(0, min(overlap, tile[axis] - align[axis]))

    return along(0), along(1)
