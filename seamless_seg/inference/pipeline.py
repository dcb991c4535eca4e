"""The pipeline: reader, model, blender and writer beside each other, an error of one ends all."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from ..arrays import Mask, Values
from ..planning.memory import Schedule
from ..progress import OnProgress, Progress
from ..threads import ParallelMap, ReadAhead, WriteBehind
from ..tiling.blend import Blender, Seams
from ..tiling.grid import shape_to_slices
from ..tiling.run import naming_tiles
from .prepared import PreparedRun
from .tile_reader import TileBatch, answers

Answered: TypeAlias = list[tuple[Values, Mask | None]]
"""Logits of each tile of a batch, and which of its pixels are valid; None where all of them."""


class Finished(NamedTuple):
    """A window to which no tile will add any more."""

    rows: slice
    cols: slice
    values: Values
    """``(height, width, classes)``."""
    is_there: Mask | None
    """Pixels that are valid and wanted; None where all of them."""


class Writer(Protocol):
    """Where windows go: an ``OutputWriter``, or anything that does the same."""

    def write(self, rows: slice, cols: slice, values: Values, is_there: Mask | None) -> None:
        """Take a window, ``(height, width, classes)``, and which pixels have a value; None: all."""
        ...


@dataclass
class Tally:
    """What is counted during a run."""

    model_seconds: float = 0.0
    """Seconds during which the model was running."""
    not_finite: int = 0
    """Logits of wanted pixels that came out as NaN or infinite."""
    skipped: int = 0
    """Tiles without a valid pixel, which the model is not run on."""


class Pipeline:
    """Reader, model, blender and writer, each in a thread, with short queues in between.

    The reader's thread reads and normalizes, as many threads as the model wants run it, the
    caller's blends and the writer's compresses. An error in any of them ends them all.

    Parameters
    ----------
    run : PreparedRun
        The run.
    schedule : Schedule
        Its panels, batches and threads.
    writer : Writer
        Where windows go.
    seams : Seams
        Where seams of panels are kept.
    before : callable, optional
        What is done to each tile's logits, ``(height, width, K)``, before they are blended.
    """

    def __init__(
        self,
        run: PreparedRun,
        schedule: Schedule,
        writer: Writer,
        seams: Seams,
        before: Callable[[Values], Values] | None = None,
    ) -> None:
        self._plan, self._batch_size = schedule.plan, schedule.batch_size
        self._tiles, self._model = run.tiles, run.fitted
        self._workers = schedule.workers
        self._counting = threading.Lock()
        self._writer = writer
        self._seams = seams
        self._before = before
        self._tally = Tally()

    def run(self, on_progress: OnProgress | None) -> Tally:
        """Run the whole plan."""
        progress = Progress(0, self._plan.tiles, 0)
        with (
            ReadAhead(self._tiles.batches(self._plan, self._batch_size)) as pixels,
            ParallelMap(self._run_model, pixels, self._workers) as logits,
            WriteBehind(self._write, depth=self._batch_size) as written,
        ):
            for finished in self._blended(logits):
                written.put(finished)
                progress = progress.more(math.prod(finished.values.shape[:2]))
                if on_progress:
                    on_progress(progress)
        return self._tally

    def _blended(self, answered: Iterator[Answered]) -> Iterator[Finished]:
        """Blend tiles as they come; each finishes one window, which is its beginning."""
        blender, windows = Blender(self._plan, seams=self._seams), self._plan.windows()
        for batch in self._plan.batches(self._batch_size):
            with naming_tiles(batch.indices[0], batch.indices[-1]):
                tiles = next(answered)
            for index in batch.indices:
                # Taken out of the list, so that nothing keeps a tile while the next are made.
                logits, valid = tiles.pop(0)
                self._tally.skipped += valid is not None and not valid.any()
                window, (_, geom) = blender.add(index, logits), next(windows)
                if valid is not None:
                    valid = valid[: window.shape[0], : window.shape[1]]
                is_there = _both(valid, self._plan.wanted(geom))
                yield Finished(*shape_to_slices(geom), window, is_there)

    def _run_model(self, batch: TileBatch) -> Answered:
        started = time.perf_counter()
        logits = answers(self._model, batch)
        if self._before is not None:
            logits = [self._before(tile) for tile in logits]
        with self._counting:
            self._tally.model_seconds += (time.perf_counter() - started) / self._workers
        return list(zip(logits, batch.valid, strict=True))

    def _write(self, finished: Finished) -> None:
        rows, cols, values, is_there = finished
        if is_there is not None:  # whatever the model computed there
            values[~is_there] = 0
        self._tally.not_finite += values.size - int(np.count_nonzero(np.isfinite(values)))
        self._writer.write(rows, cols, values, is_there)


def _both(valid: Mask | None, wanted: Mask | None) -> Mask | None:
    """Where both say so; None is everywhere."""
    if valid is None or wanted is None:
        return wanted if valid is None else valid
    both: Mask = valid & wanted
    return both
