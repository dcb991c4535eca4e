"""Inputs of nodes beside the image: each of them counts, or the node is named."""

import numpy as np
import pytest
from onnx import TensorProto

from builders import dependence, layers
from builders.bounds import bound_of
from seamless_seg.graphs.call import RULES
from seamless_seg.graphs.tensors import BoundError

REACH = 4
"""Pixels that the second input of each node sees farther than the first."""


def far(net, channels=2):
    """A convolution of the image."""
    size = 2 * REACH + 1
    weights = layers.positive(np.random.default_rng(1), channels, net.channels, size, size)
    return net.add("Conv", "image", weights, pads=[REACH] * 4)


def last(net, tensor):
    """With channels as the last axis."""
    return net.add("Transpose", tensor, perm=[0, 2, 3, 1])


def first(net, tensor):
    """With channels as the second axis again."""
    return net.add("Transpose", tensor, perm=[0, 3, 1, 2])


def rows(net, tensor):
    """Pixels as rows of a matrix ``(N * H * W, C)``."""
    return net.add("Reshape", last(net, tensor), np.array([-1, 2]))


def image_again(net, matrix):
    shape = net.add("Gather", net.add("Shape", "image"), np.array([0, 2, 3]))
    shape = net.add("Concat", shape, np.array([2]), axis=0)
    return first(net, net.add("Reshape", matrix, shape))


def gemm(net):
    return image_again(net, net.add("Gemm", rows(net, "image"), np.eye(2), rows(net, far(net))))


def fused_convolution(net):
    options = {"activation": "Relu", "domain": layers.MICROSOFT, "kernel_shape": [1, 1]}
    return net.add("FusedConv", "image", np.ones((2, 2, 1, 1)), np.ones(2), far(net), **options)


def normalized(net, kind, *weights):
    weights = [last(net, own) if isinstance(own, str) else own for own in weights]
    return first(net, net.add(kind, last(net, "image"), *weights, axis=3))


def skipped(net):
    both = [net.add("Reshape", rows(net, own), np.array([1, -1, 2])) for own in ("image", far(net))]
    options = {"domain": layers.MICROSOFT, "epsilon": 1e-5}
    summed = net.add("SkipLayerNormalization", *both, np.float32([1, 2]), **options)
    return image_again(net, summed)


def dequantized(net):
    image = net.add("Cast", net.add("Mul", "image", np.float32(9)), to=TensorProto.INT8)
    return net.add("DequantizeLinear", image, far(net, 1), axis=1, block_size=2)


NODES = {
    "Gemm, C": gemm,
    "FusedConv, Z": fused_convolution,
    "LayerNormalization, scale": lambda net: normalized(
        net, "LayerNormalization", far(net), np.ones(2)
    ),
    "LayerNormalization, bias": lambda net: normalized(
        net, "LayerNormalization", np.ones(2), far(net)
    ),
    "SimplifiedLayerNormalization, scale": lambda net: normalized(
        net, "SimplifiedLayerNormalization", far(net)
    ),
    "SkipLayerNormalization, skip": skipped,
    "DequantizeLinear, scales of blocks": dequantized,
}


@pytest.mark.parametrize("name", NODES)
def test_what_another_input_sees_counts(name):
    net = layers.Network(opset=21)
    net.last = NODES[name](net)
    model = net.model()
    bound = bound_of(model)
    image = dependence.pixels(np.random.default_rng(0), 2, 40, 40)
    truth = [dependence.reaches(layers.session(model), image, n, 20) for n in (0, 1)]
    assert truth == [(REACH, REACH)] * 2
    assert [*zip(bound.before, bound.after, strict=True)] == truth


@pytest.mark.parametrize("kind", sorted(RULES))
def test_no_rule_overlooks_an_input(kind):
    for index in range(1, 8):
        for other in ("image", np.ones((2, 2, 1, 1)), np.int64(1), ""):
            net = layers.Network()
            inputs = ["image", *[other] * (index - 1), far(net)]
            net.last = net.add(kind, *inputs, kernel_shape=[1, 1], axis=1)
            try:
                assert min(bound_of(net.model()).before) >= REACH
            except BoundError as error:
                label = error.node or kind  # None where its output is no image
                assert label.startswith(kind)


def test_a_bias_for_each_column_is_a_map():
    net = layers.Network()
    columns = np.arange(64)
    net.last = net.add("FastGelu", "image", columns, domain=layers.MICROSOFT)
    with pytest.raises(BoundError) as error:
        bound_of(net.model(), fixed=(64, 64))
    assert error.value.kind == "position"


def test_numbers_from_the_size_count_in_any_input():
    net = layers.Network()
    width = net.add("Cast", net.add("Shape", "image", start=3, end=4), to=TensorProto.FLOAT)
    net.last = image_again(net, net.add("Gemm", rows(net, "image"), np.eye(2), width))
    with pytest.raises(BoundError) as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node.split(" ")[0]) == ("size", "Gemm")


@pytest.mark.parametrize("kind", ["RMSNormalization", "SimplifiedLayerNormalization"])
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_all_axes_from_one_on_are_normalized(kind, axis):
    net = layers.Network(opset=23)
    net.last = net.add(kind, "image", np.ones(1), axis=axis)
    with pytest.raises(BoundError, match="whole image") as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node.split(" ")[0]) == ("global", kind)


@pytest.mark.parametrize(("opset", "is_global"), [(11, True), (13, False)])
def test_a_quantized_softmax_has_its_own_version(opset, is_global):
    net = layers.Network()
    numbers = np.float32(0.1), np.uint8(0), np.float32(1 / 256), np.uint8(0)
    quantized = net.add("QuantizeLinear", "image", *numbers[:2])
    options = {"axis": 1, "opset": opset, "domain": layers.MICROSOFT}
    chosen = net.add("QLinearSoftmax", quantized, *numbers, **options)
    net.last = net.add("DequantizeLinear", chosen, *numbers[2:])
    if not is_global:
        assert bound_of(net.model()).before == (0, 0)
        return
    with pytest.raises(BoundError) as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node.split(" ")[0]) == ("global", "QLinearSoftmax")
