"""Compares the bound of a model's graph with what its tiles do."""

from __future__ import annotations

import numpy as np

from . import dependence, layers
from .bounds import bound_of

ROUNDING = 1e-3
"""Standard deviations of the output; a quantized one may differ by a step, rarely."""

LARGEST = 400
"""Pixels: networks whose images would be larger are left out, to save time."""


def compared(model):
    """The bound of a model, and whether it is the truth; asserts that it is not less."""
    bound = bound_of(model)
    session = layers.session(model)
    cuts = [_multiple(bound.stride[n], max(bound.before[n], bound.after[n]) + 24) for n in (0, 1)]
    if max(cuts) > LARGEST // 2:
        return bound, None
    sides = [2 * cut for cut in cuts]
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    image = dependence.pixels(np.random.default_rng(0), channels, *sides)
    truth = [dependence.reaches(session, image, n, cuts[n]) for n in (0, 1)]
    for n in (0, 1):
        assert bound.before[n] >= truth[n][0], (n, bound, truth)
        assert bound.after[n] >= truth[n][1], (n, bound, truth)
    tile = [cut + own if cut > own else cut for cut, own in zip(cuts, bound.stride, strict=True)]
    assert dependence.worst_in_tiles(session, image, bound, tile) <= ROUNDING, bound
    return bound, truth == list(zip(bound.before, bound.after, strict=True))


def _multiple(stride, least):
    return -(-least // stride) * stride
