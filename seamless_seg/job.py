"""The job: one raster through one model into one raster of blended logits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from .compression import check_compression
from .errors import GeometryError, OptionError
from .fit import FittedModel
from .grid import Index, shape_to_slices
from .model import CallableModel, Model, OnnxModel
from .normalise import Normalisation
from .plan import Batch, Plan, plan_run_grid
from .run import run_plan, tiles_held
from .settings import Options, Settings, bands, normalisation, tiling
from .threads import ReadAhead, WriteBehind

if TYPE_CHECKING:
    from .raster import RasterReader


class Progress(NamedTuple):
    """How far a job has come."""

    done: int
    tiles: int
    pixels: int
    """Pixels of the output that are finished."""


OnProgress: TypeAlias = Callable[[Progress], object]
OnStart: TypeAlias = Callable[[Settings, Plan], object]


@dataclass(frozen=True)
class Summary:
    """What a job did and what it took."""

    tiles: int
    pixels: int
    """Pixels of the raster."""
    classes: int
    seconds: float
    model_seconds: float
    """Seconds during which the model was running."""
    not_finite: int
    """Logits that came out as NaN or infinite."""
    settings: Settings


def segment(
    raster: Any,
    model: Any,
    output: Any,
    *,
    options: Options | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    compress: str = "zstd",
    overwrite: bool = False,
    on_start: OnStart | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Summary:
    """Run a segmentation model over a raster of any size and write the blended logits.

    Parameters
    ----------
    raster : str or path-like
        Anything that rasterio opens.
    model : str, path-like or callable
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits.
    output : str or path-like
        A GeoTIFF of float32 logits, one band a class, in the raster's own grid. It appears
        under this name when it is complete, and not at all after an error.
    options : Options, optional
        How to tile and normalise; or give its fields as keywords: ``tile``, ``overlap``,
        ``margin``, ``align``, ``trust``, ``batch_size``, ``bands``, ``scale``, ``mean``, ``std``.
    provider, threads
        Of onnxruntime: see ``OnnxModel``.
    compress : str
        Name in ``seamless_seg.output.COMPRESSION``.
    overwrite : bool
        Replace an existing output.
    on_start : callable, optional
        ``on_start(settings, plan)``, called once everything is decided and nothing is read yet;
        ``settings.notes`` are sentences that the user should see.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.

    Raises
    ------
    SeamlessError
        One of its kinds for everything that can be wrong with the arguments, the raster, the
        model or the disk.
    """
    import rasterio

    from .output import Output, RasterWriter, check_destination
    from .raster import RasterReader, cache_bytes

    options = _merged(options, settings)
    check_compression(compress)
    model_path = [] if callable(model) else [model]
    destination = check_destination(output, [raster, *model_path], overwrite)
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster))
        network = open_model(model, provider, threads)
        decided, plan, normalise = prepare(options, network, reader)
        if on_start:
            on_start(decided, plan)
        cache = cache_bytes(reader.blocks, reader.size[1], plan.grid.tile_shape[0])
        if "GDAL_CACHEMAX" not in os.environ:
            stack.enter_context(rasterio.Env(GDAL_CACHEMAX=cache))
        started = time.perf_counter()
        align = plan.grid.rows.align, plan.grid.cols.align
        fitted = FittedModel(network, len(reader.bands), plan.grid.tile_shape, align)
        names = network.metadata.class_names
        look = Output(
            reader.size,
            fitted.classes,
            reader.georeference,
            compress,
            names if len(names) == fitted.classes else (),
        )
        with RasterWriter(destination, look) as writer:
            pipeline = _Pipeline(plan, decided["batch size"], reader, normalise, fitted, writer)
            pipeline.run(on_progress)
    return Summary(
        tiles=plan.tiles,
        pixels=reader.size[0] * reader.size[1],
        classes=fitted.classes,
        seconds=time.perf_counter() - started,
        model_seconds=pipeline.model_seconds,
        not_finite=pipeline.not_finite,
        settings=decided,
    )


def open_model(model: Any, provider: str = "cpu", threads: int | None = None) -> Model:
    """Open an ONNX file, or wrap a callable, as a model."""
    if callable(model):
        return CallableModel(model)
    return OnnxModel(model, provider, threads)


def prepare(
    options: Options,
    model: Model,
    reader: RasterReader,
    area: shapely.Geometry | None = None,
) -> tuple[Settings, Plan, Normalisation]:
    """Decide on everything that a job needs to know before it reads the first pixel."""
    decided = tiling(options, model)
    chosen = bands(options, model, reader.count, reader.has_trailing_alpha)
    decided.decisions["bands"] = chosen
    reader.select(chosen.value)
    normalise = normalisation(decided, options, model, len(chosen.value), reader.dtype)
    return decided, make_plan(decided, reader.size, area), normalise


def make_plan(
    decided: Settings, size: tuple[int, int], area: shapely.Geometry | None = None
) -> Plan:
    """Plan for a raster of ``size``; what makes no plan is the options' fault."""
    try:
        plan, _ = plan_run_grid(
            size,
            decided["tile"],
            decided["overlap"],
            area,
            margin=decided["margin"],
            align=decided["align"],
            trust=decided["trust"],
        )
    except GeometryError as error:
        raise OptionError(str(error)) from error
    return plan


class _Pipeline:
    """Reader, model, blender and writer, each in a thread, with short queues in between.

    The reader's thread reads and normalises, ``run_plan``'s runs the model, the caller's
    blends and the writer's compresses. An error in any of them ends them all.
    """

    def __init__(
        self,
        plan: Plan,
        batch_size: int,
        reader: RasterReader,
        normalise: Normalisation,
        model: FittedModel,
        writer: Any,
    ) -> None:
        self._plan = plan
        self._batch_size = min(batch_size, plan.tiles)
        self._reader = reader
        self._normalise = normalise
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

            def get_tiles(
                indices: list[Index], geoms: list[shapely.Polygon]
            ) -> npt.NDArray[np.float32]:
                return self._run_model(next(pixels))

            def write_tile(
                index: Index, geom: shapely.Polygon, window: npt.NDArray[np.float32]
            ) -> None:
                nonlocal progress
                written.put((geom, window))
                pixels = window.shape[0] * window.shape[1]
                progress = Progress(progress.done + 1, progress.tiles, progress.pixels + pixels)
                if on_progress:
                    on_progress(progress)

            limit = tiles_held(self._plan, self._batch_size)
            run_plan(self._plan, self._batch_size, limit, write_tile, get_tiles=get_tiles)

    def _run_model(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        started = time.perf_counter()
        logits = self._model(batch)
        self.model_seconds += time.perf_counter() - started
        return logits

    def _write(self, item: tuple[shapely.Polygon, npt.NDArray[np.float32]]) -> None:
        geom, window = item
        self.not_finite += window.size - int(np.count_nonzero(np.isfinite(window)))
        self._writer.write(*shape_to_slices(geom), window)

    def _read(self) -> Iterator[npt.NDArray[np.float32]]:
        for batch in self._plan.batches(self._batch_size):
            tiles = self._model.empty(len(batch.indices), len(self._reader.bands))
            for first, last in _runs(batch):
                self._read_run(batch.geoms[first:last], tiles[first:last])
            yield tiles

    def _read_run(self, geoms: list[shapely.Polygon], tiles: npt.NDArray[np.float32]) -> None:
        """Read neighbouring tiles of one row at once; what sticks out is reflected."""
        rows, first = shape_to_slices(geoms[0])
        _, last = shape_to_slices(geoms[-1])
        height, width = self._reader.size
        inside = (
            slice(rows.start, min(rows.stop, height)),
            slice(first.start, min(last.stop, width)),
        )
        pixels = self._reader.read(*inside)
        beyond = [(0, 0), (0, rows.stop - inside[0].stop), (0, last.stop - inside[1].stop)]
        if any(after for _, after in beyond):
            pixels = np.pad(pixels, beyond, mode="reflect")
        for geom, tile in zip(geoms, tiles, strict=True):
            _, cols = shape_to_slices(geom)
            own = pixels[:, :, cols.start - first.start : cols.stop - first.start]
            self._normalise.apply(own, out=self._model.place(tile))


def _runs(batch: Batch) -> Iterator[tuple[int, int]]:
    """Half-open intervals of a batch whose tiles are neighbours in one tile row."""
    first = 0
    for at, (i, j) in enumerate(batch.indices):
        if at and batch.indices[at - 1] != (i, j - 1):
            yield first, at
            first = at
    yield first, len(batch.indices)


def _merged(options: Options | None, settings: dict[str, Any]) -> Options:
    if options is not None and settings:
        raise TypeError("give either options or their fields as keywords, not both")
    try:
        return options or Options(**settings)
    except TypeError as error:
        raise TypeError(f"segment: {error}") from None
