"""The job: one raster through one model into one raster of blended logits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import shapely

from .area import around
from .compression import check_compression
from .errors import OptionError
from .forecast import Forecast
from .geojson import area_of
from .models import GivenModel
from .opening import open_raster
from .options import Options, merged
from .pipeline import OnProgress, Pipeline, Writer
from .pricing import Execution
from .provenance import to_tags
from .settings import Settings
from .spill import Spill
from .task import Task, inputs_of, open_task

if TYPE_CHECKING:
    from .output import Output, RasterWriter
    from .part import Part

OnStart: TypeAlias = Callable[[Forecast], object]


@dataclass(frozen=True)
class Summary:
    """What a job did and what it took."""

    tiles: int
    """Tiles that the model has seen."""
    pixels: int
    """Pixels of the raster, or of the windows that an area touches."""
    classes: int
    seconds: float
    model_seconds: float
    """Seconds during which the model was running."""
    not_finite: int
    """Logits of wanted pixels that came out as NaN or infinite."""
    skipped: int
    """Tiles that the model has not seen: outside the area, or without a valid pixel."""
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
    max_memory: int | None = None,
    compress: str = "zstd",
    overwrite: bool = False,
    area: Any = None,
    bbox: Sequence[float] | None = None,
    crop: bool = False,
    on_start: OnStart | None = None,
    on_progress: OnProgress | None = None,
    **choices: Any,
) -> Summary:
    """Run a segmentation model over a raster of any size and write the blended logits.

    Parameters
    ----------
    raster : str or path-like
        Anything that rasterio opens.
    model : str, path-like, callable or list of these
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits; a
        ``torch.nn.Module`` gets and gives tensors. Of several, which may be files joined by commas,
        logits are averaged.
    output : str or path-like
        A GeoTIFF of float32 logits, one band a class, in the raster's own grid. It appears
        under this name when it is complete, and not at all after an error.
    options : Options, optional
        How to tile and normalise; or give its fields as keywords: ``tile``, ``overlap``,
        ``margin``, ``align``, ``tolerance``, ``trust``, ``batch_size``, ``bands``, ``scale``,
        ``mean``, ``std``, ``value_scaling``, ``normalize``, ``fill``, ``tta``, ``model_output``;
        or how to read the raster: ``nodata``, ``level``, ``resolution``, ``match_resolution``,
        ``unscale``. Where margin and alignment are left open, an ONNX model is probed for them, a
        function only if one of them is ``"auto"``.
    provider, threads
        Of onnxruntime: see ``OnnxModel``.
    max_memory : int, optional
        Bytes that the process may have in memory. It changes no bit: what is held becomes less by
        walking narrower panels of columns with smaller batches.
    compress : str
        Name in ``seamless_seg.compression.COMPRESSION``.
    overwrite : bool
        Replace an existing output.
    area : str or path-like, optional
        GeoJSON file of polygons: only tiles that they touch are run. Inside, the bits are those
        of the whole run; what is outside is NaN, declared as nodata.
    bbox : sequence of 4 floats, optional
        The same for bounds in the raster's CRS: west, south, east, north.
    crop : bool
        Let the output cover the area's bounding window alone.
    on_start : callable, optional
        Called with the ``Forecast`` once everything is decided and no tile is read yet;
        ``forecast.settings.notes`` are sentences that the user should see.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.

    Raises
    ------
    SeamlessError
        One of its kinds for everything that can be wrong with the arguments, the raster, the
        model or the disk; a ``BudgetError``, which says what the least is, where ``max_memory`` is
        too little.
    """
    from .output import RasterWriter, check_destination

    options = merged(options, choices)
    execution = Execution(provider, threads, max_memory)
    check_compression(compress)
    given = GivenModel(model, options, provider, threads)
    with ExitStack() as stack:
        reader = stack.enter_context(open_raster(raster, options, given))
        destination = check_destination(output, inputs_of(model, reader), overwrite)
        region = area_of(area, bbox, reader.size, reader.georeference)
        task = open_task(reader, given, options, execution, region)
        part = _part(task, region, crop)
        started = time.perf_counter()
        schedule = task.schedule()
        if on_start:
            on_start(replace(task.forecast, schedule=schedule))
        stack.enter_context(task.block_cache(schedule.plan))
        seams: Spill[int] = stack.enter_context(Spill(destination.parent))
        look = _look(task, compress, part)
        with RasterWriter(destination, look, overwrite, schedule.held_blocks) as writer:
            pipeline = Pipeline(task, schedule, _cropping(writer, part), seams)
            pipeline.run(on_progress)
    return Summary(
        tiles=task.plan.tiles - pipeline.skipped,
        pixels=task.plan.written,
        classes=task.fitted.classes,
        seconds=time.perf_counter() - started,
        model_seconds=pipeline.model_seconds,
        not_finite=pipeline.not_finite,
        skipped=task.plan.skipped + pipeline.skipped,
        settings=task.forecast.settings,
        exactness=task.forecast.exactness,
    )


def _part(task: Task, area: shapely.Geometry | None, crop: bool) -> Part | None:
    """What the output has of the raster; None for all of it."""
    from .part import Part

    if area is None:
        if crop:
            raise OptionError("crop to what? Give an area or a bbox, too")
        return None
    return Part(around(area, task.reader.size), crop, area)


def _cropping(writer: RasterWriter, part: Part | None) -> Writer:
    from .crop import CroppingWriter

    return CroppingWriter(writer, part.extent) if part and part.is_cropped else writer


def _look(task: Task, compress: str, part: Part | None) -> Output:
    from .output import Output

    reader, classes = task.reader, task.fitted.classes
    names = task.model.metadata.class_names
    has_nodata = part is not None or reader.may_have_nodata
    return Output(
        part.covered(reader.size).shape if part else reader.size,
        classes,
        part.place(reader.georeference) if part else reader.georeference,
        compress,
        descriptions=names if len(names) == classes else (),
        tags=to_tags(task.forecast.settings, task.source) | (part.to_tags() if part else {}),
        nodata=math.nan if has_nodata else None,
        is_sparse=part is not None,
    )
