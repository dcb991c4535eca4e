"""Forecast: what a job would do and cost, decided and planned before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import shapely

from ..decisions import DEFAULT, OPTION, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.graph_analysis import tile_wide_nodes
from ..models.receptive_field import Probe
from ..models.tta import NONE
from ..raster.blocks import FLOAT32
from ..tiling.plan import Plan, plan_run_grid
from ..tiling.trust import name_of
from ..validation import pair
from ..windows import Size
from .autotune import Measured, Pricing
from .bands import choose_pixels, notes_on
from .exactness import TILE_WIDE, exactness, judge
from .memory import Schedule
from .options import Options
from .settings import Settings, Tiling
from .tile_geometry import decide_tiling

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


@dataclass(frozen=True)
class Forecast:
    """Decisions and plan of a job."""

    settings: Settings
    plan: Plan
    classes: int | None
    """None where no model is given, or its file does not say."""
    exactness: str | None = None
    """How far the output is the model's answer to the whole image; None where nobody asked."""
    schedule: Schedule | None = None
    """How it is spread over memory and threads; None where no run has been prepared."""
    pricing: Pricing | None = None
    """What other tiles would cost; None where the tile was settled or too little is to be won."""
    stored: int | None = None
    """Bytes of a pixel in all outputs; those of logits where None."""
    warning: str | None = None
    """Why no overlap makes tiles of the model agree; None where nothing is known that stands in
    the way."""

    @property
    def held_bytes(self) -> int | None:
        """Bytes of the carry at most; None where the classes are not known."""
        return self._bytes(self.plan.peak.pixels)

    @property
    def written_bytes(self) -> int | None:
        """Bytes of the output before compression; None where the classes are not known."""
        if self.stored is not None:
            return self.plan.written * self.stored
        return self._bytes(self.plan.written)

    def figures(self) -> dict[str, Any]:
        """Everything in numbers, as JSON can hold it; pairs are [height, width]."""
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
            figures["exactness"] = self.exactness
        if self.warning is not None:
            figures["warning"] = self.warning
        if self.classes is not None:
            figures["classes"] = self.classes
            figures["held_bytes"] = self.held_bytes
            figures["written_bytes"] = self.written_bytes
        if self.pricing is not None:
            figures["model_seconds"] = self.pricing.chosen.seconds
            figures["timed"] = [price._asdict() for price in self.pricing.timed]
        if self.schedule is not None:
            figures["panels"] = len(self.schedule.plan.panels)
            figures["batch_size"] = self.schedule.batch_size
            figures["workers"] = self.schedule.workers
            figures["memory_bytes"] = self.schedule.footprint.total
            figures["memory"] = dict(self.schedule.footprint.parts())
        return figures

    def starts(self) -> dict[str, list[int]]:
        """First row and column of every tile: with the figures, all of the geometry."""
        rows, cols = self.plan.grid.rows, self.plan.grid.cols
        return {
            "row_starts": [rows.start(i) for i in range(rows.count)],
            "col_starts": [cols.start(j) for j in range(cols.count)],
        }

    def noting(self, *notes: str) -> Forecast:
        """The same forecast with more notes."""
        return replace(self, settings=self.settings.noting(*notes))

    def _bytes(self, count: int) -> int | None:
        return None if self.classes is None else count * self.classes * FLOAT32


def forecast_raster(
    reader: RasterReader,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    measured: Measured | None = None,
) -> Forecast:
    """Decide and plan for a raster; with a model, the reader is set to the bands that it gets.

    Parameters
    ----------
    reader : RasterReader
        The raster.
    model : Model or None
        The model, where one is known.
    options : Options
        What the user asked for.
    area : shapely.Geometry, optional
        Polygon in (y, x) pixels: tiles that do not touch it are skipped.
    measured : Measured, optional
        What was measured of the model.

    Raises
    ------
    OptionError, GeometryError
        Where the options contradict the raster, the model or each other.
    """
    measured = measured or Measured()
    decided = decide_tiling(options, model, measured.found, reader.size, measured.price)
    settings = Settings(decided, None, _tta(options), tuple(reader.notes), reading=reader.reading)
    if model is not None:
        pixels, notes = choose_pixels(reader, model, options)
        settings = replace(settings, pixels=pixels, model=model_choices(options, model)).noting(
            *notes_on(options, model, decided, pixels, reader.dtype), *notes
        )
    return _forecast(settings, model, reader.size, area, options, measured)


def forecast_size(
    size: Size,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    measured: Measured | None = None,
) -> Forecast:
    """Decide and plan for a raster of which the size alone is known.

    Parameters
    ----------
    size : int or (height, width)
        Pixels of the raster.
    model, options, area, measured
        As for ``forecast_raster``.

    Raises
    ------
    OptionError, GeometryError
        Where the options contradict the size, the model or each other.
    """
    whole, measured = pair("size", size, 1), measured or Measured()
    decided = decide_tiling(options, model, measured.found, whole, measured.price)
    notes = tuple(model.metadata.notes) if model else ()
    settings = Settings(decided, None, _tta(options), notes)
    return _forecast(settings, model, whole, area, options, measured)


def judged(forecast: Forecast, model: Model, found: Probe | None, options: Options) -> Forecast:
    """Add how exact a forecast's tiles are, by what a probe found and by the model's graph."""
    plan = forecast.plan
    said = None if found is None else exactness(found, plan, options.tolerance, model)
    if plan.grid.shape == (1, 1):
        return replace(forecast, exactness=said, warning=None)
    verdict = judge(tile_wide_nodes(model), found, said == TILE_WIDE)
    settings = forecast.settings.noting(*verdict.notes)
    return replace(forecast, settings=settings, exactness=said, warning=verdict.warning)


def model_choices(options: Options, model: Model) -> dict[str, Decision[Any]]:
    """What was chosen about the model itself: its output, and the value in place of nodata."""
    choices: dict[str, Decision[Any]] = {}
    if options.model_output is not None:
        choices["model_output"] = Decision(options.model_output, OPTION)
    elif model.metadata.output is not None:
        choices["model_output"] = Decision(model.metadata.output, model.metadata.origin("output"))
    if options.fill is not None:
        choices["fill"] = Decision(options.fill, OPTION)
    return choices


def _tta(options: Options) -> Decision[str]:
    return decide((options.tta, OPTION), (NONE, DEFAULT))


def _forecast(
    settings: Settings,
    model: Model | None,
    size: Size,
    area: shapely.Geometry | None,
    options: Options,
    measured: Measured,
) -> Forecast:
    decided: Tiling = settings.tiling
    plan, _ = plan_run_grid(
        size,
        decided.tile.value,
        decided.overlap.value,
        area,
        margin=decided.margin.value,
        align=decided.align.value,
        trust=decided.trust.value,
    )
    if area is not None and not plan.tiles:
        raise OptionError("the area holds the center of no pixel of the raster")
    classes = model.classes if model else None
    forecast = Forecast(settings, plan, classes, pricing=measured.pricing)
    if model is not None:
        forecast = judged(forecast, model, measured.found, options)
    return forecast.noting(*measured.notes)
