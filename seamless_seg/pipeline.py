"""The pipeline: reader, model, blender and writer beside each other, an error of one ends all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from .fit import FittedModel
from .forecast import Forecast
from .grid import Index, shape_to_slices
from .plan import Batch
from .run import run_plan
from .threads import ReadAhead, WriteBehind

Pixels: TypeAlias = npt.NDArray[Any]
Values: TypeAlias = npt.NDArray[np.float32]


class Progress(NamedTuple):
    """How far a job has come."""

    done: int
    tiles: int
    pixels: int
    """Pixels of the output that are finished."""


OnProgress: TypeAlias = Callable[[Progress], object]


class Reader(Protocol):
    """Where pixels come from: ``RasterReader``, or anything that does the same."""

    bands: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...


class Writer(Protocol):
    """Where windows go: ``RasterWriter``, or anything that does the same."""

    def write(self, rows: slice, cols: slice, window: Values) -> None:
        """Take a window, shape ``(height, width, classes)``."""
        ...


class Pipeline:
    """Reader, model, blender and writer, each in a thread, with short queues in between.

    The reader's thread reads and normalises, ``run_plan``'s runs the model, the caller's
    blends and the writer's compresses. An error in any of them ends them all.
    """

    def __init__(
        self, forecast: Forecast, reader: Reader, model: FittedModel, writer: Writer
    ) -> None:
        settings, self._plan = forecast.settings, forecast.plan
        self._batch_size = min(settings.tiling.batch_size.value, self._plan.tiles)
        self._normalise = settings.normalisation.apply
        self._reader = reader
        self._model = model
        self._writer = writer
        self.model_seconds = 0.0
        self.not_finite = 0

    def run(self, on_progress: OnProgress | None) -> None:
        """Run the whole plan."""
        progress = Progress(0, self._plan.tiles, 0)
        with (
            ReadAhead(self._read()) as pixels,
            WriteBehind(self._write, depth=self._batch_size) as written,
        ):

            def get_tiles(indices: list[Index], geoms: list[shapely.Polygon]) -> Values:
                return self._run_model(next(pixels))

            def write_tile(index: Index, geom: shapely.Polygon, window: Values) -> None:
                nonlocal progress
                written.put((geom, window))
                pixels = window.shape[0] * window.shape[1]
                progress = Progress(progress.done + 1, progress.tiles, progress.pixels + pixels)
                if on_progress:
                    on_progress(progress)

            run_plan(self._plan, self._batch_size, None, write_tile, get_tiles=get_tiles)

    def _run_model(self, batch: Values) -> Values:
        started = time.perf_counter()
        logits = self._model(batch)
        self.model_seconds += time.perf_counter() - started
        return logits

    def _write(self, item: tuple[shapely.Polygon, Values]) -> None:
        geom, window = item
        self.not_finite += window.size - int(np.count_nonzero(np.isfinite(window)))
        self._writer.write(*shape_to_slices(geom), window)

    def _read(self) -> Iterator[Values]:
        for batch in self._plan.batches(self._batch_size):
            tiles = self._model.empty(len(batch.indices), len(self._reader.bands))
            for first, last in _runs(batch):
                self._read_run(batch.geoms[first:last], tiles[first:last])
            yield tiles

    def _read_run(self, geoms: list[shapely.Polygon], tiles: Values) -> None:
        """Read neighbouring tiles of one row at once."""
        rows, first = shape_to_slices(geoms[0])
        _, last = shape_to_slices(geoms[-1])
        pixels = read_extended(self._reader, rows, slice(first.start, last.stop))
        for geom, tile in zip(geoms, tiles, strict=True):
            _, cols = shape_to_slices(geom)
            own = pixels[:, :, cols.start - first.start : cols.stop - first.start]
            self._normalise(own, out=self._model.place(tile))


def read_extended(reader: Reader, rows: slice, cols: slice) -> Pixels:
    """Pixels of a window; what sticks out of the raster at the right or bottom is reflected."""
    height, width = reader.size
    bottom, right = min(rows.stop, height), min(cols.stop, width)
    pixels = reader.read(slice(rows.start, bottom), slice(cols.start, right))
    beyond = [(0, 0), (0, rows.stop - bottom), (0, cols.stop - right)]
    if any(after for _, after in beyond):
        pixels = np.pad(pixels, beyond, mode="reflect")
    return pixels


def _runs(batch: Batch) -> Iterator[tuple[int, int]]:
    """Half-open intervals of a batch whose tiles are neighbours in one tile row."""
    first = 0
    for at, (i, j) in enumerate(batch.indices):
        if at and batch.indices[at - 1] != (i, j - 1):
            yield first, at
            first = at
    yield first, len(batch.indices)
