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
"""``(index, box) -> tile``."""

GetTiles: TypeAlias = Callable[[list[Index], list[shapely.Polygon]], Iterable[Array]]
"""``(indices, boxes) -> tiles``."""

WriteTile: TypeAlias = Callable[[Index, shapely.Polygon, Array], object]
"""``(index, box of the window, window)``."""


class Finished(NamedTuple):
    """A window that no later tile changes."""

    tile: Index
    """Index of the tile that finishes the window."""
    geom: shapely.Polygon
    """Box of the window in (y, x) pixels; it begins where that tile begins."""
    window: Array
    """Blended values, ``(height, width, ...)``."""
    wanted: Mask | None
    """Wanted pixels, ``(height, width)``; None if all are."""


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
        Tiles of a batch.
    max_tiles : int or None
        Hard limit on what is held at once, in tiles: the carry, the batch that is being
        blended, with ``read_ahead`` the batch after it, and the window that is being made. None
        for no limit.
    write_tile : callable
        ``write_tile(index, geom, window)``: ``geom`` is the window's box in (y, x) pixels,
        ``window`` an array of its shape, which is not reused. Called once per window, in the
        calling thread.
    get_tile : callable, optional
        ``get_tile(index, geom) -> tile``, of shape ``(height, width)`` or ``(height, width,
        ...)`` and any real dtype; ``geom`` is the tile's box. Called once per tile. The array
        must not change until its batch has been blended: with ``read_ahead``, that is
        while the next batch is being made, so do not use one buffer for all.
    get_tiles : callable, optional
        ``get_tiles(indices, geoms) -> tiles``: as ``get_tile``, for a batch. Give one of the two.
    read_ahead : bool
        Call ``get_tile`` in a thread, one batch ahead of the blending.
    nodata : float
        Value of pixels outside the plan's area.
    seams : Seams, optional
        Where to keep the columns that a panel leaves to the next; in memory if None.

    Raises
    ------
    BudgetError
        If the plan would hold more than ``max_tiles``; no tile has been read then.
    TileError
        If ``get_tile`` fails or returns a wrong shape; the message names the tile.
    TypeError
        If ``plan`` is no plan, or not exactly one of ``get_tile`` and ``get_tiles`` is given.
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
    """Return the most tiles that ``run_plan`` holds at once: carry, batches and one window.

    Parameters
    ----------
    plan : Plan
        From ``plan_run_grid``.
    batch_size : int
        Tiles of a batch.
    read_ahead : bool
        Whether the next batch is made while one is blended.
    """
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
    """Return the tiles of a batch; raise a ``TileError`` that names them if ``get_tiles`` fails."""
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
    """Blend the tiles of a plan and yield the window that each one finishes.

    Parameters
    ----------
    plan : Plan
        Where the tiles lie and how far they are trusted.
    batches : iterable of (Batch, list of ndarray)
        All tiles, in the plan's order.
    seams : Seams, optional
        As for ``run_plan``.
    """
    blender, windows = Blender(plan, seams=seams), plan.windows()
    for batch, tiles in batches:
        for index in batch.indices:
            # Popped, so that the list does not keep a tile in memory while the next are made.
            window, (_, geom) = blender.add(index, tiles.pop(0)), next(windows)
            yield Finished(index, geom, window, plan.wanted(geom))


@contextmanager
def naming_tiles(first: Index, last: Index | None = None) -> Iterator[None]:
    """Add to an error which tile it came from; errors of this package keep their class."""
    where = f"tile {first}" if last in (None, first) else f"tiles {first} to {last}"
    try:
        yield
    except SeamlessError as error:
        error.add_note(f"while working on {where}")
        raise
    except Exception as error:
        raise TileError(f"{where} failed: {type(error).__name__}: {error}") from error
