"""Forecast what a run would do and cost, without running it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Unpack

import shapely

from ..areas.geojson import area_of
from ..errors import OptionError
from ..models.base import DEFAULT_CHANNELS
from ..planning.autotune import measure_model
from ..planning.forecast import Forecast, forecast_raster, forecast_size
from ..planning.global_context import forecast_with_statistics, with_global_statistics
from ..planning.open_raster import open_raster, with_band_numbers
from ..planning.options import Execution, OptionChoices, Options, merged
from ..planning.outputs import KINDS, LOGITS, copies_of, pixel_bytes
from ..signatures import showing_fields
from ..validation import check_among, pair
from ..windows import Size
from .prepared import PreparedRun, prepare, within_memory


@showing_fields(Options)
def forecast(
    raster: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | Callable[..., Any] | Sequence[Any] | None = None,
    *,
    size: Size | None = None,
    options: Options | None = None,
    kinds: Sequence[str] = (LOGITS,),
    provider: str = "cpu",
    threads: int | None = None,
    max_memory: int | None = None,
    area: str | os.PathLike[str] | None = None,
    bbox: Sequence[float] | None = None,
    **choices: Unpack[OptionChoices],
) -> Forecast:
    """Forecast what a run would do and cost, from a sample of pixels at most.

    Parameters
    ----------
    raster : str or path-like, optional
        The raster; give either the raster or its ``size``.
    model : str, path-like, callable or list of these, optional
        The model. Without it, the forecast follows from options and size alone.
    size : int or (height, width), optional
        Pixels of the raster, which need not exist.
    options : Options, optional
        How to tile, normalize and read the raster; or give its fields as keywords.
    kinds : sequence of str
        Types of the outputs, as ``kind`` and ``also`` of ``segment``.
    provider, threads, max_memory, area, bbox
        As for ``segment``.
    **choices : Unpack[OptionChoices]
        The fields of ``Options``.

    Returns
    -------
    Forecast

    Raises
    ------
    SeamlessError
        As for ``segment``.
    """
    options = merged(forecast, options, choices)
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    for kind in kinds:
        check_among("kind", kind, KINDS)
    execution = Execution(provider, threads, max_memory)
    if model is None and options.exact is not None:
        raise OptionError("exact= and statistics= are about a model: give a model, too")
    if (raster is None) == (size is None):
        raise OptionError("give either a raster or a size")
    if size is not None:
        result = _of_size(pair("size", size, 1), model, options, execution, area, bbox)
    else:
        result = _of_raster(raster, model, options, execution, (area, bbox), kinds)
    if result.stored is None and result.classes is not None:
        result = replace(result, stored=pixel_bytes(kinds, result.classes))
    return result.noting(*_notes_on_unused(result, options, execution))


def _notes_on_unused(result: Forecast, options: Options, execution: Execution) -> list[str]:
    """Notes on options whose effect is unknown without a raster and a model."""
    notes = []
    if execution.max_memory is not None and result.schedule is None:
        notes.append("the effect of max_memory= depends on the raster and the model: give both")
    if options.normalize is not None and result.settings.pixels is None:
        notes.append("the effect of normalize= depends on the raster and the model: give both")
    return notes


def _of_size(
    size: tuple[int, int],
    model: Any,
    options: Options,
    execution: Execution,
    area: Any,
    bbox: Sequence[float] | None,
) -> Forecast:
    region: shapely.Geometry | None = area_of(area, bbox, size, None)
    options.refuse_reading()
    if model is None:
        return forecast_size(size, None, options, region)
    lazy = execution.model(model, options)
    channels = DEFAULT_CHANNELS if options.bands is None else len(options.bands)
    channels = lazy.opened.spec.channels or channels
    network, context = lazy.opened.resolved(channels), None
    if options.exact is not None:
        network, context = with_global_statistics(network, options, channels, model)
    measured = measure_model(model, network, options, execution, size, channels)
    result, _ = forecast_with_statistics(
        context, options, lambda own: forecast_size(size, network, own, region, measured)
    )
    return result


def _of_raster(
    raster: Any,
    model: Any,
    options: Options,
    execution: Execution,
    part: tuple[Any, Sequence[float] | None],
    kinds: Sequence[str],
) -> Forecast:
    lazy = None if model is None else execution.model(model, options)
    with open_raster(raster, options, lazy) as reader:
        options = with_band_numbers(options, reader)
        region = area_of(*part, reader.size, reader.georeference)
        if lazy is None:
            return forecast_raster(reader, None, options, region)
        run = prepare(reader, lazy, options, execution, region)
        return within_memory(run, _scheduled, kinds)


def _scheduled(run: PreparedRun, kinds: Sequence[str]) -> Forecast:
    """Return the forecast of a run with its schedule."""
    program = run.tune()
    stored = pixel_bytes(kinds, run.classes)
    schedule = run.schedule(program, stored, copies=copies_of(kinds))
    result = run.forecast.noting(*schedule.notes)
    return replace(result, schedule=schedule, stored=stored)
