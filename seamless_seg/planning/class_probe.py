"""The receptive field of a model that gives class numbers, of which a probe shows a lower bound."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..probes.receptive_field import Probe

RADIUS_FACTOR = 2
"""Factor for a radius that is measured on class numbers: few pixels far from a cut change class."""


def widened(probe: Probe) -> Probe:
    """Return a probe of class numbers with all lengths that they may have hidden.

    The class of a pixel changes less often than its logits, so that what is measured of it is a
    lower bound. Where the strides down and across differ, one of them is hidden, too. What the
    graph proves hides nothing.
    """
    if probe.graph.is_proof:
        return probe
    sides = {
        name: replace(side, curve=np.pad(side.curve, (0, extra), mode="edge"))
        for name in ("top", "bottom", "left", "right")
        if (extra := (RADIUS_FACTOR - 1) * (side := getattr(probe, name)).radius)
    }
    stride = math.lcm(*probe.stride)
    return replace(probe, stride=(stride, stride), **sides)
