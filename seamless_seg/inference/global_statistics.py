"""Passes over all tiles that measure statistics of the whole image, before the run itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Mask
from ..errors import OptionError
from ..models.cut_model import CutModel, Features, TracedShape
from ..models.files import fingerprint
from ..models.partial_sums import PartialSums
from ..planning.feature_ownership import FeatureAxis, counted_features
from ..planning.global_context import GlobalContext, chosen_tiles
from ..planning.statistics_file import StoredStatistics
from ..planning.undeclared_nodata import refuse_nan
from ..progress import OnProgress, Progress
from ..system import release_bytes
from ..threads import ReadAhead
from ..tiling.plan import Batch, Plan
from .prepared import PreparedRun
from .tile_reader import TileBatch, TileReader

if TYPE_CHECKING:
    from ..graphs.whole_image import Statistics


def give_global_statistics(
    run: PreparedRun, on_progress: OnProgress | None = None, panel: int | None = None
) -> StoredStatistics | None:
    """Measure the statistics of the whole raster and give them to the run's model.

    Tiles run one by one, and are summed up row by row, so that the statistics have the same bits
    whatever the size of batches, the number of workers and the panels.

    Parameters
    ----------
    run : PreparedRun
        The run; an area does not limit the statistics.
    on_progress : callable, optional
        Called with a ``Progress`` after every tile of every pass.
    panel : int, optional
        Columns of tiles that are read at a time, to limit the memory for rows of the raster.

    Returns
    -------
    StoredStatistics or None
        None where the run needs none.

    Raises
    ------
    OptionError
        If tiles are not such that each feature is measured as in the whole image, if pixels
        are NaN that is not declared as nodata, or if no pixel is valid.
    """
    context = run.global_context
    if context is None or context.origin is None or run.is_empty:
        return None
    if context.stored is not None:
        return context.stored
    passes = _Passes(run, context, panel)
    members = passes.measure(on_progress)
    return StoredStatistics(
        fingerprint(run.source),
        tuple(own.model.output for own in context.members),
        run.forecast.settings.tta.value,
        context.sample,
        context.origin,
        tuple(members),
    )


@dataclass(frozen=True)
class _Member:
    """A cut model, and its reductions for the tiles of a run."""

    cut: CutModel
    traced: TracedShape
    whole: TracedShape
    """The same for the whole image."""
    axes: Mapping[str, tuple[FeatureAxis, FeatureAxis]]
    """Features of each reduction down and across, by the name of its node."""
    excess: int
    """Pixels around what the member is given, which others of the ensemble need."""

    def axes_of(self, features: Features) -> tuple[FeatureAxis, FeatureAxis]:
        return self.axes[features.reduction.node]

    def totals(self, level: int) -> list[int]:
        """Return how many values of the whole image the reductions of a level are of."""
        from ..graphs.whole_image import count_of

        return [count_of(own.reduction) for own in self.whole.of_level(level)]


class _Passes:
    """Passes over the tiles of a run, one for each level of reductions."""

    def __init__(self, run: PreparedRun, context: GlobalContext, panel: int | None) -> None:
        self._run, self._context = run, context
        self._plan = replace(run.plan, coverage=None, panel=panel)
        self._members = [_member(run, own) for own in context.members]
        self._tiles = TileReader(
            run.reader,
            run.fitted,
            run.forecast.settings.normalization,
            run.reader.dtype,
            run.fill,
            normalizes=True,
        )

    def measure(self, on_progress: OnProgress | None) -> list[Statistics]:
        """Measure all levels, and give the members' models their statistics."""
        from ..graphs.whole_image import size_statistics

        statistics: list[dict[str, Any]] = [
            size_statistics(own.whole.sizes) for own in self._members
        ]
        levels = max(own.traced.levels for own in self._members)
        for level in range(1, levels + 1):
            unit = f"tiles (statistics {level} of {levels})"
            for n, found in enumerate(self._measure_level(level, statistics, unit, on_progress)):
                statistics[n] |= found
        for member, found in zip(self._members, statistics, strict=True):
            member.cut.give(member.traced, found)
        release_bytes()  # what the passes held, before the run begins
        return list(statistics)

    def _measure_level(
        self,
        level: int,
        known: list[dict[str, Any]],
        unit: str,
        on_progress: OnProgress | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the statistics of a level for each member."""
        features = [own.traced.of_level(level) for own in self._members]
        for member, listed, statistics in zip(self._members, features, known, strict=True):
            if listed:
                member.cut.open_level(member.traced, level, statistics)
        sums = [
            PartialSums(listed, own.totals(level))
            for own, listed in zip(self._members, features, strict=True)
        ]
        share, is_empty = self._share(level, features), True
        progress = Progress(0, chosen_tiles(self._plan.tiles, share), 0, unit)
        with ReadAhead(self._tiles.read(_chosen(self._plan, share))) as tiles:
            for batch in _chosen(self._plan, share):
                tile = next(tiles)
                if any(tile.has_data):
                    is_empty = False
                    for n, member in enumerate(self._members):
                        if features[n]:
                            partials = self._partials(member, features[n], batch, tile)
                            sums[n].add(partials, batch.indices[0][0])
                progress = progress.more(math.prod(self._plan.grid.tile_shape))
                if on_progress:
                    on_progress(progress)
        if is_empty:
            raise OptionError(_without_data(share))
        yield from (own.statistics() for own in sums)

    def _share(self, level: int, features: list[list[Features]]) -> float:
        """Return the share of the tiles that a pass runs on; a sum over the image needs all."""
        from ..graphs.whole_image import ADDITIVE, moments_of

        reductions = [own.reduction for listed in features for own in listed]
        if any(moments_of(own)[0] in ADDITIVE for own in reductions):
            return 1.0
        return self._context.sample if level > 1 else 1.0

    def _partials(
        self, member: _Member, features: list[Features], batch: Batch, tile: TileBatch
    ) -> Iterable[Any]:
        valid = self._padded(tile.valid[0])
        counted = [
            counted_features(*member.axes_of(own), batch.indices[0], valid) for own in features
        ]
        pixels = self._run.fitted.padded(tile.pixels)[0]
        if np.isnan(pixels).any():
            refuse_nan(self._run.reader.nodata)
        own = slice(member.excess, pixels.shape[1] - member.excess)
        across = slice(member.excess, pixels.shape[2] - member.excess)
        return member.cut.partials(features, pixels[:, own, across], counted)

    def _padded(self, valid: Mask | None) -> Mask | None:
        """Extend valid pixels by reflection to what the model is given, without its border."""
        if valid is None:
            return None
        fitted = self._run.fitted
        beyond = [
            (0, full - 2 * fitted.border - own)
            for full, own in zip(fitted.shape, valid.shape, strict=True)
        ]
        return np.pad(valid, beyond, mode="reflect")


def _member(run: PreparedRun, cut: CutModel) -> _Member:
    """Trace a cut model for the run's tiles, and check that their features are the image's."""
    fitted, grid = run.fitted, run.plan.grid
    border = cut.model.spec.border
    excess = fitted.border - border
    shape = fitted.shape[0] - 2 * excess, fitted.shape[1] - 2 * excess
    channels = len(run.reader.bands)
    traced = cut.traced(channels, shape)
    starts = (own.start(own.count - 1) for own in (grid.rows, grid.cols))
    height, width = (first + length for first, length in zip(starts, shape, strict=True))
    whole = cut.traced_whole(channels, (height, width), traced)
    axes = {}
    for features in traced.features:
        rows, cols = (
            FeatureAxis(tiles, own, length, border)
            for tiles, own, length in zip((grid.rows, grid.cols), features.axes, shape, strict=True)
        )
        for along in (rows, cols):
            along.check(cut.model.spec.name)
        axes[features.reduction.node] = rows, cols
    return _Member(cut, traced, whole, axes, excess)


def _chosen(plan: Plan, share: float) -> Iterator[Batch]:
    """Yield the tiles of a plan one by one, or an evenly spread share of them."""
    for n, batch in enumerate(plan.batches(1)):
        if chosen_tiles(n + 1, share) > chosen_tiles(n, share):
            yield batch


def _without_data(share: float) -> str:
    """Say that no statistic can be measured on a share of the tiles."""
    if share == 1:
        return "no pixel of the raster is valid: there is nothing to measure statistics on"
    return (
        f"no pixel of the {100 * share:.3g}% of the tiles is valid on which statistics are "
        f"measured: give a larger statistics_sample="
    )
