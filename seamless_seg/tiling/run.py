"""Running a plan: tiles in, finished windows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, TypeAlias

import numpy as np
import shapely

from ..arrays import Array, Mask
from ..errors import BudgetError, SeamlessError, TileError
from ..threads import ReadAhead
from ..validation import whole_number
from .blend import Blender, Seams
from .grid import Index
from .plan import Batch, Plan

GetTile: TypeAlias = Callable[[Index, shapely.Polygon], Array]

GetTiles: TypeAlias = Callable[[list[Index], list[shapely.Polygon]], Iterable[Array]]

WriteTile: TypeAlias = Callable[[Index, shapely.Polygon, Array], object]


class Finished(NamedTuple):
    """A window to which nothing is added any more."""

    tile: Index
    """Which tile finishes it."""
    geom: shapely.Polygon
    """Its box in (y, x) pixels, the beginning of that tile's."""
    window: Array
    """Blended values, ``(height, width, ...)``."""
    wanted: Mask | None
    """Wanted pixels, ``(height, width)``; None where all of them."""


def run_plan(
    plan: Plan,
    batch_size: int,
    max_tiles: int | None,
    write_tile: WriteTile,
    get_tile: GetTile | None = None,
    get_tiles: GetTiles | None = None,
    *,
    read_ahead: bool = True,
    nodata: float = np.nan,
    seams: Seams | None = None,
) -> None:
    """Get the tiles of a plan, blend them and write each window once it is finished.

    The output has the same bits for every ``batch_size``, with and without ``read_ahead``.

    Parameters
    ----------
    plan : Plan
        From ``plan_run_grid``.
    batch_size : int
        Tiles that are asked for at a time.
    max_tiles : int or None
        Hard limit on what is held at once, in tiles: the carry, the batch that is being
        blended, with ``read_ahead`` the one after it, and the window that is being made. None
        for no limit.
    write_tile : callable
        ``write_tile(index, geom, window)``: ``geom`` is the window's box in (y, x) pixels,
        ``window`` an array of its shape, yours to keep. Called once a window, in this thread.
    get_tile : callable, optional
        ``get_tile(index, geom) -> tile``, of shape ``(height, width)`` or ``(height, width,
        ...)`` and any real dtype; ``geom`` is the tile's box. Called once a tile. What it returns
        must stay as it is until its batch has been blended: with ``read_ahead``, that is
        while the next batch is being made, so do not use one buffer for all.
    get_tiles : callable, optional
        The same for a batch: ``get_tiles(indices, geoms) -> tiles``. Give one of the two.
    read_ahead : bool
        Call ``get_tile`` in a thread, one batch ahead of the blending.
    nodata : float
        What pixels outside the plan's area get.
    seams : Seams, optional
        Where to keep what a panel leaves to the next; in memory where None.

    Raises
    ------
    BudgetError
        Where the plan would hold more than ``max_tiles``; nothing has been read then.
    TileError
        Where a tile could not be had or has the wrong shape; it names the tile.
    """
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be the Plan that plan_run_grid returns, not {type(plan)}")
    if get_tile is not None and get_tiles is None:
        get_tiles = _one_by_one(get_tile)
    elif get_tile is not None or get_tiles is None:
        raise TypeError("give exactly one of get_tile and get_tiles")
    batch_size = whole_number("batch_size", batch_size, 1)
    _check_budget(plan, batch_size, max_tiles, read_ahead)
    tiles = ((batch, tiles_of(batch, get_tiles)) for batch in plan.batches(batch_size))
    with ReadAhead(tiles) if read_ahead else nullcontext(tiles) as ready:
        for index, geom, window, wanted in blended(plan, ready, seams):
            if wanted is not None:
                window[~wanted] = nodata
            write_tile(index, geom, window)


def tiles_held(plan: Plan, batch_size: int, read_ahead: bool = True) -> int:
    """Most tiles that ``run_plan`` holds at once: carry, batches and the window being made."""
    in_flight = min(plan.tiles, batch_size * (2 if read_ahead else 1))
    return plan.peak.tiles + in_flight + min(plan.tiles, 1)


def _check_budget(plan: Plan, batch_size: int, max_tiles: int | None, read_ahead: bool) -> None:
    needed = tiles_held(plan, batch_size, read_ahead)
    if max_tiles is not None and needed > max_tiles:
        raise BudgetError(
            f"this plan holds up to {needed} tiles at once ({plan.peak.tiles} of carry, the rest "
            f"in batches of {batch_size}), more than max_tiles, {max_tiles}: allow {needed}, or "
            f"choose smaller batches or a smaller overlap"
        )


def _one_by_one(get_tile: GetTile) -> GetTiles:
    def get_tiles(indices: list[Index], geoms: list[shapely.Polygon]) -> list[Array]:
        tiles = []
        for index, geom in zip(indices, geoms, strict=True):
            with naming_tiles(index):
                tiles.append(get_tile(index, geom))
        return tiles

    return get_tiles


def tiles_of(batch: Batch, get_tiles: GetTiles) -> list[Array]:
    """The tiles of a batch; a ``TileError`` that names them where they cannot be had."""
    with naming_tiles(batch.indices[0], batch.indices[-1]):
        tiles = [np.asarray(tile) for tile in get_tiles(batch.indices, batch.geoms)]
    if len(tiles) != len(batch.indices):
        raise TileError(
            f"get_tiles returned {len(tiles)} tiles for the {len(batch.indices)} from "
            f"{batch.indices[0]} to {batch.indices[-1]}"
        )
    return tiles


def blended(
    plan: Plan, batches: Iterable[tuple[Batch, list[Array]]], seams: Seams | None = None
) -> Iterator[Finished]:
    """Blend a plan's tiles, which come in its order; each finishes a window."""
    blender, windows = Blender(plan, seams=seams), plan.windows()
    for batch, tiles in batches:
        for index in batch.indices:
            # Taken out of the list, so that nothing keeps a tile while the next are made.
            window, (_, geom) = blender.add(index, tiles.pop(0)), next(windows)
            yield Finished(index, geom, window, plan.wanted(geom))


@contextmanager
def naming_tiles(first: Index, last: Index | None = None) -> Iterator[None]:
    """Say which tile an error came from; this package's own errors stay of their kind."""
    where = f"tile {first}" if last in (None, first) else f"tiles {first} to {last}"
    try:
        yield
    except SeamlessError as error:
        error.add_note(f"while working on {where}")
        raise
    except Exception as error:
        raise TileError(f"{where} could not be had: {type(error).__name__}: {error}") from error
