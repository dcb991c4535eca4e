"""A prelude to a model: the small graph that normalises pixels where the model runs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from .normalization import Normalisation

OPSET, IR_VERSION = 13, 8
"""Old enough for every onnxruntime that this package works with."""


def can_be_made() -> bool:
    """Whether the package that writes ONNX graphs is installed."""
    return find_spec("onnx") is not None


def prelude(normalisation: Normalisation, dtype: np.dtype[Any]) -> bytes:
    """An ONNX graph from ``pixels`` of that dtype to ``values``, float32, both ``(B, C, H, W)``.

    The operations and their order are those of ``Normalisation.apply``.
    """
    from onnx import TensorProto, helper, numpy_helper

    steps = [
        ("Mul", [normalisation.scale], normalisation.scale != 1),
        ("Sub", normalisation.mean, any(normalisation.mean)),
        ("Div", normalisation.std, any(number != 1 for number in normalisation.std)),
    ]
    nodes = [helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT)]
    numbers = []
    for kind, values, is_needed in steps:
        if is_needed:
            last, own = nodes[-1].output[0], kind.lower()
            nodes.append(helper.make_node(kind, [last, f"by_{own}"], [own]))
            per_band = np.array(values, np.float32)[:, None, None]
            numbers.append(numpy_helper.from_array(per_band, f"by_{own}"))
    nodes[-1].output[0] = "values"
    shape = ["batch", "bands", "height", "width"]
    taken = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes,
        "prelude",
        [helper.make_tensor_value_info("pixels", taken, shape)],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, shape)],
        numbers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString()
    return written
