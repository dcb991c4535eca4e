"""The pipeline: reader, model, blender and writer beside each other, an error of one ends all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import shapely

from .blend import Seams
from .grid import Index, shape_to_slices
from .memory import Schedule
from .run import run_plan
from .task import Task
from .threads import ParallelMap, ReadAhead, WriteBehind
from .tiles import Mask, TileBatch, Values, answers


class Progress(NamedTuple):
    """How far a job has come."""

    done: int
    total: int
    pixels: int
    """Pixels that are finished."""
    unit: str = "tiles"
    """What there are so many of."""

    def more(self, pixels: int) -> Progress:
        """One tile later."""
        return self._replace(done=self.done + 1, pixels=self.pixels + pixels)


OnProgress: TypeAlias = Callable[[Progress], object]


class Writer(Protocol):
    """Where windows go: ``RasterWriter``, or anything that does the same."""

    def write(self, rows: slice, cols: slice, window: Values) -> None:
        """Take a window, shape ``(height, width, classes)``."""
        ...


class Pipeline:
    """Reader, model, blender and writer, each in a thread, with short queues in between.

    The reader's thread reads and normalises, as many threads as the model wants run it, the
    caller's blends and the writer's compresses. An error in any of them ends them all.
    """

    def __init__(self, task: Task, schedule: Schedule, writer: Writer, seams: Seams) -> None:
        self._plan, self._batch_size = schedule.plan, schedule.batch_size
        self._tiles, self._model = task.tiles, task.fitted
        self._workers = schedule.workers
        self._counting = threading.Lock()
        self._writer = writer
        self._seams = seams
        self._valid: deque[Mask | None] = deque()
        self.model_seconds = 0.0
        self.not_finite = 0
        self.skipped = 0
        """Tiles without a valid pixel, which the model has not seen."""

    def run(self, on_progress: OnProgress | None) -> None:
        """Run the whole plan."""
        progress = Progress(0, self._plan.tiles, 0)
        with (
            ReadAhead(self._tiles.batches(self._plan, self._batch_size)) as pixels,
            ParallelMap(self._run_model, pixels, self._workers) as logits,
            WriteBehind(self._write, depth=self._batch_size) as written,
        ):

            def get_tiles(indices: list[Index], geoms: list[shapely.Polygon]) -> list[Values]:
                tiles, valid = next(logits)
                self._valid.extend(valid)
                self.skipped += sum(mask is not None and not mask.any() for mask in valid)
                return tiles

            def write_tile(index: Index, geom: shapely.Polygon, window: Values) -> None:
                nonlocal progress
                written.put((geom, window, self._clear(geom, window)))
                progress = progress.more(window.shape[0] * window.shape[1])
                if on_progress:
                    on_progress(progress)

            run_plan(
                self._plan,
                self._batch_size,
                None,
                write_tile,
                get_tiles=get_tiles,
                read_ahead=False,
                seams=self._seams,
            )

    def _run_model(self, batch: TileBatch) -> tuple[list[Values], list[Mask | None]]:
        started = time.perf_counter()
        logits = answers(self._model, batch)
        with self._counting:
            self.model_seconds += (time.perf_counter() - started) / self._workers
        return logits, batch.valid

    def _clear(self, geom: shapely.Polygon, window: Values) -> int:
        """Make what is not valid NaN; return how many pixels nobody wants, in an area or out of it.

        A window is the beginning of the tile that finishes it.
        """
        valid, wanted = self._valid.popleft(), self._plan.wanted(geom)
        if valid is not None:
            valid = valid[: window.shape[0], : window.shape[1]]
            window[~valid] = np.nan
        masks = [mask for mask in (valid, wanted) if mask is not None]
        return int(np.count_nonzero(~np.logical_and.reduce(masks))) if masks else 0

    def _write(self, item: tuple[shapely.Polygon, Values, int]) -> None:
        geom, window, cleared = item
        infinite = window.size - int(np.count_nonzero(np.isfinite(window)))
        self.not_finite += infinite - cleared * window.shape[2]
        self._writer.write(*shape_to_slices(geom), window)
