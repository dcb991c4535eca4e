"""The check: how near tiles come to the model's own answer, and whether one can see them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .axis import whole_number
from .disagreement import Disagreement
from .errors import OptionError
from .fidelity import Fidelity
from .forecast import Forecast
from .job import OnStart
from .options import Options, merged
from .pipeline import OnProgress, Progress
from .plan import Plan
from .probing import probe_anyway
from .provenance import from_tags
from .reference import Reference
from .sample import Sample, Window
from .seams import SeamScore
from .task import Task, open_task
from .trial import blend_window
from .trust import Profile

if TYPE_CHECKING:
    from .raster import RasterReader

PIXELS, FEWEST = 4_000_000, 16
"""Pixels to look at, and windows at least, where nobody says how many windows."""

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Quality:
    """How good logits are; shares of pixels, differences in units of the logits."""

    name: str
    """The file that was checked, or the trust by which tiles were blended."""
    identical: float
    """Share of the pixels with the reference's logits, bit for bit."""
    largest: float
    """Largest difference of a logit from the reference's."""
    mean: float
    """Mean difference of a logit from the reference's."""
    other_class: float
    """Share of the pixels with another class than the reference's."""
    seams: float | None
    """Mean step at seams over that elsewhere, 1.0 for no seams; None where no tiles meet."""


@dataclass(frozen=True)
class Dispute:
    """How far overlapping tiles are apart, where more than one speaks."""

    pixels: int
    mean: float
    p95: float
    p99: float
    other_class: float
    """Share of those pixels for which tiles name different classes."""


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
    reference_seams: float | None
    """The reference's own seam score at the same places: what the picture itself does there."""
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
    **choices: Any,
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

    Returns
    -------
    Report

    Raises
    ------
    SeamlessError
        As ``segment`` does, and where the output does not belong to the raster and the model.
    """
    from .disagreement_map import map_disagreement
    from .output import check_destination
    from .raster import RasterReader

    options = merged(options, choices)
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster))
        made = None if output is None else stack.enter_context(RasterReader(output))
        if made is not None:
            options = _as_made(options, made)
        destination = None
        if disagreement_map is not None:
            inputs = [raster, *reader.files] + ([] if callable(model) else [model])
            inputs += [] if output is None else [output]
            destination = check_destination(disagreement_map, inputs, overwrite)
        task = open_task(reader, model, options, provider, threads)
        notes = task.forecast.settings.notes
        found = task.found or probe_anyway(model, task.model, notes)
        if made is not None:
            _check_output(made, task)
        if on_start:
            on_start(task.forecast)
        stack.enter_context(task.block_cache())
        sample = Sample(task.plan.grid, _count(task.plan, windows), seed)
        reference = Reference(
            reader,
            task.model,
            task.forecast.settings.normalisation,
            found,
            task.plan.grid.tile_shape,
        )
        report = _report(task, reference, made, list(compare), sample, seed, on_progress)
        if destination is not None:
            map_disagreement(task, destination, overwrite, on_progress)
        return report


def _count(plan: Plan, windows: int | None) -> int:
    if windows is not None:
        return whole_number("windows", windows, 1)
    rows, cols = plan.grid.shape
    height, width = plan.image_size
    return max(FEWEST, PIXELS * rows * cols // (height * width))


def _report(
    task: Task,
    reference: Reference,
    made: RasterReader | None,
    compare: list[str | Profile],
    sample: Sample,
    seed: int,
    on_progress: OnProgress | None,
) -> Report:
    plan = task.plan
    trusts = list(dict.fromkeys([plan.trust, *compare]))
    judges = [_Judge(replace(plan, trust=trust), _name(trust)) for trust in trusts]
    file = None if made is None else _Judge(plan, str(made.path))
    own, disputes = SeamScore(plan), _Disputes()
    progress = Progress(0, len(sample), 0, unit="windows")
    for window in sample:
        expected = reference.answer(window)
        own.add(expected, window)
        blended, disagreement = blend_window(task, window, trusts)
        disputes.add(disagreement)
        for judge, logits in zip(judges, blended, strict=True):
            judge.add(logits, expected, window)
        if file is not None and made is not None:
            file.add(made.read(*window).transpose(1, 2, 0), expected, window)
        progress = progress.more(window.shape[0] * window.shape[1])
        if on_progress:
            on_progress(progress)
    # Without a comparison, an output speaks for itself.
    shown = [file, *(judges if compare else [])] if file else judges
    return Report(
        forecast=task.forecast,
        windows=len(sample),
        population=sample.population,
        pixels=progress.pixels,
        seed=seed,
        reference_run=(reference.rows.run, reference.cols.run),
        context=(reference.rows.context, reference.cols.context),
        complete=reference.complete,
        qualities=[judge.quality() for judge in shown],
        reference_seams=own.value,
        dispute=disputes.value(),
    )


class _Judge:
    """Gathers what makes a ``Quality``."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._name = name
        self._fidelity = Fidelity()
        self._seams = SeamScore(plan)

    def add(self, logits: Values, reference: Values, window: Window) -> None:
        self._fidelity.add(logits, reference)
        self._seams.add(logits, window)

    def quality(self) -> Quality:
        found = self._fidelity
        return Quality(
            self._name,
            found.identical,
            found.largest,
            found.mean,
            found.other_class,
            self._seams.value,
        )


class _Disputes:
    """Gathers what makes a ``Dispute``."""

    def __init__(self) -> None:
        self._apart: list[Values] = []
        self._other_class = 0

    def add(self, found: Disagreement) -> None:
        self._apart.append(found.apart[found.shared])
        self._other_class += int(found.other_class[found.shared].sum())

    def value(self) -> Dispute | None:
        apart = np.concatenate(self._apart)
        finite = apart[np.isfinite(apart)].astype(np.float64)
        if not finite.size:
            return None
        p95, p99 = np.percentile(finite, [95, 99])
        return Dispute(
            apart.size, float(finite.mean()), float(p95), float(p99), self._other_class / apart.size
        )


def _name(trust: str | Profile) -> str:
    return trust if isinstance(trust, str) else getattr(trust, "__name__", str(trust))


def _as_made(options: Options, made: RasterReader) -> Options:
    """Options as an output says that it was made, but for those that are given."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    return Options(**(from_tags(made.tags) | given))


def _check_output(made: RasterReader, task: Task) -> None:
    """Raise where an output cannot be one of the raster's."""
    for reader in (made, task.reader):
        if not all(reader.size):
            raise OptionError(f"{reader.path} has no pixels")
    if made.size != task.reader.size:
        (height, width), (own_height, own_width) = made.size, task.reader.size
        raise OptionError(
            f"{made.path} is {height} x {width} px and {task.reader.path} {own_height} x "
            f"{own_width}: give the output of a run over that raster"
        )
    if made.georeference.transform != task.reader.georeference.transform:
        raise OptionError(f"{made.path} does not lie where {task.reader.path} lies")
    if made.dtype.kind != "f" or made.count != task.fitted.classes:
        raise OptionError(
            f"{made.path} has {made.count} bands of {made.dtype}, and logits of this model have "
            f"{task.fitted.classes} of float32"
        )
