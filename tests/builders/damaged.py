"""ONNX graphs with random faults, as a broken or odd exporter might write them."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

KINDS = (
    *("Resize", "Conv", "Pad", "Slice", "Reshape", "Split", "MatMul", "Loop", "If", "Concat"),
    *("Shape", "Gemm", "Einsum", "Expand", "Gather", "MaxPool", "Unheard", "Range", "CumSum"),
    *("Tile", "Squeeze", "ConvTranspose", "QLinearConv", "DepthToSpace", "LayerNormalization"),
)
"""Types that a node is changed to."""


def damage(model, random):
    """Change one thing of a model's graph, in place."""
    nodes, constants = model.graph.node, model.graph.initializer
    if not nodes:
        return
    node = nodes[random.integers(len(nodes))]
    kinds = [_lose_node, _lose_attribute, _connect_wrongly, _lose_inputs, _change_attribute]
    damages = [*kinds, _change_kind]
    if constants and random.integers(2):
        _change_constant(constants[random.integers(len(constants))], random)
    else:
        damages[random.integers(len(damages))](nodes, node, random)


def _lose_node(nodes, node, random):
    nodes.remove(node)


def _lose_attribute(nodes, node, random):
    if node.attribute:
        del node.attribute[random.integers(len(node.attribute))]


def _connect_wrongly(nodes, node, random):
    if node.input:
        other = nodes[random.integers(len(nodes))]
        node.input[random.integers(len(node.input))] = other.output[0]


def _lose_inputs(nodes, node, random):
    if node.input:
        del node.input[random.integers(len(node.input)) :]


def _change_attribute(nodes, node, random):
    if not node.attribute:
        return
    old = node.attribute[random.integers(len(node.attribute))]
    number = int(random.choice([0, -1, 7, 1000]))
    is_number = isinstance(helper.get_attribute_value(old), int)
    new = helper.make_attribute(old.name, [number] * 3 if is_number else number)
    old.CopyFrom(new)


def _change_kind(nodes, node, random):
    node.op_type = KINDS[random.integers(len(KINDS))]


def _change_constant(constant, random):
    if random.integers(3) == 0:
        constant.raw_data = constant.raw_data[:1]
        return
    values = numpy_helper.to_array(constant)
    number = random.choice([0, -1, 3, 100_000])
    fewer = values.reshape(-1)[: random.integers(0, 3)]
    full = np.full_like(values, np.array(number).astype(values.dtype))
    chosen = full if random.integers(2) else fewer
    constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(chosen), constant.name))
