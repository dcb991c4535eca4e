"""Tiles of a run for one window, blended by several trusts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import shapely

from ..arrays import Values
from ..inference.prepared import PreparedRun
from ..tiling.blend import Blender
from ..tiling.coverage import Coverage
from ..tiling.grid import shape_to_slices
from ..tiling.trust import Profile
from ..windows import Window, common
from .disagreement import Disagreement, DisagreementTracker
from .tile_mismatch import VoteCounter


class BlendedWindow(NamedTuple):
    """What the tiles of a window give."""

    logits: list[Values]
    """Blended logits for each trust, shape ``(height, width, classes)``."""
    disagreement: Disagreement
    """Arrays of the window's shape."""
    votes: Values
    """Tiles that give each class, as of ``VoteCounter.add``."""


def blend_window(
    run: PreparedRun, window: Window, trusts: Sequence[str | Profile]
) -> BlendedWindow:
    """Return the blended logits of a window for each trust, and how far its tiles disagree.

    The logits have the bits of a run over the whole raster. Each tile is run once for all trusts.

    Parameters
    ----------
    run : PreparedRun
        The raster, the model and the plan.
    window : Window
        A part of the raster.
    trusts : sequence of str or callable
        As ``trust`` of ``plan_run_grid``.
    """
    plan = replace(run.plan, coverage=Coverage(run.plan.grid, _box(window)))
    blenders = [Blender(replace(plan, trust=trust)) for trust in trusts]
    blended = [np.empty((*window.shape, run.fitted.classes), np.float32) for _ in trusts]
    everywhere = Disagreement(*(np.empty(window.shape, kind) for kind in (bool, np.float32, bool)))
    votes = np.empty((*window.shape, max(2, run.fitted.classes)), np.float32)
    tracker, counter = DisagreementTracker(plan), VoteCounter(plan)
    for index, geom, tile, _ in run.tile_logits(plan):
        to, part = common(window, shape_to_slices(geom))
        for blender, logits in zip(blenders, blended, strict=True):
            logits[to] = blender.add(index, tile)[part]
        found = tracker.add(index, geom, tile)
        for whole, own in zip(everywhere, found, strict=True):
            whole[to] = own[part]
        votes[to] = counter.add(index, tile)[part]
    return BlendedWindow(blended, everywhere, votes)


def _box(window: Window) -> shapely.Polygon:
    rows, cols = window
    return shapely.box(rows.start, cols.start, rows.stop, cols.stop)
