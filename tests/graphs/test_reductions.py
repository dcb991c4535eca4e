"""Reductions of the whole image: they are noted, and the bound is that of what is left."""

import numpy as np
import onnx
import pytest

from builders import dependence, layers
from builders.bounds import bound_of
from builders.compared import compared
from seamless_seg.graphs.tensors import BoundError


def squeeze_and_excite(net, random):
    """Channels weighed by the mean of the image."""
    mean = net.add("GlobalAveragePool", net.last)
    weights = net.add("Conv", mean, layers.positive(random, net.channels, net.channels, 1, 1))
    net.last = net.add("Mul", net.last, net.add("Sigmoid", weights))


def by_dense_layers(net, random):
    """The same with a mean that loses its axes, and matrices."""
    mean = net.add("ReduceMean", net.last, np.array([2, 3]), keepdims=0)
    weights = net.add("MatMul", mean, layers.positive(random, net.channels, net.channels))
    weights = net.add("Unsqueeze", net.add("Sigmoid", weights), np.array([2, 3]))
    net.last = net.add("Mul", net.last, weights)


def pooled_context(net, random):
    """The mean of the image, enlarged to its size and put beside it."""
    mean = net.add("GlobalAveragePool", net.last)
    shape = net.add("Shape", net.last)
    if random.integers(2):
        mean = net.add("Resize", mean, "", "", shape, mode="nearest")
    else:
        mean = net.add("Expand", mean, shape)
    both = net.add("Concat", net.last, mean, axis=1)
    weights = layers.positive(random, net.channels, 2 * net.channels, 1, 1)
    net.last = net.add("Conv", both, weights)


def of_tokens(net, random):
    """The largest value of all pixels in a row."""
    row = net.add("Reshape", net.last, np.array([1, net.channels, -1]))
    largest = net.add("ReduceMax", row, np.array([2]))
    net.last = net.add("Add", net.last, net.add("Unsqueeze", largest, np.array([3])))


WAYS = (squeeze_and_excite, by_dense_layers, pooled_context, of_tokens)


@pytest.mark.parametrize("way", WAYS, ids=lambda own: own.__name__)
def test_the_rest_is_bounded_by_the_truth(way):
    random = np.random.default_rng(0)
    for name in ("conv", "pool", "resize", "windows", "crop"):
        net = layers.Network()
        net.append(name, 5)
        way(net, random)
        net.append("conv", 6)
        model = net.restored().model()
        bound = bound_of(model)
        assert [own.level for own in bound.reductions] == [1]
        rest = without_reductions(model, bound)
        found, is_truth = compared(rest)
        assert is_truth
        assert (found.before, found.after) == (bound.before, bound.after)
        assert found.stride == bound.stride


def without_reductions(model, bound):
    """The model with the results for one image in the place of its reductions."""
    names = [own.node for own in bound.reductions]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    image = dependence.pixels(np.random.default_rng(0), 2, 144, 144)
    values = layers.session(shown).run(names, {"image": image[None]})
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    for node in [own for own in rest.graph.node if own.output[0] in names]:
        rest.graph.node.remove(node)
    for name, value in zip(names, values, strict=True):
        rest.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return rest


@pytest.mark.parametrize("way", WAYS, ids=lambda own: own.__name__)
def test_levels_are_counted(way):
    random = np.random.default_rng(0)
    net = layers.Network()
    for _ in range(3):
        net.append("conv", 3)
        way(net, random)
    bound = bound_of(net.restored().model())
    assert [own.level for own in bound.reductions] == [1, 2, 3]
    assert bound.levels == 3


def normalized(kind, random, **attributes):
    net = layers.Network(channels=4, opset=21)
    scale = random.uniform(0.5, 1, 4)
    net.append("conv", 1)
    net.last = net.add(kind, net.last, scale, scale, **attributes)
    net.append("conv", 2)
    return net.restored().model()


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("InstanceNormalization", {}), ("GroupNormalization", {"num_groups": 2})],
)
def test_normalizations_are_reductions(kind, attributes):
    bound = bound_of(normalized(kind, np.random.default_rng(0), **attributes))
    plain = bound_of(layers.network([("conv", 1), ("conv", 2)], channels=4).model())
    assert [own.kind for own in bound.reductions] == [kind]
    assert (bound.before, bound.after) == (plain.before, plain.after)


def test_a_norm_within_windows_is_none():
    net = layers.Network()
    rows, cols = layers.lengths_of(net)
    counts = [net.add("Div", own, np.array([4])) for own in (rows, cols)]
    layers.reshaped(net, 1, 2, counts[0], 4, counts[1], 4)
    mean = net.add("ReduceMean", net.last, np.array([3, 5]))
    net.last = net.add("Sub", net.last, mean)
    layers.reshaped(net, 1, 2, rows, cols)
    bound, is_truth = compared(net.model())
    assert is_truth
    assert (bound.stride, bound.reductions) == ((4, 4), ())


@pytest.mark.parametrize("axis", [2, 3])
def test_a_mean_along_one_axis_is_refused(axis):
    net = layers.Network()
    net.last = net.add("Add", net.last, net.add("ReduceMean", net.last, np.array([axis])))
    with pytest.raises(BoundError, match="one of its axes") as error:
        bound_of(net.model())
    assert error.value.kind == "global"
