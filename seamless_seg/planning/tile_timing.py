"""Timing: how fast a model is on tiles of several sizes, and which of them is cheapest.

Only for models of which the answer does not depend on the tile: a timing is never the same twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ModelError
from ..models.base import Model
from ..models.tile_model import TileModel
from ..raster.blocks import BLOCK
from ..system import resident_bytes
from ..tiling.axis import Axis

LADDER = (256, 384, 512, 768, 1024, 1536, 2048)
"""Sides of the tiles that are timed, but for rounding to what the model takes."""

BATCHES = (4, 8)
"""Tiles at a time that are timed, too, where one of them takes less than ``QUICK``."""

QUICK = 0.01
"""Seconds of a tile from which on several of them at a time take no less, each."""

LARGE = 2**21
"""Pixels of a batch of several tiles at most."""

MOST = 2.0
"""Tiles that cost so many times the pixels of the largest are not timed."""

ROUND, ROUNDS = 0.08, 5
"""Seconds of a round, and how many of them a tile is timed for; two at least, however long."""

LEAST, LITTLE, SHORT = 2.0, 0.02, 0.1
"""Seconds that all timings may take, or that share of what the raster takes, if that is more;
unless they are asked for, no more than a tenth of it."""

TILES, LOGITS = 3, 4
"""Batches that wait for the model or come from it, for each of its threads."""

WORTH = 1.03
"""A smaller tile is taken where it costs no more than so many times the cheapest."""


class Timing(NamedTuple):
    """What a tile of one size takes, with all threads that it is worth at work."""

    tile: int
    batch: int
    seconds: float
    """For a pixel."""
    working: int
    """Bytes that the model works with on one batch, and those of what waits meanwhile."""


class Price(NamedTuple):
    """What a raster would take in tiles of one size."""

    tile: int
    batch: int
    speed: float
    """Pixels that the model takes a second."""
    redundancy: float
    """Pixels that it is given over pixels of the raster."""
    seconds: float
    working: int


@dataclass(frozen=True)
class Raster:
    """What is to be run, and how tiles must overlap for the result to be exact."""

    size: tuple[int, int]
    overlap: tuple[int, int]
    align: tuple[int, int]

    @property
    def step(self) -> int:
        """Tiles are multiples of this."""
        return math.lcm(*self.align, 8)

    def redundancy(self, tile: int) -> float:
        """Pixels of all tiles over pixels of the raster; infinite where they do not fit."""
        product = 1.0
        for size, overlap, align in zip(self.size, self.overlap, self.align, strict=True):
            if tile <= max(2 * overlap, align):
                return math.inf
            axis = Axis(size, tile, overlap, align)
            product *= axis.count * axis.length / size
        return product

    def ladder(self, is_short: bool) -> Iterator[int]:
        """Tiles that are worth a timing, the smallest first; all where memory is short."""
        tiles = [math.ceil(tile / self.step) * self.step for tile in LADDER]
        most = (math.inf if is_short else MOST) * min(map(self.redundancy, tiles))
        for tile in tiles:
            if self.redundancy(tile) < math.inf and self.redundancy(tile) <= most:
                yield tile
            if tile >= max(self.size):
                return


def time_tiles(
    model: Model,
    channels: int,
    raster: Raster,
    known: Sequence[Timing],
    most_bytes: float,
    is_asked: bool,
    is_short: bool,
) -> list[Timing]:
    """Time a model on ever larger tiles, as long as it does not take too long.

    Parameters
    ----------
    model : Model
        Of free size.
    channels : int
        Bands that it is given.
    raster : Raster
        What it will be run on.
    known : sequence of Timing
        What has been timed before, which is not timed again.
    most_bytes : float
        Larger tiles than fit into this are not timed.
    is_asked : bool
        Take a second or two even where the raster itself takes no longer than that.
    is_short : bool
        Whether memory is limited, so that even small tiles may be the largest that fit.

    Returns
    -------
    list of Timing
        What is known, and what is new.
    """
    timings = list(known)
    done = {timing.tile for timing in known}
    for tile in raster.ladder(is_short):
        if tile in done:
            continue
        if timings:
            pixel = min(timing.seconds for timing in timings)
            at_best = min((price.seconds for price in prices(timings, raster)), default=math.inf)
            allowed = min(max(LEAST, LITTLE * at_best), math.inf if is_asked else SHORT * at_best)
            # What is known counts, too: nobody wants another second or two at each run.
            taken = sum(map(_cost, [*timings, Timing(tile, 1, pixel, 0)]))
            working = max(timing.working / timing.tile**2 / timing.batch for timing in timings)
            too_long = taken > allowed
            too_large = working * tile * tile > most_bytes
            nothing_to_gain = at_best <= WORTH * pixel * math.prod(raster.size)
            if too_long or too_large or nothing_to_gain:
                break
        try:
            timings.append(_time(model, channels, tile, model.spec.batch or 1))
        except ModelError:  # too small for it, or too large
            if timings:
                break
            continue
        timings.extend(_time_batches(model, channels, timings[-1], most_bytes))
    return timings


def _time_batches(model: Model, channels: int, one: Timing, most_bytes: float) -> Iterator[Timing]:
    """Time several tiles at a time where one of them is quick."""
    pixels = one.tile**2
    if model.spec.batch is not None or one.seconds * pixels >= QUICK:
        return
    for batch in BATCHES:
        if batch * pixels > LARGE or batch * one.working > most_bytes:
            return
        with suppress(ModelError):
            yield _time(model, channels, one.tile, batch)


def cheapest(timings: Sequence[Timing], raster: Raster, usual: int, most_bytes: float) -> Price:
    """The tile with which a raster takes the least: one between those timed, or the usual.

    Between two that have been timed, time and memory are interpolated; beyond the largest a pixel
    is taken to cost the same.
    """
    best = _fastest(timings)
    low, high = min(best), max(best)
    tiles = range(math.ceil(low / raster.step) * raster.step, high + 1, raster.step)
    listed = [_price(best, raster, tile) for tile in sorted({*tiles, usual})]
    fitting = [price for price in listed if price.working <= most_bytes] or listed[:1]
    least = min(price.seconds for price in fitting)
    return next(price for price in fitting if price.seconds <= WORTH * least)


def prices(timings: Sequence[Timing], raster: Raster) -> list[Price]:
    """What the raster would take in the tiles that have been timed, and that overlap leaves."""
    best = _fastest(timings)
    listed = [_price(best, raster, tile) for tile in sorted(best)]
    return [price for price in listed if price.redundancy < math.inf]


def _cost(timing: Timing) -> float:
    """Seconds that a timing takes, about: three runs, or several rounds of many."""
    return max(ROUND * ROUNDS, 3 * timing.batch * timing.tile**2 * timing.seconds)


def _time(model: Model, channels: int, tile: int, batch: int) -> Timing:
    model.tune((tile, tile))
    before = resident_bytes()
    fitted = TileModel(model, channels, (tile, tile), (1, 1))
    pixels = np.zeros((batch, channels, *fitted.shape), np.float32)
    workers = model.workers

    def run(times: int) -> float:
        def work(_: int) -> None:
            for _ in range(times):
                model(pixels)

        started = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
        return time.perf_counter() - started

    run(1)  # this one makes room
    first = run(1)
    times = math.ceil(ROUND / max(first, 1e-3))
    rounds = max(2, math.ceil(ROUNDS * ROUND / max(first * times, 1e-3)))
    # Whatever else the machine does can only make it slower.
    fastest = min(first, *(run(times) / times for _ in range(rounds - 1)))
    seconds = fastest / (workers * batch * tile * tile)
    held = tile * tile * (TILES * channels + LOGITS * fitted.classes) * batch * 4
    held += (tile + 2 * BLOCK) ** 2 * fitted.classes * 4
    working = max(0, resident_bytes() - before) // workers + held
    return Timing(tile, batch, seconds, working)


def _fastest(timings: Sequence[Timing]) -> dict[int, Timing]:
    """For each tile its fastest batch; more than one tile must be worth it."""
    best: dict[int, Timing] = {}
    for timing in sorted(timings):
        held = best.get(timing.tile)
        if held is None or timing.seconds * 1.05 < held.seconds:
            best[timing.tile] = timing
    return best


def _price(best: dict[int, Timing], raster: Raster, tile: int) -> Price:
    sides = sorted(best)
    seconds = float(np.interp(math.log(tile), np.log(sides), [best[s].seconds for s in sides]))
    nearest = best[max((side for side in sides if side <= tile), default=sides[0])]
    if sides[0] <= tile <= sides[-1]:
        held = [best[side].working for side in sides]
        working = float(np.interp(tile * tile, np.square(sides), held))
    else:
        working = nearest.working * (tile / nearest.tile) ** 2
    redundancy = raster.redundancy(tile)
    total = redundancy * math.prod(raster.size) * seconds
    return Price(tile, nearest.batch, 1 / seconds, redundancy, total, int(working))
