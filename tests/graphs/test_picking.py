"""What picks, sorts, counts or scatters values: named along the image, bounded along channels."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders import dependence, layers
from builders.bounds import bound_of
from seamless_seg.graphs.tensors import BoundError


def added(net, number):
    """The image plus a number, whatever its type and shape."""
    return net.add("Add", "image", net.add("ReduceMax", net.add("Cast", number, to=1), keepdims=0))


def largest(net):
    flat = net.add("Reshape", "image", np.array([1, -1]))
    return added(net, net.add("TopK", flat, np.array([5]), outputs=2, axis=1)[0])


def repeated(net, condition, times):
    """A blur that runs in a loop."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["before"], ["after"]),
            helper.make_node("Relu", ["state"], ["next"]),
        ],
        "body",
        [
            value("step", TensorProto.INT64, []),
            value("before", TensorProto.BOOL, []),
            value("state", TensorProto.FLOAT, None),
        ],
        [value("after", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
    )
    return net.add("Loop", times, condition, "image", body=body)


def as_many_as_pixels_say(net):
    brightest = net.add("ReduceMax", "image", keepdims=0)
    return repeated(net, np.array(True), net.add("Cast", brightest, to=TensorProto.INT64))


def as_long_as_pixels_say(net):
    bright = net.add("Greater", net.add("ReduceMax", "image", keepdims=0), np.float32(0))
    return repeated(net, bright, np.array(3))


def as_many_as_columns(net):
    width = net.add("Squeeze", net.add("Shape", "image", start=3, end=4), np.array([0]))
    return repeated(net, np.array(True), width)


def diagonal(net):
    plane = net.add(
        "Squeeze", net.add("Slice", "image", *map(np.array, ([0], [1], [1]))), np.array([0, 1])
    )
    return net.add("Add", "image", net.add("EyeLike", plane))


def boxes(net):
    box = np.float32([[0, 0, 9, 9]])
    taken = net.add("RoiAlign", "image", box, np.array([0]), output_height=1, output_width=1)
    return added(net, taken)


def recurrent(net):
    shape = np.array([0, -1, 2])
    rows = net.add("Reshape", net.add("Transpose", "image", perm=[3, 2, 0, 1]), shape)
    weights = [np.ones((1, 6, 2)), np.ones((1, 6, 2))]
    return added(net, net.add("GRU", rows, *weights, hidden_size=2))


WITHOUT = {
    "NonZero": (lambda net: added(net, net.add("NonZero", "image")), "global"),
    "TopK": (largest, "global"),
    "Unique": (lambda net: added(net, net.add("Unique", "image")), "global"),
    "Trilu": (lambda net: net.add("Trilu", "image"), "position"),
    "EyeLike": (diagonal, "position"),
    "ScatterElements": (
        lambda net: net.add(
            *("ScatterElements", "image", np.full((1, 1, 1, 1), 9), np.ones((1, 1, 1, 1))), axis=3
        ),
        "position",
    ),
    "ScatterND": (
        lambda net: net.add("ScatterND", "image", np.zeros((1, 4), np.int64), np.ones(1)),
        "position",
    ),
    "GatherElements": (
        lambda net: added(net, net.add("GatherElements", "image", np.ones((1, 2, 3, 3), int))),
        "position",
    ),
    "GatherND": (
        lambda net: added(net, net.add("GatherND", "image", np.zeros((1, 4), np.int64))),
        "position",
    ),
    "Compress": (
        lambda net: net.add("Compress", "image", np.array([True, False, True]), axis=2),
        "position",
    ),
    "ReverseSequence": (
        lambda net: net.add("ReverseSequence", "image", np.array([3]), batch_axis=0, time_axis=3),
        "position",
    ),
    "RoiAlign": (boxes, "global"),
    "GRU": (recurrent, "global"),
    "Loop": (as_many_as_pixels_say, "global"),
    "Loop until": (as_long_as_pixels_say, "global"),
    "Loop over columns": (as_many_as_columns, "position"),
    "CumSum": (lambda net: net.add("CumSum", "image", np.array(3)), "global"),
    "GridSample": (
        lambda net: added(net, net.add("GridSample", "image", np.zeros((1, 8, 8, 2)))),
        "position",
    ),
}
"""Networks by the type of the node, and the kind of the obstacle."""


@pytest.mark.parametrize("name", WITHOUT)
def test_what_picks_pixels_is_named(name):
    made, kind = WITHOUT[name]
    net = layers.Network()
    net.last = made(net)
    with pytest.raises(BoundError) as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node.split(" ")[0]) == (kind, name.split(" ")[0])


def best(net):
    return net.add("ArgMax", net.last, axis=1)


def one_hot(net):
    places = net.add("Squeeze", best(net), np.array([1]))
    return net.add("OneHot", places, np.array(2), np.float32([0, 1]), axis=1)


def scattered(net):
    zeros = net.add("Mul", net.last, np.float32(0))
    most = net.add("ReduceMax", net.last, np.array([1]))
    return net.add("ScatterElements", zeros, best(net), most, axis=1)


ALONG_CHANNELS = {
    "TopK": lambda net: net.add("TopK", net.last, np.array([2]), outputs=2, axis=1)[0],
    "GatherElements": lambda net: net.add("GatherElements", net.last, best(net), axis=1),
    "ScatterElements": scattered,
    "OneHot": one_hot,
}


@pytest.mark.parametrize("name", ALONG_CHANNELS)
def test_along_channels_it_is_pointwise(name):
    net = layers.Network(opset=18)
    blur = layers.positive(np.random.default_rng(0), 2, 2, 3, 3)
    net.last = net.add("Conv", "image", blur, pads=[1] * 4)
    net.last = ALONG_CHANNELS[name](net)
    model = net.model()
    bound = bound_of(model)
    image = dependence.pixels(np.random.default_rng(0), 2, 24, 24)
    assert bound.before == bound.after == (1, 1)
    assert dependence.reaches(layers.session(model), image, 0, 12) == (1, 1)


RANDOM = ("Bernoulli", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Dropout")


@pytest.mark.parametrize("kind", RANDOM)
def test_random_numbers_are_never_taken_for_constants(kind):
    net = layers.Network()
    inputs = [np.full((1, 2), 0.5)]
    if kind == "Dropout":
        inputs += [np.float32(0.5), np.array(True)]
    net.last = added(net, net.add(kind, *inputs))
    with pytest.raises(BoundError, match="at random") as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node.split(" ")[0]) == ("position", kind)
