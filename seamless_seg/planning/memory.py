"""Schedule a run: panels, batches and threads, so that it stays within a memory limit.

The schedule does not change the output by a bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import BudgetError
from ..models.tile_model import WorkingMemory
from ..raster.blocks import FLOAT32, BlockLayout, cache_bytes
from ..tiling.plan import Plan
from ..windows import Pair

MAX_ROW_BYTES = 20_000_000
"""Bytes for whole rows of the raster above which it is processed in panels."""

MAX_REREAD_RATIO = 1.05
"""Blocks that are read over blocks of the raster, at most, unless memory is limited."""

MODEL_GROWTH = 1.1
"""Memory of a model in a long run over that of its first batch: allocators grow in steps."""

LIMIT_HEADROOM = 1.08
"""Limit over estimated memory, at least: a process's memory differs from run to run."""

NAMED_STEP = 10_000_000
"""Bytes to which the least amount of memory is rounded up in messages."""

HEAP_BYTES = 3_000_000
"""Bytes that the allocator reserves for each thread beyond what is in use."""


LEAST_LOGITS = 6
"""Tiles of logits that every run has in memory: see ``_footprint``."""

MEASURED_BYTES = 500_000_000
"""Bytes of logits below which a model is measured under any limit, to name the least exactly."""


def schedule(
    needs: MemoryNeeds,
    batch_size: int,
    workers: int,
    limit: int | None = None,
    is_of_group: bool = False,
) -> Schedule:
    """Choose panels; with a memory limit, also smaller batches and fewer at a time.

    Parameters
    ----------
    needs : MemoryNeeds
        What the run's memory depends on.
    batch_size, workers : int
        The fastest batch size and number of concurrent batches.
    limit : int, optional
        Bytes that the process may use.
    is_of_group : bool
        Whether that is the limit of a control group, and not the user's.

    Returns
    -------
    Schedule

    Raises
    ------
    BudgetError
        If no schedule stays within the limit; it names the smallest limit that would do.
    """
    tried = _fastest(needs, batch_size, workers)
    if limit is None or tried.fits(limit):
        return _with_note(needs, tried)
    for tried in _smaller(needs, batch_size, workers):
        if tried.fits(limit):
            noted = _with_note(needs, tried)
            return noted.noting(_kept_to_group(limit)) if is_of_group else noted
    raise refusal(needs, tried.footprint, limit, is_of_group=is_of_group)


def least_footprint(needs: MemoryNeeds) -> Footprint:
    """Return the footprint of the schedule that needs the least memory."""
    *_, least = _smaller(needs, 1, 1)
    return least.footprint


def enough_bytes(footprint: Footprint) -> int:
    """Return the smallest limit that a message names for a footprint, in bytes."""
    return math.ceil(LIMIT_HEADROOM * footprint.total / NAMED_STEP) * NAMED_STEP


def refusal(
    needs: MemoryNeeds,
    least: Footprint,
    limit: int,
    is_measured: bool = True,
    is_of_group: bool = False,
) -> BudgetError:
    """Return the error for a limit that is less than a run's least footprint.

    Parameters
    ----------
    needs : MemoryNeeds
        What the run's memory depends on.
    least : Footprint
        Its least footprint.
    limit : int
        Bytes that the process may use.
    is_measured : bool
        Whether the model's memory was measured in tiles of that size, and not extrapolated.
    is_of_group : bool
        Whether that is the limit of a control group, and not the user's.
    """
    mb = 1e6
    height, width = needs.plan.grid.tile_shape
    tiles = f"tiles of {height} x {width} px"
    if max(height, width) == needs.smallest_tile:
        tiles += ", the smallest that are chosen automatically,"
    about = "at least" if is_measured else "about"
    given = f"{limit / mb:.0f} MB"
    given = f"the container's {given} of memory" if is_of_group else f"max_memory={given}"
    sentence = (
        f"{given} {'are' if is_of_group else 'is'} too little: in {tiles} this run needs {about} "
        f"{enough_bytes(least) / mb:.0f} MB, of which "
        f"{(least.program + least.model) / mb:.0f} MB are for the program and the model"
    )
    if needs.is_striped and least.rows > least.tiles:
        sentence += (
            f" and {least.rows / mb:.0f} MB for whole rows of the raster, which is stored in "
            f"strips: a tiled copy needs less (gdal_translate -co TILED=YES)"
        )
    elif least.finishing:
        sentence += (
            f" and {least.finishing / mb:.0f} MB for smoothing, sieving or overviews, beyond what "
            f"the tiles need before"
        )
    elif least.model > least.program and needs.smallest_tile is None:
        sentence += "; smaller tiles need less"
    return BudgetError(sentence, enough_bytes(least))


@dataclass(frozen=True)
class MemoryNeeds:
    """What the memory of a run depends on."""

    plan: Plan
    blocks: BlockLayout
    """How the raster is stored."""
    block_shape: Pair
    """Height and width of the outputs' blocks in pixels."""
    bands: int
    classes: int
    pixel_bytes: int
    """Bytes of a pixel in all outputs."""
    input_shape: Pair
    """Height and width of the model's input in pixels."""
    program: int
    """Bytes of the process before the model has run."""
    working: WorkingMemory
    """Bytes that the model uses for a batch."""
    copies: int = 0
    """Windows as large as one of logits that are in memory while outputs are computed from it."""
    border: int = 0
    """Pixels that are read around each tile."""
    statistics: int = 0
    """Bytes for a tile of a pass that measures statistics, beyond the model's; 0 for no pass."""
    cache: int | None = None
    """Bytes of GDAL's block cache, if the user has set its size."""
    smallest_tile: int | None = None
    """Side of the smallest exact tile in pixels; None if the output depends on the tile size."""
    finishing: int = 0
    """Bytes beyond the program's that smoothing, sieving and overviews need at least."""

    @property
    def is_striped(self) -> bool:
        """Whether blocks are as wide as the raster, so that every panel would read all of it."""
        return self.blocks.width >= self.plan.image_size[1]


@dataclass(frozen=True)
class Schedule:
    """The panels, batches and threads of a run, and the memory that it needs."""

    plan: Plan
    batch_size: int
    workers: int
    """Batches that the model computes at the same time."""
    open_blocks: int
    """Incomplete blocks of the output in memory, at most."""
    footprint: Footprint
    notes: tuple[str, ...] = ()
    """Sentences on memory that could be saved."""

    def noting(self, note: str) -> Schedule:
        """Return the schedule with one more note."""
        return replace(self, notes=(*self.notes, note))

    def fits(self, limit: int) -> bool:
        """Whether the run stays within a limit in bytes."""
        return LIMIT_HEADROOM * self.footprint.total <= limit


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run needs at most, part by part."""

    program: int
    """Python, libraries and the loaded model."""
    model: int
    """The model's computations."""
    tiles: int
    """Tiles, logits and windows in the queues between threads."""
    carry: int
    """Blended values to which later tiles still add."""
    cache: int
    """Decoded blocks of the raster that are still needed."""
    blocks: int
    """Blocks of the outputs that are not complete."""
    finishing: int = 0
    """What smoothing, sieving and overviews need beyond all parts but the program, whose memory
    they use again."""

    def parts(self) -> Iterator[tuple[str, int]]:
        """Yield each part's name and bytes."""
        yield from vars(self).items()

    @property
    def rows(self) -> int:
        """Bytes of the parts that grow with the width of a panel."""
        return self.carry + self.cache + self.blocks

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return self.program + self.model + self.tiles + self.rows + self.finishing


def _fastest(needs: MemoryNeeds, batch_size: int, workers: int) -> Schedule:
    """The fewest panels whose rows are small, as long as few blocks are read again."""
    counts = [
        n for n in _panel_counts(needs) if n == 1 or _reread_ratio(needs, n) <= MAX_REREAD_RATIO
    ]
    tried = (_scheduled(needs, count, batch_size, workers) for count in counts)
    return next(
        (each for each in tried if each.footprint.rows <= MAX_ROW_BYTES),
        _scheduled(needs, counts[-1], batch_size, workers),
    )


def _smaller(needs: MemoryNeeds, batch_size: int, workers: int) -> Iterator[Schedule]:
    """Yield schedules of ever less memory."""
    for fewer_workers in _halves(workers):
        for smaller_batch in _halves(batch_size):
            for count in _panel_counts(needs):
                yield _scheduled(needs, count, smaller_batch, fewer_workers)


def _with_note(needs: MemoryNeeds, chosen: Schedule) -> Schedule:
    """Add a note if a raster in strips needs much more memory than a tiled one."""
    columns = max(1, len(needs.plan.columns))
    in_panels = _scheduled(needs, columns, chosen.batch_size, chosen.workers)
    cost = chosen.footprint.rows - in_panels.footprint.rows
    if not needs.is_striped or cost <= MAX_ROW_BYTES:
        return chosen
    note = (
        f"the raster is stored in strips, so whole rows of it are kept in memory to decode each "
        f"strip only once: {cost / 1e6:.0f} MB that a tiled copy would not need "
        f"(gdal_translate -co TILED=YES)"
    )
    return replace(chosen, notes=(note,))


def _halves(number: int) -> Iterator[int]:
    while number > 1:
        yield number
        number //= 2
    yield 1


def _panel_counts(needs: MemoryNeeds) -> list[int]:
    """The numbers of panels that are possible, in increasing order."""
    if needs.is_striped:
        return [1]
    columns = max(1, len(needs.plan.columns))
    return sorted({-(-columns // panel) for panel in range(1, columns + 1)})


def _reread_ratio(needs: MemoryNeeds, panels: int) -> float:
    """Columns of blocks that are read for so many panels, over those of the raster."""
    width, cols = needs.blocks.width, needs.plan.grid.cols
    read = 0
    for panel in _in_panels(needs.plan, panels).panels:
        stop = min(cols.stop(panel[-1]), cols.size)
        read += -(-stop // width) - cols.start(panel[0]) // width
    return read / -(-cols.size // width)


def _in_panels(plan: Plan, count: int) -> Plan:
    return replace(plan, panel=-(-max(1, len(plan.columns)) // count))


def _scheduled(needs: MemoryNeeds, panels: int, batch_size: int, workers: int) -> Schedule:
    needs = replace(needs, plan=_in_panels(needs.plan, panels))
    footprint = _footprint(needs, batch_size, workers)
    return Schedule(needs.plan, batch_size, workers, _open_blocks(needs), footprint)


def _open_blocks(needs: MemoryNeeds) -> int:
    """Incomplete blocks of the output: a row across a panel, and those around one window."""
    (height, width), (block_height, block_width) = needs.plan.grid.tile_shape, needs.block_shape
    rows, cols = (
        -(-size // block)
        for size, block in zip(needs.plan.image_size, needs.block_shape, strict=True)
    )
    around = (height // block_height + 2) * (width // block_width + 2)
    return min(rows * cols, needs.plan.held_columns // block_width + 2 + around)


def _footprint(needs: MemoryNeeds, batch_size: int, workers: int) -> Footprint:
    plan, logit_bytes = needs.plan, needs.classes * FLOAT32
    tile = math.prod(plan.grid.tile_shape)
    padded = math.prod(needs.input_shape)
    pixels = batch_size * tile * needs.blocks.pixel_bytes
    inputs = batch_size * padded * needs.bands * FLOAT32
    outputs = batch_size * padded * logit_bytes
    windows = (batch_size + 2 + needs.copies) * tile * logit_bytes
    heaps = (workers + 3) * HEAP_BYTES
    seam = math.prod(plan.seam_shape)
    cache = cache_bytes(needs.blocks, plan, needs.border) if needs.cache is None else needs.cache
    working = workers * needs.working.on(batch_size)
    if needs.statistics:  # a pass runs tiles one by one
        working = max(working, needs.working.on(1) + needs.statistics)
    footprint = Footprint(
        program=needs.program,
        model=int(MODEL_GROWTH * working),
        tiles=pixels + (workers + 1) * inputs + (2 * workers + 1) * outputs + windows + heaps,
        carry=(plan.grid.rows.carried * plan.held_columns + 2 * seam) * logit_bytes,
        cache=cache,
        blocks=_open_blocks(needs) * math.prod(needs.block_shape) * needs.pixel_bytes,
    )
    beyond = needs.finishing - (footprint.total - footprint.program)
    return replace(footprint, finishing=max(0, beyond))


def check_classes(classes: int | None, tile_side: int, program: int, limit: int | None) -> None:
    """Refuse a limit that cannot hold the logits of a few tiles, before the model is measured.

    Parameters
    ----------
    classes : int or None
        Number of classes; None if it is unknown.
    tile_side : int
        Height and width in pixels of the smallest tile.
    program : int
        Bytes of the process.
    limit : int or None
        Bytes that the process may use; None for no limit.

    Raises
    ------
    BudgetError
        If the limit is too little. Measuring the model might take more than that itself.
    """
    if classes is None or limit is None:
        return
    logits = LEAST_LOGITS * tile_side**2 * classes * FLOAT32
    if logits < MEASURED_BYTES or LIMIT_HEADROOM * (program + logits) <= limit:
        return
    raise BudgetError(
        f"max_memory={limit / 1e6:.0f} MB is too little for {classes} classes: {LEAST_LOGITS} "
        f"tiles of {tile_side} x {tile_side} px of their logits, which any run holds, take "
        f"{logits / 1e6:.0f} MB alone"
    )


def spare_bytes(limit: int | None, footprint: Footprint) -> float:
    """Return the bytes that are left to finishing, once the model and all queues are gone.

    Parameters
    ----------
    limit : int or None
        Bytes that the process may use; None for no limit.
    footprint : Footprint
        The run's.
    """
    return math.inf if limit is None else limit / LIMIT_HEADROOM - footprint.program


def _kept_to_group(limit: int) -> str:
    return (
        f"the container leaves {limit / 1e6:.0f} MB of memory to this process: the run keeps to "
        f"that, as with max_memory="
    )
