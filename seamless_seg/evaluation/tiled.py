"""Trials: the tiles of a task run for a window, blended in several ways at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from ..arrays import Values
from ..inference.prepared import PreparedRun
from ..tiling.blend import Blender
from ..tiling.coverage import Coverage
from ..tiling.grid import shape_to_slices
from ..tiling.trust import Profile
from ..windows import Window, common
from .disagreement import Disagreement, Disagreements


def blend_window(
    task: PreparedRun, window: Window, trusts: Sequence[str | Profile]
) -> tuple[list[Values], Disagreement]:
    """Logits of a window for each of the profiles, and how far the tiles are apart there.

    The bits are those of a run over the whole raster. Each tile is run once for all of it.
    """
    plan = replace(task.plan, coverage=Coverage(task.plan.grid, _box(window)))
    blenders = [Blender(replace(plan, trust=trust)) for trust in trusts]
    blended = [np.empty((*window.shape, task.fitted.classes), np.float32) for _ in trusts]
    everywhere = Disagreement(*(np.empty(window.shape, kind) for kind in (bool, np.float32, bool)))
    disagreements = Disagreements(plan)
    for index, geom, tile, _ in task.tile_logits(plan):
        to, part = common(window, shape_to_slices(geom))
        for blender, logits in zip(blenders, blended, strict=True):
            logits[to] = blender.add(index, tile)[part]
        found = disagreements.add(index, geom, tile)
        for whole, own in zip(everywhere, found, strict=True):
            whole[to] = own[part]
    return blended, everywhere


def _box(window: Window) -> shapely.Polygon:
    rows, cols = window
    return shapely.box(rows.start, cols.start, rows.stop, cols.stop)
