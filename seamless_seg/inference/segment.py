"""A run: one raster through one model into one or several rasters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Unpack

from ..areas.geojson import area_of, bounding_window
from ..atomic import check_destination
from ..errors import OptionError
from ..planning.forecast import Forecast
from ..planning.open_raster import open_raster
from ..planning.options import Execution, OptionChoices, Options, merged, taken
from ..planning.outputs import (
    PROBABILITIES,
    OutputChoices,
    OutputOptions,
    copies_of,
    interpretation_of,
)
from ..planning.settings import Settings
from ..postprocess.products import ACTIVATIONS
from ..progress import OnProgress
from ..raster.blocks import BlockWindows
from ..raster.creation_options import Encoding, EncodingChoices
from ..spill import Spill
from .extent import Part
from .output_files import OutputFile, OutputWriter, output_files, refuse_twice, stored
from .pipeline import Pipeline, Tally
from .prepared import PreparedRun, inputs_of, prepare

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

OnStart: TypeAlias = Callable[[Forecast], object]


class SegmentChoices(OptionChoices, OutputChoices, EncodingChoices, total=False):
    """What ``segment`` takes as keywords beside its own."""


@dataclass(frozen=True)
class Summary:
    """What a run did and what it took."""

    tiles: int
    """Tiles that the model was run on."""
    pixels: int
    """Pixels of the raster, or of the windows that an area touches."""
    classes: int
    """Number of classes of the model."""
    seconds: float
    """From the first tile to the published output."""
    model_seconds: float
    """Seconds during which the model was running."""
    not_finite: int
    """Logits of wanted pixels that came out as NaN or infinite."""
    skipped: int
    """Tiles that the model was not run on: outside the area, or without a valid pixel."""
    settings: Settings
    """All decisions, and notes for the user."""
    exactness: str | None
    """How near the output is to the model run on the whole image; None where that is unknown."""


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
    **choices: Unpack[SegmentChoices],
) -> Summary:
    """Run a segmentation model over a raster of any size and write its blended output.

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
        How to tile, normalize and read the raster; or give its fields as keywords. Where margin
        and alignment are left open, an ONNX model is probed for them, a function only if one of
        them is ``"auto"``.
    provider, threads
        Of onnxruntime: where it runs, and on how many threads.
    max_memory : int, optional
        Bytes that the process may have in memory. It changes no bit of the output: narrower panels
        of columns and smaller batches hold less.
    overwrite : bool
        Replace an existing output.
    area : str or path-like, optional
        GeoJSON file of polygons: only tiles that they touch are run. Inside, the output is the same
        bits as that of a run over the whole raster; outside it is NaN, declared as nodata.
    bbox : sequence of 4 floats, optional
        The same for bounds in the raster's CRS: west, south, east, north.
    crop : bool
        Crop the output to the area's bounding window.
    command : str, optional
        The command that the output's tags name as its origin.
    on_start : callable, optional
        Called with the ``Forecast`` once everything is decided and no tile is read yet;
        ``forecast.settings.notes`` are sentences that the user should see.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.
    **choices : Unpack[SegmentChoices]
        The fields of ``Options``; those of ``OutputOptions``, which say what outputs hold; and
        those of ``Encoding``, which say how they are stored.

    Returns
    -------
    Summary

    Raises
    ------
    SeamlessError
        One of its kinds for everything that can be wrong with the arguments, the raster, the
        model or the disk; a ``BudgetError``, which says what the least is, where ``max_memory`` is
        too little.
    """
    given: dict[str, Any] = dict(choices)
    outputs, encoding = taken(OutputOptions, given), taken(Encoding, given)
    options = merged(options, given)
    execution = Execution(provider, threads, max_memory)
    lazy = execution.model(model, options)
    if crop and area is None and bbox is None:
        raise OptionError("crop to what? Give an area or a bbox, too")
    with ExitStack() as stack:
        reader = stack.enter_context(open_raster(raster, options, lazy))
        paths = _destinations((output, *outputs.paths), inputs_of(model, reader), overwrite)
        region = area_of(area, bbox, reader.size, reader.georeference)
        if options.bands is not None:
            reader.select(options.bands)
        run = prepare(reader, lazy, options, execution, region, _holds_nothing(reader))
        started = time.perf_counter()
        part = None if region is None else Part(bounding_window(region, reader.size), crop, region)
        prepared = _decide(run, outputs, encoding, paths, part, command)
        if on_start:
            on_start(prepared.forecast)
        tally = _run(prepared, part, overwrite, on_progress)
    return Summary(
        tiles=run.plan.tiles - tally.skipped,
        pixels=run.plan.written,
        classes=run.classes,
        seconds=time.perf_counter() - started,
        model_seconds=tally.model_seconds,
        not_finite=tally.not_finite,
        skipped=run.plan.skipped + tally.skipped,
        settings=prepared.forecast.settings,
        exactness=prepared.forecast.exactness,
    )


class _Decided(NamedTuple):
    """A run of which outputs and schedule are decided, too."""

    run: PreparedRun
    forecast: Forecast
    files: list[OutputFile]


def _decide(
    run: PreparedRun,
    outputs: OutputOptions,
    encoding: Encoding,
    paths: Sequence[Path],
    part: Part | None,
    command: str | None,
) -> _Decided:
    """Tune the model, decide on the outputs and schedule the run."""
    program = None if run.is_empty else run.tune()
    decided = outputs.decide(run.model, run.classes)
    settings = run.forecast.settings.writing(decided)
    settings = settings.noting(*_output_notes(run, outputs, part is not None))
    files = list(output_files(run, settings, outputs, paths, encoding, part, command))
    schedule = None
    if program is not None:
        schedule = run.schedule(program, *stored(files), copies_of(outputs.kinds))
        settings = settings.noting(*schedule.notes)
    return _Decided(run, replace(run.forecast, settings=settings, schedule=schedule), files)


def _destinations(paths: Sequence[Any], inputs: Sequence[Any], overwrite: bool) -> list[Path]:
    """Where outputs go: no input and no other output stands there."""
    checked = [check_destination(path, inputs, overwrite) for path in paths]
    refuse_twice(checked)
    return checked


def _output_notes(run: PreparedRun, outputs: OutputOptions, is_part: bool) -> Iterator[str]:
    names = run.model.metadata.class_names
    fitting = (run.classes,) if run.classes > 1 else (1, 2)
    if names and len(names) not in fitting:
        yield (
            f"the model's metadata names {len(names)} classes, and it tells {run.classes} apart: "
            f"the names are left out"
        )
    if is_part and (outputs.smooth or outputs.sieve):
        yield (
            "classes are smoothed and sieved as if there were nothing outside the area: near its "
            "border they may be others than in a run over the whole raster"
        )


def _run(
    decided: _Decided, part: Part | None, overwrite: bool, on_progress: OnProgress | None
) -> Tally:
    """Run all tiles through the model into the outputs."""
    run, schedule, files = decided.run, decided.forecast.schedule, decided.files
    values = {name: own.value for name, own in decided.forecast.settings.outputs.items()}
    writer = OutputWriter(
        files,
        interpretation_of(values),
        overwrite,
        held=schedule.held_blocks if schedule else None,
        extent=part.extent if part and part.is_cropped else None,
        cleanup=values,
        on_progress=on_progress,
    )
    if schedule is None:
        with writer:  # an empty raster: nothing is written but nodata
            return Tally(skipped=run.plan.tiles)
    before = None
    if values.get("blend") == PROBABILITIES:
        before = ACTIVATIONS[values["activation"]]
    seams: Spill[int] = Spill(files[0].path.parent)
    with run.block_cache(schedule.plan), seams, writer:
        return Pipeline(run, schedule, writer, seams, before).run(on_progress)


def _holds_nothing(reader: RasterReader) -> bool:
    """Whether no pixel of a raster is valid."""
    if not reader.may_have_nodata:
        return False
    masks = (reader.valid(*window) for window in BlockWindows(reader.size, reader.blocks))
    return all(mask is not None and not mask.any() for mask in masks)
