"""Seams: how much larger steps between neighboring pixels are where tiles begin or end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..arrays import Logits
from ..tiling.axis import Axis
from ..tiling.plan import Plan
from ..tiling.trust import Profile
from ..tiling.weights import trusted
from ..windows import Window


class SeamScore:
    """Ratio of the mean absolute step between neighboring pixels at seams to that elsewhere.

    Steps that are not finite are left out.

    Parameters
    ----------
    plan : Plan
        Where the seams are: see ``seam_lines``.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lines = 0
        self._at_seams = _Mean()
        self._elsewhere = _Mean()

    def add(self, logits: Logits, window: Window) -> None:
        """Add the steps into and within ``window``.

        ``logits`` are those of ``window.extended()``, shape ``(height, width, classes)``.
        """
        wider = window.extended()
        for number, axis in enumerate((self._plan.grid.rows, self._plan.grid.cols)):
            across = 1 - number
            beside = window[across].start - wider[across].start
            own = logits[:, beside:] if number == 0 else logits[beside:]
            with np.errstate(invalid="ignore", over="ignore"):
                steps = np.abs(np.diff(own, axis=number))
            # In the extended window the step into pixel p of the image has index p - 1 - start.
            first = wider[number].start + 1
            lines = np.zeros(steps.shape[number], np.bool_)
            for line in seam_lines(axis, self._plan.trust, first, window[number].stop):
                lines[line - first] = True
            self._lines += int(lines.sum())
            self._at_seams.add(steps.compress(lines, axis=number))
            self._elsewhere.add(steps.compress(~lines, axis=number))

    @property
    def value(self) -> float | None:
        """The ratio; None if there are no seams, NaN if no step at them is finite."""
        if not self._lines:
            return None
        seams, others = self._at_seams.value, self._elsewhere.value
        if others:
            return seams / others
        return 1.0 if seams == 0 else math.inf


def seam_lines(axis: Axis, trust: str | Profile, low: int, high: int) -> Iterator[int]:
    """Yield the pixels of ``[low, high)`` that other tiles contribute to than to the pixel before.

    That is where a tile's trust rises from zero or falls to it: where overlaps begin and end, less
    the margin; with ``crop``, where one tile follows the other.

    Parameters
    ----------
    axis : Axis
        The axis along which the tiles lie.
    trust : str or callable
        As for ``plan_run_grid``.
    low, high : int
        Half-open interval of pixels.
    """
    lines: set[int] = set()
    for k in axis.tiles_over(low - 1, high):
        lines.update(trusted(axis, k, trust))
    yield from sorted(line for line in lines - {0, axis.size} if low <= line < high)


class _Mean:
    """A mean of finite values, added array by array."""

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
