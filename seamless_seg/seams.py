"""Seams: whether more changes where other tiles begin to speak than it does elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .arrays import Logits
from .tiling.axis import Axis
from .tiling.plan import Plan
from .tiling.trust import Profile
from .tiling.weights import trusted
from .windows import Window


class SeamScore:
    """The mean absolute step between neighbouring pixels at seams, over that everywhere else.

    Steps that are not finite are left out.

    Parameters
    ----------
    plan : Plan
        It says where the seams are: see ``seam_lines``.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lines = 0
        self._at_seams = _Mean()
        self._elsewhere = _Mean()

    def add(self, logits: Logits, window: Window) -> None:
        """Add the steps into and within a window.

        ``logits`` are of the window ``extended``, shape ``(height, width, classes)``.
        """
        wider = window.extended()
        for number, axis in enumerate((self._plan.grid.rows, self._plan.grid.cols)):
            across = 1 - number
            beside = window[across].start - wider[across].start
            own = logits[:, beside:] if number == 0 else logits[beside:]
            with np.errstate(invalid="ignore", over="ignore"):
                steps = np.abs(np.diff(own, axis=number))
            # The step before pixel p of the image is number p - 1 - start of the wider window's.
            first = wider[number].start + 1
            lines = np.zeros(steps.shape[number], np.bool_)
            for line in seam_lines(axis, self._plan.trust, first, window[number].stop):
                lines[line - first] = True
            self._lines += int(lines.sum())
            self._at_seams.add(steps.compress(lines, axis=number))
            self._elsewhere.add(steps.compress(~lines, axis=number))

    @property
    def value(self) -> float | None:
        """None where there are no seams; NaN where no step at them is finite."""
        if not self._lines:
            return None
        seams, others = self._at_seams.value, self._elsewhere.value
        if others:
            return seams / others
        return 1.0 if seams == 0 else math.inf


def seam_lines(axis: Axis, trust: str | Profile, low: int, high: int) -> Iterator[int]:
    """Pixels of ``[low, high)`` along an axis that other tiles speak for than for the one before.

    That is where a tile's trust rises from zero or falls to it: where overlaps begin and end, less
    the margin; for a hard cut, where the one tile follows the other.
    """
    lines: set[int] = set()
    for k in axis.tiles_over(low - 1, high):
        lines.update(trusted(axis, k, trust))
    yield from sorted(line for line in lines - {0, axis.size} if low <= line < high)


class _Mean:
    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, values: Logits) -> None:
        finite = values[np.isfinite(values)]
        self.total += float(finite.sum(dtype=np.float64))
        self.count += finite.size

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else math.nan
