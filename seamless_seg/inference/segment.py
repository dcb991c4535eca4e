"""The job: one raster through one model into rasters of what it says of each pixel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import shapely

from ..areas.geojson import area_of, around
from ..atomic import check_destination
from ..errors import OptionError
from ..planning.forecast import Forecast
from ..planning.memory import Schedule
from ..planning.open_raster import open_raster
from ..planning.options import Execution, Options, lazy_model, merged
from ..planning.outputs import PROBABILITIES, OutputOptions, copies_of, interpretation_of
from ..planning.settings import Settings
from ..postprocess.products import ACTIVATIONS
from ..progress import OnProgress
from ..raster.blocks import Walk
from ..raster.creation_options import Encoding
from ..spill import Spill
from .pipeline import Pipeline, Tally, Writer
from .prepared import PreparedRun, inputs_of, prepare

if TYPE_CHECKING:
    from ..raster.reader import RasterReader
    from .extent import Part
    from .output_files import Delivery, OutputFile

T = TypeVar("T", OutputOptions, Encoding)

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
    overwrite: bool = False,
    area: Any = None,
    bbox: Sequence[float] | None = None,
    crop: bool = False,
    command: str | None = None,
    on_start: OnStart | None = None,
    on_progress: OnProgress | None = None,
    **choices: Any,
) -> Summary:
    """Run a segmentation model over a raster of any size and write what it says of each pixel.

    Parameters
    ----------
    raster : str or path-like
        Anything that rasterio opens.
    model : str, path-like, callable or list of these
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits; a
        ``torch.nn.Module`` gets and gives tensors. Of several, which may be files joined by commas,
        logits are averaged.
    output : str or path-like
        A GeoTIFF of blended logits, one band a class, in the raster's own grid, or of another
        ``kind``. It appears under this name when it is complete, and not at all after an error.
    options : Options, optional
        How to tile and normalize; or give its fields as keywords: ``tile``, ``overlap``,
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
    overwrite : bool
        Replace an existing output.
    area : str or path-like, optional
        GeoJSON file of polygons: only tiles that they touch are run. Inside, the bits are those
        of the whole run; what is outside is NaN, declared as nodata.
    bbox : sequence of 4 floats, optional
        The same for bounds in the raster's CRS: west, south, east, north.
    crop : bool
        Let the output cover the area's bounding window alone.
    command : str, optional
        What stands in the output's tags as the command that made it.
    on_start : callable, optional
        Called with the ``Forecast`` once everything is decided and no tile is read yet;
        ``forecast.settings.notes`` are sentences that the user should see.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.
    **choices
        Beside the fields of ``Options``, those of ``OutputOptions``: the ``kind`` of the output and
        what is ``also`` to be made in the same run, ``activation``, ``threshold``,
        ``confidence``, ``blend``, ``smooth``, ``smooth_by``, ``sieve``; and those of
        ``Encoding``: ``compress``, ``compress_level``, ``max_error``, ``dtype``, ``cog``,
        ``creation_options``.

    Raises
    ------
    SeamlessError
        One of its kinds for everything that can be wrong with the arguments, the raster, the
        model or the disk; a ``BudgetError``, which says what the least is, where ``max_memory`` is
        too little.
    """
    from .output_files import output_files, refuse_twice, stored

    products, encoding = _taken(OutputOptions, choices), _taken(Encoding, choices)
    options = merged(options, choices)
    execution = Execution(provider, threads, max_memory)
    given = lazy_model(model, options, provider, threads)
    with ExitStack() as stack:
        reader = stack.enter_context(open_raster(raster, options, given))
        inputs = inputs_of(model, reader)
        paths = [
            check_destination(path, inputs, overwrite)
            for path in (output, *(path for _, path in products.others))
        ]
        refuse_twice(paths)
        region = area_of(area, bbox, reader.size, reader.georeference)
        if options.bands is not None:
            reader.select(options.bands)
        task = prepare(reader, given, options, execution, region, _holds_nothing(reader))
        part = _part(task, region, crop)
        started = time.perf_counter()
        task.forecast.settings.products.update(products.decide(task.model, task.classes))
        task.forecast.settings.notes.extend(_product_notes(task, products, region is not None))
        files = list(output_files(task, products, paths, encoding, part, command))
        schedule = None
        if not task.is_empty:
            schedule = task.schedule(*stored(files), copies_of(products.kinds))
        if on_start:
            on_start(replace(task.forecast, schedule=schedule))
        tally = _run(task, schedule, files, part, overwrite, on_progress)
    return Summary(
        tiles=task.plan.tiles - tally.skipped,
        pixels=task.plan.written,
        classes=task.classes,
        seconds=time.perf_counter() - started,
        model_seconds=tally.model_seconds,
        not_finite=tally.not_finite,
        skipped=task.plan.skipped + tally.skipped,
        settings=task.forecast.settings,
        exactness=task.forecast.exactness,
    )


def _product_notes(task: PreparedRun, products: OutputOptions, is_part: bool) -> Iterator[str]:
    names = task.model.spec.metadata.class_names
    fitting = (task.classes,) if task.classes > 1 else (1, 2)
    if names and len(names) not in fitting:
        yield (
            f"the model's metadata names {len(names)} classes, and it tells {task.classes} apart: "
            f"the names are left out"
        )
    if is_part and (products.smooth or products.sieve):
        yield (
            "classes are smoothed and sieved as if there were nothing outside the area: near its "
            "border they may be others than in a run over the whole raster"
        )


def _run(
    task: PreparedRun,
    schedule: Schedule | None,
    files: Sequence[OutputFile],
    part: Part | None,
    overwrite: bool,
    on_progress: OnProgress | None,
) -> Tally:
    from .output_files import Delivery

    decided = task.forecast.settings.products
    values = {name: decision.value for name, decision in decided.items()}
    held = schedule.held_blocks if schedule else None
    delivery = Delivery(files, interpretation_of(values), overwrite, held, values, on_progress)
    before = None
    if values.get("blend") == PROBABILITIES:
        before = ACTIVATIONS[values["activation"]]
    if schedule is None:
        with delivery:  # nothing is all there is to write
            return Tally(skipped=task.plan.tiles)
    seams: Spill[int] = Spill(files[0].path.parent)
    with task.block_cache(schedule.plan), seams, delivery:
        writer = _cropping(delivery, part)
        return Pipeline(task, schedule, writer, seams, before).run(on_progress)


def _holds_nothing(reader: RasterReader) -> bool:
    """Whether no pixel of a raster is valid."""
    if not reader.may_have_nodata:
        return False
    masks = (reader.valid(*window) for window in Walk(reader.size, reader.blocks))
    return all(mask is not None and not mask.any() for mask in masks)


def _part(task: PreparedRun, area: shapely.Geometry | None, crop: bool) -> Part | None:
    """What the output has of the raster; None for all of it."""
    from .extent import Part

    if area is None:
        if crop:
            raise OptionError("crop to what? Give an area or a bbox, too")
        return None
    return Part(around(area, task.reader.size), crop, area)


def _cropping(delivery: Delivery, part: Part | None) -> Writer:
    from .extent import CroppingWriter

    return CroppingWriter(delivery, part.extent) if part and part.is_cropped else delivery


def _taken(kind: type[T], choices: dict[str, Any]) -> T:
    """What choices say about the fields of a kind of options; they are taken out."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: choices.pop(name) for name in names & set(choices)})
