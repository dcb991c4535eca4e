"""What a graph's nodes tell: whether it has global context, and which activation ends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from .base import Model
from .ensemble import Ensemble
from .onnx_graph import NO_GRAPH, Graph, Integers, Node, read_graph
from .onnx_model import OnnxModel

ACTIVATION_KINDS = ("Softmax", "Sigmoid", "HardSigmoid")
"""Types of nodes after which values are probabilities."""

AFTER_ACTIVATION = (
    "Cast",
    "Identity",
    "Reshape",
    "Resize",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Upsample",
)
"""Types of nodes after which they still are."""

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
)
"""Types of nodes that are, those that only onnxruntime has included."""

WITHIN_ATTENTION = ("Cast", "Dropout", "Identity", "Reshape", "Transpose", "Where")
"""Types of nodes that may stand between the two halves of an attention."""

REDUCING = ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2", "MeanVarianceNormalization")
"""Types of nodes that are where they reduce height and width."""

SPATIAL = ({2, 3}, {1, 2})
"""Axes of height and width, in either layout."""


def activation_within(model: Model) -> str | None:
    """The type of the node by which an ONNX model makes probabilities, if it ends with that."""
    if isinstance(model, Ensemble):
        found = [activation_within(member) for member in model.models]
        return found[0] if all(found) else None
    if not isinstance(model, OnnxModel):
        return None
    try:
        graph = read_graph(model.name)
    except NO_GRAPH:
        return None
    return _ending(graph, model.output)


def _ending(graph: Graph, name: str) -> str | None:
    makers: dict[str, Node] = {made: node for node in graph.nodes for made in node.outputs}
    while (node := makers.get(name)) is not None and node.kind in AFTER_ACTIVATION:
        name = node.inputs[0]
    return node.kind if node is not None and node.kind in ACTIVATION_KINDS else None


def tile_wide_nodes(model: Model) -> str | None:
    """Say which nodes of an ONNX model are tile-wide: ``4 InstanceNormalization nodes``.

    None where there are none that its answer depends on, or where nobody can tell.
    """
    if isinstance(model, Ensemble):
        found = filter(None, map(tile_wide_nodes, model.models))
        return " and ".join(dict.fromkeys(found)) or None
    if not isinstance(model, OnnxModel):
        return None
    try:
        graph = read_graph(model.name)
        counts = Counter(_kinds(graph, _needed(graph, {model.output})))
    except NO_GRAPH:
        return None
    listed = (f"{count} {kind} node{'s' * (count > 1)}" for kind, count in counts.items())
    return " and ".join(listed) or None


def _needed(graph: Graph, wanted: set[str]) -> list[Node]:
    """The nodes that lead to what is wanted: other outputs may have nodes of their own."""
    wanted, found = set(wanted), []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            found.append(node)
            wanted |= set(node.inputs) | {name for inner in node.inner for name in _names(inner)}
            wanted.discard("")  # an input that is left out
    return found[::-1]


def _names(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        yield from node.inputs
        for inner in node.inner:
            yield from _names(inner)


def _kinds(graph: Graph, nodes: Iterable[Node]) -> Iterator[str]:
    """The type of each tile-wide node, as users should read it."""
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
        elif node.kind in REDUCING and _is_spatial(_axes(graph, node)):
            yield node.kind
        for inner in node.inner:
            yield from _kinds(inner, inner.nodes)


def _axes(graph: Graph, node: Node) -> Integers | None:
    """Axes that a node reduces; None where nobody can tell, or perhaps all of a shape's."""
    if "axes" in node.integers:
        return node.integers["axes"]
    if len(node.inputs) > 1:
        return graph.constants.get(node.inputs[1])
    return (0, 2, 3) if node.kind == "MeanVarianceNormalization" else None


def _is_spatial(axes: Integers | None) -> bool:
    counted = {axis % 4 for axis in axes or ()}
    return any(spatial <= counted for spatial in SPATIAL)
