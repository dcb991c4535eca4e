"""Judging: logits next to a reference's, window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Logits, Mask
from .fidelity import Fidelity
from .seams import SeamScore
from .tiling.plan import Plan
from .windows import Window

if TYPE_CHECKING:
    from .inference.extent import Part
    from .raster.reader import RasterReader


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
