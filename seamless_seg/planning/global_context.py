"""Models whose reductions of the whole image get its statistics, so that all tiles agree."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..decisions import Decision
from ..errors import GeometryError, OptionError
from ..models.base import Model
from ..models.cut_model import CutModel, TracedShape, cut_models, in_orientations
from ..models.partial_sums import PartialSums
from ..models.tile_model import TileModel
from ..probes.graph_verdict import size_obstacle
from ..tiling.axis import Axis
from ..validation import format_size
from ..windows import Pair
from .feature_ownership import FeatureAxis
from .forecast import Forecast
from .options import Options
from .statistics_file import StoredStatistics, read_statistics
from .statistics_origin import StatisticsOrigin, origin_of

if TYPE_CHECKING:
    from ..graphs.whole_image import Statistic
    from ..raster.reader import RasterReader

NEEDED = "needed for the whole image's statistics"
"""Origin of a margin or an alignment that the output alone does not need."""

MASKED_BYTES = 12
"""Bytes of a value of a reduced tensor beside the model's own: masked, and in float64."""

TRIAL_SIDE = 256
"""Height and width in px of the noise whose statistics a model gets while it is measured."""


@dataclass(frozen=True)
class GlobalContext:
    """The reductions of the whole image whose statistics a model is given."""

    members: tuple[CutModel, ...]
    """The model's files, each in each orientation."""
    traced: tuple[TracedShape, ...]
    """Their reductions, for tiles of the trial's shape."""
    shape: Pair
    """Height and width of the trial's tile, px."""
    stored: StoredStatistics | None
    """Statistics of an earlier run; None if they are to be measured."""
    sample: float
    """Share of the tiles on which levels after the first are measured."""
    origin: StatisticsOrigin | None = None
    """The raster of the run; None where only its size is known."""

    @property
    def whose(self) -> str:
        """Whose statistics the model is given, in words."""
        if self.stored is not None:
            return self.stored.origin.whose
        if self.origin is not None and self.origin.is_masked:
            return "the statistics of the whole image's valid pixels"
        return "the whole image's statistics"

    @property
    def sampled(self) -> str | None:
        """Which statistics are those of some tiles only, in words; None where none are."""
        share = self.sample if self.stored is None else self.stored.sample
        if share == 1 or self.levels == 1:
            return None
        of = "" if self.stored is None else f" of {self.stored.origin.raster}"
        return f"after the first level, statistics are those of {100 * share:.3g}% of the tiles{of}"

    @property
    def nodes(self) -> int:
        """Number of nodes that reduce the whole image."""
        return sum(len(own.reductions) for own in self.traced)

    @property
    def listed(self) -> str:
        """The number of nodes and of levels in words."""
        return f"{_counted(self.nodes, 'node')} in {_counted(self.levels, 'level')}"

    @property
    def levels(self) -> int:
        """Passes over all tiles that measure the statistics."""
        return max(own.levels for own in self.traced)

    def pass_bytes(self, shape: Pair) -> int:
        """Return the bytes that a tile of a pass needs beyond the model's own.

        Parameters
        ----------
        shape : (height, width)
            Pixels of the model's input.
        """
        if self.stored is not None:
            return 0
        tensors = (own.image.shape for traced in self.traced for own in traced.reductions)
        largest = max(map(math.prod, tensors))
        return math.ceil(MASKED_BYTES * largest * math.prod(shape) / math.prod(self.shape))

    def feature_axes(self, n: int, tiles: Axis) -> list[FeatureAxis]:
        """Return the features down (0) or across (1) tiles, of each reduction."""
        return [
            FeatureAxis(tiles, features.axes[n], self.shape[n], member.model.spec.border)
            for member, traced in zip(self.members, self.traced, strict=True)
            for features in traced.features
        ]


def with_global_statistics(
    model: Model, options: Options, channels: int, source: Any
) -> tuple[Model, GlobalContext]:
    """Give a model the statistics of an earlier run, or those of noise until others are measured.

    The graph of the model's files is replaced, also in other uses of the same open model.

    Parameters
    ----------
    model : Model
        The model, resolved.
    options : Options
        The user's options.
    channels : int
        Bands of the input.
    source : str, path-like, callable or list of these
        The model as it was given.

    Raises
    ------
    OptionError
        If the model has no such reduction, or depends on the whole image in another way, too; or
        if the statistics are of another model.
    """
    shape = _trial_shape(model, channels)
    model = in_orientations(model, options.tta)
    members = cut_models(model)
    traced = [own.traced(channels, shape) for own in members]
    if not any(own.reductions for own in traced):
        raise OptionError(f"{model.spec.name} has no reduction over the image: leave exact= out")
    pairs = zip(members, traced, strict=True)
    files = {(member.model.spec.name, member.model.output): (member, own) for member, own in pairs}
    for member, own in files.values():
        _require_free_size(member, own, channels)
    stored, variant = None, "-global"
    if options.statistics is not None:
        stored = read_statistics(options.statistics)
        outputs = [own.model.output for own in members]
        stored.require_model(source, options, outputs, traced)
        numbers = json.dumps(stored.document()["members"])
        digest = hashlib.sha256(numbers.encode()).hexdigest()
        variant += f"-{digest[:16]}"
    for n, (member, own) in enumerate(zip(members, traced, strict=True)):
        statistics = stored.members[n] if stored else _of_noise(member, own, channels, shape)
        member.give(own, statistics)
    sample = 1.0 if options.statistics_sample is None else options.statistics_sample
    context = GlobalContext(tuple(members), tuple(traced), shape, stored, sample)
    return _renamed(model, variant), context


def forecast_with_statistics(
    context: GlobalContext | None,
    options: Options,
    make: Callable[[Options], Forecast],
    reader: RasterReader | None = None,
) -> tuple[Forecast, GlobalContext | None]:
    """Return a forecast whose tiles fit the statistics and which says so, and its context.

    Parameters
    ----------
    context : GlobalContext or None
        The reductions; None for a model without statistics.
    options : Options
        The user's options.
    make : callable
        Makes a forecast from options.
    reader : RasterReader, optional
        The raster; the context of the result has it as its origin.
    """
    forecast = make(options)
    if context is None:
        return forecast, None
    found = _enlarged(forecast, context, options)
    if found:
        values: dict[str, Any] = {name: own.value for name, own in found.items()}
        try:
            forecast = make(replace(options, **values))
        except GeometryError as error:
            raise _without_room(forecast, error) from error
        settings = forecast.settings
        tiling = replace(settings.tiling, **found)  # type: ignore[arg-type]  # margin and align
        forecast = replace(forecast, settings=replace(settings, tiling=tiling))
    if reader is not None:
        origin = origin_of(reader, forecast.settings, options.normalize)
        context = replace(context, origin=origin)
    tiles = math.prod(forecast.plan.grid.shape)
    if chosen_tiles(tiles, context.sample) == tiles:
        context = replace(context, sample=1.0)
    return _told(forecast, context), context


def _without_room(forecast: Forecast, error: GeometryError) -> OptionError:
    """Return the error where tiles have no room for the margin or the grid of the statistics."""
    said = forecast.exactness or ""
    if not said.startswith("not exact: "):
        return OptionError(f"the whole image's statistics need a margin and a grid: {error}")
    return OptionError(f'exact="global" has no room: {said.removeprefix("not exact: ")}')


def chosen_tiles(tiles: int, share: float) -> int:
    """Return how many of the tiles statistics of a share of them are measured on."""
    return math.ceil(tiles * share)


def _enlarged(
    forecast: Forecast, context: GlobalContext, options: Options
) -> dict[str, Decision[Pair]]:
    """Return the margin and alignment that the statistics need, where options leave them open."""
    grid = forecast.plan.grid
    margins, aligns = [], []
    for n, tiles in enumerate((grid.rows, grid.cols)):
        axes = [own for own in context.feature_axes(n, tiles) if tiles.count > 1]
        most = max((own.needed_overlap for own in axes), default=0)
        margins.append(max(tiles.margin, most // 2))
        aligns.append(math.lcm(tiles.align, *(own.features.period for own in axes)))
    margin, align = (margins[0], margins[1]), (aligns[0], aligns[1])
    found = {}
    is_open = options.pair("margin") is None and options.pair("overlap") is None
    if is_open and margin != (grid.rows.margin, grid.cols.margin):
        found["margin"] = Decision(margin, NEEDED)
    if options.pair("align") is None and align != (grid.rows.align, grid.cols.align):
        found["align"] = Decision(align, NEEDED)
    return found


def _told(forecast: Forecast, context: GlobalContext) -> Forecast:
    """Return a forecast that says how exact tiles are with statistics, and what these cost."""
    forecast = with_statistics(forecast, context)
    listed = f"statistics of {context.listed}"
    sampled = "" if context.sampled is None else f"; {context.sampled}"
    if context.stored is not None:
        origin = context.stored.origin
        if context.origin is not None:
            warnings = origin.warnings_for(context.origin)
            forecast = replace(forecast, settings=forecast.settings.warning(*warnings))
        return forecast.noting(
            f"the {listed} are those of {origin.raster} ({format_size(origin.size)} px): none is "
            f"measured{sampled}"
        )
    rows, cols = forecast.plan.grid.shape
    each = "each " if context.levels > 1 else ""
    note = (
        f'exact="global" first measures the {listed}: '
        f"{_counted(context.levels, 'pass', 'passes')} over the raster, {each}about as long "
        f"as a run of {_counted(rows * cols, 'tile')}{sampled}"
    )
    forecast = replace(forecast, statistics_passes=context.levels)
    if forecast.statistics_seconds is not None:
        note += f", so about {forecast.statistics_seconds:.3g} s together by timing"
    return forecast.noting(note)


def with_statistics(forecast: Forecast, context: GlobalContext) -> Forecast:
    """Return a forecast that says with which statistics its tiles are exact."""
    if forecast.exactness is None:
        return forecast
    said, is_far = forecast.exactness, forecast.exactness.startswith("not exact")
    if context.sampled is None:
        given = f"; tiles have {context.whose}" if is_far else f", with {context.whose}"
        return replace(forecast, exactness=f"{said}{given} ({context.listed})")
    if forecast.exact_by is not None:
        said = "tiles agree with each other, but not with one run over the whole image"
    sampled = f"{context.sampled} ({context.listed})"
    sentence = f"{said}; {sampled}" if is_far else f"not exact: {sampled}; {said}"
    return replace(forecast, exact=False, exactness=sentence, exact_by=None)


def _counted(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _renamed(model: Model, variant: str) -> Model:
    """Return a model with another suffix of its cache keys."""
    named = copy(model)
    named.spec = replace(model.spec, variant=model.spec.variant + variant)  # type: ignore[misc]
    return named


def _trial_shape(model: Model, channels: int) -> tuple[int, int]:
    height, width = (length or TRIAL_SIDE for length in model.spec.tile)
    return TileModel(model, channels, (height, width), (1, 1)).shape


def _require_free_size(member: CutModel, traced: TracedShape, channels: int) -> None:
    """Raise ``OptionError`` if the graph depends on the image's size in another way than numbers.

    A sum over the image, too, depends on its size, which a graph of fixed size does not know.
    """
    from ..graphs.whole_image import ADDITIVE, moments_of

    name, fixed = member.model.spec.name, member.model.spec.tile
    reason = size_obstacle(member.model, channels)
    if reason is None and any(fixed):
        sums = [own for own in traced.reductions if moments_of(own)[0] in ADDITIVE]
        labels = [*(own.label for own in traced.sizes), *(own.label for own in sums)]
        if labels:
            reason = f"{labels[0]}: it is for images of {format_size(fixed)} px alone"
    if reason is not None:
        raise OptionError(f'{name} cannot be run with exact="global": {reason}; leave exact= out')


def _of_noise(
    member: CutModel, traced: TracedShape, channels: int, shape: tuple[int, int]
) -> dict[str, Statistic]:
    """Measure the statistics of an image of noise."""
    image = np.random.default_rng(0).standard_normal((channels, *shape), np.float32)
    from ..graphs.whole_image import count_of, size_statistics

    statistics = size_statistics(traced.sizes)
    for level in range(1, traced.levels + 1):
        member.open_level(traced, level, statistics)
        features = traced.of_level(level)
        counted = [np.ones([axis.length for axis in own.axes], np.bool_) for own in features]
        sums = PartialSums(features, [count_of(own.reduction) for own in features])
        sums.add(member.partials(features, image, counted))
        statistics |= sums.statistics()
    return statistics
