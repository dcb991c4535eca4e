"""Run a segmentation model over a raster and write its outputs."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Unpack

from ..areas.geojson import area_of, bounding_window
from ..errors import OptionError
from ..inputs.unchanged import Unchanged
from ..planning.class_scheme import ClassScheme, notes_on
from ..planning.exactness import Basis
from ..planning.forecast import Forecast
from ..planning.memory import spare_bytes
from ..planning.open_raster import open_raster, with_band_numbers
from ..planning.options import Execution, OptionChoices, Options, merged, pop_options
from ..planning.outputs import (
    PROBABILITIES,
    OutputChoices,
    OutputOptions,
    copies_of,
    interpretation_of,
)
from ..planning.settings import Settings
from ..planning.statistics_file import TAG, StoredStatistics, statistics_path
from ..postprocess.products import ACTIVATIONS
from ..progress import OnProgress
from ..publishing.destination import check_destination
from ..publishing.text_file import TextFile
from ..raster.blocks import BlockWindows
from ..raster.creation_options import Encoding, EncodingChoices
from ..signatures import showing_fields
from ..spill import Spill
from ..system import peak_bytes
from .global_statistics import give_global_statistics
from .pipeline import Pipeline, RunCounts
from .prepared import PreparedRun, inputs_of, model_inputs, prepare, within_memory

if TYPE_CHECKING:
    from ..raster.reader import RasterReader
    from .extent import Part
    from .output_files import OutputFile

OnStart: TypeAlias = Callable[[Forecast], object]


class SegmentChoices(OptionChoices, OutputChoices, EncodingChoices, total=False):
    """The fields of all option objects, as keywords of ``segment``."""


@dataclass(frozen=True, repr=False)
class Summary:
    """What a run did, and how long it took."""

    tiles: int
    """Tiles that the model was run on."""
    pixels: int
    """Pixels of the raster, or of the windows that an area touches."""
    classes: int
    """Number of classes of the model."""
    seconds: float
    """Seconds from the first tile to the finished output."""
    model_seconds: float
    """Seconds during which the model was running."""
    not_finite: int
    """Logits of wanted pixels that are NaN or infinite."""
    skipped: int
    """Tiles on which the model was not run: outside the area, or without a valid pixel."""
    settings: Settings
    """All decisions, and notes for the user."""
    exactness: str | None
    """Whether the output is identical to running the model on the whole image at once, in a
    sentence; None if the model's receptive field was not measured."""
    exact: bool | None
    """Whether it is identical; None if that is unknown."""
    exact_by: Basis | None
    """What that rests on: ``"graph"`` if it is proven from the model's graph, ``"measurement"`` if
    no more than a probe says so; None where the output is not exact."""
    peak_bytes: int | None
    """Most memory that the process had at any time; None if the system does not report it."""
    warnings: tuple[str, ...]
    """Sentences on what may be wrong with the result."""
    outputs: tuple[Path, ...]
    """Files that were written, the main output first."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the decisions of the run."""
        return self.settings.notes

    def figures(self) -> dict[str, Any]:
        """Return what a program may want to know, as JSON can represent it."""
        return {
            "tiles": self.tiles,
            "skipped": self.skipped,
            "seconds": self.seconds,
            "exact": self.exact,
            "exactness": self.exactness,
            "exact_by": self.exact_by,
            "peak_bytes": self.peak_bytes,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "outputs": [str(path) for path in self.outputs],
        }

    def __repr__(self) -> str:
        verdict = {True: "exact", False: "not exact", None: "exactness unknown"}[self.exact]
        outputs = ", ".join(str(path) for path in self.outputs)
        return f"<Summary: {self.tiles} tiles in {self.seconds:.1f} s, {verdict}, {outputs}>"


@showing_fields(Options, OutputOptions, Encoding)
def segment(
    raster: str | os.PathLike[str],
    model: str | os.PathLike[str] | Callable[..., Any] | Sequence[Any],
    output: str | os.PathLike[str],
    *,
    options: Options | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    max_memory: int | None = None,
    overwrite: bool = False,
    area: str | os.PathLike[str] | None = None,
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
        ``torch.nn.Module`` maps tensors to tensors. The logits of several models, which may be
        files joined by commas, are averaged.
    output : str or path-like
        A GeoTIFF of blended logits, one band per class, on the raster's grid, or of another
        ``kind``. It appears under this name when it is complete, and not at all after an error.
    options : Options, optional
        How to tile, normalize and read the raster; or give its fields as keywords. If margin or
        alignment is left open, the model is probed; a function is not if its margin is 0.
    provider : str
        Execution provider of onnxruntime.
    threads : int, optional
        Threads of onnxruntime; as many as there are processors by default.
    max_memory : int, optional
        Bytes of memory that the process may use. The output does not depend on it: narrower panels
        of columns and smaller batches need less memory.
    overwrite : bool
        Replace an existing output.
    area : str or path-like, optional
        GeoJSON file of polygons: the model runs only on tiles that they touch. Inside, the output
        is bit-identical to a run over the whole raster; outside it is NaN, declared as nodata.
    bbox : sequence of 4 floats, optional
        Bounds in the raster's CRS, west, south, east, north, in place of ``area``.
    crop : bool
        Crop the output to the bounding window of the area.
    command : str, optional
        Command line to record in the output's tags.
    on_start : callable, optional
        Called with the ``Forecast`` when everything is decided and no tile has been read;
        ``forecast.settings.notes`` are sentences for the user.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile.
    **choices : Unpack[SegmentChoices]
        The fields of ``Options``, of ``OutputOptions`` (what is written) and of ``Encoding`` (how
        it is stored).

    Returns
    -------
    Summary

    Raises
    ------
    SeamlessError
        A subclass of it for whatever is wrong with the arguments, the raster, the model or the
        disk; a ``BudgetError`` if ``max_memory`` is too little, which names the smallest limit.
    """
    from .extent import Part

    given: dict[str, Any] = dict(choices)
    outputs, encoding = pop_options(OutputOptions, given), pop_options(Encoding, given)
    options = merged(segment, options, given)
    execution = Execution(provider, threads, max_memory)
    lazy = execution.model(model, options)
    if crop and area is None and bbox is None:
        raise OptionError("crop=True needs area= or bbox=: give one of them, too")
    with ExitStack() as stack:
        watched = Unchanged([area, options.statistics, *model_inputs(model)])
        reader = stack.enter_context(open_raster(raster, options, lazy))
        options = with_band_numbers(options, reader)
        inputs = [*inputs_of(model, reader), options.statistics]
        paths = _destinations((output, *outputs.paths), inputs, overwrite, options.exact)
        region = area_of(area, bbox, reader.size, reader.georeference)
        if options.bands is not None:
            reader.select(options.bands)
        run = prepare(reader, lazy, options, execution, region, _is_empty(reader))
        started = time.perf_counter()
        part = None if region is None else Part(bounding_window(region, reader.size), crop, region)
        prepared = within_memory(run, _decide, outputs, encoding, paths, part, command)
        run = prepared.run
        if on_start:
            on_start(prepared.forecast)
        prepared = _with_statistics(prepared, on_progress)
        counts = _run(prepared, part, overwrite, on_progress, watched)
    return Summary(
        tiles=run.plan.tiles - counts.skipped,
        pixels=run.plan.written,
        classes=run.classes,
        seconds=time.perf_counter() - started,
        model_seconds=counts.model_seconds,
        not_finite=counts.not_finite,
        skipped=run.plan.skipped + counts.skipped,
        settings=prepared.forecast.settings,
        exactness=prepared.forecast.exactness,
        exact=prepared.forecast.exact,
        exact_by=prepared.forecast.exact_by,
        peak_bytes=peak_bytes(),
        warnings=(*prepared.forecast.warnings, *_warnings_on(counts, run.reader)),
        outputs=(*paths, *_statistics_files(prepared)),
    )


def _warnings_on(counts: RunCounts, reader: RasterReader) -> Iterator[str]:
    """Yield sentences on what a run has found to be wrong."""
    if counts.not_finite:
        said = f"{counts.not_finite} logits are not finite (NaN or infinite)"
        may_be_nan = reader.dtype.kind == "f" and not math.isnan(reader.nodata or 0)
        advice = ": give nodata=nan if the raster has NaN where there are no data"
        yield said + advice * may_be_nan


class _Decided(NamedTuple):
    """A prepared run with its output files and its schedule."""

    run: PreparedRun
    forecast: Forecast
    files: list[OutputFile]
    scheme: ClassScheme
    statistics: StoredStatistics | None = None
    """Statistics of the whole raster that the model is given."""


def _with_statistics(decided: _Decided, on_progress: OnProgress | None) -> _Decided:
    """Measure the statistics that the model needs, and add them to the outputs' tags."""
    run = decided.run
    if run.global_context is None or run.is_empty:
        return decided
    plan = decided.forecast.schedule.plan if decided.forecast.schedule else run.plan
    with run.block_cache(plan):
        stored = give_global_statistics(run, on_progress, plan.panel)
    if stored is None:
        return decided
    tag = {TAG: stored.to_tag()}
    files = [
        own._replace(output=replace(own.output, tags={**own.output.tags, **tag}))
        for own in decided.files
    ]
    return decided._replace(files=files, statistics=stored)


def _decide(
    run: PreparedRun,
    outputs: OutputOptions,
    encoding: Encoding,
    paths: Sequence[Path],
    part: Part | None,
    command: str | None,
) -> _Decided:
    """Tune the model, decide on the outputs and schedule the run."""
    from .output_files import bytes_per_pixel, finishing_bytes, output_files

    program = None if run.is_empty else run.tune()
    decided = outputs.decide(run.model, run.classes)
    scheme = outputs.classes_of(run.model, run.classes)
    settings = run.forecast.settings.writing(decided)
    settings = settings.noting(*notes_on(scheme), *_output_notes(outputs, part is not None))
    files = list(output_files(run, settings, outputs, scheme, paths, encoding, part, command))
    schedule = None
    if program is not None:
        block = files[0].output.block
        finishing = finishing_bytes(files, {name: own.value for name, own in decided.items()})
        stored, copies = bytes_per_pixel(files), copies_of(outputs.kinds)
        schedule = run.schedule(program, stored, block, copies, finishing)
        settings = settings.noting(*schedule.notes)
    return _Decided(run, replace(run.forecast, settings=settings, schedule=schedule), files, scheme)


def _destinations(
    paths: Sequence[Any], inputs: Sequence[Any], overwrite: bool, exact: str | None
) -> list[Path]:
    """Check that no output would replace an input or another output; return their paths."""
    from .output_files import check_destination_of_raster, check_distinct, check_statistics_beside

    checked = [check_destination_of_raster(path, inputs, overwrite) for path in paths]
    check_distinct(checked)
    if exact is not None:
        check_destination(statistics_path(checked[0]), inputs, overwrite)
    for path in checked:
        check_statistics_beside(path, inputs, overwrite)
    return checked


def _output_notes(outputs: OutputOptions, is_part: bool) -> Iterator[str]:
    if is_part and (outputs.smooth or outputs.sieve):
        yield (
            "classes are smoothed and sieved inside the area alone: near its border they may "
            "differ from those of a run over the whole raster"
        )


def _run(
    decided: _Decided,
    part: Part | None,
    overwrite: bool,
    on_progress: OnProgress | None,
    watched: Unchanged,
) -> RunCounts:
    """Run all tiles through the model into the outputs."""
    from .output_files import OutputWriter, finishing_bytes

    run, schedule, files = decided.run, decided.forecast.schedule, decided.files
    outputs = decided.forecast.settings.outputs
    values = {name: decision.value for name, decision in outputs.items()}
    writer = OutputWriter(
        files,
        interpretation_of(values, decided.scheme, run.model.spec.gives_classes),
        overwrite,
        open_blocks=schedule.open_blocks if schedule else None,
        extent=part.extent if part and part.is_cropped else None,
        cleanup=values,
        on_progress=on_progress,
        documents=_documents(decided, overwrite),
        check_inputs=lambda: _check_unchanged(run.reader, watched),
        spare=spare_bytes(run.limit, schedule.footprint) if schedule else math.inf,
    )
    if schedule is None:
        with writer:  # no pixel of the raster is valid: the outputs are nodata
            return RunCounts(skipped=run.plan.tiles)
    activation = None
    if values.get("blend") == PROBABILITIES:
        activation = ACTIVATIONS[values["activation"]]
    seams: Spill[int] = Spill(files[0].path.parent)
    with run.block_cache(schedule.plan), seams, writer:
        counts = Pipeline(run, schedule, writer, seams, activation).run(on_progress)
        if run.limit is not None and finishing_bytes(files, values):
            # What the model has used is left to finishing.
            run.release(schedule.workers)
        return counts


def _check_unchanged(reader: RasterReader, watched: Unchanged) -> None:
    reader.check_unchanged()
    watched.check()


def _documents(decided: _Decided, overwrite: bool) -> list[TextFile]:
    """Return the files beside the outputs."""
    if decided.statistics is None:
        return []
    text = json.dumps(decided.statistics.document()) + "\n"
    return [TextFile(path, text, overwrite) for path in _statistics_files(decided)]


def _statistics_files(decided: _Decided) -> list[Path]:
    return [] if decided.statistics is None else [statistics_path(decided.files[0].path)]


def _is_empty(reader: RasterReader) -> bool:
    """Whether no pixel of a raster is valid."""
    if not reader.may_have_nodata:
        return False
    masks = (reader.valid(*window) for window in BlockWindows(reader.size, reader.blocks))
    return all(mask is not None and not mask.any() for mask in masks)
