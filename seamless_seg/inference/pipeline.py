"""The pipeline: reader, model, blender and writer beside each other, an error of one ends all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import shapely

from ..arrays import Mask, Values
from ..planning.memory import Schedule
from ..progress import OnProgress, Progress
from ..threads import ParallelMap, ReadAhead, WriteBehind
from ..tiling.blend import Seams
from ..tiling.grid import Index, shape_to_slices
from ..tiling.plan import Batch
from ..tiling.run import blended, tiles_of
from .prepared import PreparedRun
from .tile_reader import TileBatch, answers

Answered: TypeAlias = tuple[list[Values], list[Mask | None]]
"""Logits of a batch's tiles, and which of their pixels are valid; None where all of them."""


class Writer(Protocol):
    """Where windows go: a ``Delivery``, or anything that does the same."""

    def write(self, rows: slice, cols: slice, values: Values, is_there: Mask | None) -> None:
        """Take a window, ``(height, width, classes)``, and where it has something; None: all."""
        ...


@dataclass
class Tally:
    """What a run has come to."""

    model_seconds: float = 0.0
    """Seconds during which the model was running."""
    not_finite: int = 0
    """Logits of wanted pixels that came out as NaN or infinite."""
    skipped: int = 0
    """Tiles without a valid pixel, which the model has not seen."""


class Pipeline:
    """Reader, model, blender and writer, each in a thread, with short queues in between.

    The reader's thread reads and normalizes, as many threads as the model wants run it, the
    caller's blends and the writer's compresses. An error in any of them ends them all.

    Parameters
    ----------
    task : PreparedRun
        What is run.
    schedule : Schedule
        How.
    writer : Writer
        Where windows go.
    seams : Seams
        Where seams of panels are kept.
    before : callable, optional
        What is done to each tile's logits, ``(height, width, K)``, before they are blended.
    """

    def __init__(
        self,
        task: PreparedRun,
        schedule: Schedule,
        writer: Writer,
        seams: Seams,
        before: Callable[[Values], Values] | None = None,
    ) -> None:
        self._plan, self._batch_size = schedule.plan, schedule.batch_size
        self._tiles, self._model = task.tiles, task.fitted
        self._workers = schedule.workers
        self._counting = threading.Lock()
        self._writer = writer
        self._seams = seams
        self._before = before
        self._valid: deque[Mask | None] = deque()
        self._tally = Tally()

    def run(self, on_progress: OnProgress | None) -> Tally:
        """Run the whole plan."""
        progress = Progress(0, self._plan.tiles, 0)
        with (
            ReadAhead(self._tiles.batches(self._plan, self._batch_size)) as pixels,
            ParallelMap(self._run_model, pixels, self._workers) as logits,
            WriteBehind(self._write, depth=self._batch_size) as written,
        ):
            for _, geom, window, wanted in blended(self._plan, self._take(logits), self._seams):
                valid = self._valid.popleft()
                if valid is not None:  # of the tile, of which the window is the beginning
                    valid = valid[: window.shape[0], : window.shape[1]]
                written.put((geom, window, _both(valid, wanted)))
                progress = progress.more(window.shape[0] * window.shape[1])
                if on_progress:
                    on_progress(progress)
        return self._tally

    def _take(self, answered: Iterator[Answered]) -> Iterator[tuple[Batch, list[Values]]]:
        """Batches with their logits, which of their pixels are valid noted by the way."""

        def get_tiles(indices: list[Index], geoms: list[shapely.Polygon]) -> list[Values]:
            logits, valid = next(answered)
            self._valid.extend(valid)
            self._tally.skipped += sum(mask is not None and not mask.any() for mask in valid)
            return logits

        for batch in self._plan.batches(self._batch_size):
            yield batch, tiles_of(batch, get_tiles)

    def _run_model(self, batch: TileBatch) -> Answered:
        started = time.perf_counter()
        logits = answers(self._model, batch)
        if self._before is not None:
            logits = [self._before(tile) for tile in logits]
        with self._counting:
            self._tally.model_seconds += (time.perf_counter() - started) / self._workers
        return logits, batch.valid

    def _write(self, item: tuple[shapely.Polygon, Values, Mask | None]) -> None:
        geom, window, is_there = item
        if is_there is not None:  # whatever the model has said there
            window[~is_there] = 0
        self._tally.not_finite += window.size - int(np.count_nonzero(np.isfinite(window)))
        self._writer.write(*shape_to_slices(geom), window, is_there)


def _both(valid: Mask | None, wanted: Mask | None) -> Mask | None:
    """Where both say so; None is everywhere."""
    if valid is None or wanted is None:
        return wanted if valid is None else valid
    both: Mask = valid & wanted
    return both
