"""A graph cut at its reductions of the whole image.

It becomes a graph of statistics for each level of reductions, which run over all tiles, and an
ordinary graph in which all statistics are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, inliner, numpy_helper

from .call import Reduction, SizedInput
from .given_statistics import given_nodes
from .interpreter import LoadedGraph, inputs_of
from .node_writer import PREFIX, NodeWriter
from .tensors import BoundError, Tensor
from .whole_image import (
    L1,
    L2,
    MAX,
    MEAN,
    MIN,
    SIZE,
    SQUARES,
    SUM,
    VARIANCE,
    Statistics,
    moments_of,
)

PARTIALS = {
    MEAN: (SUM,),
    VARIANCE: (SUM, SQUARES),
    SUM: (SUM,),
    L1: (L1,),
    L2: (SQUARES,),
    SQUARES: (SQUARES,),
    MAX: (MAX,),
    MIN: (MIN,),
}
"""What a tile adds to a moment."""

SUMS = {SUM: "ReduceSum", L1: "ReduceL1", SQUARES: "ReduceSumSquare"}
"""Types of nodes that sum up values, in float64."""

EXTREMES = {MAX: ("ReduceMax", -np.inf), MIN: ("ReduceMin", np.inf)}
"""Types of nodes that find extremes, and the value that changes none."""


class CutGraph:
    """The graph of an ONNX file that can be cut.

    Parameters
    ----------
    path : path-like
        The file; weights outside of it stay there.
    output : str
        Name of the output: reductions that it does not depend on are left alone.

    Raises
    ------
    OSError, google.protobuf.message.DecodeError
        If the file cannot be read, or is no model.
    """

    def __init__(self, path: str | Path, output: str) -> None:
        model = onnx.load(path, load_external_data=False)
        self._model = inliner.inline_local_functions(model) if model.functions else model
        self._output = output
        self._loaded = LoadedGraph(path, output)
        self._types = _types(self._model)

    @property
    def image(self) -> str:
        """Name of the input that takes the image."""
        return str(self._loaded.inputs[0])

    def traced(self, image: Tensor) -> tuple[tuple[Reduction, ...], tuple[SizedInput, ...]]:
        """Return what depends on the whole image, for an image of a shape.

        Returns
        -------
        reductions : tuple of Reduction
            The nodes that reduce it.
        sizes : tuple of SizedInput
            Inputs of other nodes that follow from its height and width.

        Raises
        ------
        BoundError
            If the graph depends on the whole image in another way, too.
        """
        _, trace = self._loaded.run(image)
        outputs = {node.output[0] for node in self._model.graph.node if node.output}
        for reduction in trace.reductions:
            moments_of(reduction)
            if reduction.node not in outputs:
                raise BoundError("global", "it is inside of a branch", reduction.label)
        for sized in trace.sizes:
            if sized.node not in outputs:
                reason = "it computes with the size of the image inside of a branch"
                raise BoundError("size", reason, sized.label)
        return tuple(trace.reductions), tuple(trace.sizes)

    def with_given(
        self,
        reductions: Sequence[Reduction],
        sizes: Sequence[SizedInput],
        statistics: Statistics,
        batch: int = 1,
    ) -> bytes:
        """Return the model with statistics in place of its reductions.

        Parameters
        ----------
        reductions : sequence of Reduction
            All reductions.
        sizes : sequence of SizedInput
            All inputs that follow from the image's size.
        statistics : mapping
            The statistics of each, and the whole image's numbers for these inputs.
        batch : int
            Images of the batch that the reductions are for.
        """
        model = self._given(reductions, sizes, statistics, batch)
        names = [own.name for own in model.graph.output]
        if self._output not in names:  # a tensor inside of the graph
            model.graph.output.append(onnx.ValueInfoProto(name=self._output))
        _keep(model.graph, [*names, self._output])
        return _serialized(model)

    def of_level(
        self,
        level: int,
        reductions: Sequence[Reduction],
        sizes: Sequence[SizedInput],
        statistics: Statistics,
        batch: int = 1,
    ) -> bytes:
        """Return the model whose outputs are what a tile adds to the statistics of a level.

        Its inputs are the image and ``mask_name`` of each reduction of the level, as ``mask_for``
        makes it; its outputs are ``partial_name`` of each of ``partials_of``, in float64.

        Parameters
        ----------
        level : int
            Level of the reductions.
        reductions, sizes, batch
            As for ``with_given``.
        statistics : mapping
            The statistics of all earlier levels, and the numbers that follow from the size.
        """
        earlier = [own for own in reductions if own.level < level]
        model = self._given(earlier, sizes, statistics, batch)
        graph, sources = model.graph, {node.output[0]: node for node in model.graph.node}
        del graph.output[:]
        for n, reduction in enumerate(own for own in reductions if own.level == level):
            writer = NodeWriter(self._loaded.opset, f"partial{n}")
            image = sources[reduction.node].input[0]
            self._write_partials(writer, reduction, image)
            graph.node.extend(writer.nodes)
            graph.initializer.extend(writer.constants)
            mask = [None] * reduction.image.rank
            name = mask_name(reduction)
            graph.input.append(helper.make_tensor_value_info(name, TensorProto.BOOL, mask))
            graph.output.extend(
                helper.make_tensor_value_info(
                    partial_name(reduction, own), TensorProto.DOUBLE, mask
                )
                for own in partials_of(reduction)
            )
        _keep(graph, [own.name for own in graph.output])
        return _serialized(model)

    def _given(
        self,
        reductions: Iterable[Reduction],
        sizes: Iterable[SizedInput],
        statistics: Statistics,
        batch: int,
    ) -> onnx.ModelProto:
        """Return a copy of the model with nodes that use statistics in place of reductions."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        _give_sizes(model.graph, sizes, statistics)
        wanted = {own.node: own for own in reductions}
        nodes: list[NodeProto] = []
        used = {name for node in model.graph.node for name in inputs_of(node)}
        for n, node in enumerate(model.graph.node):
            reduction = wanted.get(node.output[0]) if node.output else None
            if reduction is None:
                nodes.append(node)
                continue
            if used & set(node.output[1:]) - {""}:
                label = f"{node.op_type} node {node.name or node.output[0]}"
                raise BoundError("unknown", "its mean and deviation are used elsewhere", label)
            writer = NodeWriter(self._loaded.opset, f"given{n}")
            dtype = helper.tensor_dtype_to_np_dtype(self._type_of(node.input[0]))
            statistic = statistics[reduction.node]
            given_nodes(writer, node, reduction, statistic, dtype, (self.image, batch))
            nodes.extend(writer.nodes)
            model.graph.initializer.extend(writer.constants)
        kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        return model

    def _write_partials(self, writer: NodeWriter, reduction: Reduction, image: str) -> None:
        """Write what a tile adds to a statistic: of the values that count, in float64."""
        dtype = helper.tensor_dtype_to_np_dtype(self._type_of(image))
        if reduction.kind == "GroupNormalization":
            shape = writer.constant([0, *reduction.image.shape[1:]], np.int64)
            image = writer.add("Reshape", [image, shape])
        mask, partials = mask_name(reduction), partials_of(reduction)
        for name in partials:
            output = partial_name(reduction, name)
            if name in EXTREMES:
                kind, neutral = EXTREMES[name]
                chosen = writer.add("Where", [mask, image, writer.constant(neutral, dtype)])
                found = writer.reduce(kind, chosen, reduction.axes, f"{output}/own")
                writer.add("Cast", [found], output, to=TensorProto.DOUBLE)
        if any(name in SUMS for name in partials):
            chosen = writer.add("Where", [mask, image, writer.constant(0, dtype)])
            values = writer.add("Cast", [chosen], to=TensorProto.DOUBLE)
            for name in partials:
                writer.reduce(SUMS[name], values, reduction.axes, partial_name(reduction, name))

    def _type_of(self, tensor: str) -> int:
        return self._types.get(tensor) or self._types.get(self.image) or TensorProto.FLOAT


def partials_of(reduction: Reduction) -> tuple[str, ...]:
    """Return the names of what a tile adds to a reduction's moments."""
    found = (own for moment in moments_of(reduction) for own in PARTIALS[moment])
    return tuple(dict.fromkeys(found))


def mask_name(reduction: Reduction) -> str:
    """Return the name of the input that says which values count."""
    return f"{PREFIX}mask/{reduction.node}"


def partial_name(reduction: Reduction, partial: str) -> str:
    """Return the name of the output with what a tile adds."""
    return f"{PREFIX}{partial}/{reduction.node}"


def _give_sizes(graph: GraphProto, sizes: Iterable[SizedInput], statistics: Statistics) -> None:
    """Replace inputs that follow from the tile's size by those of the whole image.

    Only where nodes compute with them: others need them as the shape of a tile.
    """
    nodes = {node.output[0]: node for node in graph.node if node.output}
    values: dict[str, Any] = {}
    for own in sizes:
        name = f"{PREFIX}{SIZE}/{own.tensor}"
        values[name] = statistics[own.tensor][SIZE].astype(own.value.dtype)
        node = nodes[own.node]
        for n, tensor in enumerate(node.input):
            if tensor == own.tensor:
                node.input[n] = name
    graph.initializer.extend(numpy_helper.from_array(own, name) for name, own in values.items())


def _keep(graph: GraphProto, outputs: Iterable[str]) -> None:
    """Remove nodes and weights that outputs do not depend on."""
    wanted = set(outputs)
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= {name for name in inputs_of(node) if name}
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(nodes)
    for weights in (graph.initializer, graph.sparse_initializer):
        for n in reversed(range(len(weights))):
            name = getattr(weights[n], "name", None) or weights[n].values.name
            if name not in wanted:
                del weights[n]
    del graph.value_info[:]  # shapes of what is no longer there


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the types of tensors, as far as ONNX's shape inference knows them."""
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:  # it raises what it likes, as for a model above 2 GB
        return {}
    listed = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {own.name: own.type.tensor_type.elem_type for own in listed}


def _serialized(model: onnx.ModelProto) -> bytes:
    try:
        return bytes(model.SerializeToString())
    except Exception as error:
        raise BoundError(
            "unknown", "its graph is above 2 GB: export it with weights in a file of their own"
        ) from error
