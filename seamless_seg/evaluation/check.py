"""The check: tiled logits compared with the model run without tiles, and how visible seams are."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..errors import ModelError, OptionError
from ..inference.global_statistics import give_global_statistics
from ..inference.prepared import PreparedRun, inputs_of, prepare
from ..inference.provenance import describes_tiling, mismatches, options_from_tags
from ..inference.segment import OnStart
from ..planning.forecast import Forecast, with_exactness
from ..planning.global_context import with_statistics
from ..planning.open_raster import open_raster, with_band_numbers
from ..planning.options import MEASURED, Execution, OptionChoices, Options, merged
from ..planning.probing import needs_probe, try_probe
from ..probes.receptive_field import Probe
from ..progress import OnProgress, Progress
from ..signatures import showing_fields
from ..tiling.trust import Profile, name_of
from ..validation import whole_number
from ..windows import Window
from .class_gap import ClassGap, GapStatistics
from .disagreement import DisagreementStatistics, Dispute
from .quality import Comparison, Quality
from .reference import Reference
from .tile_mismatch import MismatchStatistics, TileMismatch
from .tiled import blend_window
from .window_sample import Sample

if TYPE_CHECKING:
    from .checked_output import CheckedOutput


@dataclass(frozen=True)
class Report:
    """The result of a check."""

    forecast: Forecast
    windows: int
    """Windows that were compared."""
    population: int
    """Windows of the whole raster, or of the part that the output covers."""
    pixels: int
    """Valid pixels that were compared."""
    seed: int
    reference_run: tuple[int, int]
    """Height and width in pixels of the reference's runs, whose middles are compared."""
    context: tuple[int, int]
    """Least pixels around each piece in its run, above and below, left and right."""
    complete: bool
    """Whether the reference equals the model run on the whole image."""
    qualities: list[Quality]
    """Quality of the output, or of the tiles; then of those that it is compared with."""
    dispute: Dispute | None
    """Differences between overlapping tiles; None if no two tiles cover a pixel."""
    tile_mismatch: TileMismatch | None
    """Differences between the classes of overlapping tiles; None if no two tiles cover a pixel."""
    class_gap: ClassGap | None
    """Tolerances at which no class of the reference changes, or few; None if the reference is not
    the model run on the whole image."""

    @property
    def judged(self) -> Quality:
        """Quality of the output, or of the tiles if there is no output."""
        return self.qualities[0]


@showing_fields(Options)
def check(
    raster: str | os.PathLike[str],
    model: str | os.PathLike[str] | Callable[..., Any] | Sequence[Any],
    output: str | os.PathLike[str] | None = None,
    *,
    options: Options | None = None,
    windows: int | None = None,
    seed: int = 0,
    compare: Iterable[str | Profile] = (),
    disagreement_map: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    provider: str = "cpu",
    threads: int | None = None,
    on_start: OnStart | None = None,
    on_progress: OnProgress | None = None,
    on_report: Callable[[Report], object] | None = None,
    **choices: Unpack[OptionChoices],
) -> Report:
    """Compare tiled logits with a reference: the model with all the context that it can use.

    Parameters
    ----------
    raster, model
        As for ``segment``.
    output : str or path-like, optional
        An output of ``segment`` for them; its tags say how it was tiled. Without it, the tiles
        of a run are run and blended, for the windows alone.
    options : Options, optional
        As for ``segment``; options win over an output's tags.
    windows : int, optional
        Number of windows to compare, each about as large as the stride of the tiles. By
        default so many that they have some four million pixels.
    seed : int
        Random seed for choosing windows.
    compare : iterable of str or callable
        Other trust to compare with, in the same tiles: as ``trust`` of ``plan_run_grid``.
    disagreement_map : str or path-like, optional
        Run all tiles as well, and write their disagreement at every pixel: a GeoTIFF of one
        float32 band, the difference of the largest and the smallest logit that tiles give, of
        the class where it is largest; NaN where a single tile covers the pixel.
    overwrite : bool
        Replace an existing map.
    provider, threads
        Of onnxruntime.
    on_start : callable, optional
        Called with the ``Forecast`` before the first window.
    on_progress : callable, optional
        Called with a ``Progress`` after every window, and after every tile of the map.
    on_report : callable, optional
        Called with the ``Report`` before the map is begun.
    **choices : Unpack[OptionChoices]
        The fields of ``Options``.

    Returns
    -------
    Report

    Raises
    ------
    SeamlessError
        As ``segment`` does, and if the output does not belong to the raster and the model.
    """
    from ..inference.output_files import check_destination_of_raster
    from ..raster.reader import RasterReader
    from .checked_output import CheckedOutput
    from .disagreement import map_disagreement

    options = merged(check, options, choices)
    with ExitStack() as stack:
        checked = None
        if output is not None:
            own = RasterReader(output, network=options.network is not False)
            checked = CheckedOutput(stack.enter_context(own))
        tiling = options if checked is None else options_from_tags(options, checked.tags, output)
        execution = Execution(provider, threads)
        lazy = execution.model(model, tiling)
        reader = stack.enter_context(open_raster(raster, tiling, lazy))
        options, tiling = (with_band_numbers(own, reader) for own in (options, tiling))
        destination = None
        if disagreement_map is not None:
            inputs = inputs_of(model, reader, *([] if checked is None else [checked.reader]))
            destination = check_destination_of_raster(disagreement_map, inputs, overwrite)
        run, found = _probed(prepare(reader, lazy, tiling, execution), tiling)
        if checked is not None:
            checked.require_raster(reader)
            options = _with_margin(options, run)
            explicit = options.measured(run.forecast.settings.pixels)
            run = run.noting(*mismatches(explicit, checked.tags, checked.path, model))
            checked.require_classes(run.fitted.classes)
            run = _of_output(run, checked, options)
        if on_start:
            on_start(run.forecast)
        stack.enter_context(run.block_cache())
        give_global_statistics(run, on_progress)
        seed = whole_number("seed", seed, 0)
        sample = _sample(run, checked, windows, seed)
        reference = _reference(run, found, sample)
        measured = _Measurement(run, reference, checked, list(compare))
        measured.add_all(sample, on_progress)
        reader.check_unchanged()
        report = measured.report(sample, seed)
        if on_report:
            on_report(report)
        if destination is not None:
            map_disagreement(run, destination, overwrite, on_progress)
        return report


def _probed(run: PreparedRun, options: Options) -> tuple[PreparedRun, Probe | None]:
    """Return the run and its receptive field, which is measured even if a run needs none."""
    if run.model.spec.gives_classes:
        raise ModelError(
            f"check compares logits, and {run.model.spec.name} gives class numbers: export the "
            f"model without its argmax"
        )
    if needs_probe(run.source, options):
        return run, run.probe
    found, notes = try_probe(run.source, run.model, len(run.reader.bands))
    run = run.noting(*notes)
    if found is None:
        return run, None
    forecast = with_exactness(run.forecast, run.model, found, options)
    if run.global_context is not None:
        forecast = with_statistics(forecast, run.global_context)
    return replace(run, forecast=forecast), found


def _with_margin(options: Options, run: PreparedRun) -> Options:
    """Return the options with the pixels that ``margin="measured"`` stands for."""
    if options.margin != MEASURED:
        return options
    return replace(options, margin=run.forecast.settings.tiling.margin.value)


def _of_output(run: PreparedRun, checked: CheckedOutput, options: Options) -> PreparedRun:
    """Return the run without the exactness of its tiles, if others made the output."""
    if describes_tiling(options, checked.tags, checked.path):
        return run
    return replace(run, forecast=replace(run.forecast, exact=None, exactness=None))


def _sample(
    run: PreparedRun, checked: CheckedOutput | None, windows: int | None, seed: int
) -> Sample:
    if windows is not None:
        windows = whole_number("windows", windows, 1)
    part = None if checked is None or checked.part is None else checked.part.extent
    return Sample(run.plan.grid, windows, seed, part)


def _reference(run: PreparedRun, found: Probe | None, sample: Sample) -> Reference:
    return Reference(
        run.reader,
        run.model,
        run.forecast.settings.normalization,
        found,
        run.plan.grid.tile_shape,
        sample.largest,
        run.fill,
    )


class _Measurement:
    """Compares tiles, blended by each trust, and an output with the reference.

    Parameters
    ----------
    run : PreparedRun
        The raster, the model and the plan.
    reference : Reference
        The logits to compare with.
    output : CheckedOutput or None
        The output, if one is checked.
    compare : list of str or callable
        Trusts in addition to the plan's.
    """

    def __init__(
        self,
        run: PreparedRun,
        reference: Reference,
        output: CheckedOutput | None,
        compare: list[str | Profile],
    ) -> None:
        self._run, self._reference, self._output = run, reference, output
        self._trusts = list(dict.fromkeys([run.plan.trust, *compare]))
        self._blends = [
            Comparison(replace(run.plan, trust=trust), name_of(trust)) for trust in self._trusts
        ]
        self._file = None if output is None else Comparison(run.plan, str(output.path))
        self._shows_blends = output is None or bool(compare)
        self._disagreements = DisagreementStatistics()
        self._mismatch, self._gaps = MismatchStatistics(run.fitted.classes), GapStatistics()
        self._pixels = 0
        self._invalid_values = 0

    def add_all(self, sample: Sample, on_progress: OnProgress | None) -> None:
        """Compare all windows of a sample."""
        progress = Progress(0, len(sample), 0, unit="windows")
        for window in sample:
            self._add(window)
            progress = progress.more(math.prod(window.shape))
            if on_progress:
                on_progress(progress)
        if not self._pixels:
            if len(sample) == sample.population:
                raise OptionError("no pixel of the raster is valid: there is nothing to compare")
            raise OptionError(
                f"no pixel of the {len(sample)} windows is valid: choose more windows or another "
                f"seed"
            )

    def _add(self, window: Window) -> None:
        wider = window.extended()
        expected = self._reference.logits(wider)
        blended, disagreement, votes = blend_window(self._run, wider, self._trusts)
        compared = list(zip(self._blends, blended, strict=True))
        valid = self._run.reader.valid(*wider)
        if self._output is not None and self._file is not None:
            stored, valid = self._output.read(wider, valid)
            self._invalid_values += self._output.count_invalid(stored, valid)
            compared.append((self._file, stored))
        if valid is not None:
            disagreement.shared[~valid] = False
            for logits in (expected, *(own for _, own in compared)):
                logits[~valid] = 0
        inner = window.within(wider)
        self._disagreements.add(disagreement.part(*inner))
        self._mismatch.add(votes[inner], disagreement.shared[inner])
        within = np.ones(window.shape, np.bool_) if valid is None else valid[inner]
        self._gaps.add(expected[inner][within])
        for comparison, logits in compared:
            comparison.add(logits, expected, window, valid)
        self._pixels += int(within.sum())

    def report(self, sample: Sample, seed: int) -> Report:
        """Return the result for all windows, with a note on values at invalid pixels."""
        forecast = self._run.forecast
        if self._output is not None and self._invalid_values:
            forecast = forecast.noting(
                f"{self._output.path} has values at {self._invalid_values} pixels that are not "
                f"valid"
            )
        file = [] if self._file is None else [self._file]
        shown = [*file, *(self._blends if self._shows_blends else [])]
        reference = self._reference
        return Report(
            forecast=forecast,
            windows=len(sample),
            population=sample.population,
            pixels=self._pixels,
            seed=seed,
            reference_run=(reference.rows.run, reference.cols.run),
            context=(reference.rows.context, reference.cols.context),
            complete=reference.complete,
            qualities=[comparison.quality() for comparison in shown],
            dispute=self._disagreements.value(),
            tile_mismatch=self._mismatch.value(),
            class_gap=self._gaps.value() if reference.complete else None,
        )
