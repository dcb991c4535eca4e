"""Numbers that follow from the image's size: no size that was not looked at is another."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders import layers
from builders.bounds import bound_of
from seamless_seg.graphs.tensors import BoundError


def width_of(net):
    return net.add("Squeeze", layers.lengths_of(net)[1], np.array([0]))


def verdict(net):
    """The stride, or the kind of the obstacle and the type of the node that it is about."""
    try:
        return max(bound_of(net.model()).stride)
    except BoundError as error:
        return error.kind, str(error.node).split(" ")[0]


def chosen(net, condition, one=2.0, other=1.0):
    """One number or another, by a condition."""
    return net.add("Where", condition, np.float32(one), np.float32(other))


def way(kind, output, *inputs, **attributes):
    """A branch of one node, of which all have the same name."""
    node = helper.make_node(kind, inputs, [output], name="inner", **attributes)
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph([node], "way", [], [made])


def by_branch_of_constants(net, limit):
    ways = [way("Constant", "found", value_float=value) for value in (2.0, 1.0)]
    condition = net.add("Greater", width_of(net), np.int64(limit))
    return net.add("If", condition, then_branch=ways[0], else_branch=ways[1])


def by_branch_of_nodes(net, limit):
    ways = [way(kind, "found", net.last) for kind in ("Relu", "Sigmoid")]
    condition = net.add("Less", width_of(net), np.int64(limit))
    return net.add("If", condition, then_branch=ways[0], else_branch=ways[1])


def by_threshold(net, limit):
    return chosen(net, net.add("Greater", width_of(net), np.int64(limit)))


def by_band(net, limit):
    width = width_of(net)
    above = net.add("Greater", width, np.int64(limit))
    below = net.add("Less", width, np.int64(limit + 3))
    return chosen(net, net.add("And", above, below))


def by_remainder(net, limit):
    rest = net.add("Mod", width_of(net), np.int64(4))
    return chosen(net, net.add("Equal", rest, np.int64(limit % 4)))


def by_place(net, limit):
    above = net.add("Greater", width_of(net), np.int64(limit))
    place = net.add("Cast", above, to=TensorProto.INT64)
    taken = net.add("Gather", net.add("Shape", net.last), place)
    return net.add("Cast", taken, to=TensorProto.FLOAT)


def by_slice(net, limit):
    above = net.add("Cast", net.add("Greater", width_of(net), np.int64(limit)), to=7)
    start = net.add("Unsqueeze", above, np.array([0]))
    end = net.add("Add", start, np.array([1]))
    return net.add("Slice", np.array([1.0, 2.0]), start, end)


def by_range(net, limit):
    places = net.add("Range", np.int64(0), width_of(net), np.int64(1))
    return chosen(net, net.add("Less", places, np.int64(limit + 10**5)))


def by_length(net, limit):
    """A tensor whose length is the width, of which only the largest value is used."""
    ones = net.add("ConstantOfShape", layers.lengths_of(net)[1])
    length = net.add("Squeeze", net.add("Shape", ones), np.array([0]))
    return chosen(net, net.add("GreaterOrEqual", length, np.int64(limit)))


def by_maximum(net, limit):
    most = net.add("Max", width_of(net), np.int64(limit))
    return net.add("Cast", net.add("Sub", most, np.int64(limit)), to=TensorProto.FLOAT)


def by_overflow(net, limit):
    """In 8 bits, sizes that differ by 256 are the same."""
    return net.add("Cast", net.add("Cast", width_of(net), to=TensorProto.INT8), to=1)


def by_power(net, limit):
    width = net.add("Cast", width_of(net), to=TensorProto.FLOAT)
    return net.add("Exp", net.add("Sub", np.float32(limit), width))


NUMBERS = {
    by_branch_of_constants: "If",
    by_branch_of_nodes: "If",
    by_threshold: "Mul",
    by_band: "Mul",
    by_remainder: "Mul",
    by_place: "Mul",
    by_slice: "Mul",
    by_range: "Mul",
    by_length: "Mul",
    by_maximum: "Mul",
    by_overflow: "Mul",
    by_power: "Mul",
}


@pytest.mark.parametrize("limit", [5, 300, 50_000])
@pytest.mark.parametrize("stride", [1, 32])
@pytest.mark.parametrize("made", NUMBERS)
def test_pixels_times_a_number_that_follows_from_the_size(made, stride, limit):
    net = layers.Network()
    number = made(net, limit)
    if stride > 1:
        side = [stride, stride]
        coarse = net.add("MaxPool", net.last, kernel_shape=side, strides=side)
        scales = np.array([1, 1, stride, stride], np.float32)
        net.last = net.add("Resize", coarse, "", scales, mode="nearest")
    net.last = net.add("Mul", net.last, number)
    assert verdict(net) == ("size", NUMBERS[made])


def cut_to(net, amount):
    """The image without its last pixels, and as many in their place."""
    zero, one = np.array([0]), np.array([1])
    end = net.add("Sub", zero, net.add("Add", amount, one))
    cut = net.add("Slice", net.last, zero, end, np.array([3]))
    pads = net.add("Concat", np.zeros(7, np.int64), net.add("Neg", end), axis=0)
    return net.add("Pad", cut, pads)


SHAPES = {
    "a crop": cut_to,
    "a resize": lambda net, amount: net.add(
        "Resize",
        net.add(
            "Resize",
            net.last,
            "",
            net.add(
                "Concat",
                np.ones(3, np.float32),
                net.add("Cast", net.add("Add", amount, np.array([1])), to=1),
                axis=0,
            ),
            mode="nearest",
        ),
        "",
        "",
        net.add("Shape", net.last),
        mode="nearest",
    ),
    "channels": lambda net, amount: net.add(
        "Slice", net.last, amount, net.add("Add", amount, np.array([1])), np.array([1])
    ),
}


@pytest.mark.parametrize("limit", [5, 300, 50_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_follows_from_a_comparison_of_the_size(shape, limit):
    net = layers.Network()
    above = net.add("Greater", layers.lengths_of(net)[1], np.array([limit]))
    net.last = SHAPES[shape](net, net.add("Cast", above, to=TensorProto.INT64))
    assert verdict(net)[0] == "size"


@pytest.mark.parametrize("divisor", [1000, 2000, 100_000])
def test_channels_that_follow_from_a_quotient_of_the_size(divisor):
    net = layers.Network()
    rest = net.add("Mod", layers.lengths_of(net)[1], np.array([divisor]))
    start = net.add("Div", rest, np.array([divisor]))
    net.last = SHAPES["channels"](net, start)
    assert verdict(net) == ("size", "Slice")


def expanded(net):
    """As torch expands a tensor: where a length is -1, that of the tensor itself."""
    shape = net.add("Shape", net.last)
    kept = net.add("Equal", shape, np.full(4, -1))
    own = net.add("Where", kept, np.ones(4, np.int64), shape)
    return net.add("Expand", np.ones((1, 1, 1, 1), np.float32), own)


def divided_as_by_torch(net):
    """The width, halved and doubled, where torch divides whole numbers by rounding down."""
    width, two, zero = layers.lengths_of(net)[1], np.array([2]), np.array([0])
    quotient = net.add("Div", width, two)
    is_negative = net.add("Xor", net.add("Less", width, zero), net.add("Less", two, zero))
    rest = net.add("Sub", width, net.add("Mul", quotient, two))
    is_uneven = net.add("Not", net.add("Equal", rest, zero))
    fixed = net.add("Cast", net.add("And", is_negative, is_uneven), to=TensorProto.INT64)
    end = net.add("Mul", net.add("Sub", quotient, fixed), two)
    return net.add("Slice", net.last, np.array([0]), end, np.array([3]))


def at_least_one(net):
    end = net.add("Max", layers.lengths_of(net)[1], np.array([1]))
    return net.add("Slice", net.last, np.array([0]), end, np.array([3]))


def padded_to(net, multiple=32):
    width = layers.lengths_of(net)[1]
    rest = net.add("Mod", net.add("Neg", width), np.array([multiple]))
    padded = net.add("Pad", net.last, net.add("Concat", np.zeros(7, np.int64), rest, axis=0))
    coarse = net.add("MaxPool", padded, kernel_shape=[1, 32], strides=[1, 32])
    finer = net.add("Resize", coarse, "", np.array([1, 1, 1, 32], np.float32), mode="nearest")
    return net.add("Slice", finer, np.array([0]), width, np.array([3]))


def squeezed_if_one(net):
    """As torch exports a squeeze of the channels: only if there is one."""
    one = net.add("ReduceMax", net.last, np.array([1]))
    count = net.add("Gather", net.add("Shape", one), np.array(1))
    ways = [way("Identity", "found", one), way("Neg", "found", one)]
    condition = net.add("Equal", count, np.int64(1))
    return net.add("If", condition, then_branch=ways[0], else_branch=ways[1])


def by_channels(net):
    count = net.add("Gather", net.add("Concat", net.add("Shape", net.last), axis=0), np.array(1))
    return net.add("Cast", count, to=TensorProto.FLOAT)


def resized_by_a_quotient(net):
    """As older exporters resize to the size of another tensor."""
    shape = net.add("Shape", net.last)
    coarse = net.add("MaxPool", net.last, kernel_shape=[2, 2], strides=[2, 2])
    own = net.add("Cast", net.add("Shape", coarse), to=TensorProto.FLOAT)
    scales = net.add("Div", net.add("Cast", shape, to=TensorProto.FLOAT), own)
    return net.add("Resize", coarse, "", scales, mode="nearest")


HARMLESS = {
    expanded: 1,
    divided_as_by_torch: 2,
    at_least_one: 1,
    padded_to: 32,
    squeezed_if_one: 1,
    by_channels: 1,
    resized_by_a_quotient: 2,
}


@pytest.mark.parametrize("made", HARMLESS)
def test_what_exporters_do_with_sizes_has_a_bound(made):
    net = layers.Network()
    image = net.last
    net.last = made(net)
    net.last = net.add("Mul", image, net.last)
    assert verdict(net) == HARMLESS[made]


def test_a_model_of_one_size_may_compute_with_it():
    net = layers.Network()
    net.last = net.add("Mul", net.last, by_branch_of_constants(net, 60))
    assert bound_of(net.model(), fixed=(96, 96)).before == (0, 0)


@pytest.mark.parametrize("made", [by_branch_of_constants, by_branch_of_nodes])
def test_a_branch_by_the_size_is_no_number_that_can_be_given(made):
    net = layers.Network()
    mean = net.add("GlobalAveragePool", net.last)
    net.last = net.add("Mul", net.add("Add", net.last, mean), made(net, 300))
    assert verdict(net) == ("size", "If")


@pytest.mark.parametrize(("start", "end"), [(0, 50_000), (-50_000, 2**62), (-5000, 2**31 - 1)])
def test_a_cut_at_a_place_that_only_large_images_have(start, end):
    net = layers.Network()
    shape = net.add("Shape", net.last)
    cut = net.add("Slice", net.last, np.array([start]), np.array([end]), np.array([3]))
    net.last = net.add("Resize", cut, "", "", shape, mode="nearest")
    assert not isinstance(verdict(net), int)


def test_a_cut_beyond_the_end_of_all_images_cuts_nothing():
    net = layers.Network()
    end = net.add("Add", layers.lengths_of(net)[1], np.array([1]))
    net.last = net.add("Slice", net.last, np.array([0]), end, np.array([3]))
    assert verdict(net) == 1


@pytest.mark.parametrize("kind", ["Gemm", "LayerNormalization", "InstanceNormalization"])
def test_every_input_that_follows_from_the_size_is_seen(kind):
    net = layers.Network()
    width = net.add("Cast", layers.lengths_of(net)[1], to=TensorProto.FLOAT)
    numbers = net.add("Concat", width, width, axis=0)
    ones = np.ones(2, np.float32)
    if kind == "InstanceNormalization":
        net.last = net.add(kind, net.last, ones, numbers)
        assert verdict(net) == 1  # of the whole image, as its mean
        return
    last = net.add("Transpose", net.last, perm=[0, 2, 3, 1])
    if kind == "LayerNormalization":
        found = net.add(kind, last, ones, numbers)
    else:
        flat = net.add("Reshape", last, np.array([-1, 2]))
        flat = net.add(kind, flat, np.eye(2, dtype=np.float32), numbers)
        found = net.add("Reshape", flat, net.add("Shape", last))
    net.last = net.add("Transpose", found, perm=[0, 3, 1, 2])
    assert verdict(net) == ("size", kind)
