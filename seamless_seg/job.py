"""The job: one raster through one model into one raster of blended logits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from .compression import check_compression
from .forecast import Forecast
from .options import Options, merged
from .pipeline import OnProgress, Pipeline
from .pricing import Execution
from .provenance import to_tags
from .settings import Settings
from .spill import Spill
from .task import Task, inputs_of, open_task

if TYPE_CHECKING:
    from .output import Output

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
    max_memory: int | None = None,
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
        ``mean``, ``std``, ``tta``. Where margin and alignment are left open, an ONNX model is
        probed for them, a function only if one of them is ``"auto"``.
    provider, threads
        Of onnxruntime: see ``OnnxModel``.
    max_memory : int, optional
        Bytes that the process may have in memory. It changes no bit: what is held becomes less by
        walking narrower panels of columns with smaller batches.
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
        model or the disk; a ``BudgetError``, which says what the least is, where ``max_memory`` is
        too little.
    """
    from .output import RasterWriter, check_destination
    from .raster import RasterReader

    options = merged(options, choices)
    execution = Execution(provider, threads, max_memory)
    check_compression(compress)
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster))
        destination = check_destination(output, inputs_of(model, reader), overwrite)
        task = open_task(reader, model, options, execution)
        started = time.perf_counter()
        schedule = task.schedule()
        if on_start:
            on_start(replace(task.forecast, schedule=schedule))
        stack.enter_context(task.block_cache(schedule.plan))
        seams: Spill[int] = stack.enter_context(Spill(destination.parent))
        look = _look(task, compress)
        with RasterWriter(destination, look, overwrite, schedule.held_blocks) as writer:
            pipeline = Pipeline(task, schedule, writer, seams)
            pipeline.run(on_progress)
    return Summary(
        tiles=task.plan.tiles,
        pixels=reader.size[0] * reader.size[1],
        classes=task.fitted.classes,
        seconds=time.perf_counter() - started,
        model_seconds=pipeline.model_seconds,
        not_finite=pipeline.not_finite,
        settings=task.forecast.settings,
        exactness=task.forecast.exactness,
    )


def _look(task: Task, compress: str) -> Output:
    from .output import Output

    reader, classes = task.reader, task.fitted.classes
    names = task.model.metadata.class_names
    return Output(
        reader.size,
        classes,
        reader.georeference,
        compress,
        descriptions=names if len(names) == classes else (),
        tags=to_tags(task.forecast.settings, task.source),
    )
