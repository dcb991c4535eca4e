"""Trust profiles to compare with: what other tools do, and what a probe has measured."""

from __future__ import annotations

import numpy as np

from seamless_seg.probes.receptive_field import Probe
from seamless_seg.tiling.trust import Trust, depth


def bartlett_hann(length: int, before: int, after: int, margin: int) -> Trust:
    """The Bartlett-Hann window: half-way between a pyramid and a Hann window."""
    inside = depth(length, before, after, margin)
    off = (1 - inside) / 2
    return np.where(inside > 0, 0.62 - 0.48 * off + 0.38 * np.cos(2 * np.pi * off), 0.0)


def tukey(length: int, before: int, after: int, margin: int) -> Trust:
    """The Tukey window: a Hann window whose middle half is level."""
    inside = depth(length, before, after, margin)
    return np.where(inside > 0, np.sin(np.pi / 2 * np.minimum(1, 2 * inside)) ** 2, 0.0)


class Measured:
    """Inverse variance: trust = 1 / (change(d)^2 + floor^2), ``d`` pixels from a cut side.

    A margin is what becomes of it where the change falls from everything to nothing.

    Parameters
    ----------
    found : Probe
        It knows the change.
    floor : float
        What tiles differ by however deep one looks, in standard deviations of the logits.
    """

    def __init__(self, found: Probe, floor: float) -> None:
        self.__name__ = f"measured, floor {floor:g}"
        radius = max(found.radius)
        change = [max(found.reach(axis).change(d) for axis in (0, 1)) for d in range(radius)]
        self._change = np.array([*change, 0.0])
        self._floor = floor

    def __call__(self, length: int, before: int, after: int, margin: int) -> Trust:
        """Return the trust."""
        change = self._change[np.minimum(np.arange(length), len(self._change) - 1)]
        rising = self._floor**2 / (change**2 + self._floor**2)
        trust = np.ones(length)
        if before:
            trust = np.minimum(trust, rising)
        if after:
            trust = np.minimum(trust, rising[::-1])
        deep = depth(length, before, after, margin)
        return np.where(deep > 0, trust, 0.0)
