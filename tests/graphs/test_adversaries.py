"""Networks that are easily misjudged: each verdict, and that running the model confirms it."""

import numpy as np
import pytest

from builders import adversaries as made
from builders import dependence, layers
from builders.bounds import bound_of
from seamless_seg.graphs.tensors import BoundError

FINITE = {
    "padded to multiples of 32 inside": (made.padded_inside(), 32, 3),
    "its width padded to multiples of 4": (made.padded_width(4), 4, 1),
    "attention within windows": (made.windowed_attention(), 4, 1),
    "far, with weights of a millionth": (made.far_and_faint(), 1, 216),
    "let in by rare pixels": (made.rare_gate(50), 1, 50),
    "reach in one class": (made.one_class_only(), 1, 10),
    "stride of 5": (made.odd_stride(5), 5, 6),
    "stride of 7": (made.odd_stride(7), 7, 8),
    "stride of 9": (made.odd_stride(9), 9, 10),
    "stride of 11": (made.odd_stride(11), 11, 12),
    "stride of 13": (made.odd_stride(13), 13, 14),
}
"""Network, stride and reach."""

SIDES = {"stride of 5": 90, "stride of 7": 98, "stride of 9": 90, "stride of 11": 99} | {
    "stride of 13": 91
}
"""Pixels: side of the image with which some are exported."""

WITHOUT = {
    "coordinates beside the image": (made.coordinates(), "position", "Concat"),
    "row numbers": (made.absolute_coordinates(), "position", "Add"),
    "coordinates from a map of ones": (made.counted(), "position", "CumSum"),
    "positions, resized": (made.Positions(), "position", "Resize"),
    "faint positions, resized": (made.Positions(0.01), "position", "Resize"),
    "resized to 64 px and back": (made.through_a_fixed_size(), "position", "Resize"),
    "align_corners": (made.aligned_corners(), "position", "Resize"),
    "attention within rolled windows": (made.windowed_attention(4, 2), "position", "Concat"),
    "attention to a coarser image": (made.pooled_attention(), "global", "MatMul"),
    "circular padding": (made.circular(), "position", "Concat"),
    "mirrored": (made.mirrored(), "position", "Slice"),
    "cumulative sums": (made.summed(), "global", "CumSum"),
    "2 bins": (made.pooled_to(2), "position", "Resize"),
    "3 bins": (made.pooled_to(3), "position", "Resize"),
    "6 bins": (made.pooled_to(6), "position", "Resize"),
    "mean of the upper half": (made.half_mean(), "position", "Slice"),
    "divided by the size": (made.divided_by_size(), "global", "ReduceSum"),
    "brightest pixel, cut off": (made.hidden_pool(), "global", "ReduceMax"),
    "mean within a ring": (made.pooled_by_slices(), "global", "GlobalAveragePool"),
    "mean of the image": (made.pooled_to(1), "global", "ReduceMean"),
}
"""Network, kind of the obstacle and type of the node."""


def image(*sides):
    """A random image, with a row and a column of bright pixels."""
    pixels = dependence.pixels(np.random.default_rng(0), made.CHANNELS, *sides)
    pixels[:, 5, :] = pixels[:, :, 5] = 2
    return pixels


@pytest.mark.parametrize("name", FINITE)
def test_finite_receptive_fields_have_a_bound_that_is_the_truth(name):
    module, stride, reach = FINITE[name]
    model = made.exported(module, SIDES.get(name, made.EXPORTED))
    bound = bound_of(model)
    session = layers.session(model)
    cut = -(-(reach + 12) // stride) * stride
    truth = [dependence.reaches(session, image(2 * cut, 2 * cut), n, cut) for n in (0, 1)]
    assert max(bound.stride) == stride
    assert max(*bound.before, *bound.after) == reach
    assert [*zip(bound.before, bound.after, strict=True)] == truth
    assert not bound.reductions


def test_a_branch_that_never_fires_counts():
    model = made.exported(made.dead_relus())
    bound = bound_of(model)
    truth = dependence.reaches(layers.session(model), image(64, 64), 0, 32)
    assert (bound.before[0], bound.after[0]) == (7, 7)
    assert truth == (1, 1)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_bound_is_named(name):
    module, kind, node = WITHOUT[name]
    model = made.exported(module)
    found, label = verdict(model)
    assert (found, label.split(" ")[0]) == (kind, node)
    assert differs_anywhere(layers.session(model))


def verdict(model):
    """Kind of the obstacle and the node that it is about."""
    try:
        bound = bound_of(model)
    except BoundError as error:
        return error.kind, error.node
    return "global", " ".join(own.kind for own in bound.reductions)


def differs_anywhere(session):
    """Whether a tile differs from the image farther from a cut than a third of the tile."""
    whole = image(192, 192)
    whole[:, 100:104, 20:24] = 3  # what a maximum sees from afar
    logits = dependence.run(session, whole)
    for start in (0, 64, 96):
        tile = dependence.run(session, whole[:, start : start + 96, start : start + 96])
        before, after = 0 if start == 0 else 32, 96 if start == 96 else 64
        inner = np.s_[:, before:after, before:after]
        own = logits[:, start : start + 96, start : start + 96]
        if np.abs(tile[inner] - own[inner]).max() > dependence.ROUNDING * logits.std():
            return True
    return False


def test_a_map_of_positions_of_a_fixed_size():
    model = made.exported(made.Positions(0.01, made.EXPORTED, resized=False), fixed=True)
    with pytest.raises(BoundError, match="each place") as error:
        bound_of(model)
    assert error.value.kind == "position"
    with pytest.raises(BoundError, match="each place"):
        bound_of(model, fixed=(made.EXPORTED, made.EXPORTED))


@pytest.mark.parametrize("bins", [2, 3, 6])
def test_pooling_to_bins_of_a_fixed_size_lies_on_their_grid(bins):
    model = made.exported(made.pooled_to_fixed(bins), fixed=True)
    side = made.EXPORTED // bins
    bound = bound_of(model, fixed=(made.EXPORTED, made.EXPORTED))
    assert bound.stride == (side, side)
    assert bound.before == bound.after == (side // 2, side // 2)


def test_batch_normalization_in_training():
    model = made.exported(made.batch_statistics(), training=True)
    with pytest.raises(BoundError, match="training mode") as error:
        bound_of(model)
    assert error.value.kind == "global"
    assert error.value.node.startswith("BatchNormalization")
