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
from ..models.tta import NONE, symmetries_of
from ..raster.blocks import FLOAT32
from ..tiling.plan import Plan, plan_run_grid
from ..tiling.trust import name_of
from ..validation import pair
from ..windows import Size
from .bands import decide_bands, decide_pixels, notes
from .exactness import TILE_WIDE, exactness, judge
from .memory import Schedule
from .options import Options
from .settings import Pixels, Settings, Tiling
from .tile_geometry import decide_tiling
from .tile_timing import Price

if TYPE_CHECKING:
    from ..raster.reader import RasterReader
    from .autotune import Pricing


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

    def _bytes(self, count: int) -> int | None:
        return None if self.classes is None else count * self.classes * FLOAT32


def forecast_raster(
    reader: RasterReader,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    found: Probe | None = None,
    price: Price | None = None,
) -> Forecast:
    """Decide and plan for a raster; with a model, the reader is set to the bands that it gets.

    Raises
    ------
    OptionError, GeometryError
        Where the options contradict the raster, the model or each other.
    """
    decided = decide_tiling(options, model, found, reader.size, price)
    if model is None:
        settings = Settings(
            decided, tta=_tta(options), notes=list(reader.notes), reading=reader.reading
        )
        return _forecast(settings, None, reader.size, area, found, options.tolerance)
    if options.bands is not None:
        reader.select(options.bands)
    read, found_in_it = _decide_pixels(reader, model, options)
    said = [*reader.notes, *notes(options, model, decided, read, reader.dtype), *found_in_it]
    settings = Settings(decided, read, _tta(options), said, reading=reader.reading)
    return _forecast(settings, model, reader.size, area, found, options.tolerance)


def _decide_pixels(
    reader: RasterReader, model: Model, options: Options
) -> tuple[Pixels, list[str]]:
    """Decide what a model gets, select it, and say what was found in it, if that was looked at."""
    count, has_alpha = reader.count, reader.has_trailing_alpha
    if options.normalize is None:
        names = reader.descriptions
        read = decide_pixels(options, model, count, has_alpha, reader.dtype, names)
        reader.select(read.bands.value)
        return read, []
    bands = decide_bands(options, model, count, has_alpha, reader.descriptions)
    if model.spec.dtype.kind in "iu":
        raise OptionError(
            f"normalize makes small numbers of pixels, and the model takes {model.spec.dtype}: "
            f"leave it out, or give a scale"
        )
    reader.select(bands.value)
    from .raster_statistics import measure_pixels

    return measure_pixels(reader, bands, options)


def forecast_size(
    size: Size,
    model: Model | None,
    options: Options,
    area: shapely.Geometry | None = None,
    found: Probe | None = None,
    price: Price | None = None,
) -> Forecast:
    """Decide and plan for a raster of which the size alone is known.

    Raises
    ------
    OptionError, GeometryError
        Where the options contradict the size, the model or each other.
    """
    whole = pair("size", size, 1)
    decided = decide_tiling(options, model, found, whole, price)
    said = list(model.spec.metadata.notes) if model else []
    return _forecast(
        Settings(decided, None, _tta(options), said), model, whole, area, found, options.tolerance
    )


def _tta(options: Options) -> Decision[str]:
    symmetries_of(options.tta)
    return decide((options.tta, OPTION), (NONE, DEFAULT))


def _forecast(
    settings: Settings,
    model: Model | None,
    size: Size,
    area: shapely.Geometry | None,
    found: Probe | None,
    tolerance: float | None,
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
    said = None if found is None else exactness(found, plan, tolerance, model)
    return Forecast(settings, plan, model.spec.classes if model else None, said)


def warned(forecast: Forecast, model: Model, found: Probe | None) -> Forecast:
    """The forecast with a warning, where the model's graph or a probe of it gives reason to."""
    if forecast.plan.grid.shape == (1, 1):
        return replace(forecast, warning=None)
    said = judge(tile_wide_nodes(model), found, forecast.exactness == TILE_WIDE)
    forecast.settings.notes.extend(said.notes)
    return replace(forecast, warning=said.warning)
