"""A prepared run: a raster and a model, opened, with all that was decided about the two."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import shapely

from ..arrays import Mask, Values
from ..decisions import DEFAULT_OR_FEWER
from ..errors import BudgetError
from ..models.base import Model
from ..models.files import files_of
from ..models.load import LazyModel
from ..models.mlm import places
from ..models.receptive_field import Probe
from ..models.tile_model import FittedModel
from ..planning.autotune import Measured, measure
from ..planning.bands import bands_by_name
from ..planning.forecast import Forecast, forecast_raster
from ..planning.memory import Needs, Schedule, schedule
from ..planning.options import Execution, Options
from ..raster.blocks import FLOAT32, block_shape, cache_bytes
from ..system import release_bytes, reports_memory, resident_bytes
from ..threads import ReadAhead
from ..tiling.grid import Index
from ..tiling.plan import Plan
from ..validation import number_of
from .tile_reader import TileReader, answers

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

TRIAL_SIDE = 256
"""Height and width in pixels of a tile for which any limit on memory leaves room."""

EXTRAPOLATION = 2
"""Safety factor where the memory of a large tile is extrapolated from a small one."""

UNTOLD = (
    "this system does not tell what a process has in memory, so the limit is kept by what is "
    "known of tiles, queues and caches alone"
)
"""A note where memory is limited and cannot be measured."""

WORTH_WHILE = 0.01
"""Seconds in the model from which on handing a batch to another thread costs nothing beside."""


class Answer(NamedTuple):
    """The model's output for one tile."""

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
    """A raster and a model, opened, with all that was decided about the two."""

    reader: RasterReader
    source: Any
    """The model as it was given: a file, a function, or several."""
    model: Model
    forecast: Forecast
    found: Probe | None
    """The model's receptive field; None where nobody needed to know."""
    max_memory: int | None = None
    """Bytes that the process may have."""
    fill: float | None = None
    """Value that the model gets in place of nodata; the mean where None."""
    is_empty: bool = False
    """Whether no pixel of the raster is valid, so that the model never runs."""

    @property
    def plan(self) -> Plan:
        """The plan for the whole raster."""
        return self.forecast.plan

    def noting(self, *notes: str) -> PreparedRun:
        """The same run with more notes; before a tile has been tried."""
        return replace(self, forecast=self.forecast.noting(*notes))

    @cached_property
    def batch_size(self) -> int:
        """Tiles at a time: where that is left open, so few that a batch is just worth its while.

        It changes no bit. Small batches stay in the processor's cache, and keep all workers busy
        to the end.
        """
        decided = self.forecast.settings.tiling.batch_size
        size = min(decided.value, self.plan.tiles)
        if decided.origin == DEFAULT_OR_FEWER:
            size = min(size, math.ceil(WORTH_WHILE / self.fitted.seconds))
        return size

    @property
    def classes(self) -> int:
        """Number of classes; of a raster without a valid pixel, as the model declares."""
        if self.is_empty and self.model.classes:
            return self.model.classes
        return self.fitted.classes

    @cached_property
    def fitted(self) -> FittedModel:
        """The model, fitted to the plan's tiles by a trial run."""
        tile = self.plan.grid.tile_shape
        return FittedModel(self.model, len(self.reader.bands), tile, self._align)

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

    def tune(self) -> int:
        """Tune the model for the plan's tiles; return the process's bytes before it has run.

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

    def schedule(
        self,
        program: int,
        stored: int | None = None,
        block: tuple[int, int] | None = None,
        copies: int = 0,
    ) -> Schedule:
        """Choose how to run the whole plan as fast as memory allows.

        Parameters
        ----------
        program : int
            From ``tune``.
        stored : int, optional
            Bytes of a pixel in all outputs; those of logits where None.
        block : (height, width), optional
            Pixels of the outputs' blocks.
        copies : int
            Windows of values that are held while products are made of them.

        Raises
        ------
        BudgetError
            Where it takes more than ``max_memory``, however it is done.
        """
        needs = self._needs(program, stored, block, copies)
        chosen = schedule(needs, self.batch_size, self.model.workers, self.max_memory)
        if (chosen.workers, chosen.batch_size) != (self.model.workers, self.batch_size):
            # What the trials took is let go.
            self.model.tune(self.plan.grid.tile_shape, chosen.workers)
            release_bytes()
        return chosen

    def block_cache(self, plan: Plan | None = None) -> AbstractContextManager[object]:
        """GDAL's block cache at the size that a plan needs, unless the user has set one."""
        from ..raster.gdal import block_cache

        cache = cache_bytes(self.reader.blocks, plan or self.plan, self.fitted.border)
        return block_cache(cache)

    def _refuse_untried(self, program: int, limit: int) -> None:
        """Refuse a tile that is expected to take several times a limit, before it is tried.

        The expectation comes from a small tile: trying a large one could exhaust the memory.
        """
        shape = self.plan.grid.tile_shape
        if self.model.tile != (None, None) or math.prod(shape) <= TRIAL_SIDE**2:
            return
        small = FittedModel(
            self.model, len(self.reader.bands), (TRIAL_SIDE, TRIAL_SIDE), self._align
        )
        expected = small.working_bytes(1).on(1) * math.prod(shape) // TRIAL_SIDE**2
        self.model.tune(shape)
        release_bytes()
        if program + expected > EXTRAPOLATION * limit:
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
            working=self.fitted.working_bytes(tried),
            border=self.fitted.border,
            cache=user_cache(),
        )


def inputs_of(model: Any, *readers: RasterReader) -> list[Any]:
    """All files that are read, and so must not be written."""
    files = [file for reader in readers for file in (reader.path, *reader.files, *reader.archives)]
    models = files_of(model)
    return [*files, *models, *(place for path in models for place in places(path))]


def prepare(
    reader: RasterReader,
    model: LazyModel,
    options: Options,
    execution: Execution | None = None,
    area: shapely.Geometry | None = None,
    is_empty: bool = False,
) -> PreparedRun:
    """Open a model and decide on everything that the options leave open.

    Parameters
    ----------
    reader : RasterReader
        The raster; it is set to the bands that the model gets.
    model : LazyModel
        The model.
    options : Options
        What the user asked for.
    execution : Execution, optional
        What the model runs on.
    area : shapely.Geometry, optional
        Polygon in (y, x) pixels: tiles that do not touch it are skipped.
    is_empty : bool
        Whether no pixel of the raster is valid: the model is neither probed nor timed.
    """
    execution = execution or Execution()
    network, bands = model.opened, options.bands
    if bands is None:
        bands = bands_by_name(options, network, reader.descriptions)
    channels = reader.count if bands is None else len(bands)
    measured = Measured()
    if not is_empty:
        measured = measure(model, options, execution, reader.size, channels)
    forecast = forecast_raster(reader, network, options, area, measured)
    if measured.pricing is not None:
        network.tune(forecast.plan.grid.tile_shape, 1)  # it is as the last timing left it
    if execution.max_memory is not None and not reports_memory():
        forecast = forecast.noting(UNTOLD)
    return PreparedRun(
        reader,
        model.source,
        network,
        forecast,
        measured.found,
        execution.max_memory,
        number_of("fill", options.fill),
        is_empty,
    )
