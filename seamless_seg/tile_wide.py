"""Tile-wide nodes: what in a model's graph makes each pixel depend on all of its tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from .ensemble import Ensemble
from .forecast import TILE_WIDE, Forecast
from .graph import NO_GRAPH, Graph, Integers, Node, read_graph
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


def warned(forecast: Forecast, model: Model, found: Probe | None) -> Forecast:
    """The forecast with a warning, where the model's graph or a probe of it gives reason to."""
    if forecast.plan.grid.shape == (1, 1):
        return replace(forecast, warning=None)
    said = judge(tile_wide_nodes(model), found, forecast.exactness == TILE_WIDE)
    forecast.settings.notes.extend(said.notes)
    return replace(forecast, warning=said.warning)


class Said(NamedTuple):
    """What the user should know of a model's tile-wide nodes."""

    warning: str | None = None
    notes: tuple[str, ...] = ()


def judge(nodes: str | None, found: Probe | None, is_tile_wide: bool) -> Said:
    """Weigh nodes and a probe: what was measured outweighs what stands in the graph."""
    if is_tile_wide:
        of_them = f": the graph has {nodes}" if nodes else ""
        return Said(f"{TILE_WIDE}{of_them}; fewer, larger tiles help")
    if nodes is None or (found and found.tile_wide):  # wide only where tiles are not cut
        return Said()
    if found is None or found.depends_on_batch or not found.deterministic:
        return Said(
            f"the graph has {nodes}: each pixel can depend on its whole tile, so that tiles "
            f"differ whatever their overlap; fewer, larger tiles help"
        )
    note = (
        f"the graph has {nodes}, which can see a whole tile, but the model was measured to see "
        f"no farther than {max(found.radius)} px"
    )
    return Said(notes=(note,))


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
