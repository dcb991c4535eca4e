"""Nodes whose last bits depend on where a value lies in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import NodeProto

ROUNDED = ("Celu", "Elu", "Log", "Mish", "Selu", "Softplus")
"""Types of nodes that onnxruntime computes for several values at once, and for those that are left
over at the end of each thread's share one by one, with other last bits."""


def rounded_kinds(nodes: Iterable[NodeProto]) -> tuple[str, ...]:
    """Return the types of nodes in a graph, and in graphs inside of it, that are ``ROUNDED``."""
    return tuple(sorted(set(_kinds(nodes)) & set(ROUNDED)))


def _kinds(nodes: Iterable[NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield node.op_type
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _kinds(graph.node)
