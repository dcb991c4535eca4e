"""Quality: how far tiled logits are from a reference, and how strong their seams are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Logits, Mask, classes, difference
from ..tiling.axis import Axis
from ..tiling.plan import Plan
from ..tiling.trust import Profile
from ..tiling.weights import trusted
from ..windows import Window

if TYPE_CHECKING:
    from ..inference.extent import Part
    from ..raster.reader import RasterReader


@dataclass(frozen=True)
class Quality:
    """How good logits are; shares of pixels, differences in units of the logits."""

    name: str
    """The file that was checked, or the trust by which tiles were blended."""
    identical: float
    """Share of the pixels with the reference's logits, bit for bit."""
    largest: float
    """Largest difference of a logit from the reference's."""
    mean: float
    """Mean difference of a logit from the reference's."""
    other_class: float
    """Share of the pixels with another class than the reference's."""
    seams: float | None
    """``steps`` over ``reference_steps``: 1.0 where nothing is to be seen."""
    steps: float | None
    """Mean step where other tiles begin to speak over that elsewhere; None where no tiles meet."""
    reference_steps: float | None
    """The same of the reference: what the picture itself does at these places."""


class Made:
    """An output that is to be checked.

    Parameters
    ----------
    reader : RasterReader
        Its file.
    part : Part, optional
        What it has of its raster; all of it where None.
    """

    def __init__(self, reader: RasterReader, part: Part | None) -> None:
        self.path: Any = reader.path
        self._reader = reader
        self._part = part

    def read(self, window: Window, valid: Mask | None) -> tuple[Logits, Mask | None]:
        """Logits of a window, and its pixels that are valid, and wanted where it is of an area."""
        if self._part is None:
            return self._reader.read(*window).transpose(1, 2, 0), valid
        logits = self._part.read(self._reader, *window)
        wanted = self._part.wanted(*window)
        if wanted is None:
            wanted = np.asarray(~np.isnan(logits).all(axis=-1))
        return logits, wanted if valid is None else valid & wanted


def values_beyond(logits: Logits, valid: Mask | None) -> int:
    """Pixels that have logits and are not valid."""
    return 0 if valid is None else int(np.isfinite(logits[~valid]).any(axis=-1).sum())


def count_valid(valid: Mask | None, window: Window) -> int:
    """Valid pixels of a window, out of those of the window ``extended``."""
    if valid is None:
        return math.prod(window.shape)
    return int(np.count_nonzero(valid[window.within(window.extended())]))


class Judge:
    """Gathers what makes a ``Quality``."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._name = name
        self._fidelity = Fidelity()
        self._steps, self._reference_steps = SeamScore(plan), SeamScore(plan)

    def add(self, logits: Logits, reference: Logits, window: Window, valid: Mask | None) -> None:
        """Add a window: values of the window ``extended``, 0 where they are not valid."""
        inner = window.within(window.extended())
        own, other = logits[inner], reference[inner]
        if valid is not None:
            own, other = own[valid[inner]], other[valid[inner]]
        self._fidelity.add(own, other)
        self._steps.add(logits, window)
        self._reference_steps.add(reference, window)

    def quality(self) -> Quality:
        """What has been gathered."""
        found, steps, usual = self._fidelity, self._steps.value, self._reference_steps.value
        return Quality(
            name=self._name,
            identical=found.identical,
            largest=found.largest,
            mean=found.mean,
            other_class=found.other_class,
            seams=None if steps is None or usual is None else _ratio(steps, usual),
            steps=steps,
            reference_steps=usual,
        )


def _ratio(steps: float, usual: float) -> float:
    if steps == usual:
        return 1.0
    return steps / usual if usual else math.inf


class Fidelity:
    """Gathers the differences between logits and a reference, window by window."""

    def __init__(self) -> None:
        self.pixels = 0
        self._identical = 0
        self._total = 0.0
        self._values = 0
        self._other_class = 0
        self.largest = 0.0
        """Largest difference of two logits; infinite where one of them is not finite."""

    def add(self, logits: Logits, reference: Logits) -> None:
        """Add a window, or some pixels of it: both of shape ``(..., classes)``."""
        if not logits.size:
            return
        apart = difference(logits, reference)
        same = apart == 0
        self.pixels += same[..., 0].size
        self._identical += int(same.all(axis=-1).sum())
        self._total += float(apart.sum())
        self._values += apart.size
        self.largest = max(self.largest, float(apart.max()))
        self._other_class += int((classes(logits) != classes(reference)).sum())

    @property
    def identical(self) -> float:
        """Share of the pixels all of whose logits are the same, bit for bit."""
        return self._identical / max(1, self.pixels)

    @property
    def mean(self) -> float:
        """Mean difference of two logits."""
        return self._total / max(1, self._values)

    @property
    def other_class(self) -> float:
        """Share of the pixels whose class is another."""
        return self._other_class / max(1, self.pixels)


class SeamScore:
    """The mean absolute step between neighboring pixels at seams, over that everywhere else.

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
