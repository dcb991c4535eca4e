"""Outputs that hold class numbers, found in a graph, and the logits from which they are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..graphs.onnx_graph import Graph, GraphError, Node, read_graph, reading_graph

CHOOSING_KINDS = ("ArgMax", "TopK")
"""Types of nodes that choose the class with the largest logit."""

PASSING_KINDS = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Types of nodes that keep numbers as they are."""

COMPARING_KINDS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or")
"""Types of nodes whose outputs are true or false."""

MOVING_KINDS = (
    "CenterCropPad",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "MaxPool",
    "Pad",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Tile",
    "Upsample",
)
"""Types of nodes that move, repeat or choose numbers of their first input."""

RESIZING_KINDS = ("Resize", "Upsample")
"""Types of nodes that keep numbers only where they take the nearest one."""

COMPUTING_KINDS = (
    "Abs",
    "Add",
    "Clip",
    "Concat",
    "Gather",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Sub",
    "Where",
)
"""Types of nodes that make class numbers of class numbers and constants."""

QUANTIZING_KINDS = ("QuantizeLinear",)
"""Types of nodes that round logits to integers."""

CLASS_AXES = {1: False, -3: False, 3: True, -1: True}
"""Whether channels are last, by the axis of the classes of logits with four axes."""


class Content(Enum):
    """What an output holds, as its graph shows."""

    CLASS_NUMBERS = "class numbers"
    QUANTIZED = "quantized logits"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class OutputContent:
    """What an output holds, and the tensor of logits inside the graph that it is made from."""

    content: Content = Content.UNKNOWN
    logits: str | None = None
    """Name of that tensor; None where the output is more than its largest class or rounding."""
    channels_last: bool = False
    """Whether the last axis of those logits is the one of the classes, not the second."""


def content_of(path: Any, image: str, output: str) -> OutputContent:
    """Read from a graph what one of its outputs holds.

    Parameters
    ----------
    path : str or path-like
        The ONNX file.
    image, output : str
        Names of the graph's input and of the output.
    """
    try:
        with reading_graph(path):
            return _content(read_graph(path), image, output)
    except GraphError:
        return OutputContent()


def _content(graph: Graph, image: str, output: str) -> OutputContent:
    sources = {name: node for node in graph.nodes for name in node.outputs}
    name = output
    while (node := sources.get(name)) is not None and node.kind in PASSING_KINDS:
        name = node.inputs[0]
    if node is not None and node.kind in QUANTIZING_KINDS:
        return OutputContent(Content.QUANTIZED, node.inputs[0])
    if node is not None and node.kind in CHOOSING_KINDS:
        axis = _axis_of_largest(graph, node, name)
        is_known = axis in CLASS_AXES
        logits = node.inputs[0] if is_known and node.inputs[0] != image else None
        return OutputContent(Content.CLASS_NUMBERS, logits, is_known and CLASS_AXES[axis or 0])
    if _is_whole(sources, name, image) and name in sources:
        return OutputContent(Content.CLASS_NUMBERS)
    return OutputContent()


def _axis_of_largest(graph: Graph, node: Node, output: str) -> int | None:
    """Return the axis along which a node gives the first of the largest; None for any other."""

    def number(name: str, default: int) -> int:
        return node.integers.get(name, (default,))[0]

    if node.kind == "ArgMax":
        return None if number("select_last_index", 0) else number("axis", 0)
    is_index = output == node.outputs[1] and graph.constants.get(node.inputs[1]) == (1,)
    return number("axis", -1) if is_index and number("largest", 1) else None


def _is_whole(sources: dict[str, Node], name: str, image: str, depth: int = 0) -> bool:
    """Tell whether a tensor is computed from choices, comparisons and constants alone."""
    node = sources.get(name)
    if node is None:
        return name != image  # a weight
    if node.kind == "Constant" or node.kind in COMPARING_KINDS:
        return True
    if node.kind in CHOOSING_KINDS:
        return node.kind == "ArgMax" or name == node.outputs[1]
    if node.kind in RESIZING_KINDS and node.texts.get("mode", "nearest") != "nearest":
        return False
    is_passing = node.kind in (*PASSING_KINDS, *MOVING_KINDS)
    if depth > MAX_DEPTH or not (is_passing or node.kind in COMPUTING_KINDS):
        return False
    # A cast, a reshape or a resize has its type, its shape or its scales beside its values.
    inputs = node.inputs[:1] if is_passing else node.inputs
    return all(_is_whole(sources, own, image, depth + 1) for own in inputs if own)


MAX_DEPTH = 16
"""Nodes between an output and the choice of its classes."""
