"""The job: one raster through one model into one raster of blended logits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .compression import check_compression
from .fit import FittedModel
from .forecast import Forecast, forecast_raster
from .model import CallableModel, Model, OnnxFile, OnnxModel
from .pipeline import OnProgress, Pipeline
from .plan import Plan
from .probing import probe_for
from .settings import Options, Settings

if TYPE_CHECKING:
    from .output import Output
    from .raster import RasterReader

OnStart: TypeAlias = Callable[[Forecast], object]


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
    exactness: str | None
    """How far the output is the model's answer to the whole image; None where nobody asked."""


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
    **choices: Any,
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
        ``margin``, ``align``, ``tolerance``, ``trust``, ``batch_size``, ``bands``, ``scale``,
        ``mean``, ``std``. Where margin and alignment are left open, an ONNX model is probed for
        them, a function only if one of them is ``"auto"``.
    provider, threads
        Of onnxruntime: see ``OnnxModel``.
    compress : str
        Name in ``seamless_seg.compression.COMPRESSION``.
    overwrite : bool
        Replace an existing output.
    on_start : callable, optional
        Called with the ``Forecast`` once everything is decided and nothing is read yet;
        ``forecast.settings.notes`` are sentences that the user should see.
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

    options = _merged(options, choices)
    check_compression(compress)
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster))
        inputs = [raster, *reader.files] + ([] if callable(model) else [model])
        destination = check_destination(output, inputs, overwrite)
        network = open_model(model, provider, threads)
        notes: list[str] = []
        found = probe_for(model, network, options, notes)
        forecast = forecast_raster(reader, network, options, found=found)
        forecast.settings.notes.extend(notes)
        settings, plan = forecast.settings, forecast.plan
        if on_start:
            on_start(forecast)
        stack.enter_context(_block_cache(reader, plan))
        started = time.perf_counter()
        align = plan.grid.rows.align, plan.grid.cols.align
        fitted = FittedModel(network, len(reader.bands), plan.grid.tile_shape, align)
        look = _look(reader, fitted.classes, network.metadata.class_names, compress)
        with RasterWriter(destination, look, overwrite) as writer:
            pipeline = Pipeline(forecast, reader, fitted, writer)
            pipeline.run(on_progress)
    return Summary(
        tiles=plan.tiles,
        pixels=reader.size[0] * reader.size[1],
        classes=fitted.classes,
        seconds=time.perf_counter() - started,
        model_seconds=pipeline.model_seconds,
        not_finite=pipeline.not_finite,
        settings=settings,
        exactness=forecast.exactness,
    )


def open_model(model: Any, provider: str = "cpu", threads: int | None = None) -> Model:
    """Open an ONNX file, wrap a function, or take a model as it is."""
    if isinstance(model, Model):
        return model
    if callable(model):
        return CallableModel(model)
    return OnnxModel(OnnxFile(model, provider, threads))


def _block_cache(reader: RasterReader, plan: Plan) -> AbstractContextManager[object]:
    """GDAL's block cache at the size that the plan needs, unless the user has set one."""
    import rasterio
    from rasterio.env import getenv, hasenv

    from .raster import cache_bytes

    if "GDAL_CACHEMAX" in os.environ or (hasenv() and "GDAL_CACHEMAX" in getenv()):
        return nullcontext()
    cache = cache_bytes(reader.blocks, reader.size[1], plan.grid.tile_shape[0])
    env: AbstractContextManager[object] = rasterio.Env(GDAL_CACHEMAX=cache)
    return env


def _look(reader: RasterReader, classes: int, names: tuple[str, ...], compress: str) -> Output:
    from .output import Output

    descriptions = names if len(names) == classes else ()
    return Output(reader.size, classes, reader.georeference, compress, descriptions)


def _merged(options: Options | None, choices: dict[str, Any]) -> Options:
    if options is not None and choices:
        raise TypeError("give either options or their fields as keywords, not both")
    try:
        return options or Options(**choices)
    except TypeError as error:
        raise TypeError(f"segment: {error}") from None
