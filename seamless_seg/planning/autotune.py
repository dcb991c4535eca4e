"""Pricing: the cheapest tile for a model of which the answer does not depend on the tile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..models.base import Model
from ..models.files import has_functions
from ..models.receptive_field import Probe
from ..system import available_bytes, resident_bytes
from .cache import recall, remember
from .options import Execution, Options
from .tile_geometry import decide_tiling, needed
from .tile_timing import Price, Raster, Timing, cheapest, prices, time_tiles

SMALLEST = 4_000_000
"""Pixels of a raster from which on timings can pay."""

SPARE = 40_000_000
"""Bytes of a limit that are left for what does not depend on the tile."""

CAREFUL = 0.87
"""Share of the rest that is counted on."""


@dataclass(frozen=True)
class Pricing:
    """What tiles of several sizes would cost, and which was taken."""

    timed: list[Price]
    chosen: Price


def price(
    path: Any,
    model: Model,
    options: Options,
    found: Probe | None,
    size: tuple[int, int],
    channels: int,
    execution: Execution,
) -> Pricing | None:
    """Find the cheapest tile by timing, or from what has been timed before.

    None where the tile is settled or the answer depends on it; and for small rasters, unless
    the options ask for "auto" or memory is limited.
    """
    exact = needed(options, model, found)
    is_asked = options.tile == "auto" or execution.max_memory is not None
    if exact is None or not (is_asked or size[0] * size[1] >= SMALLEST):
        return None
    raster = Raster(size, exact.overlap, exact.align)
    usual = decide_tiling(options, model, found, size).tile.value
    most = _most_bytes(execution.max_memory)
    variant = f"{model.spec.variant}{execution.variant}-{channels}"
    known = _known(path, variant)
    is_short = execution.max_memory is not None
    timings = time_tiles(model, channels, raster, known, most, is_asked, is_short)
    listed = prices(timings, raster)
    if not listed:
        return None
    if len(timings) > len(known) and not has_functions(path):
        remember("timings", path, timings, variant)
    return Pricing(listed, cheapest(timings, raster, max(usual), most))


def _known(path: Any, variant: str) -> Sequence[Timing]:
    if has_functions(path):
        return []
    with suppress(TypeError, ValueError):
        return [Timing(*timing) for timing in recall("timings", path, variant)]
    return []


def _most_bytes(max_memory: int | None) -> float:
    """Bytes that tiles may take: what a limit leaves, else half of what the machine has left."""
    if max_memory is None:
        return available_bytes() / 2
    return CAREFUL * max(0, max_memory - resident_bytes() - SPARE)
