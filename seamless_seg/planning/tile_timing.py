"""Time a model on tiles of several sizes, and estimate from that what a raster costs.

Use it only for models whose output does not depend on the tile size: timings vary from run to run,
and so may the tile size that is chosen by them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import ModelError
from ..models.base import Model
from ..models.tile_model import TileModel
from ..raster.blocks import FLOAT32, OUTPUT_BLOCK
from ..system import release_bytes, resident_bytes
from ..tiling.axis import Axis
from ..windows import Pair

TIMED_TILES = (256, 384, 512, 768, 1024, 1536, 2048)
"""Tile sizes in pixels that are timed, rounded up to multiples of the model's stride and of 8."""

TIMED_BATCHES = (4, 8)
"""Batch sizes that are timed in addition to 1, if a tile takes less than ``BATCHED_SECONDS``."""

BATCHED_SECONDS = 0.01
"""Seconds for a tile from which on batches of several tiles are not faster."""

MAX_TIMED_BATCH_PIXELS = 2**21
"""Pixels of the largest batch of several tiles that is timed."""

MAX_REDUNDANCY_RATIO = 2.0
"""Tile sizes with more than this times the redundancy of the best are not timed."""

ROUND_SECONDS = 0.08
"""Seconds of one round of timing."""

ROUNDS = 5
"""Rounds for which a tile size is timed; at least two, even if each takes longer."""

MIN_BUDGET_SECONDS = 2.0
"""Seconds that all timings together may always take, if they were requested."""

REQUESTED_SHARE = 0.02
"""Share of the raster's estimated run time that all timings together may take."""

UNREQUESTED_SHARE = 0.1
"""Share of the raster's estimated run time that timings may take at most, if not requested."""

QUEUED_INPUTS = 3
"""Batches of input in memory for each of the model's threads."""

QUEUED_OUTPUTS = 4
"""Batches of logits in memory for each of the model's threads."""

SLOWDOWN = 1.05
"""A smaller tile is chosen if it takes at most this times the seconds of the fastest."""

UNHIDDEN_PIXEL_SECONDS = 4e-7
"""Seconds per pixel for which the model waits for the first tile, and the end for the last one."""

BATCH_GAIN = 1.05
"""A larger batch is chosen only if it is faster by this factor."""


def time_tiles(
    model: Model,
    channels: int,
    raster: RasterTiling,
    known: Sequence[Timing],
    max_bytes: float,
    is_requested: bool,
    is_memory_limited: bool,
) -> list[Timing]:
    """Time a model on increasing tile sizes until that takes too long or no longer helps.

    Parameters
    ----------
    model : Model
        A model of free input size.
    channels : int
        Bands of its input.
    raster : RasterTiling
        The raster that it is going to run on.
    known : sequence of Timing
        Earlier timings; these tile sizes are not timed again. Those that need more than
        ``max_bytes`` do not count: with fewer threads of the model, the same tile may fit.
    max_bytes : float
        Bytes that a batch may use; larger tiles are not timed.
    is_requested : bool
        Whether timings may take a second or two even if the raster takes no longer than that.
    is_memory_limited : bool
        Whether memory is limited, so that even a small tile may be the largest that fits.

    Returns
    -------
    list of Timing
        The known timings that fit, then the new ones.
    """
    timings = [timing for timing in known if timing.working <= max_bytes]
    most_workers = 1 if is_memory_limited else None  # of which each takes as much
    known_tiles = {timing.tile for timing in timings}
    for tile in raster.candidates(is_memory_limited):
        if tile in known_tiles:
            continue
        if timings and not _is_worth_timing(tile, timings, raster, max_bytes, is_requested):
            break
        try:
            timings.append(_time(model, channels, tile, model.spec.batch or 1, most_workers))
        except ModelError:  # the tile is too small for the model, or too large
            if timings:
                break
            continue
        timings.extend(_time_batches(model, channels, timings[-1], max_bytes, most_workers))
    return timings


def fastest_tile(
    timings: Sequence[Timing], raster: RasterTiling, default_tile: int, max_bytes: float
) -> TileCost:
    """Return the cost of the smallest tile size whose time is within 5 % of the shortest.

    Sizes between those that were timed are considered, and the default.

    Between two timed sizes, time and memory are interpolated. Beyond the largest, the time per
    pixel is taken to be constant.

    Parameters
    ----------
    timings : sequence of Timing
        Timings of at least one tile size.
    raster : RasterTiling
        The raster.
    default_tile : int
        Side in pixels of the tile that would be used without timings.
    max_bytes : float
        Bytes that a batch may use; the smallest tile is chosen if none fits.
    """
    best = _best_batches(timings)
    low, high = min(best), max(best)
    tiles = range(math.ceil(low / raster.step) * raster.step, high + 1, raster.step)
    costs = [_tile_cost(best, raster, tile) for tile in sorted({*tiles, default_tile})]
    fitting = [cost for cost in costs if cost.working <= max_bytes] or costs[:1]
    shortest = min(cost.total for cost in fitting)
    return next(cost for cost in fitting if cost.total <= SLOWDOWN * shortest)


def tile_cost(timings: Sequence[Timing], raster: RasterTiling, tile: int) -> TileCost:
    """Estimate the raster's cost for one tile size, which need not have been timed."""
    return _tile_cost(_best_batches(timings), raster, tile)


def tile_costs(timings: Sequence[Timing], raster: RasterTiling) -> list[TileCost]:
    """Estimate the raster's cost for each timed tile size that is larger than its overlaps."""
    best = _best_batches(timings)
    costs = [_tile_cost(best, raster, tile) for tile in sorted(best)]
    return [cost for cost in costs if cost.redundancy < math.inf]


class Timing(NamedTuple):
    """The time and memory of a model for one tile size and batch size, with all its threads."""

    tile: int
    """Side of the tile in pixels."""
    batch: int
    seconds: float
    """Seconds per pixel."""
    working: int
    """Bytes of the model on one batch, and of the batches that are queued meanwhile."""


class TileCost(NamedTuple):
    """The estimated cost of a raster at one tile size."""

    tile: int
    """Side of the tile in pixels."""
    batch: int
    speed: float
    """Pixels per second through the model."""
    redundancy: float
    """Pixels of all tiles over pixels of the raster."""
    seconds: float
    """Seconds of the model for the whole raster."""
    working: int
    """Bytes, as in ``Timing``."""
    overhead: float = 0.0
    """Seconds before the first tile and after the last: a trial run, reading and writing."""

    @property
    def total(self) -> float:
        """Seconds of the run, by which tile sizes are compared."""
        return self.seconds + self.overhead


@dataclass(frozen=True)
class RasterTiling:
    """A raster's size, and the overlap and alignment that make its tiles exact: all in pixels."""

    size: Pair
    overlap: Pair
    align: Pair

    @property
    def step(self) -> int:
        """Pixels of which tile sizes are multiples."""
        return math.lcm(*self.align, 8)

    @property
    def smallest_tile(self) -> int:
        """Side in pixels of the smallest tile that is worth timing, if memory is limited.

        A tile that overlap would fill more than half needs more than four times the pixels.
        """
        filled = max(*(2 * overlap for overlap in self.overlap), *self.align)
        return max(math.ceil(TIMED_TILES[0] / self.step), filled // self.step + 1) * self.step

    def redundancy(self, tile: int) -> float:
        """Pixels of all tiles over pixels of the raster; infinite if overlap fills a tile."""
        axes = list(self._axes(tile))
        if None in axes:
            return math.inf
        return math.prod(axis.count * axis.length / axis.size for axis in axes if axis)

    def tile_pixels(self, tile: int) -> int:
        """Pixels of one tile, which is no larger than the raster."""
        return math.prod(min(tile, size) for size in self.size)

    def _axes(self, tile: int) -> Iterator[Axis | None]:
        for size, overlap, align in zip(self.size, self.overlap, self.align, strict=True):
            is_filled = tile <= max(2 * overlap, align)
            yield None if is_filled else Axis(size, tile, overlap, align)

    def candidates(self, is_memory_limited: bool) -> Iterator[int]:
        """Yield the tile sizes that are worth timing, the smallest first.

        Sizes of high redundancy are left out, unless memory is limited. What counts is the least
        redundancy of all sizes up to the next: for these the timing is interpolated.
        """
        tiles = [math.ceil(tile / self.step) * self.step for tile in TIMED_TILES]
        ratio = math.inf if is_memory_limited else MAX_REDUNDANCY_RATIO
        least = [
            min(map(self.redundancy, range(tile, above, self.step)), default=math.inf)
            for tile, above in pairwise([*tiles, tiles[-1] + self.step])
        ]
        if is_memory_limited and self.smallest_tile not in tiles:
            yield self.smallest_tile
        for tile, redundancy in zip(tiles, least, strict=True):
            if self.redundancy(tile) < math.inf and redundancy <= ratio * min(least):
                yield tile
            if tile >= max(self.size):
                return


def _is_worth_timing(
    tile: int,
    timings: Sequence[Timing],
    raster: RasterTiling,
    max_bytes: float,
    is_requested: bool,
) -> bool:
    """Whether a larger tile fits into memory, may be faster, and can be timed in the budget."""
    pixel_seconds = min(timing.seconds for timing in timings)
    at_best = min((cost.total for cost in tile_costs(timings, raster)), default=math.inf)
    most = math.inf if is_requested else UNREQUESTED_SHARE * at_best
    budget = min(max(MIN_BUDGET_SECONDS, REQUESTED_SHARE * at_best), most)
    # Cached timings count, too: otherwise each run would take another second or two.
    spent = sum(map(_timing_seconds, [*timings, Timing(tile, 1, pixel_seconds, 0)]))
    pixel_bytes = max(timing.working / timing.tile**2 / timing.batch for timing in timings)
    fits = pixel_bytes * tile * tile <= max_bytes
    least = pixel_seconds * math.prod(raster.size) + _overhead(raster, tile, pixel_seconds)
    can_be_faster = at_best > SLOWDOWN * least
    return spent <= budget and fits and can_be_faster


def _time_batches(
    model: Model, channels: int, one: Timing, max_bytes: float, most_workers: int | None
) -> Iterator[Timing]:
    """Time batches of several tiles, if one tile is quick."""
    pixels = one.tile**2
    if model.spec.batch is not None or one.seconds * pixels >= BATCHED_SECONDS:
        return
    for batch in TIMED_BATCHES:
        if batch * pixels > MAX_TIMED_BATCH_PIXELS or batch * one.working > max_bytes:
            return
        with suppress(ModelError):
            yield _time(model, channels, one.tile, batch, most_workers)


def _timing_seconds(timing: Timing) -> float:
    """Estimate how long a timing takes: three runs, or several rounds of many."""
    run_seconds = timing.batch * timing.tile**2 * timing.seconds
    return max(ROUND_SECONDS * ROUNDS, 3 * run_seconds)


def _time(model: Model, channels: int, tile: int, batch: int, most_workers: int | None) -> Timing:
    model.tune((tile, tile), most_workers)
    release_bytes()  # memory of earlier trials that is used again would not be counted
    before = resident_bytes()
    fitted = TileModel(model, channels, (tile, tile), (1, 1))
    pixels = np.zeros((batch, channels, *fitted.shape), np.float32)
    workers = model.workers
    run_seconds = _fastest_run(lambda: model(pixels), workers)
    values = QUEUED_INPUTS * channels + QUEUED_OUTPUTS * fitted.classes
    queued = tile * tile * values * batch * FLOAT32
    queued += (tile + 2 * OUTPUT_BLOCK) ** 2 * fitted.classes * FLOAT32
    working = max(0, resident_bytes() - before) // workers + queued
    return Timing(tile, batch, run_seconds / (workers * batch * tile * tile), working)


def _fastest_run(function: Callable[[], object], workers: int) -> float:
    """Seconds of the fastest call of a function from that many threads at once."""

    def run(times: int) -> float:
        def work(_: int) -> None:
            for _ in range(times):
                function()

        started = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
        return time.perf_counter() - started

    run(1)  # the first call also allocates memory
    first = run(1)
    times = math.ceil(ROUND_SECONDS / max(first, 1e-3))
    rounds = max(2, math.ceil(ROUNDS * ROUND_SECONDS / max(first * times, 1e-3)))
    # Other load on the machine only makes a run slower, so the fastest is nearest to the truth.
    return min(first, *(run(times) / times for _ in range(rounds - 1)))


def _best_batches(timings: Sequence[Timing]) -> dict[int, Timing]:
    """Return the best batch size for each tile size: the smallest, unless a larger one pays."""
    best: dict[int, Timing] = {}
    for timing in sorted(timings):
        smaller = best.get(timing.tile)
        if smaller is None or timing.seconds * BATCH_GAIN < smaller.seconds:
            best[timing.tile] = timing
    return best


def _tile_cost(best: dict[int, Timing], raster: RasterTiling, tile: int) -> TileCost:
    sides = sorted(best)
    seconds = float(np.interp(math.log(tile), np.log(sides), [best[s].seconds for s in sides]))
    nearest = best[max((side for side in sides if side <= tile), default=sides[0])]
    if sides[0] <= tile <= sides[-1]:
        measured = [best[side].working for side in sides]
        working = float(np.interp(tile * tile, np.square(sides), measured))
    else:
        working = nearest.working * (tile / nearest.tile) ** 2
    redundancy = raster.redundancy(tile)
    total = redundancy * math.prod(raster.size) * seconds
    overhead = _overhead(raster, tile, seconds)
    return TileCost(tile, nearest.batch, 1 / seconds, redundancy, total, int(working), overhead)


def _overhead(raster: RasterTiling, tile: int, pixel_seconds: float) -> float:
    """Seconds of what is done for one tile and not beside the model: a trial, input and output."""
    return raster.tile_pixels(tile) * (pixel_seconds + UNHIDDEN_PIXEL_SECONDS)
