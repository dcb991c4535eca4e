"""Models that mix the images of a batch: tiles of one batch would change each other."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from builders import layers
from seamless_seg.models.load import open_models
from seamless_seg.probes.graph_verdict import graph_verdict

WIDE = np.array([2**31])


def sliced(net, start, end):
    return net.add("Slice", "image", *map(np.atleast_1d, (start, end, [0])))


def counted(net):
    count = net.add("Cast", net.add("Shape", "image", start=0, end=1), to=TensorProto.FLOAT)
    return net.add("Mul", "image", count)


def joined(net):
    """Each image with channels of the next."""
    moved = net.add("Concat", sliced(net, 1, WIDE), sliced(net, 0, 1), axis=0)
    return net.add("Add", "image", moved)


def folded(net):
    """As one image of twice the channels, half of each."""
    shape = net.add("Concat", np.array([1, -1]), net.add("Shape", "image", start=2), axis=0)
    summed = net.add("ReduceMax", net.add("Reshape", "image", shape), np.array([1]))
    return net.add("Add", "image", summed)


def normalized(net):
    return net.add("MeanVarianceNormalization", "image", axes=[0, 1])


def rare(net):
    bright = net.add("Relu", net.add("Sub", "image", np.float32(50)))
    return net.add("Add", "image", net.add("ReduceMax", bright, np.array([0, 1])))


MIXING = {
    "maximum": rare,
    "number": counted,
    "next": joined,
    "folded": folded,
    "normalized": normalized,
    "first": lambda net: net.add("Add", "image", sliced(net, 0, 1)),
}


def rows(net):
    """Pixels of all images as one matrix, and back."""
    net.last = net.add("Transpose", "image", perm=[0, 2, 3, 1])
    shape = net.add("Shape", net.last)
    flat = net.add("Reshape", net.last, np.array([-1, 2]))
    mixed = net.add("Gemm", flat, np.eye(2), np.ones(2))
    return net.add("Transpose", net.add("Reshape", mixed, shape), perm=[0, 3, 1, 2])


def windows(net):
    """Attention within windows, which are one more axis of the batch."""
    whole = net.add("Shape", "image")
    batch = net.add("Shape", "image", start=0, end=1)
    sides = [net.add("Shape", "image", start=n, end=n + 1) for n in (2, 3)]
    down, across = (net.add("Div", own, np.array([4])) for own in sides)
    four, two = np.array([4]), np.array([2])
    split = net.add("Concat", batch, two, down, four, across, four, axis=0)
    apart = net.add("Transpose", net.add("Reshape", "image", split), perm=[0, 2, 4, 3, 5, 1])
    tokens = net.add("Reshape", apart, np.array([-1, 16, 2]))
    likeness = net.add("MatMul", tokens, net.add("Transpose", tokens, perm=[0, 2, 1]))
    tokens = net.add("MatMul", net.add("Softmax", likeness), tokens)
    shape = net.add("Concat", batch, down, across, four, four, two, axis=0)
    together = net.add("Transpose", net.add("Reshape", tokens, shape), perm=[0, 5, 1, 3, 2, 4])
    return net.add("Reshape", together, whole)


def repeated(net):
    """A parameter that is repeated for each image."""
    batch = net.add("Shape", "image", start=0, end=1)
    shape = net.add("Concat", batch, np.array([2, 1, 1]), axis=0)
    return net.add("Add", "image", net.add("Expand", np.ones((1, 2, 1, 1)), shape))


APART = {
    "convolution": lambda net: net.add("Conv", "image", np.ones((2, 2, 1, 1))),
    "rows": rows,
    "windows": windows,
    "repeated": repeated,
    "softmax": lambda net: net.add("Softmax", "image", axis=1),
    "pooled": lambda net: net.add("Mul", "image", net.add("GlobalAveragePool", "image")),
    "attention of channels": lambda net: net.add("Einsum", "image", equation="nchw->nchw"),
}


def verdict(model, tmp_path):
    onnx.save(model, tmp_path / "model.onnx")
    return graph_verdict(open_models(tmp_path / "model.onnx").resolved(2))


def built(make, batch="batch"):
    net = layers.Network(opset=18)
    net.last = make(net)
    return net.model(batch=batch)


def is_mixing(model):
    """Whether an image's logits change with another of its batch, or with their number."""
    session = layers.session(model)
    images = np.random.default_rng(0).uniform(0, 1, (3, 2, 72, 72)).astype(np.float32)
    images[0] += 100
    alone, together = (session.run(None, {"image": own})[0] for own in (images[1:2], images))
    return not np.allclose(alone[0], together[1])


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_the_images_of_a_batch_is_seen(name, tmp_path):
    model = built(MIXING[name])
    assert is_mixing(model)
    assert verdict(model, tmp_path).mixes_batch


@pytest.mark.parametrize("name", APART)
def test_what_keeps_images_apart_is_seen_to(name, tmp_path):
    model = built(APART[name])
    assert not is_mixing(model)
    assert not verdict(model, tmp_path).mixes_batch


def test_a_mixed_batch_of_a_fixed_number_has_no_exact_tiles(tmp_path):
    found = verdict(built(rare, batch=4), tmp_path)
    assert found.obstacle == "global"
    assert "ReduceMax" in found.reason
    assert "tiles of a batch" in found.reason


def test_in_a_batch_of_one_nothing_is_mixed(tmp_path):
    found = verdict(built(rare, batch=1), tmp_path)
    assert found.is_proof
    assert not found.mixes_batch
