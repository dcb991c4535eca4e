"""Cuts a model where it reduces the whole image: the statistics become outputs, and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from seamless_seg.graphs.call import Reduction

CUT = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "MaxPool", "AveragePool")
"""Types of nodes that are cut; ``InstanceNormalization`` is written with means first."""


def cut(
    path: Path, reductions: Sequence[Reduction], folder: Path
) -> tuple[Path, Path, list[str]] | None:
    """Write a model that gives its statistics of the image, and one that takes them.

    Returns
    -------
    tuple of (Path, Path, list of str), or None
        Both files and the names of the statistics; None where something else is reduced.
    """
    if any(own.kind not in (*CUT, "InstanceNormalization") for own in reductions):
        return None
    model = onnx.load(path)
    reduced = {own.node: own for own in reductions}
    names, nodes = [], []
    for node in model.graph.node:
        own = reduced.get(node.output[0])
        if own is None or own.kind != "InstanceNormalization":
            nodes.append(node)
            names += [node.output[0]] if own else []
            continue
        written = _written_out(node, own.axes, model.graph, _opset(model))
        names += [inner.output[0] for inner in written if inner.op_type == "ReduceMean"]
        nodes += written
    if len(names) < len(reductions):
        return None  # some lie in a function of the graph
    outputs = [helper.make_tensor_value_info(own, onnx.TensorProto.FLOAT, None) for own in names]
    giving, taking = folder / "giving.onnx", folder / "taking.onnx"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.output.extend(outputs)
    onnx.save(model, giving)
    del model.graph.output[-len(outputs) :]
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node.output[0] not in set(names))
    model.graph.input.extend(outputs)
    onnx.save(model, taking)
    return giving, taking, names


def _opset(model: onnx.ModelProto) -> int:
    return max(own.version for own in model.opset_import if own.domain == "")


def _written_out(
    node: onnx.NodeProto, axes: Sequence[int], graph: onnx.GraphProto, opset: int
) -> list[onnx.NodeProto]:
    """Return the nodes of an instance normalization: means first, then what is done with them."""
    image, scale, shift = node.input
    out = node.output[0]
    epsilon = next((own.f for own in node.attribute if own.name == "epsilon"), 1e-5)
    constants = {"axes": np.int64(axes), "eps": np.float32(epsilon)}
    constants["shape"] = np.int64([-1] + [1] * len(axes))
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(own), f"{out}_{part}") for part, own in constants.items()
    )

    def make(kind: str, *inputs: str, to: str) -> onnx.NodeProto:
        full = [own if own in node.input or own == out else f"{out}_{own}" for own in inputs]
        if kind == "ReduceMean" and opset < 18:
            return helper.make_node(kind, full[:1], [f"{out}_{to}"], axes=list(axes))
        return helper.make_node(kind, full, [f"{out}_{to}" if to else out])

    return [
        make("ReduceMean", image, "axes", to="mean"),
        make("Sub", image, "mean", to="centered"),
        make("Mul", "centered", "centered", to="squared"),
        make("ReduceMean", "squared", "axes", to="variance"),
        make("Add", "variance", "eps", to="positive"),
        make("Sqrt", "positive", to="deviation"),
        make("Div", "centered", "deviation", to="normalized"),
        make("Reshape", scale, "shape", to="weights"),
        make("Reshape", shift, "shape", to="offsets"),
        make("Mul", "normalized", "weights", to="weighted"),
        make("Add", "weighted", "offsets", to=""),
    ]
