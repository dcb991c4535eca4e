"""Tile-wide nodes: what in a model's graph makes each pixel depend on all of its tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeGuard

from .forecast import TILE_WIDE, Forecast
from .graph import Graph, Integers, Node, read_graph
from .model import Model, OnnxModel
from .reach import Probe

ALWAYS = (
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

PASSING = ("Cast", "Dropout", "Identity", "Reshape", "Transpose", "Where")
"""Types of nodes that may stand between the two halves of an attention."""

REDUCING = ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2", "MeanVarianceNormalization")
"""Types of nodes that are where they reduce height and width."""

SPATIAL = ({2, 3}, {1, 2})
"""Axes of height and width, in either layout."""


def tile_wide_nodes(model: Model) -> str | None:
    """Say which nodes of an ONNX model are tile-wide: ``4 InstanceNormalization nodes``.

    None where there are none that its answer depends on, or where nobody can tell.
    """
    if not isinstance(model, OnnxModel):
        return None
    try:
        graph = read_graph(model.name)
        counts = Counter(_kinds(graph, _needed(graph, {model.output})))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    listed = (f"{count} {kind} node{'s' * (count > 1)}" for kind, count in counts.items())
    return " and ".join(listed) or None


def warned(forecast: Forecast, model: Model, found: Probe | None) -> Forecast:
    """The forecast with a warning, where the model's graph or a probe of it gives reason to.

    What was measured outweighs the graph: nodes that were not seen to matter are a note.
    """
    nodes, said = tile_wide_nodes(model), None
    if forecast.exactness == TILE_WIDE:
        of_them = f": the graph has {nodes}" if nodes else ""
        said = f"{TILE_WIDE}{of_them}; fewer, larger tiles help"
    elif nodes and forecast.plan.grid.shape != (1, 1):
        if is_local(found):
            forecast.settings.notes.append(doubt(nodes, found))
        elif found is None or not found.tile_wide:
            said = warning(nodes)
    return replace(forecast, warning=said)


def is_local(found: Probe | None) -> TypeGuard[Probe]:
    """Whether a model was measured to see only so far, and to give one answer."""
    if found is None or found.tile_wide:
        return False
    return found.deterministic and not found.depends_on_batch


def warning(nodes: str) -> str:
    """What such nodes come to where nothing has been measured."""
    return (
        f"the graph has {nodes}: each pixel can depend on its whole tile, so that tiles differ "
        f"whatever their overlap; fewer, larger tiles help"
    )


def doubt(nodes: str, found: Probe) -> str:
    """What they come to where the model was measured to see only so far."""
    return (
        f"the graph has {nodes}, which can see a whole tile, but the model was measured to see "
        f"no farther than {max(found.radius)} px"
    )


def _needed(graph: Graph, wanted: set[str]) -> list[Node]:
    """The nodes that lead to what is wanted: other outputs may have nodes of their own."""
    wanted, found = set(wanted), []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            found.append(node)
            wanted |= set(node.inputs) | {name for inner in node.inner for name in _names(inner)}
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
        if node.kind == "Softmax" or (node.kind in PASSING and weights & set(node.inputs)):
            weights |= set(node.outputs)
        if node.kind in ALWAYS:
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
