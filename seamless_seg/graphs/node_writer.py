"""Writes nodes and constants to be added to a graph, as the version of its operators has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

PREFIX = "seamless_seg/"
"""Beginning of the names of added tensors, which no exporter's are likely to have."""

AXES_AS_INPUT = {
    "ReduceSum": 13,
    **dict.fromkeys(("ReduceL1", "ReduceSumSquare", "ReduceMax", "ReduceMin"), 18),
}
"""Versions from which on a reduction takes its axes as an input."""


class NodeWriter:
    """Collects nodes and constants.

    Parameters
    ----------
    opset : int
        Version of the graph's operators.
    prefix : str
        Beginning of the names of all tensors that are made here.
    """

    def __init__(self, opset: int, prefix: str) -> None:
        self.opset = opset
        self._prefix = f"{PREFIX}{prefix}/"
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: npt.ArrayLike, dtype: Any) -> str:
        """Add a constant; return its name."""
        name = f"{self._prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(
        self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node; return the name of its output."""
        output = output or f"{self._prefix}{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def reduce(self, kind: str, tensor: str, axes: Sequence[int], output: str) -> str:
        """Add a reduction over axes, which are left with a length of 1; return its output."""
        if self.opset >= AXES_AS_INPUT[kind]:
            return self.add(kind, [tensor, self.constant(axes, np.int64)], output, keepdims=1)
        return self.add(kind, [tensor], output, axes=list(axes), keepdims=1)

    def repeated(self, tensor: str, rank: int, image: str, batch: int) -> str:
        """Repeat a tensor along its first axis, once for each batch of the image; return that.

        Parameters
        ----------
        tensor : str
            Name of the tensor.
        rank : int
            Number of its axes.
        image : str
            Name of the graph's input.
        batch : int
            Images of the batch that the tensor is for.
        """
        shape = self.add("Shape", [image])
        first = self.constant([0], np.int64)
        count = self.add("Gather", [shape, first], axis=0)
        if batch > 1:
            count = self.add("Div", [count, self.constant([batch], np.int64)])
        others = self.constant(np.ones(rank - 1), np.int64)
        return self.add("Tile", [tensor, self.add("Concat", [count, others], axis=0)])
