"""Forecast what a run would do and cost, before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import shapely

from ..areas.misplaced import unreferenced
from ..decisions import DEFAULT, OPTION, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.graph_analysis import tile_wide_nodes
from ..models.tta import NONE
from ..probes.receptive_field import Probe
from ..raster.blocks import FLOAT32
from ..tiling.plan import Plan, plan_run_grid
from ..tiling.trust import name_of
from ..validation import pair
from ..windows import Pair, Size
from .autotune import Measurements, TileCosts
from .exact_costs import ExactTiles, cost_notes, overlap_warnings
from .exactness import NOT_DETERMINISTIC, Basis, exactness, warned
from .memory import Schedule
from .options import Options
from .pixels import choose_pixels, notes_on
from .settings import Settings, Tiling
from .tile_geometry import decide_tiling

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


@dataclass(frozen=True)
class Forecast:
    """The decisions and the plan of a run, and what it would cost."""

    settings: Settings
    plan: Plan
    classes: int | None
    """Number of classes; None if no model is given, or if its file does not state it."""
    exact: bool | None = None
    """Whether the output is identical to running the model on the whole image at once; None if the
    model's receptive field was not measured."""
    exactness: str | None = None
    """The same in a sentence."""
    exact_by: Basis | None = None
    """What it rests on if tiles are exact, or exact within rounding: the graph's arithmetic, or no
    more than measurement."""
    schedule: Schedule | None = None
    """Panels, batches and threads; None if no run has been prepared."""
    pricing: TileCosts | None = None
    """Estimated costs of several tile sizes; None if the tile size was not chosen by timing."""
    stored: int | None = None
    """Bytes of a pixel in all outputs; if None, those of logits."""
    statistics_passes: int = 0
    """Passes over the whole raster that measure statistics for the model before the run."""
    warning: str | None = None
    """Why tiles differ whatever their overlap; None if they do not, as far as known."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what may be wrong with the result; the user must see them."""
        own = () if self.warning is None else (self.warning,)
        return (*own, *self.settings.warnings)

    @property
    def statistics_seconds(self) -> float | None:
        """Seconds of all passes together, at most; None if the model was not timed."""
        if self.pricing is None or not self.statistics_passes:
            return None
        return self.statistics_passes * self.pricing.chosen.seconds

    @property
    def held_bytes(self) -> int | None:
        """Bytes of the carry at most; None if the number of classes is unknown."""
        return self._bytes(self.plan.peak.pixels)

    @property
    def written_bytes(self) -> int | None:
        """Bytes of the outputs before compression; None if the number of classes is unknown."""
        if self.stored is not None:
            return self.plan.written * self.stored
        return self._bytes(self.plan.written)

    def figures(self) -> dict[str, Any]:
        """Return all figures as JSON can represent them; pairs are [height, width]."""
        plan, tiling = self.plan, self.settings.tiling
        figures: dict[str, Any] = {
            "image_size": list(plan.image_size),
            "tile_size": list(tiling.tile.value),
            "overlap": list(tiling.overlap.value),
            "margin": list(tiling.margin.value),
            "align": list(tiling.align.value),
            "trust": name_of(tiling.trust.value),
            "tta": self.settings.tta.value,
            "grid": list(plan.grid.shape),
            "tiles": plan.tiles,
            "skipped": plan.skipped,
            "redundancy": plan.redundancy,
            "held_pixels": plan.peak.pixels,
            "held_fraction": plan.peak.fraction,
            "written_pixels": plan.written,
        }
        if self.exactness is not None:
            figures["exact"] = self.exact
            figures["exactness"] = self.exactness
            figures["exact_by"] = self.exact_by
        if self.statistics_passes:
            figures["statistics_passes"] = self.statistics_passes
        if self.statistics_seconds is not None:
            figures["statistics_seconds"] = self.statistics_seconds
        if self.warning is not None:
            figures["warning"] = self.warning
        if self.classes is not None:
            figures["classes"] = self.classes
            figures["held_bytes"] = self.held_bytes
            figures["written_bytes"] = self.written_bytes
        if self.pricing is not None:
            figures["model_seconds"] = self.pricing.chosen.seconds
            figures["timed"] = [cost._asdict() for cost in self.pricing.timed]
        if self.schedule is not None:
            figures["panels"] = len(self.schedule.plan.panels)
            figures["batch_size"] = self.schedule.batch_size
            figures["workers"] = self.schedule.workers
            figures["memory_bytes"] = self.schedule.footprint.total
            figures["memory"] = dict(self.schedule.footprint.parts())
        return figures

    def starts(self) -> dict[str, list[int]]:
        """Return the first row and column of every tile, in pixels."""
        rows, cols = self.plan.grid.rows, self.plan.grid.cols
        return {
            "row_starts": [rows.start(i) for i in range(rows.count)],
            "col_starts": [cols.start(j) for j in range(cols.count)],
        }

    def noting(self, *notes: str) -> Forecast:
        """Return the forecast with more notes."""
        return replace(self, settings=self.settings.noting(*notes))

    def _bytes(self, count: int) -> int | None:
        return None if self.classes is None else count * self.classes * FLOAT32


def forecast_raster(
    reader: RasterReader,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    measured: Measurements | None = None,
) -> Forecast:
    """Decide on the settings of a run over a raster, and plan its tiles.

    With a model, the reader is set to the bands of the model's input.

    Parameters
    ----------
    reader : RasterReader
        The raster.
    model : Model or None
        The model, if one is given.
    options : Options
        The user's options.
    area : shapely.Geometry, optional
        Polygon in (y, x) pixels: tiles that do not touch it are skipped.
    measured : Measurements, optional
        The model's receptive field and timings.

    Returns
    -------
    Forecast

    Raises
    ------
    OptionError, GeometryError
        If the options contradict the raster, the model or each other.
    """
    measured = measured or Measurements()
    tiling = decide_tiling(options, model, measured.probe, reader.size, measured.tile_cost)
    settings = Settings(tiling, None, _tta(options), tuple(reader.notes), reading=reader.reading)
    if model is not None:
        pixels, notes, warnings = choose_pixels(reader, model, options)
        settings = replace(settings, pixels=pixels, model=model_choices(options, model))
        settings = settings.noting(*notes_on(options, model, tiling, pixels), *notes)
        settings = settings.warning(*warnings)
    unplaced = unreferenced(reader.georeference)
    reason = "" if unplaced is None else f": {unplaced}"
    return _forecast(settings, model, reader.size, area, options, measured, reason)


def forecast_size(
    size: Size,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    measured: Measurements | None = None,
) -> Forecast:
    """Decide on the settings of a run over a raster of a given size, and plan its tiles.

    Parameters
    ----------
    size : int or (height, width)
        Pixels of the raster.
    model, options, area, measured
        As for ``forecast_raster``.

    Returns
    -------
    Forecast

    Raises
    ------
    OptionError, GeometryError
        If the options contradict the size, the model or each other.
    """
    height_width, measured = pair("size", size, 1), measured or Measurements()
    tiling = decide_tiling(options, model, measured.probe, height_width, measured.tile_cost)
    notes = tuple(model.spec.metadata.notes) if model else ()
    settings = Settings(tiling, None, _tta(options), notes)
    return _forecast(settings, model, height_width, area, options, measured)


def with_exactness(
    forecast: Forecast, model: Model, probe: Probe | None, options: Options
) -> Forecast:
    """Add to a forecast how exact its tiles are, by a probe and by the model's graph.

    Parameters
    ----------
    forecast : Forecast
        The forecast.
    model : Model
        The model.
    probe : Probe or None
        The model's receptive field, if it was measured.
    options : Options
        The user's options, for their tolerance.
    """
    plan = forecast.plan
    forecast = replace(forecast, exact=None, exactness=None, exact_by=None, warning=None)
    if probe is not None:
        batch_size = forecast.settings.tiling.batch_size.value
        exact, sentence, basis = exactness(probe, plan, options.tolerance, model, batch_size)
        forecast = replace(forecast, exact=exact, exactness=sentence, exact_by=basis)
    if plan.grid.shape == (1, 1) and forecast.exactness != NOT_DETERMINISTIC:
        return forecast
    takes_statistics = not model.spec.gives_classes
    warning = warned(tile_wide_nodes(model), probe, forecast.exactness, takes_statistics)
    return replace(forecast, warning=warning)


def model_choices(options: Options, model: Model) -> dict[str, Decision[Any]]:
    """Return the decisions about the model itself: its output, and the value for nodata."""
    choices: dict[str, Decision[Any]] = {}
    if options.model_output is not None:
        choices["model_output"] = Decision(options.model_output, OPTION)
    elif model.spec.metadata.output is not None:
        choices["model_output"] = Decision(
            model.spec.metadata.output, model.spec.metadata.origin("output")
        )
    if options.exact is not None:
        choices["exact"] = Decision(options.exact, OPTION)
    if options.fill is not None:
        choices["fill"] = Decision(options.fill, OPTION)
    return choices


def _tta(options: Options) -> Decision[str]:
    return decide((options.tta, OPTION), (NONE, DEFAULT))


def _forecast(
    settings: Settings,
    model: Model | None,
    size: Pair,
    area: shapely.Geometry | None,
    options: Options,
    measured: Measurements,
    reason: str = "",
) -> Forecast:
    plan = _planned(settings.tiling, size, area)
    if area is not None and not plan.tiles:
        raise OptionError(f"the area contains no pixel center of the raster{reason}")
    classes = model.spec.classes if model else None
    settings = settings.warning(*overlap_warnings(plan, model is not None and any(model.spec.tile)))
    forecast = Forecast(settings, plan, classes, pricing=measured.tile_costs)
    if model is not None:
        forecast = with_exactness(forecast, model, measured.probe, options)
        forecast = _with_costs(forecast, model, size, area, options, measured)
    return forecast.noting(*measured.notes)


def _planned(tiling: Tiling, size: Pair, area: shapely.Geometry | None) -> Plan:
    plan, _ = plan_run_grid(
        size,
        tiling.tile.value,
        tiling.overlap.value,
        area,
        margin=tiling.margin.value,
        align=tiling.align.value,
        trust=tiling.trust.value,
    )
    return plan


def _with_costs(
    forecast: Forecast,
    model: Model,
    size: Pair,
    area: shapely.Geometry | None,
    options: Options,
    measured: Measurements,
) -> Forecast:
    """Add notes on what exact tiles cost, where another option would save much."""
    probe, basis, plan = measured.probe, forecast.exact_by, forecast.plan
    if probe is None or basis is None or plan.grid.shape == (1, 1):
        return forecast
    if model.spec.gives_classes:  # which a tolerance could change
        return forecast

    def replanned(other: Options) -> Plan:
        return _planned(decide_tiling(other, model, probe, size), size, area)

    # A tile that is fastest by timing may run more pixels than need be.
    plans = [plan] if measured.tile_cost is None else [plan, replanned(options)]
    cheapest = min(plans, key=lambda own: own.redundancy)
    return forecast.noting(*cost_notes(ExactTiles(cheapest, basis, options, probe, replanned)))
