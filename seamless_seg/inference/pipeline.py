"""The pipeline of a run: read, infer, blend and write, each in its own thread."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from ..arrays import Mask, Values
from ..models.active_runs import end_active_runs
from ..planning.memory import Schedule
from ..progress import OnProgress, Progress
from ..threads import ParallelMap, ReadAhead, WriteBehind
from ..tiling.blend import Blender, Seams
from ..tiling.grid import shape_to_slices
from ..tiling.run import naming_tiles
from .prepared import PreparedRun
from .tile_reader import TileBatch, batch_logits

BatchLogits: TypeAlias = list[tuple[Values, Mask | None]]
"""Logits ``(height, width, K)`` of each tile of a batch, and its valid pixels; None for all."""


class Pipeline:
    """Run all tiles through reader, model, blender and writer, with short queues in between.

    One thread reads and normalizes, as many threads as the schedule has workers run the model, the
    caller's thread blends, and one thread writes and compresses. An error in any of them stops
    them all.

    Parameters
    ----------
    run : PreparedRun
        The run.
    schedule : Schedule
        Its panels, batches and threads.
    writer : Writer
        Destination of finished windows.
    seams : Seams
        Storage for the overlap between panels.
    activation : callable, optional
        Function that is applied to each tile's logits, ``(height, width, K)``, before blending.
    """

    def __init__(
        self,
        run: PreparedRun,
        schedule: Schedule,
        writer: Writer,
        seams: Seams,
        activation: Callable[[Values], Values] | None = None,
    ) -> None:
        self._plan, self._batch_size = schedule.plan, schedule.batch_size
        self._tiles, self._model = run.tiles, run.fitted
        self._workers = schedule.workers
        self._lock = threading.Lock()
        self._writer = writer
        self._seams = seams
        self._activation = activation
        self._counts = RunCounts()

    def run(self, on_progress: OnProgress | None) -> RunCounts:
        """Run the plan; call ``on_progress`` after every tile."""
        progress = Progress(0, self._plan.tiles, 0)
        with (
            ReadAhead(self._tiles.batches(self._plan, self._batch_size)) as batches,
            ParallelMap(self._infer, batches, self._workers, end_active_runs) as logits,
            WriteBehind(self._write, depth=self._batch_size) as written,
        ):
            for finished in self._blended(logits):
                written.put(finished)
                progress = progress.more(math.prod(finished.values.shape[:2]))
                if on_progress:
                    on_progress(progress)
        return self._counts

    def _infer(self, batch: TileBatch) -> BatchLogits:
        started = time.perf_counter()
        logits = batch_logits(self._model, batch)
        if self._activation is not None:
            logits = [self._activation(tile) for tile in logits]
        with self._lock:
            self._counts.model_seconds += (time.perf_counter() - started) / self._workers
        return list(zip(logits, batch.valid, strict=True))

    def _blended(self, batches: Iterator[BatchLogits]) -> Iterator[FinishedWindow]:
        """Blend tiles in the order of the plan; each tile finishes the window at its beginning."""
        blender, windows = Blender(self._plan, seams=self._seams), self._plan.windows()
        for batch in self._plan.batches(self._batch_size):
            with naming_tiles(batch.indices[0], batch.indices[-1]):
                tiles = next(batches)
            for index in batch.indices:
                # Removed from the list, so that no tile stays in memory while the next are made.
                logits, valid = tiles.pop(0)
                self._counts.skipped += valid is not None and not valid.any()
                window, (_, geom) = blender.add(index, logits), next(windows)
                if valid is not None:
                    valid = valid[: window.shape[0], : window.shape[1]]
                has_value = _both(valid, self._plan.wanted(geom))
                yield FinishedWindow(*shape_to_slices(geom), window, has_value)

    def _write(self, finished: FinishedWindow) -> None:
        rows, cols, values, has_value = finished
        if has_value is not None:  # invalid pixels may be NaN, which must not be counted
            values[~has_value] = 0
        self._counts.not_finite += values.size - int(np.count_nonzero(np.isfinite(values)))
        self._writer.write(rows, cols, values, has_value)


class FinishedWindow(NamedTuple):
    """A blended window to which no tile adds any more."""

    rows: slice
    cols: slice
    values: Values
    """``(height, width, classes)``."""
    has_value: Mask | None
    """Pixels that are valid and inside the area; None for all."""


class Writer(Protocol):
    """The destination of finished windows: an ``OutputWriter``, or a stand-in for it."""

    def write(self, rows: slice, cols: slice, values: Values, has_value: Mask | None) -> None:
        """Write a window of the raster.

        Parameters
        ----------
        rows, cols : slice
            Half-open rows and columns of the window.
        values : ndarray
            Blended values, ``(height, width, classes)``.
        has_value : ndarray of bool or None
            Pixels that have a value, ``(height, width)``; None for all.
        """
        ...


@dataclass
class RunCounts:
    """Numbers that are counted during a run."""

    model_seconds: float = 0.0
    """Seconds during which the model was running."""
    not_finite: int = 0
    """Logits of wanted pixels that are NaN or infinite."""
    skipped: int = 0
    """Tiles without a valid pixel, on which the model does not run."""


def _both(valid: Mask | None, wanted: Mask | None) -> Mask | None:
    """Pixels that are in both masks; None stands for all pixels."""
    if valid is None or wanted is None:
        return wanted if valid is None else valid
    both: Mask = valid & wanted
    return both
