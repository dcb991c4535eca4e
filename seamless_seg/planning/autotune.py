"""Choose the tile size by timing the model, where the output does not depend on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..models.base import Model
from ..models.files import has_functions
from ..probes.receptive_field import Probe
from ..system import available_bytes, release_bytes, resident_bytes
from ..windows import Pair
from .cache import load_cached, save_cached
from .class_probe import widened
from .options import Execution, Options
from .probing import probe_if_needed
from .tile_geometry import decide_tiling, exact_requirements
from .tile_timing import (
    RasterTiling,
    TileCost,
    Timing,
    fastest_tile,
    tile_cost,
    tile_costs,
    time_tiles,
)

MIN_TIMED_PIXELS = 4_000_000
"""Pixels of the smallest raster for which tiles are timed without a request."""

MAX_TIMINGS_AGE = 24 * 3600
"""Seconds after which cached timings are measured again."""

RESERVED_BYTES = 40_000_000
"""Bytes of a memory limit that are reserved for what does not depend on the tile size."""

USABLE_SHARE = 0.87
"""Share of the rest of a memory limit that tiles may use."""


@dataclass(frozen=True)
class TileCosts:
    """The estimated costs of a raster at several tile sizes, and the chosen one."""

    timed: list[TileCost]
    chosen: TileCost
    smallest: TileCost
    """That of the smallest exact tile, which needs the least memory."""


@dataclass(frozen=True)
class Measurements:
    """What was measured of a model before planning."""

    probe: Probe | None = None
    """Its receptive field; None if no decision depends on it, or if it could not be measured."""
    tile_costs: TileCosts | None = None
    """Costs of tile sizes; None if the tile size was not chosen by timing."""
    notes: tuple[str, ...] = ()
    smallest_tile: int | None = None
    """Side in pixels of the smallest exact tile that is worth while; None if the output depends on
    the tile size."""

    @property
    def tile_cost(self) -> TileCost | None:
        """Cost of the chosen tile size."""
        return None if self.tile_costs is None else self.tile_costs.chosen

    def with_smallest_tile(self) -> Measurements:
        """Return the same with the smallest tile chosen, if tiles were timed."""
        costs = self.tile_costs
        if costs is None:
            return self
        return replace(self, tile_costs=replace(costs, chosen=costs.smallest))


def measure_model(
    source: Any,
    model: Model,
    options: Options,
    execution: Execution,
    size: Pair,
    channels: int,
) -> Measurements:
    """Probe a model and time its tiles, where the options leave margin, alignment or tile open.

    Parameters
    ----------
    source : str, path-like, callable or list of these
        The model's files or functions; what is measured of files is cached.
    model : Model
        The model, resolved.
    options : Options
        The user's options.
    execution : Execution
        Provider, threads and memory limit.
    size : (height, width)
        Pixels of the raster.
    channels : int
        Bands of the input, if the model accepts any number.

    Returns
    -------
    Measurements
    """
    probe, notes = probe_if_needed(source, model, options, channels)
    if probe is not None and model.spec.gives_classes:
        probe = widened(probe)
    count = model.spec.channels or channels
    costs = choose_tile(source, model, options, probe, size, count, execution)
    if costs is not None and costs.chosen.tile >= max(size):
        notes = (*notes, _one_tile(costs.chosen))
    return Measurements(probe, costs, notes, _smallest_tile(options, model, probe, size))


def choose_tile(
    source: Any,
    model: Model,
    options: Options,
    probe: Probe | None,
    size: Pair,
    channels: int,
    execution: Execution,
) -> TileCosts | None:
    """Choose the fastest tile size by timing the model, or from cached timings.

    Parameters
    ----------
    source : str, path-like, callable or list of these
        The model's files or functions; timings of files are cached.
    model : Model
        The opened model.
    options : Options
        The user's options.
    probe : Probe or None
        The model's receptive field, if it was measured.
    size : (height, width)
        Pixels of the raster.
    channels : int
        Bands of the model's input.
    execution : Execution
        Provider, threads and memory limit.

    Returns
    -------
    TileCosts or None
        None if the tile size is fixed, or if the output depends on it, be it by rounding: the same
        command must give the same bits, and a stopwatch does not. Also None for a raster of
        less than ``MIN_TIMED_PIXELS``, unless the tile is ``"auto"`` or memory is limited.
    """
    required = exact_requirements(options, model, probe)
    is_memory_limited = execution.max_memory is not None
    is_requested = options.tile == "auto" or is_memory_limited
    has_fixed_bits = probe is not None and probe.bitwise
    if (
        required is None
        or not has_fixed_bits
        or not (is_requested or size[0] * size[1] >= MIN_TIMED_PIXELS)
    ):
        return None
    raster = RasterTiling(size, required.overlap, required.align)
    default_tile = max(decide_tiling(options, model, probe, size).tile.value)
    model.tune((default_tile, default_tile))
    release_bytes()  # what the probe has used, so that the limit is left to the tiles
    max_bytes = _max_tile_bytes(execution.max_memory)
    variant = f"{model.spec.variant}{execution.variant}-{channels}"
    known, timed_at = _cached_timings(source, variant)
    timings = time_tiles(model, channels, raster, known, max_bytes, is_requested, is_memory_limited)
    costs = tile_costs(timings, raster)
    if not costs:
        return None
    timed = [timing for timing in timings if timing not in known]
    if timed and not has_functions(source):
        document = {"timed_at": timed_at, "timings": [*known, *timed]}
        save_cached("timings", source, document, variant)
    chosen = fastest_tile(timings, raster, default_tile, max_bytes)
    return TileCosts(costs, chosen, tile_cost(timings, raster, raster.smallest_tile))


def _smallest_tile(options: Options, model: Model, probe: Probe | None, size: Pair) -> int | None:
    """Side of the smallest tile that gives the same output, whatever tile the options state."""
    required = exact_requirements(replace(options, tile=None), model, probe)
    if required is None:
        return None
    return RasterTiling(size, required.overlap, required.align).smallest_tile


def _one_tile(cost: TileCost) -> str:
    return (
        f"the whole raster is one tile of {cost.tile} px, as that is fastest: it takes about "
        f"{cost.working / 1e6:.0f} MB; smaller tiles take less"
    )


class _CachedTimings(NamedTuple):
    timings: list[Timing]
    timed_at: float
    """When the first of them was timed, in seconds since the epoch."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> _CachedTimings:
        """Return the timings of a document of the cache."""
        timings = [Timing(*row) for row in document["timings"]]
        return cls(timings, float(document["timed_at"]))


def _cached_timings(source: Any, variant: str) -> _CachedTimings:
    """Load timings of no more than a day ago: other programs may have slowed down older ones."""
    now = time.time()
    if not has_functions(source):
        known = load_cached("timings", source, _CachedTimings.from_json, variant)
        if known is not None and 0 <= now - known.timed_at <= MAX_TIMINGS_AGE:
            return known
    return _CachedTimings([], now)


def _max_tile_bytes(max_memory: int | None) -> float:
    """Bytes that tiles may use: what the limit leaves, or half of the available memory."""
    if max_memory is None:
        return available_bytes() / 2
    return USABLE_SHARE * max(0, max_memory - resident_bytes() - RESERVED_BYTES)
