"""U-Nets with global context, and what they are for a whole image at once, in float64."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from . import made

BLOCK = (("conv", 3, 1), ("relu",))

STRIDE = 4


def u_net(*layers):
    """A U-Net of two poolings, with layers at its bottom and in between."""
    bottom = [("pool", 2), *BLOCK, *layers, ("up", 2)]
    inner = [("pool", 2), *BLOCK, *layers, ("skip", bottom), *BLOCK, ("up", 2)]
    return [*BLOCK, ("skip", inner), *BLOCK]


TILING = {"tile": 64, "margin": 12, "overlap": 25, "align": STRIDE}


def extended(image):
    """An image, reflected at its right and bottom up to a multiple of the stride."""
    beyond = [(0, -length % STRIDE) for length in image.shape[1:]]
    return np.pad(image, [(0, 0), *beyond], mode="reflect")


def whole(model, image):
    """What a model is for the whole image at once, in float64.

    onnxruntime's own InstanceNormalization is off by 3e-4 of a standard deviation in float32.
    """
    evaluator = ReferenceEvaluator(in_float64(onnx.load(model)))
    (logits,) = evaluator.run(None, {"image": extended(image)[None].astype(np.float64)})
    return logits[0][:, : image.shape[1], : image.shape[2]]


def in_float64(model):
    """The same model with weights and pixels of float64, but for the scales of Resize."""
    scales = {node.input[2] for node in model.graph.node if node.op_type == "Resize"}
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and weight.name not in scales:
            weight.CopyFrom(numpy_helper.from_array(array.astype(np.float64), weight.name))
    for node in model.graph.node:
        for own in node.attribute:
            if own.name == "to" and own.i == onnx.TensorProto.FLOAT:
                own.i = onnx.TensorProto.DOUBLE
            if own.name == "value" and own.t.data_type == onnx.TensorProto.FLOAT:
                own.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(own.t).astype("f8")))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return model


def assert_same(output, expected):
    """Within 1e-5 of the standard deviation, and of the same class wherever that decides."""
    found = made.read(output)
    bound = 1e-5 * expected.std()
    assert np.abs(found - expected).max() <= bound
    near = np.abs(expected[0] - expected[1]) <= 2 * bound
    np.testing.assert_array_equal(found.argmax(0)[~near], expected.argmax(0)[~near])
