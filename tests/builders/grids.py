"""Networks whose output is on a grid, or depends on where pixels lie, or on the image's size."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from . import made

node = helper.make_node


def _weight(*shape, seed=0):
    random = np.random.default_rng([seed, *shape])
    return random.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))


def patches(path, size, **options):
    """Patches of so many pixels a side, embedded and drawn again, beside the image."""
    nodes = [
        node("Conv", ["image", "embed"], ["tokens"], strides=[size, size]),
        node("Relu", ["tokens"], ["active"]),
        node("ConvTranspose", ["active", "draw"], ["drawn"], strides=[size, size]),
        node("Concat", ["image", "drawn"], ["both"], axis=1),
        node("Conv", ["both", "head"], ["logits"]),
    ]
    weights = {
        "embed": _weight(6, 3, size, size),
        "draw": _weight(6, 4, size, size, seed=1) * np.float32(size),
        "head": _weight(2, 7, 1, 1),
    }
    return made.model(path, nodes, weights, 3, 2, **options)


def pooled(path, *sizes):
    """Average pools, each enlarged back to the size of the image and set beside it."""
    nodes, joined = [node("Shape", ["image"], ["size"], start=2)], ["image"]
    for n in sizes:
        nodes += [
            node("AveragePool", ["image"], [f"pool{n}"], kernel_shape=[n, n], strides=[n, n]),
            node("Shape", [f"pool{n}"], [f"count{n}"], end=2),
            node("Concat", [f"count{n}", "size"], [f"whole{n}"], axis=0),
            node("Resize", [f"pool{n}", "", "", f"whole{n}"], [f"up{n}"], mode="nearest"),
        ]
        joined.append(f"up{n}")
    nodes += [
        node("Concat", joined, ["all"], axis=1),
        node("Conv", ["all", "head"], ["logits"]),
    ]
    return made.model(path, nodes, {"head": _weight(2, 3 * len(joined), 1, 1)}, 3, 2)


def positions(path, side, scale=1.0):
    """A learned map of positions that is added to features of images of one size."""
    nodes = [
        node("Conv", ["image", "conv"], ["features"], pads=[1] * 4),
        node("Add", ["features", "map"], ["placed"]),
        node("Conv", ["placed", "head"], ["logits"]),
    ]
    weights = {
        "conv": _weight(4, 3, 3, 3),
        "map": _weight(1, 4, side, side) * np.float32(side * scale),
        "head": _weight(2, 4, 1, 1),
    }
    return made.model(path, nodes, weights, 3, 2, height=side, width=side)


def coordinates(path, scale=0.01):
    """The column's number, times a scale, as a fourth band."""
    nodes = [
        node("Shape", ["image"], ["shape"], start=3),
        node("Squeeze", ["shape"], ["width"]),
        node("Range", ["zero", "width", "one"], ["columns"]),
        node("Cast", ["columns"], ["numbers"], to=TensorProto.FLOAT),
        node("Mul", ["numbers", "scale"], ["scaled"]),
        node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
        node("Mul", ["mean", "nothing"], ["plane"]),
        node("Add", ["plane", "scaled"], ["band"]),
        node("Concat", ["image", "band"], ["placed"], axis=1),
        node("Conv", ["placed", "head"], ["logits"]),
    ]
    weights = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "scale": np.array(scale, np.float32),
        "nothing": np.array(0, np.float32),
        "head": _weight(2, 4, 1, 1),
    }
    return made.model(path, nodes, weights, 3, 2)


def corners_aligned(path):
    """A small U-Net whose upsampling samples by corners, so that the size says where."""
    mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    nodes = [
        node("Conv", ["image", "conv"], ["features"], pads=[1] * 4),
        node("MaxPool", ["features"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["pool", "", "scales"], ["up"], **mode),
        node("Concat", ["image", "up"], ["both"], axis=1),
        node("Conv", ["both", "head"], ["logits"]),
    ]
    weights = {
        "conv": _weight(4, 3, 3, 3),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "head": _weight(2, 7, 1, 1),
    }
    return made.model(path, nodes, weights, 3, 2)


def padded_inside(path, multiple, patch, is_centered):
    """Patches, of an image that the graph itself pads to a multiple and crops afterwards."""
    before = node("Div" if is_centered else "Mul", ["missing", "by"], ["before"])
    nodes = [
        node("Shape", ["image"], ["size"], start=2),
        node("Mod", ["size", "multiple"], ["rest"]),
        node("Sub", ["multiple", "rest"], ["lacking"]),
        node("Mod", ["lacking", "multiple"], ["missing"]),
        before,
        node("Sub", ["missing", "before"], ["after"]),
        node("Concat", ["none", "before", "none", "after"], ["pads"], axis=0),
        node("Pad", ["image", "pads"], ["padded"]),
        node("Conv", ["padded", "embed"], ["tokens"], strides=[patch, patch]),
        node("ConvTranspose", ["tokens", "draw"], ["drawn"], strides=[patch, patch]),
        node("Concat", ["padded", "drawn"], ["both"], axis=1),
        node("Conv", ["both", "head"], ["whole"]),
        node("Add", ["before", "size"], ["end"]),
        node("Slice", ["whole", "before", "end", "axes"], ["logits"]),
    ]
    weights = {
        "multiple": np.array([multiple] * 2),
        "by": np.array([2, 2] if is_centered else [0, 0]),
        "none": np.array([0, 0]),
        "axes": np.array([2, 3]),
        "embed": _weight(6, 3, patch, patch),
        "draw": _weight(6, 4, patch, patch, seed=1) * np.float32(patch),
        "head": _weight(2, 7, 1, 1),
    }
    return made.model(path, nodes, weights, 3, 2)


def sized(path):
    """Features that are multiplied by the width of the image."""
    nodes = [
        node("Conv", ["image", "conv"], ["features"], pads=[1] * 4),
        node("Shape", ["image"], ["shape"], start=3),
        node("Cast", ["shape"], ["width"], to=TensorProto.FLOAT),
        node("Mul", ["features", "width"], ["logits"]),
    ]
    return made.model(path, nodes, {"conv": _weight(2, 3, 3, 3)}, 3, 2)


def built_in_length(path, side):
    """Features that pass through a shape with numbers, while the image's axes have names."""
    nodes = [
        node("Conv", ["image", "conv"], ["features"], pads=[1] * 4),
        node("Reshape", ["features", "flat"], ["tokens"]),
        node("Relu", ["tokens"], ["active"]),
        node("Reshape", ["active", "square"], ["logits"]),
    ]
    weights = {
        "conv": _weight(2, 3, 3, 3),
        "flat": np.array([-1, 2, side * side]),
        "square": np.array([-1, 2, side, side]),
    }
    return made.model(path, nodes, weights, 3, 2, out_size=(side, side))


def built_in_batch(path):
    """Features that pass through a shape for one image, whatever the batch is called."""
    nodes = [
        node("Conv", ["image", "conv"], ["features"], pads=[1] * 4),
        node("Shape", ["features"], ["size"], start=1),
        node("Concat", ["one", "size"], ["shape"], axis=0),
        node("Reshape", ["features", "shape"], ["logits"]),
    ]
    weights = {"conv": _weight(2, 3, 3, 3), "one": np.array([1])}
    return made.model(path, nodes, weights, 3, 2)


def wide_border(path, dilation):
    """One convolution without padding, which loses ``dilation`` px at each side."""
    nodes = [node("Conv", ["image", "conv"], ["logits"], dilations=[dilation, dilation])]
    sizes = {"height": "h", "width": "w", "out_size": ("oh", "ow")}
    return made.model(path, nodes, {"conv": _weight(2, 3, 3, 3)}, 3, 2, **sizes)


def bilinear(path, size):
    """Features on a grid of so many pixels, enlarged linearly and set beside the image."""
    pads = (size + 2) // 2 - size // 2
    nodes = [
        node("Conv", ["image", "embed"], ["tokens"], strides=[size] * 2, pads=[pads, pads, 1, 1]),
        node("Relu", ["tokens"], ["active"]),
        node("Resize", ["active", "", "scales"], ["up"], mode="linear"),
        node("Concat", ["image", "up"], ["both"], axis=1),
        node("Conv", ["both", "head"], ["logits"], pads=[1] * 4),
    ]
    weights = {
        "embed": _weight(6, 3, size + 1 + pads, size + 1 + pads),
        "scales": np.array([1, 1, size, size], np.float32),
        "head": _weight(2, 9, 3, 3),
    }
    return made.model(path, nodes, weights, 3, 2)
