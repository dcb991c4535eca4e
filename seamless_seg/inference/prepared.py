"""Prepare a run: open its raster and model, and decide on all settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import shapely

from ..arrays import Mask, Values
from ..decisions import DEFAULT_OR_FEWER, OPTION
from ..errors import BudgetError
from ..models.base import Model
from ..models.files import all_files_of, files_of
from ..models.load import LazyModel
from ..models.mlm import sidecar_paths
from ..models.tile_model import TileModel, WorkingMemory
from ..planning.autotune import Measurements, measure_model
from ..planning.bands import count_bands
from ..planning.class_tiling import recognized, require_exact_classes
from ..planning.forecast import Forecast, forecast_raster
from ..planning.global_context import (
    GlobalContext,
    forecast_with_statistics,
    with_global_statistics,
)
from ..planning.memory import (
    MemoryNeeds,
    Schedule,
    check_classes,
    least_footprint,
    refusal,
    schedule,
)
from ..planning.options import LEAST_BYTES, Execution, Options
from ..planning.outputs import WORKING_COPIES
from ..probes.receptive_field import Probe
from ..raster.blocks import FLOAT32, block_shape, cache_bytes
from ..system import group_limit, release_bytes, reports_memory, resident_bytes
from ..threads import ReadAhead
from ..tiling.grid import Index
from ..tiling.plan import Plan
from ..validation import number_of
from ..windows import Pair
from .tile_reader import TileReader, batch_logits

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

TRIAL_SIDE = 256
"""Height and width in pixels of a tile that is small enough to be tried with any memory limit."""

EXTRAPOLATION_FACTOR = 2
"""Safety factor where the memory of a large tile is extrapolated from a small one."""

MEMORY_UNKNOWN = (
    "this system does not report a process's memory, so max_memory= limits only what can be "
    "computed: tiles, queues and caches, but not the model's own memory"
)
"""Note for a memory limit where memory cannot be measured."""

MIN_BATCH_SECONDS = 0.01
"""Seconds of the model for a batch from which on the overhead of threads is negligible."""


@dataclass(frozen=True)
class PreparedRun:
    """An open raster and an open model, with all decisions about a run."""

    reader: RasterReader
    source: Any
    """The model as it was given: a file, a function, or several."""
    model: Model
    forecast: Forecast
    probe: Probe | None
    """The model's receptive field; None if it was not measured."""
    max_memory: int | None = None
    """Bytes that the process may use."""
    group_memory: int | None = None
    """Bytes that control groups let the process have; None for no limit, or with the user's."""
    fill: float | None = None
    """Pixel value for the model in place of nodata; the mean if None."""
    global_context: GlobalContext | None = None
    """Reductions of the whole image whose statistics are given to the model; None for none."""
    is_empty: bool = False
    """Whether no pixel of the raster is valid, so that the model never runs."""
    smallest_tile: int | None = None
    """Side of the smallest exact tile in pixels; None if the output depends on the tile size."""
    with_smallest_tile: Callable[[], PreparedRun] | None = None
    """Returns the same run in these tiles; None for a run in the smallest tiles already."""

    @property
    def plan(self) -> Plan:
        """The plan for the whole raster."""
        return self.forecast.plan

    @property
    def limit(self) -> int | None:
        """Bytes that the process may use: the user's limit, or else that of a control group."""
        return self.group_memory if self.max_memory is None else self.max_memory

    def release(self, workers: int) -> None:
        """Return the memory of the model's computations to the system."""
        self.model.tune(self.plan.grid.tile_shape, workers)
        release_bytes()

    def noting(self, *notes: str) -> PreparedRun:
        """Return the run with more notes. Trial runs of the model are not kept."""
        return replace(self, forecast=self.forecast.noting(*notes))

    @cached_property
    def batch_size(self) -> int:
        """Tiles of a batch; if left open, as few as keep the overhead of threads negligible.

        Small batches stay in the processor's cache, and keep all workers busy until the end. A
        stopwatch decides only where a probe has shown that the bits do not depend on it.
        """
        decided = self.forecast.settings.tiling.batch_size
        size = min(decided.value, self.plan.tiles)
        if decided.origin != DEFAULT_OR_FEWER:
            return size
        if self.probe is None:  # under a limit, the memory that is left would decide
            return size if self.max_memory is None else 1
        return min(size, math.ceil(MIN_BATCH_SECONDS / self.fitted.seconds))

    @property
    def classes(self) -> int:
        """Number of classes; of a raster without a valid pixel, as the model's file states it.

        A tile is tried for it: under a limit on memory, call ``tune`` first.
        """
        if self.is_empty and self.model.spec.classes:
            return self.model.spec.classes
        return self.fitted.classes

    @cached_property
    def fitted(self) -> TileModel:
        """The model with the input shape for the plan's tiles, found by a trial run."""
        tile = self.plan.grid.tile_shape
        return TileModel(self.model, len(self.reader.bands), tile, self._align)

    @cached_property
    def tiles(self) -> TileReader:
        """The reader of the raster's tiles as input of the model."""
        normalization = self.forecast.settings.normalization
        dtype = self.reader.dtype
        return TileReader(self.reader, self.fitted, normalization, dtype, self.fill)

    def tile_logits(self, plan: Plan) -> Iterator[TileLogits]:
        """Yield the logits of each tile of a plan on the same grid, in the plan's order.

        Tiles are read in a thread, one batch ahead.
        """
        windows = plan.windows()
        with ReadAhead(self.tiles.batches(plan, self.batch_size)) as batches:
            for _ in plan.batches(self.batch_size):
                batch = next(batches)
                tiles = batch_logits(self.fitted, batch)
                for logits, valid in zip(tiles, batch.valid, strict=True):
                    yield TileLogits(*next(windows), logits, valid)

    def tune(self) -> int:
        """Tune the model for the plan's tiles; return the process's bytes before it has run.

        Raises
        ------
        BudgetError
            If a tile is expected to need several times ``max_memory``. The smallest exact tile
            is always tried, as a message names what it needs.
        """
        self.model.tune(self.plan.grid.tile_shape)
        release_bytes()
        program = resident_bytes()
        if self.limit is not None and not self._is_smallest:
            self._check_tile_memory(program, self.limit)
        return program

    def schedule(
        self,
        program: int,
        pixel_bytes: int | None = None,
        block: Pair | None = None,
        copies: int = 0,
        finishing: int = 0,
    ) -> Schedule:
        """Choose panels, batches and threads: the fastest that fit into memory.

        Parameters
        ----------
        program : int
            Bytes of the process, as ``tune`` returned them.
        pixel_bytes : int, optional
            Bytes of a pixel in all outputs; by default those of logits.
        block : (height, width), optional
            Pixels of the outputs' blocks.
        copies : int
            Windows as large as one of logits that are needed to compute the outputs.
        finishing : int
            Bytes that smoothing, sieving and overviews need at least.

        Returns
        -------
        Schedule

        Raises
        ------
        BudgetError
            If every schedule needs more than ``limit``.
        """
        # With a memory limit, the memory of a larger batch is extrapolated from two tiles.
        tried = min(self.batch_size, 2) if self.limit else self.batch_size
        working = self.fitted.working_memory(tried)
        needs = self._memory_needs(program, pixel_bytes, block, copies, self.fitted, working)
        needs = replace(needs, finishing=finishing)
        is_of_group = self.max_memory is None
        chosen = schedule(needs, self.batch_size, self.model.workers, self.limit, is_of_group)
        if (chosen.workers, chosen.batch_size) != (self.model.workers, self.batch_size):
            self.release(chosen.workers)  # the memory of the trials
        return chosen

    def block_cache(self, plan: Plan | None = None) -> AbstractContextManager[object]:
        """Set GDAL's block cache to the size that a plan needs, unless the user has set one."""
        from ..raster.gdal import block_cache

        cache = cache_bytes(self.reader.blocks, plan or self.plan, self.fitted.border)
        return block_cache(cache)

    def _check_tile_memory(self, program: int, limit: int) -> None:
        """Raise if a tile is expected to need several times the limit, before it is tried.

        The memory is extrapolated from a small tile: trying a large one could exhaust it.
        """
        shape = self.plan.grid.tile_shape
        if self.model.spec.tile != (None, None) or math.prod(shape) <= TRIAL_SIDE**2:
            return
        small = TileModel(self.model, len(self.reader.bands), (TRIAL_SIDE, TRIAL_SIDE), self._align)
        expected = small.working_memory(1).on(1) * math.prod(shape) // TRIAL_SIDE**2
        self.model.tune(shape)
        release_bytes()
        if program + expected > EXTRAPOLATION_FACTOR * limit:
            working = WorkingMemory(expected, expected)
            needs = self._memory_needs(program, None, None, WORKING_COPIES, small, working)
            needs = replace(needs, input_shape=shape)
            least, is_of_group = least_footprint(needs), self.max_memory is None
            raise refusal(needs, least, limit, is_measured=False, is_of_group=is_of_group)

    @property
    def _is_smallest(self) -> bool:
        """Whether the tiles are no larger than the smallest exact ones."""
        return self.smallest_tile is not None and self.with_smallest_tile is None

    @property
    def _align(self) -> Pair:
        return self.plan.grid.rows.align, self.plan.grid.cols.align

    def _memory_needs(
        self,
        program: int,
        pixel_bytes: int | None,
        block: Pair | None,
        copies: int,
        fitted: TileModel,
        working: WorkingMemory,
    ) -> MemoryNeeds:
        from ..raster.gdal import user_cache

        return MemoryNeeds(
            plan=self.plan,
            blocks=self.reader.blocks,
            block_shape=block or block_shape(self.reader.size),
            bands=len(self.reader.bands),
            classes=fitted.classes,
            pixel_bytes=pixel_bytes or fitted.classes * FLOAT32,
            copies=copies,
            input_shape=fitted.shape,
            program=program,
            working=working,
            border=fitted.border,
            statistics=self.global_context.pass_bytes(fitted.shape) if self.global_context else 0,
            cache=user_cache(),
            smallest_tile=self.smallest_tile,
        )


class TileLogits(NamedTuple):
    """The model's output for one tile."""

    tile: Index
    """Row and column of the tile in the grid."""
    geom: shapely.Polygon
    """The window that the tile finishes, which is at its beginning."""
    logits: Values
    """``(height, width, classes)``."""
    valid: Mask | None
    """Valid pixels of the tile, ``(height, width)``; None for all."""


def inputs_of(model: Any, *readers: RasterReader) -> list[Any]:
    """List all files that are read, and so must not be written."""
    files = [file for reader in readers for file in (reader.path, *reader.files, *reader.archives)]
    return [*files, *model_inputs(model)]


def model_inputs(model: Any) -> list[Any]:
    """List the files that a model is read from: graphs, weights and documents beside them."""
    sidecars = (place for path in files_of(model) for place in sidecar_paths(path))
    return [*all_files_of(model), *sidecars]


T = TypeVar("T")


def within_memory(run: PreparedRun, decide: Callable[..., T], *arguments: Any) -> T:
    """Return what is decided on a run, in the smallest exact tiles if others need too much memory.

    Parameters
    ----------
    run : PreparedRun
        The run.
    decide : callable
        Schedules a run, among other things; it gets the run and the arguments.

    Raises
    ------
    BudgetError
        If the run does not fit in the smallest exact tiles either, or in those of an option.
    """
    try:
        return decide(run, *arguments)
    except BudgetError as error:
        if run.with_smallest_tile is None:
            raise
        if run.forecast.settings.tiling.tile.origin == OPTION:
            raise _naming_smallest_tile(error, run, decide, *arguments) from None
    return decide(run.with_smallest_tile(), *arguments)


def _naming_smallest_tile(
    error: BudgetError, run: PreparedRun, decide: Callable[..., object], *arguments: Any
) -> BudgetError:
    """Add to an error how much memory the smallest exact tiles need."""
    if run.with_smallest_tile is None:
        return error
    smaller = run.with_smallest_tile()
    try:
        decide(replace(smaller, max_memory=LEAST_BYTES), *arguments)
    except BudgetError as other:
        if error.least and other.least and other.least < error.least:
            return BudgetError(
                f"{error}; tile={smaller.smallest_tile} gives the same output, and needs at least "
                f"{other.least / 1e6:.0f} MB",
                other.least,
            )
    return error


def prepare(
    reader: RasterReader,
    model: LazyModel,
    options: Options,
    execution: Execution | None = None,
    area: shapely.Geometry | None = None,
    is_empty: bool = False,
) -> PreparedRun:
    """Open a model and decide on all settings that the options leave open.

    Parameters
    ----------
    reader : RasterReader
        The raster; it is set to the bands of the model's input.
    model : LazyModel
        The model.
    options : Options
        The user's options.
    execution : Execution, optional
        Provider, threads and memory limit.
    area : shapely.Geometry, optional
        Polygon in (y, x) pixels: tiles that do not touch it are skipped.
    is_empty : bool
        Whether no pixel of the raster is valid: the model is neither probed nor timed.

    Returns
    -------
    PreparedRun

    Raises
    ------
    SeamlessError
        If the model cannot be opened, or does not fit the raster or the options.
    """
    execution = execution or Execution()
    network = model.opened
    channels = count_bands(options, network, reader)
    if not is_empty:
        side = min(*reader.size, *(options.pair("tile") or ()), TRIAL_SIDE)
        check_classes(network.spec.classes, side, resident_bytes(), execution.max_memory)
    if not is_empty or network.spec.classes is None:
        network = network.resolved(channels)
    measured, context = Measurements(), None
    if not is_empty:
        network = recognized(network, channels)
        if options.exact is not None:
            network, context = with_global_statistics(network, options, channels, model.source)
        measured = measure_model(model.source, network, options, execution, reader.size, channels)
    planned = partial(_planned, reader, model.source, network, execution, area, is_empty, context)
    run = planned(options, measured)
    smallest = measured.smallest_tile
    if smallest is not None and max(run.plan.grid.tile_shape) != smallest:
        smaller = replace(options, tile=smallest if measured.tile_costs is None else None)
        run = replace(
            run, with_smallest_tile=partial(planned, smaller, measured.with_smallest_tile())
        )
    return run


def _planned(
    reader: RasterReader,
    source: Any,
    network: Model,
    execution: Execution,
    area: shapely.Geometry | None,
    is_empty: bool,
    context: GlobalContext | None,
    options: Options,
    measured: Measurements,
) -> PreparedRun:
    """Decide on all settings, given what was measured of the model."""
    forecast, context = forecast_with_statistics(
        context, options, lambda own: forecast_raster(reader, network, own, area, measured), reader
    )
    if is_empty:
        forecast = _of_nothing(forecast, options)
    else:
        forecast = require_exact_classes(forecast, network)
    if measured.tile_costs is not None:
        network.tune(forecast.plan.grid.tile_shape, 1)  # the last timing tuned it otherwise
    if execution.max_memory is not None and not reports_memory():
        forecast = forecast.noting(MEMORY_UNKNOWN)
    return PreparedRun(
        reader,
        source,
        network,
        forecast,
        measured.probe,
        execution.max_memory,
        group_limit() if execution.max_memory is None else None,
        number_of("fill", options.fill),
        context,
        is_empty,
        measured.smallest_tile,
    )


def _of_nothing(forecast: Forecast, options: Options) -> Forecast:
    """Return the forecast of a run over a raster without a valid pixel."""
    unused = "" if options.exact is None else "; no statistics are measured or written"
    settings = forecast.settings.warning(
        f"no pixel of the raster is valid: the model does not run, and the output is nodata "
        f"everywhere{unused}"
    )
    return replace(forecast, settings=settings, warning=None)
