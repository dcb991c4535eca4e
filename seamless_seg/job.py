"""The job: one raster through one model into one raster of blended logits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import shapely

from .compression import check_compression
from .errors import GeometryError, OptionError
from .fit import FittedModel
from .model import CallableModel, Model, OnnxModel
from .normalise import Normalisation
from .pipeline import OnProgress, Pipeline
from .plan import Plan, plan_run_grid
from .settings import Options, Settings, bands, normalisation, tiling

if TYPE_CHECKING:
    from .output import Output
    from .raster import RasterReader

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
        Name in ``seamless_seg.compression.COMPRESSION``.
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
    from .output import RasterWriter, check_destination
    from .raster import RasterReader

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
        stack.enter_context(_block_cache(reader, plan))
        started = time.perf_counter()
        align = plan.grid.rows.align, plan.grid.cols.align
        fitted = FittedModel(network, len(reader.bands), plan.grid.tile_shape, align)
        look = _look(reader, fitted.classes, network.metadata.class_names, compress)
        with RasterWriter(destination, look) as writer:
            pipeline = Pipeline(plan, decided["batch size"], reader, normalise, fitted, writer)
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


def _block_cache(reader: RasterReader, plan: Plan) -> AbstractContextManager[object]:
    """GDAL's block cache at the size that the plan needs, unless the user has set one."""
    import rasterio

    from .raster import cache_bytes

    if "GDAL_CACHEMAX" in os.environ:
        return nullcontext()
    cache = cache_bytes(reader.blocks, reader.size[1], plan.grid.tile_shape[0])
    env: AbstractContextManager[object] = rasterio.Env(GDAL_CACHEMAX=cache)
    return env


def _look(reader: RasterReader, classes: int, names: tuple[str, ...], compress: str) -> Output:
    from .output import Output

    descriptions = names if len(names) == classes else ()
    return Output(reader.size, classes, reader.georeference, compress, descriptions)


def _merged(options: Options | None, settings: dict[str, Any]) -> Options:
    if options is not None and settings:
        raise TypeError("give either options or their fields as keywords, not both")
    try:
        return options or Options(**settings)
    except TypeError as error:
        raise TypeError(f"segment: {error}") from None
