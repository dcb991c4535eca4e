"""Disagreement: how far tiles that overlap are apart, which is what blending has to hide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from .axis import Axis
from .blend import Blender, largest, smallest
from .fidelity import classes
from .grid import Index, shape_to_slices
from .plan import Plan

Logits: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Disagreement(NamedTuple):
    """How far the tiles are apart at each pixel of a window, shape ``(height, width)``."""

    shared: Mask
    """Whether more than one tile speaks for the pixel: outside of the margin of several."""
    apart: npt.NDArray[np.float32]
    """The difference of the largest and the smallest logit, of the class where it is largest."""
    other_class: Mask
    """Whether the tiles name different classes."""


class Disagreements:
    """Follows the tiles of a plan, in its order, and tells how far they are apart.

    Like a ``Blender`` it holds what later tiles can still change, and nothing else.
    """

    def __init__(self, plan: Plan) -> None:
        everyone = replace(plan, trust="flat")
        self._plan = plan
        self._largest, self._smallest = Blender(everyone, largest), Blender(everyone, smallest)

    def add(self, index: Index, geom: shapely.Polygon, tile: Logits) -> Disagreement:
        """Add a tile ``(height, width, classes)``; returns what its window ``geom`` comes to."""
        said = np.concatenate([tile, classes(tile)[..., None]], axis=-1, dtype=np.float32)
        highest, lowest = self._largest.add(index, said), self._smallest.add(index, said)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.where(highest == lowest, 0, highest - lowest)
        rows, cols = shape_to_slices(geom)
        speakers = _speakers(self._plan.grid.rows, rows)[:, None]
        shared = speakers * _speakers(self._plan.grid.cols, cols) > 1
        return Disagreement(shared, apart[..., :-1].max(axis=-1), apart[..., -1] > 0)


def _speakers(axis: Axis, interval: slice) -> npt.NDArray[np.int64]:
    """How many tiles speak for each pixel of an interval."""
    count = np.zeros(interval.stop - interval.start, np.int64)
    for k in axis.tiles_over(interval.start, interval.stop):
        start = axis.start(k) + (axis.margin if k else 0)
        stop = axis.stop(k) - (axis.margin if k < axis.count - 1 else 0)
        count[max(0, start - interval.start) : max(0, stop - interval.start)] += 1
    return count
