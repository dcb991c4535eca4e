"""Seams: whether more changes where other tiles begin to speak than it does elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .axis import Axis
from .plan import Plan
from .sample import Window
from .trust import Profile, profile

Logits: TypeAlias = npt.NDArray[Any]


class SeamScore:
    """The mean absolute step between neighbouring pixels at seams, over that everywhere else.

    Parameters
    ----------
    plan : Plan
        It says where the seams are: see ``seam_lines``.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._at_seams = _Mean()
        self._elsewhere = _Mean()

    def add(self, logits: Logits, window: Window) -> None:
        """Add a window, shape ``(height, width, classes)``."""
        for number, axis in enumerate((self._plan.grid.rows, self._plan.grid.cols)):
            interval = window[number]
            with np.errstate(invalid="ignore", over="ignore"):
                steps = np.abs(np.diff(logits, axis=number))
            # The step before pixel p of the image is number p - 1 - start of the window's.
            lines = np.zeros(steps.shape[number], np.bool_)
            for line in seam_lines(axis, self._plan.trust, interval.start + 1, interval.stop):
                lines[line - 1 - interval.start] = True
            self._at_seams.add(steps.compress(lines, axis=number))
            self._elsewhere.add(steps.compress(~lines, axis=number))

    @property
    def value(self) -> float | None:
        """1.0 where nothing is to be seen; None where there are no seams."""
        if not self._at_seams.count:
            return None
        seams, others = self._at_seams.value, self._elsewhere.value
        if not others:
            return math.inf if seams else 1.0
        return seams / others


def seam_lines(axis: Axis, trust: str | Profile, low: int, high: int) -> Iterator[int]:
    """Pixels of ``[low, high)`` along an axis that other tiles speak for than for the one before.

    That is where a tile's trust rises from zero or falls to it: where overlaps begin and end, less
    the margin; for a hard cut, where the one tile follows the other.
    """
    shape = profile(trust)
    lines = set()
    for k in axis.tiles_over(low - 1, high):
        before, after = axis.overlap_before(k), axis.overlap_after(k)
        trusted = np.flatnonzero(shape(axis.length, before, after, axis.margin))
        if before or k:
            lines.add(axis.start(k) + int(trusted[0]))
        if after or k < axis.count - 1:
            lines.add(axis.start(k) + int(trusted[-1]) + 1)
    yield from sorted(line for line in lines if low <= line < high)


class _Mean:
    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        finite = values[np.isfinite(values)]
        self.total += float(finite.sum(dtype=np.float64))
        self.count += finite.size

    @property
    def value(self) -> float:
        return self.total / max(1, self.count)
