"""Memory: what a run holds at most, and how it keeps to a limit.

Nothing that is chosen here changes a bit of the output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import BudgetError
from ..models.tile_model import WorkingMemory
from ..raster.blocks import FLOAT32, BlockLayout, cache_bytes
from ..tiling.plan import Plan

ROWS = 20_000_000
"""Bytes that may be held for whole rows of the raster before they are walked in panels."""

READ_AGAIN = 1.05
"""Blocks read over blocks of the raster, at most, unless memory is short."""

STEPS = 1.1
"""What a model works with in a long run over what it took at first: its memory grows in steps."""

MARGIN = 1.08
"""What a limit must leave: what a process has in memory differs from run to run."""

HEAPS = 3_000_000
"""Bytes that the allocator keeps for itself: for each thread, more than is in use."""


@dataclass(frozen=True)
class Needs:
    """What a run works with, as far as it takes memory."""

    plan: Plan
    blocks: BlockLayout
    """How the raster is stored."""
    block_shape: tuple[int, int]
    """Blocks of the output."""
    bands: int
    classes: int
    stored: int
    """Bytes of a pixel in all outputs."""
    given: tuple[int, int]
    """Height and width of the tiles that the model gets."""
    program: int
    """Bytes of the process before the model has seen anything."""
    working: WorkingMemory
    """What the model works with on a batch."""
    copies: int = 0
    """Windows of as many values as logits that are held while it is worked out what they mean."""
    border: int = 0
    """Pixels that are read around each tile."""
    cache: int | None = None
    """GDAL's block cache where the user has set its size."""

    @property
    def is_striped(self) -> bool:
        """Whether blocks are as wide as the raster: panels would read all of it again and again."""
        return self.blocks.width >= self.plan.image_size[1]


@dataclass(frozen=True)
class Schedule:
    """How a run is spread over memory and threads."""

    plan: Plan
    batch_size: int
    workers: int
    """Batches that the model works on at the same time."""
    held_blocks: int
    """Open blocks of the output in memory."""
    footprint: Footprint

    def fits(self, limit: int) -> bool:
        """Whether it keeps to a limit of so many bytes."""
        return MARGIN * self.footprint.total <= limit


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run holds at most, part by part."""

    program: int
    """Python, libraries and the loaded model."""
    model: int
    """What the model computes with."""
    tiles: int
    """Tiles, logits and windows on their way from one thread to the next."""
    carry: int
    """What later tiles still add to."""
    cache: int
    """Blocks of the raster that are decoded and still needed."""
    blocks: int
    """Blocks of the output that are not complete."""

    def parts(self) -> Iterator[tuple[str, int]]:
        """What takes memory, and how many bytes."""
        yield from vars(self).items()

    @property
    def rows(self) -> int:
        """What grows with the width of a panel."""
        return self.carry + self.cache + self.blocks

    @property
    def total(self) -> int:
        """All of it."""
        return self.program + self.model + self.tiles + self.rows


def schedule(needs: Needs, batch_size: int, workers: int, limit: int | None = None) -> Schedule:
    """Choose panels, and where a limit asks for it, smaller batches and fewer of them at a time.

    Parameters
    ----------
    needs : Needs
        What the run works with.
    batch_size, workers : int
        What would be best for speed.
    limit : int, optional
        Bytes that the process may have in memory.

    Raises
    ------
    BudgetError
        Where that cannot be; it says what the least is.
    """
    tried = _fastest(needs, batch_size, workers)
    if limit is None or tried.fits(limit):
        return tried
    for tried in _smaller(needs, batch_size, workers):
        if tried.fits(limit):
            return tried
    raise BudgetError(_refusal(needs, tried.footprint, limit))


def _held_blocks(needs: Needs) -> int:
    """Open blocks of the output: a row over a panel's width, and those around one window."""
    (height, width), (block_height, block_width) = needs.plan.grid.tile_shape, needs.block_shape
    rows, cols = (
        -(-size // block)
        for size, block in zip(needs.plan.image_size, needs.block_shape, strict=True)
    )
    around = (height // block_height + 2) * (width // block_width + 2)
    return min(rows * cols, needs.plan.held_columns // block_width + 2 + around)


def _fastest(needs: Needs, batch_size: int, workers: int) -> Schedule:
    """The fewest panels of which rows are small, as long as little is read again."""
    counts = [n for n in _panels(needs) if n == 1 or _read_again(needs, n) <= READ_AGAIN]
    tried = (_scheduled(needs, count, batch_size, workers) for count in counts)
    return next(
        (each for each in tried if each.footprint.rows <= ROWS),
        _scheduled(needs, counts[-1], batch_size, workers),
    )


def _smaller(needs: Needs, batch_size: int, workers: int) -> Iterator[Schedule]:
    """Ever smaller ones, the smallest last."""
    for fewer_workers in _halves(workers):
        for smaller_batch in _halves(batch_size):
            for count in _panels(needs):
                yield _scheduled(needs, count, smaller_batch, fewer_workers)


def cost_of_strips(needs: Needs, chosen: Schedule) -> str | None:
    """A sentence on what it costs that each strip is decoded once; None where that is little."""
    columns = max(1, len(needs.plan.columns))
    in_panels = _scheduled(needs, columns, chosen.batch_size, chosen.workers)
    cost = chosen.footprint.rows - in_panels.footprint.rows
    if not needs.is_striped or cost <= ROWS:
        return None
    return (
        f"the raster is stored in strips, and each is decoded once: whole rows of it are held, "
        f"{cost / 1e6:.0f} MB that a tiled copy would not need (gdal_translate -co TILED=YES)"
    )


def _refusal(needs: Needs, least: Footprint, limit: int) -> str:
    mb = 1e6
    enough = math.ceil(MARGIN * least.total / (10 * mb)) * 10
    sentence = (
        f"max-memory {limit / mb:.0f} MB is too little: this run needs {enough} MB at least, "
        f"{(least.program + least.model) / mb:.0f} MB of them for the program and the "
        f"model"
    )
    if needs.is_striped and least.rows > least.tiles:
        sentence += (
            f" and {least.rows / mb:.0f} MB for whole rows of the raster, which is stored in "
            f"strips: a tiled copy of it needs less (gdal_translate -co TILED=YES)"
        )
    elif least.model > least.program:
        sentence += "; smaller tiles need less"
    return sentence


def _halves(number: int) -> Iterator[int]:
    while number > 1:
        yield number
        number //= 2
    yield 1


def _panels(needs: Needs) -> list[int]:
    """Numbers of panels that may be walked, beginning with one."""
    if needs.is_striped:
        return [1]
    columns = max(1, len(needs.plan.columns))
    return sorted({-(-columns // panel) for panel in range(1, columns + 1)})


def _read_again(needs: Needs, panels: int) -> float:
    """Columns of blocks that are read in so many panels over those that there are."""
    width, cols = needs.blocks.width, needs.plan.grid.cols
    read = 0
    for panel in _in_panels(needs.plan, panels).panels:
        stop = min(cols.stop(panel[-1]), cols.size)
        read += -(-stop // width) - cols.start(panel[0]) // width
    return read / -(-cols.size // width)


def _in_panels(plan: Plan, count: int) -> Plan:
    return replace(plan, panel=-(-max(1, len(plan.columns)) // count))


def _scheduled(needs: Needs, panels: int, batch_size: int, workers: int) -> Schedule:
    needs = replace(needs, plan=_in_panels(needs.plan, panels))
    footprint = _footprint(needs, batch_size, workers)
    return Schedule(needs.plan, batch_size, workers, _held_blocks(needs), footprint)


def _footprint(needs: Needs, batch_size: int, workers: int) -> Footprint:
    plan, logit = needs.plan, needs.classes * FLOAT32
    height, width = plan.grid.tile_shape
    read = batch_size * height * width * needs.blocks.pixel_bytes
    given = batch_size * math.prod(needs.given) * needs.bands * FLOAT32
    answered = batch_size * math.prod(needs.given) * logit
    windows = (batch_size + 2 + needs.copies) * height * width * logit
    seam = math.prod(plan.seam_shape)
    return Footprint(
        program=needs.program,
        model=int(STEPS * workers * needs.working.on(batch_size)),
        tiles=read
        + (workers + 1) * given
        + (2 * workers + 1) * answered
        + windows
        + (workers + 3) * HEAPS,
        carry=(plan.grid.rows.carried * plan.held_columns + 2 * seam) * logit,
        cache=cache_bytes(needs.blocks, plan, needs.border) if needs.cache is None else needs.cache,
        blocks=_held_blocks(needs) * math.prod(needs.block_shape) * needs.stored,
    )
