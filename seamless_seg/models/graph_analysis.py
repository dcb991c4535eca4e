"""Analysis of a graph's nodes: which have global context, and which activation ends the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..graphs.onnx_graph import Graph, GraphError, Integers, Node, read_graph, reading_graph
from .base import Model
from .ensemble import Ensemble
from .onnx_model import OnnxModel
from .oriented import OrientedModel

ACTIVATION_KINDS = ("Softmax", "Sigmoid", "HardSigmoid")
"""Types of nodes whose outputs are probabilities."""

KEEPING_PROBABILITIES = (
    "Cast",
    "Identity",
    "Reshape",
    "Resize",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Upsample",
)
"""Types of nodes that pass probabilities on."""

TILE_WIDE_KINDS = (
    "InstanceNormalization",
    "GroupNormalization",
    "GroupNorm",
    "SkipGroupNorm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    "Attention",
    "MultiHeadAttention",
    "PackedAttention",
    "PackedMultiHeadAttention",
    "GroupQueryAttention",
    "QAttention",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
)
"""Types of nodes whose every output depends on the whole tile, onnxruntime's own included."""

WITHIN_ATTENTION = ("Cast", "Dropout", "Identity", "Reshape", "Transpose", "Where")
"""Types of nodes between the softmax of an attention and its product with the values."""

REDUCING_KINDS = ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2", "MeanVarianceNormalization")
"""Types of nodes that are tile-wide where they reduce height and width."""

SPATIAL_AXES = ({2, 3}, {1, 2})
"""Axes of height and width, with channels first and with channels last."""


def final_activation(model: Model) -> str | None:
    """Return the type of the activation that an ONNX model ends with; None where it has none."""
    if isinstance(model, Ensemble):
        found = [final_activation(member) for member in model.models]
        return found[0] if all(found) else None
    if isinstance(model, OrientedModel):
        return final_activation(model.model)
    if not isinstance(model, OnnxModel):
        return None
    try:
        with reading_graph(model.spec.name):
            return _activation_before(read_graph(model.spec.name), model.output)
    except GraphError:
        return None


def _activation_before(graph: Graph, name: str) -> str | None:
    """Return the type of the activation that makes a tensor; None where there is none."""
    sources: dict[str, Node] = {output: node for node in graph.nodes for output in node.outputs}
    while (node := sources.get(name)) is not None and node.kind in KEEPING_PROBABILITIES:
        name = node.inputs[0]
    return node.kind if node is not None and node.kind in ACTIVATION_KINDS else None


def tile_wide_nodes(model: Model) -> str | None:
    """List the tile-wide nodes of an ONNX model: ``4 InstanceNormalization nodes``.

    None where its logits depend on none, and where the model is a function or its file unreadable.
    """
    if isinstance(model, Ensemble):
        found = filter(None, map(tile_wide_nodes, model.models))
        return " and ".join(dict.fromkeys(found)) or None
    if not isinstance(model, OnnxModel) or model.other_graph is not None:
        return None
    try:
        with reading_graph(model.spec.name):
            graph = read_graph(model.spec.name)
            counts = Counter(_tile_wide_kinds(graph, _ancestors(graph, {model.output})))
    except GraphError:
        return None
    listed = (f"{count} {kind} node{'s' * (count > 1)}" for kind, count in counts.items())
    return " and ".join(listed) or None


def _ancestors(graph: Graph, wanted: set[str]) -> list[Node]:
    """Return the nodes that tensors depend on: other outputs may have nodes of their own."""
    wanted, found = set(wanted), []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            found.append(node)
            wanted |= set(node.inputs) | {name for inner in node.inner for name in _inputs(inner)}
            wanted.discard("")  # an input that is left out
    return found[::-1]


def _inputs(graph: Graph) -> Iterator[str]:
    """Yield the inputs of all nodes of a graph, those of inner graphs included."""
    for node in graph.nodes:
        yield from node.inputs
        for inner in node.inner:
            yield from _inputs(inner)


def _tile_wide_kinds(graph: Graph, nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the type of each tile-wide node, as a message names it."""
    weights: set[str] = set()
    for node in nodes:
        if node.kind == "Softmax" or (node.kind in WITHIN_ATTENTION and weights & set(node.inputs)):
            weights |= set(node.outputs)
        if node.kind in TILE_WIDE_KINDS:
            yield node.kind
        elif node.kind == "MatMul" and weights & set(node.inputs):
            yield "Softmax-MatMul"
        elif node.kind == "BatchNormalization" and node.integers.get("training_mode") == (1,):
            yield "training BatchNormalization"
        elif node.kind in REDUCING_KINDS and _is_spatial(_reduced_axes(graph, node)):
            yield node.kind
        for inner in node.inner:
            yield from _tile_wide_kinds(inner, inner.nodes)


def _reduced_axes(graph: Graph, node: Node) -> Integers | None:
    """Return the axes that a node reduces; None where they are computed, or left out."""
    if "axes" in node.integers:
        return node.integers["axes"]
    if len(node.inputs) > 1:
        return graph.constants.get(node.inputs[1])
    return (0, 2, 3) if node.kind == "MeanVarianceNormalization" else None


def _is_spatial(axes: Integers | None) -> bool:
    counted = {axis % 4 for axis in axes or ()}
    return any(spatial <= counted for spatial in SPATIAL_AXES)
