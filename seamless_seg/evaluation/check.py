"""The check: how near tiles come to the model's own answer, and whether one can see them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import OptionError
from ..inference.prepared import PreparedRun, inputs_of, prepare
from ..inference.provenance import KIND, mismatches, options_from_tags
from ..inference.segment import OnStart
from ..models.receptive_field import Probe
from ..planning.forecast import Forecast, with_exactness
from ..planning.open_raster import open_raster
from ..planning.options import Execution, OptionChoices, Options, merged
from ..planning.outputs import LOGITS
from ..planning.probing import needs_probe, try_probe
from ..progress import OnProgress, Progress
from ..tiling.trust import Profile, name_of
from ..validation import whole_number
from .disagreement import Dispute, Disputes
from .quality import Judge, Made, Quality, count_valid, values_beyond
from .reference import Reference
from .tiled import blend_window
from .window_sample import Sample

if TYPE_CHECKING:
    from ..inference.extent import Part
    from ..raster.reader import RasterReader


@dataclass(frozen=True)
class Report:
    """What a check found."""

    forecast: Forecast
    windows: int
    population: int
    """Windows that the whole raster has."""
    pixels: int
    seed: int
    reference_run: tuple[int, int]
    """Height and width of the runs that the reference's pieces lie in the middle of."""
    context: tuple[int, int]
    """Pixels around each piece at least, above and below, left and right."""
    complete: bool
    """Whether the reference is the model's answer to the whole image."""
    qualities: list[Quality]
    """The output's, or the tiling's, and those that it was to be compared with."""
    dispute: Dispute | None
    """None where no two tiles speak for a pixel."""

    @property
    def judged(self) -> Quality:
        """What the check is about."""
        return self.qualities[0]


def check(
    raster: Any,
    model: Any,
    output: Any = None,
    *,
    options: Options | None = None,
    windows: int | None = None,
    seed: int = 0,
    compare: Iterable[str | Profile] = (),
    disagreement_map: Any = None,
    overwrite: bool = False,
    provider: str = "cpu",
    threads: int | None = None,
    on_start: OnStart | None = None,
    on_progress: OnProgress | None = None,
    on_report: Callable[[Report], object] | None = None,
    **choices: Unpack[OptionChoices],
) -> Report:
    """Compare a model's logits from tiles with its logits with all the context that there is.

    Parameters
    ----------
    raster, model
        As for ``segment``.
    output : str or path-like, optional
        What ``segment`` made of them; it says itself how it was tiled. Without it, the tiles
        that a run would take are run, for the windows alone.
    options, **choices
        As for ``segment``; they win over what an output says of itself.
    windows : int, optional
        Parts of the raster to look at, each about as large as the step from tile to tile. By
        default so many that they come to some four million pixels.
    seed : int
        The same seed draws the same windows.
    compare : iterable of str or callable
        Trust profiles to compare with, in the same tiles.
    disagreement_map : str or path-like, optional
        Run all tiles as well, and write how far they are apart at every pixel: a GeoTIFF of one
        float32 band, the difference of the largest and the smallest logit that tiles give, of
        the class where it is largest; NaN where one tile alone speaks.
    overwrite : bool
        Replace an existing map.
    provider, threads
        Of onnxruntime.
    on_start : callable, optional
        Called with the ``Forecast`` once everything is decided.
    on_progress : callable, optional
        Called with a ``Progress`` after every window, and after every tile of the map.
    on_report : callable, optional
        Called with the ``Report`` once it is there, before the map is begun.

    Returns
    -------
    Report

    Raises
    ------
    SeamlessError
        As ``segment`` does, and where the output does not belong to the raster and the model.
    """
    from ..atomic import check_destination
    from ..inference.extent import part_of
    from ..raster.reader import RasterReader
    from .disagreement import map_disagreement

    options = merged(options, choices)
    with ExitStack() as stack:
        made = None if output is None else stack.enter_context(RasterReader(output))
        tiling = options if made is None else options_from_tags(options, made.tags, output)
        execution = Execution(provider, threads)
        given = execution.model(model, tiling)
        reader = stack.enter_context(open_raster(raster, tiling, given))
        destination = None
        if disagreement_map is not None:
            inputs = inputs_of(model, reader, *([] if made is None else [made]))
            destination = check_destination(disagreement_map, inputs, overwrite)
        task, found = _measured(prepare(reader, given, tiling, execution), tiling)
        part = None if made is None else part_of(made.tags)
        if made is not None:
            _check_output(made, task, part)
            explicit = options.measured(task.forecast.settings.pixels)
            task = task.noting(*mismatches(explicit, made.tags, output, model))
        if on_start:
            on_start(task.forecast)
        stack.enter_context(task.block_cache())
        seed = whole_number("seed", seed, 0)
        if windows is not None:
            windows = whole_number("windows", windows, 1)
        sample = Sample(task.plan.grid, windows, seed, part.extent if part else None)
        reference = Reference(
            reader,
            task.model,
            task.forecast.settings.normalization,
            found,
            task.plan.grid.tile_shape,
            sample.largest,
            task.fill,
        )
        judged = None if made is None else Made(made, part)
        report = _report(task, reference, judged, list(compare), sample, seed, on_progress)
        if on_report:
            on_report(report)
        if destination is not None:
            map_disagreement(task, destination, overwrite, on_progress)
        return report


def _measured(task: PreparedRun, options: Options) -> tuple[PreparedRun, Probe | None]:
    """What is known of how far the model sees, whether or not a run would have to know it."""
    if needs_probe(task.source, options):
        return task, task.probe
    found, notes = try_probe(task.source, task.model, len(task.reader.bands))
    task = task.noting(*notes)
    if found is None:
        return task, None
    return replace(task, forecast=with_exactness(task.forecast, task.model, found, options)), found


def _report(
    task: PreparedRun,
    reference: Reference,
    made: Made | None,
    compare: list[str | Profile],
    sample: Sample,
    seed: int,
    on_progress: OnProgress | None,
) -> Report:
    plan = task.plan
    trusts = list(dict.fromkeys([plan.trust, *compare]))
    judges = [Judge(replace(plan, trust=trust), name_of(trust)) for trust in trusts]
    file = None if made is None else Judge(plan, str(made.path))
    disputes = Disputes()
    progress, pixels, beyond = Progress(0, len(sample), 0, unit="windows"), 0, 0
    for window in sample:
        wider = window.extended()
        expected = reference.answer(wider)
        answers, disagreement = blend_window(task, wider, trusts)
        valid, judged = task.reader.valid(*wider), judges
        if made is not None and file is not None:
            own, valid = made.read(wider, valid)
            beyond += values_beyond(own, valid)
            answers, judged = [*answers, own], [*judges, file]
        if valid is not None:
            disagreement.shared[~valid] = False
            for logits in (expected, *answers):
                logits[~valid] = 0
        disputes.add(disagreement.part(*window.within(wider)))
        for judge, logits in zip(judged, answers, strict=True):
            judge.add(logits, expected, window, valid)
        pixels += count_valid(valid, window)
        progress = progress.more(math.prod(window.shape))
        if on_progress:
            on_progress(progress)
    forecast = task.forecast
    if made is not None and beyond:
        forecast = forecast.noting(f"{made.path} has values at {beyond} pixels that are not valid")
    if not pixels:
        raise OptionError(f"no pixel of the {len(sample)} windows is valid: nothing can be checked")
    # Without a comparison, an output speaks for itself.
    shown = [file, *(judges if compare else [])] if file else judges
    return Report(
        forecast=forecast,
        windows=len(sample),
        population=sample.population,
        pixels=pixels,
        seed=seed,
        reference_run=(reference.rows.run, reference.cols.run),
        context=(reference.rows.context, reference.cols.context),
        complete=reference.complete,
        qualities=[judge.quality() for judge in shown],
        dispute=disputes.value(),
    )


def _check_output(made: RasterReader, task: PreparedRun, part: Part | None) -> None:
    """Raise where an output cannot be one of the raster's, or is not of logits."""
    kind = json.loads(made.tags.get(KIND, "null"))
    if kind not in (None, LOGITS):
        raise OptionError(
            f"{made.path} holds {kind}, and a check compares logits: give an output of those, "
            f"which --also logits=PATH adds to a run"
        )
    covered = task.reader.size if part is None else part.covered(task.reader.size).shape
    if made.size != covered:
        (height, width), (own_height, own_width) = made.size, task.reader.size
        raise OptionError(
            f"{made.path} is {height} x {width} px and {task.reader.path} {own_height} x "
            f"{own_width}: give the output of a run over that raster"
        )
    place = task.reader.georeference
    place = part.georeference(place) if part else place
    if made.georeference.transform != place.transform:
        raise OptionError(f"{made.path} does not lie where {task.reader.path} lies")
    if made.dtype.kind != "f" or made.count != task.fitted.classes:
        raise OptionError(
            f"{made.path} has {made.count} bands of {made.dtype}, and logits of this model have "
            f"{task.fitted.classes} of float32"
        )
