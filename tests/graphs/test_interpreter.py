"""Graphs that are broken, odd or beyond the rules: the node is named, and nothing else raised."""

import contextlib

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from builders import damaged, layers
from builders.bounds import bound_of
from seamless_seg.graphs.interpreter import LoadedGraph, image_of
from seamless_seg.graphs.tensors import BoundError


def built(*steps, opset=21):
    """A network of nodes one after the other, each a type, further inputs and attributes."""
    net = layers.Network(opset=opset)
    for kind, *rest in steps:
        attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        net.last = net.add(kind, net.last, *rest, **attributes)
    return net.model()


def obstacle(model):
    with pytest.raises(BoundError) as error:
        bound_of(model)
    return error.value


@pytest.mark.parametrize("seed", range(25))
def test_damaged_graphs_raise_nothing_else(seed):
    random = np.random.default_rng(seed)
    names = list(layers.LAYERS)
    for _ in range(4):
        drawn = [(layers.choice(random, *names), int(random.integers(2**31))) for _ in range(3)]
        model = layers.network(drawn).model()
        for _ in range(3):
            with contextlib.suppress(ValueError):  # what is already damaged may not be read
                damaged.damage(model, random)
        with contextlib.suppress(BoundError):
            bound_of(model)


@pytest.mark.parametrize(
    ("node", "kind", "words"),
    [
        (("DynamicQuantizeLinear",), "global", "range of the whole tile"),
        (("Softmax", {"axis": 3}), "global", "whole image"),
        (("GridSample", np.zeros((1, 8, 8, 2))), "position", "shares of the image's size"),
        (("DeformConv", np.ones((2, 2, 1, 1)), np.zeros((1, 2, 8, 8))), "unknown", "no rule"),
        (("RandomNormalLike",), "position", "random"),
        (("Bernoulli",), "position", "random"),
        (("Tile", np.array([1, 1, 2, 1])), "position", "repeats the image"),
        (("Transpose", {"perm": [0, 1, 3, 2]}), "unknown", "no image"),
        (("Pad", np.array([0, 0, 2, 2, 0, 0, 2, 2]), {"mode": "wrap"}), "global", "other side"),
        (("Gather", np.array([3, 1, 2]), {"axis": 2}), "position", "their place"),
        (("ArgMax", {"axis": 3}), "global", "whole image"),
    ],
    ids=lambda own: own[0] if isinstance(own, tuple) else "",
)
def test_a_node_without_a_bound_is_named(node, kind, words):
    found = obstacle(built(("Relu",), node))
    assert found.kind == kind
    assert words in str(found)
    assert words == "no image" or found.node.startswith(f"{node[0]} node {node[0]}_1")


def test_an_operator_of_another_domain_is_named():
    found = obstacle(built(("Mine", {"domain": "my.company"})))
    assert (found.kind, found.node) == ("unknown", "Mine node Mine_0_0")


def branches(condition):
    """The image, or its mirror image: one or the other by a condition."""
    net = layers.Network()
    ways = []
    for kind, attributes in (("Relu", {}), ("Softmax", {"axis": 3})):
        output = helper.make_tensor_value_info(kind, TensorProto.FLOAT, None)
        node = helper.make_node(kind, ["image"], [kind], name=f"inner_{kind}", **attributes)
        ways.append(helper.make_graph([node], kind, [], [output]))
    if condition is None:
        condition = net.add("Greater", net.add("ReduceMax", net.last, keepdims=0), np.float32(0))
    net.last = net.add("If", condition, then_branch=ways[0], else_branch=ways[1])
    return net.model()


def test_a_branch_that_is_known_beforehand_is_followed():
    assert bound_of(branches(np.array(True))).before == (0, 0)
    found = obstacle(branches(np.array(False)))
    assert (found.kind, found.node) == ("global", "Softmax node inner_Softmax")


def test_a_branch_that_pixels_decide_is_not():
    found = obstacle(branches(None))
    assert found.kind == "unknown"
    assert "pixels decide" in str(found)


def test_coordinates_of_all_pixels_are_never_computed():
    """Their map would take 3 GB for the image that is looked at."""
    net = layers.Network()
    rows, cols = (net.add("Squeeze", own) for own in layers.lengths_of(net))
    zero, one = np.int64(0), np.int64(1)
    down = net.add("Unsqueeze", net.add("Range", zero, rows, one), np.array([1]))
    places = net.add("Cast", net.add("Add", down, net.add("Range", zero, cols, one)), to=1)
    net.last = net.add("Add", net.last, places)
    assert obstacle(net.model()).kind == "position"


def test_values_looked_up_by_many_indices_are_known():
    """As in windowed attention, whose table of positions is cut to the window's size."""
    net = layers.Network()
    channels = net.add("Gather", net.add("Shape", net.last), np.array([1]))
    count = net.add("Mul", channels, np.array([2000]))
    indices = net.add("Slice", np.arange(4000) % 7, np.array([0]), count)
    table = np.random.default_rng(0).random((700, 1))
    looked_up = net.add("Gather", table, indices, axis=0)
    net.last = net.add("Mul", net.last, net.add("ReduceMax", looked_up, keepdims=0))
    assert bound_of(net.model()).before == (0, 0)


@pytest.mark.parametrize(("places", "kind"), [(0, None), (1, "position")])
def test_large_constants_in_the_file_may_be_the_same_everywhere(places, kind):
    """As the zeros that stand for missing channels, where a network was exported for one size."""
    side = 1024
    values = np.zeros((1, 1, side, side + 1), np.float32)
    values[..., :places] = 1
    net = layers.Network()
    stored = net.add("Constant", value=numpy_helper.from_array(values))
    joined = net.add("Concat", net.last, stored, axis=1)
    net.last = net.add("Relu", net.add("Slice", joined, *map(np.array, ([0], [2], [1]))))
    net.last = net.add("Add", net.last, stored)
    model = net.model()
    found = None
    try:
        bound_of(model, fixed=(side, side + 1))
    except BoundError as error:
        found = error.kind
    assert found == kind
    assert obstacle(model).kind == "position"  # at any other size


def test_a_value_to_pad_with_may_come_from_the_image():
    net = layers.Network()
    brightest = net.add("ReduceMax", net.last, keepdims=0)
    sides = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    padded = net.add("Pad", net.last, sides, brightest)
    net.last = net.add("Add", net.last, net.add("GlobalMaxPool", padded))
    assert bound_of(net.model()).levels == 2


def test_a_model_without_input_has_no_bound(tmp_path):
    node = helper.make_node("Constant", [], ["out"], value_float=1.0)
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "none", [], [output])), path)
    with pytest.raises(BoundError, match="no input"):
        LoadedGraph(path, "out").run(image_of((1, 2, 64, 64), 2, 3))


def test_a_missing_output_is_said(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(built(("Relu",)), path)
    with pytest.raises(BoundError, match="no output other"):
        LoadedGraph(path, "other").run(image_of((1, 2, 64, 64), 2, 3))


def test_what_is_no_model_cannot_be_loaded(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(OSError, match=r"model\.onnx"):
        LoadedGraph(path, "logits")
    path.write_bytes(b"this is no model")
    with pytest.raises(DecodeError):
        LoadedGraph(path, "logits")


def ones(net):
    """A map of ones of the image's shape, which is not computed but known to be the same."""
    zeros = net.add("ConstantOfShape", net.add("Shape", net.last))
    return net.add("Add", zeros, np.float32(1))


COUNTED = {
    "ReduceSum": lambda net, own: net.add("ReduceSum", own, np.array([2, 3])),
    "Softmax": lambda net, own: net.add("Softmax", own, axis=3),
    "CumSum": lambda net, own: net.add("CumSum", own, np.array(3)),
    "MatMul": lambda net, own: net.add(
        "ReduceMean", net.add("MatMul", own, net.add("Transpose", own, perm=[0, 1, 3, 2]))
    ),
    "Einsum": lambda net, own: net.add("Einsum", own, equation="nchw->n"),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_counting_the_pixels_by_a_map_of_ones_depends_on_the_size(kind):
    net = layers.Network()
    net.last = net.add("Add", net.last, COUNTED[kind](net, ones(net)))
    found = obstacle(net.model())
    expected = "position" if kind == "CumSum" else "size"
    assert (found.kind, found.node.split(" ")[0]) == (expected, kind)


def test_a_map_of_ones_is_the_same_everywhere():
    net = layers.Network()
    net.last = net.add("Mul", net.last, ones(net))
    assert bound_of(net.model()).before == (0, 0)


@pytest.mark.parametrize("modulus", [3, 17, 31, 64, 100])
def test_a_remainder_of_the_size_is_found_or_on_the_grid(modulus):
    net = layers.Network()
    width = net.add("Shape", net.last, start=3, end=4)
    rest = net.add("Cast", net.add("Mod", width, np.array([modulus])), to=1)
    net.last = net.add("Add", net.last, rest)
    try:
        assert bound_of(net.model()).stride[1] % modulus == 0
    except BoundError as error:
        assert error.kind == "size"  # noqa: PT017  # either answer is true
