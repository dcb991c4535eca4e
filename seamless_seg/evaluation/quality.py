"""Quality: how far logits are from a reference, and how strong their seams are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..arrays import Logits, Mask, classes, difference
from ..tiling.plan import Plan
from ..windows import Window
from .seams import SeamScore


@dataclass(frozen=True)
class Quality:
    """Quality of logits: shares of pixels, and differences in units of the logits."""

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
    """``steps`` over ``reference_steps``: 1.0 for no visible seams; None if no tiles meet."""
    steps: float | None
    """Mean step between neighboring pixels at seams, over that elsewhere; None if no tiles meet."""
    reference_steps: float | None
    """The same ratio in the reference: the effect of the image's own content at these places."""


class Comparison:
    """Compares logits with a reference, window by window.

    Parameters
    ----------
    plan : Plan
        Where the tiles of the logits lie and how far they are trusted.
    name : str
        Name of the ``Quality``.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self._name = name
        self._differences = Differences()
        self._steps, self._reference_steps = SeamScore(plan), SeamScore(plan)

    def add(self, logits: Logits, reference: Logits, window: Window, valid: Mask | None) -> None:
        """Add a window.

        Parameters
        ----------
        logits, reference : ndarray
            Values of ``window.extended()``, shape ``(height, width, classes)``, 0 where a pixel
            is not valid.
        window : Window
            The window in the image.
        valid : ndarray or None
            Valid pixels of ``window.extended()``, shape ``(height, width)``; None if all are.
        """
        inner = window.within(window.extended())
        own, other = logits[inner], reference[inner]
        if valid is not None:
            own, other = own[valid[inner]], other[valid[inner]]
        self._differences.add(own, other)
        self._steps.add(logits, window)
        self._reference_steps.add(reference, window)

    def quality(self) -> Quality:
        """Return the quality over all windows that were added."""
        found, steps, usual = self._differences, self._steps.value, self._reference_steps.value
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


class Differences:
    """Differences between logits and a reference, added window by window."""

    def __init__(self) -> None:
        self.pixels = 0
        """Pixels that were compared."""
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
        """Share of the pixels with different classes."""
        return self._other_class / max(1, self.pixels)
