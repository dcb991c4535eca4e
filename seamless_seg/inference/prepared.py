"""The task: a raster and a model, opened, with all that was decided about the two."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import shapely

from ..arrays import Mask, Values
from ..decisions import AT_MOST, OPTION, SIDECAR, Decision
from ..errors import BudgetError
from ..models.base import Model
from ..models.files import files_of
from ..models.load import LazyModel
from ..models.mlm import sidecar_paths
from ..models.receptive_field import Probe
from ..models.tile_model import TileModel
from ..planning.autotune import price
from ..planning.bands import bands_by_name
from ..planning.forecast import Forecast, forecast_raster, warned
from ..planning.memory import Needs, Schedule, cost_of_strips, schedule
from ..planning.options import Execution, Options
from ..planning.probing import probe_for
from ..raster.blocks import FLOAT32, block_shape, cache_bytes
from ..system import release_bytes, resident_bytes, tells_memory
from ..threads import ReadAhead
from ..tiling.grid import Index
from ..tiling.plan import Plan
from ..validation import number_of
from .tile_reader import TileReader, answers

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

SMALL = 256
"""Side of a tile that any limit leaves room for."""

FAR_BEYOND = 2
"""What is expected of a large tile from a small one is not that wrong."""

WORTH_WHILE = 0.01
"""Seconds in the model beside which handing a batch from thread to thread costs nothing."""


class Answer(NamedTuple):
    """What a model says of one tile."""

    tile: Index
    """Which tile."""
    geom: shapely.Polygon
    """The window that the tile finishes: its beginning."""
    logits: Values
    """``(height, width, classes)``."""
    valid: Mask | None
    """Valid pixels of the tile, ``(height, width)``; None where all of them."""


@dataclass(frozen=True)
class PreparedRun:
    """What runs a model over a raster, or over parts of it."""

    reader: RasterReader
    source: Any
    """The model as it was given: a file, a function, or several."""
    model: Model
    forecast: Forecast
    found: Probe | None
    """How far the model sees; None where nobody needed to know."""
    max_memory: int | None = None
    """Bytes that the process may have."""
    fill: float | None = None
    """What pixels are fed as that are not valid, if not as their mean."""
    is_empty: bool = False
    """Whether no pixel is valid, so that the model has nothing to say."""

    @property
    def plan(self) -> Plan:
        """The plan for the whole raster."""
        return self.forecast.plan

    @cached_property
    def batch_size(self) -> int:
        """Tiles at a time: where that is left open, so few that a batch is just worth its while.

        It changes no bit. Small batches stay in the processor's cache, and keep all workers busy
        to the end.
        """
        decided = self.forecast.settings.tiling.batch_size
        size = min(decided.value, self.plan.tiles)
        if decided.origin == AT_MOST:
            size = min(size, math.ceil(WORTH_WHILE / self.fitted.seconds))
        return size

    @property
    def classes(self) -> int:
        """Classes that the model tells apart; where there is nothing to tell, as it declares."""
        if self.is_empty and self.model.spec.classes:
            return self.model.spec.classes
        if not self.is_empty:
            self.prepared  # noqa: B018  # a tile is tried only then
        return self.fitted.classes

    @cached_property
    def fitted(self) -> TileModel:
        """The model, fitted to the plan's tiles by a trial run."""
        tile = self.plan.grid.tile_shape
        return TileModel(self.model, len(self.reader.bands), tile, self._align)

    @cached_property
    def tiles(self) -> TileReader:
        """The raster's tiles as the model takes them."""
        normalization = self.forecast.settings.normalization
        dtype = self.reader.dtype
        return TileReader(self.reader, self.fitted, normalization, dtype, self.fill)

    def answers(self, plan: Plan) -> Iterator[Answer]:
        """Each tile's index, the window that it finishes and the model's answer to it.

        For a plan on the same grid; an answer has the shape ``(height, width, classes)``. Tiles are
        read in a thread, one batch ahead.
        """
        windows = plan.windows()
        with ReadAhead(self.tiles.batches(plan, self.batch_size)) as pixels:
            for _ in plan.batches(self.batch_size):
                tiles = next(pixels)
                for tile, valid in zip(answers(self.fitted, tiles), tiles.valid, strict=True):
                    yield Answer(*next(windows), tile, valid)

    def schedule(
        self,
        stored: int | None = None,
        block: tuple[int, int] | None = None,
        copies: int = 0,
    ) -> Schedule:
        """How to run the whole plan as fast as it can be, in the memory that there may be.

        ``stored`` are bytes of a pixel in all outputs, those of logits
        where None; ``block`` is the shape of their blocks; ``copies`` are windows of values that
        are held while they are read.

        Raises
        ------
        BudgetError
            Where it takes more, however it is done.
        """
        tile = self.plan.grid.tile_shape
        needs = self._needs(self.prepared, stored, block, copies)
        chosen = schedule(needs, self.batch_size, self.model.workers, self.max_memory)
        if costly := cost_of_strips(needs, chosen):
            self.forecast.settings.notes.append(costly)
        if (chosen.workers, chosen.batch_size) != (self.model.workers, self.batch_size):
            self.model.tune(tile, chosen.workers)  # what the trials took is let go
            release_bytes()
        return chosen

    @cached_property
    def prepared(self) -> int:
        """Tune the model for the plan's tiles; bytes of the process before it has seen one.

        Raises
        ------
        BudgetError
            Where a tile can be expected to take several times what there may be.
        """
        self.model.tune(self.plan.grid.tile_shape)
        release_bytes()
        program = resident_bytes()
        if self.max_memory is not None:
            self._refuse_untried(program, self.max_memory)
        return program

    def _refuse_untried(self, program: int, limit: int) -> None:
        """Refuse a tile that a small one lets expect to take several times a limit.

        Trying it could take all memory that there is.
        """
        shape = self.plan.grid.tile_shape
        if self.model.spec.tile != (None, None) or math.prod(shape) <= SMALL**2:
            return
        small = TileModel(self.model, len(self.reader.bands), (SMALL, SMALL), self._align)
        expected = small.working_memory(1).on(1) * math.prod(shape) // SMALL**2
        self.model.tune(shape)
        release_bytes()
        if program + expected > FAR_BEYOND * limit:
            raise BudgetError(
                f"max-memory {limit / 1e6:.0f} MB is too little: tiles of "
                f"{shape[0]} x {shape[1]} need some {(program + expected) / 1e6:.0f} MB; smaller "
                f"tiles need less"
            )

    @property
    def _align(self) -> tuple[int, int]:
        return self.plan.grid.rows.align, self.plan.grid.cols.align

    def _needs(
        self, program: int, stored: int | None, block: tuple[int, int] | None, copies: int
    ) -> Needs:
        from ..raster.gdal import user_cache

        # Where memory is short, two tiles must tell what more of them would take.
        tried = min(self.batch_size, 2) if self.max_memory else self.batch_size
        return Needs(
            plan=self.plan,
            blocks=self.reader.blocks,
            block_shape=block or block_shape(self.reader.size),
            bands=len(self.reader.bands),
            classes=self.fitted.classes,
            stored=stored or self.fitted.classes * FLOAT32,
            copies=copies,
            given=self.fitted.shape,
            program=program,
            working=self.fitted.working_memory(tried),
            border=self.fitted.border,
            cache=user_cache(),
        )

    def block_cache(self, plan: Plan | None = None) -> AbstractContextManager[object]:
        """GDAL's block cache at the size that a plan needs, unless the user has set one."""
        from ..raster.gdal import block_cache

        cache = cache_bytes(self.reader.blocks, plan or self.plan, self.fitted.border)
        return block_cache(cache)


def inputs_of(model: Any, *readers: RasterReader) -> list[Any]:
    """All files that are read, and so must not be written."""
    files = [file for reader in readers for file in (reader.path, *reader.files, *reader.archives)]
    models = files_of(model)
    return [*files, *models, *(own for path in models for own in sidecar_paths(path))]


def prepare(
    reader: RasterReader,
    given: LazyModel,
    options: Options,
    execution: Execution | None = None,
    area: shapely.Geometry | None = None,
    is_empty: bool = False,
) -> PreparedRun:
    """Open a model and decide on everything that the options leave open.

    A raster that ``is_empty`` does not need to know how the model behaves.
    """
    execution = execution or Execution()
    model, network = given.source, given.opened
    notes: list[str] = []
    bands = options.bands
    if bands is None:
        bands = bands_by_name(options, network, reader.descriptions)
    channels = reader.count if bands is None else len(bands)
    if not is_empty or network.spec.classes is None:
        network = network.resolved(channels)
    found = None if is_empty else probe_for(model, network, options, notes, channels)
    channels = network.spec.channels or channels
    pricing = None
    if not is_empty:
        pricing = price(model, network, options, found, reader.size, channels, execution)
    chosen = None if pricing is None else pricing.chosen
    forecast = forecast_raster(reader, network, options, area, found, chosen)
    forecast = warned(replace(forecast, pricing=pricing), network, found)
    forecast.settings.notes.extend(notes)
    if options.model_output is not None:
        forecast.settings.model["model_output"] = Decision(options.model_output, OPTION)
    elif network.spec.metadata.output is not None:
        forecast.settings.model["model_output"] = Decision(network.spec.metadata.output, SIDECAR)
    if options.fill is not None:
        forecast.settings.model["fill"] = Decision(options.fill, OPTION)
    if pricing is not None:
        network.tune(forecast.plan.grid.tile_shape, 1)  # it is as the last timing left it
    if execution.max_memory is not None and not tells_memory():
        forecast.settings.notes.append(
            "this system does not tell what a process has in memory, so the limit is kept by "
            "what is known of tiles, queues and caches alone"
        )
    fill = number_of("fill", options.fill)
    return PreparedRun(
        reader, model, network, forecast, found, execution.max_memory, fill, is_empty
    )
