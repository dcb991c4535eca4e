"""Walks a graph from the image to its output, and computes what the rules say of each tensor."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import external_data_helper, inliner, numpy_helper

from . import normalizing, picking, pointwise, products, reductions, resizing, shaping, sliding  # noqa: F401  # rules  # noqa: F401  # rules
from .call import RULES, Call, Noted, Trace
from .image_axis import ImageAxis
from .sizes import SHAPES, with_sizes
from .tensors import BoundError, Part, Tensor, as_repeated, constant, plain_axes

MAX_VALUES = 2**20
"""Values of a constant that is computed; larger ones are weights, of which the shape is enough."""

MAX_SHAPE = 64
"""The same for repeated values whose number depends on the image's size."""

REPEATING = ("ConstantOfShape", "Expand", "Tile")
"""Types of nodes that repeat values, for which a rule knows that these are the same."""

NEVER_FOLDED = ("Resize", "Upsample", "Pad", "EyeLike", "OneHot", "Dropout", *picking.RANDOM)
"""Types of nodes whose output may be far larger than what they are computed from, or random."""

POINTWISE = (*pointwise.EACH, *pointwise.BROADCAST)
"""Types of nodes whose values that are repeated follow from those of their inputs."""

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Domains of operators that there are rules for."""


class LoadedGraph:
    """The graph of an ONNX model, without its large weights.

    Parameters
    ----------
    path : path-like
        The file.
    output : str
        Name of the output; nodes that it does not depend on are left out.
    graph : bytes, optional
        A model to read in place of the file's, which has its other weights.

    Raises
    ------
    OSError, google.protobuf.message.DecodeError
        If the file cannot be read, or is no model.
    """

    def __init__(self, path: Any, output: str, graph: bytes | None = None) -> None:
        if graph is None:
            model = onnx.load(path, load_external_data=False)
        else:
            model = onnx.load_model_from_string(graph)
        if model.functions:
            model = inliner.inline_local_functions(model)
        self.output = output
        self.opset = max(
            (own.version for own in model.opset_import if own.domain in ("", "ai.onnx")), default=1
        )
        self.nodes = ancestors(model.graph.node, output)
        folder = Path(path).parent
        self.constants = {own.name: _initializer(own, folder) for own in model.graph.initializer}
        for sparse in model.graph.sparse_initializer:
            self.constants[sparse.values.name] = Tensor(plain_axes(sparse.dims))
        self.inputs = [own.name for own in model.graph.input if own.name not in self.constants]

    def run(self, image: Tensor, is_fixed: bool = False) -> tuple[Tensor, Trace]:
        """Return what is known of the output for an image, and what was noted on the way.

        With ``is_fixed`` all images have this one's size, so that no number depends on it.

        Raises
        ------
        BoundError
            With the node beyond which nothing is known.
        """
        if not self.inputs:
            raise BoundError("unknown", "it has no input")
        trace = Trace(is_fixed=is_fixed)
        known = {**self.constants, self.inputs[0]: image, "": None}
        _run(self.nodes, known, self.opset, trace)
        found = known.get(self.output)
        if found is None:
            raise BoundError("unknown", f"it has no output {self.output}")
        return found, trace


def ancestors(nodes: Iterable[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """Return the nodes that an output depends on, in their order."""
    wanted, found = {output}, []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(inputs_of(node))
    return found[::-1]


def inputs_of(node: onnx.NodeProto) -> Iterable[str]:
    """Yield the tensors that a node takes, and those that graphs inside of it do."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from inputs_of(inner)
            yield from (own.name for own in graph.output)


def _run(
    nodes: Iterable[onnx.NodeProto],
    known: dict[str, Tensor | None],
    opset: int,
    trace: Trace,
) -> None:
    for node in nodes:
        label = f"{node.op_type} node {node.name or node.output[0]}"
        try:
            outputs = _outputs_of(node, label, known, opset, trace)
        except BoundError as obstacle:
            if obstacle.node is None:
                obstacle.node = label
            raise
        except Exception as error:  # the node may be of any form
            raise BoundError("unknown", f"its rule does not fit it ({error})", label) from error
        for name, tensor in zip(node.output, outputs, strict=False):
            known[name] = tensor
            if tensor.varies:
                trace.signature.append(Noted(label, "axes", _signature(tensor)))


def _outputs_of(
    node: onnx.NodeProto,
    label: str,
    known: Mapping[str, Tensor | None],
    opset: int,
    trace: Trace,
) -> list[Tensor]:
    inputs = [known[name] for name in node.input]
    given = [own for own in inputs if own is not None]
    if node.op_type == "If":
        return _branch(node, known, opset, trace)
    if _can_be_folded(node, given):
        by_size = any(own.by_size for own in given)
        values = _folded(node, inputs, opset, MAX_SHAPE if by_size else MAX_VALUES)
        if values is not None:
            return with_sizes(
                node.op_type,
                label,
                inputs,
                values,
                lambda others: _folded(node, list(others), opset, MAX_VALUES),
            )
    rule = RULES.get(node.op_type) if node.domain in DOMAINS else None
    if rule is None:
        raise BoundError("unknown", "there is no rule for this operator")
    attributes = {own.name: onnx.helper.get_attribute_value(own) for own in node.attribute}
    outputs, names = list(node.output), list(node.input)
    call = Call(node.op_type, label, attributes, inputs, outputs, opset, trace, names)
    noted = len(trace.sizes)
    found = list(rule(call))
    if node.op_type not in POINTWISE:
        numbers = {own.tensor for own in trace.sizes[noted:]}
        _note_shapes(call, numbers, any(own.varies for own in found))
    if node.op_type in POINTWISE and len(found) == 1:
        return [_with_repeated(node, inputs, found[0], opset)]
    return found


def _note_shapes(call: Call, numbers: Container[str], varies: bool) -> None:
    """Note how inputs follow from the image's size that are no numbers, but a shape or places."""
    shapes = SHAPES.get(call.kind, ())
    for n, (name, own) in enumerate(zip(call.names, call.inputs, strict=True)):
        if own is None or own.varies or not own.by_size or name in numbers:
            continue
        if n not in shapes:
            if varies:
                raise BoundError("size", "it computes with the size of the image")
            continue
        if own.tested is not None:
            reason = f"a shape or a place follows from the size of the image by {own.tested}"
            raise BoundError("size", reason)
        call.trace.signature.extend(
            Noted(label, "remainder", value) for label, value in own.remainders
        )


def _with_repeated(
    node: onnx.NodeProto, inputs: list[Tensor | None], found: Tensor, opset: int
) -> Tensor:
    """Add the values of an output that is computed from repeated constants, value by value."""
    given = [own for own in inputs if own is not None]
    if found.varies or all(own.once is None for own in given):
        return found
    known = [own.value if own.once is None else own.once for own in given]
    sizes = [max(1, own.size) for own in known if own is not None]
    if len(sizes) < len(given) or math.prod(sizes) > MAX_VALUES:
        return found
    shown = [
        own if own is None or own.once is None else replace(own, value=own.once) for own in inputs
    ]
    values = _folded(node, shown, opset, MAX_VALUES)
    if values is None:
        return found
    return replace(found, once=as_repeated(Tensor((), once=values[0]), found.axes))


def _branch(
    node: onnx.NodeProto, known: Mapping[str, Tensor | None], opset: int, trace: Trace
) -> list[Tensor]:
    """Return the outputs of the branch that is taken, where that is known beforehand."""
    condition = known[node.input[0]]
    if condition is None or condition.value is None:
        raise BoundError("unknown", "pixels decide which of its branches is taken")
    if condition.by_size:
        raise BoundError("size", "the size of the image decides which of its branches is taken")
    wanted = "then_branch" if condition.value.all() else "else_branch"
    graph = {own.name: own.g for own in node.attribute}[wanted]
    inner = dict(known)
    inner.update((own.name, constant(numpy_helper.to_array(own))) for own in graph.initializer)
    _run(graph.node, inner, opset, trace)
    outputs = [inner[own.name] for own in graph.output]
    return [own if own is not None else Tensor(()) for own in outputs]


def _can_be_folded(node: onnx.NodeProto, given: list[Tensor]) -> bool:
    """Tell whether all inputs are constant, and what they make is no map of the image."""
    if node.op_type in NEVER_FOLDED or any(own.value is None or own.varies for own in given):
        return False
    shape = given[-1] if node.op_type in REPEATING else None
    if shape is not None and shape.by_size and sum(own > 1 for own in shape.integers()) > 1:
        return False  # a map of the image, however small
    return _most_values(node, given) <= MAX_VALUES or not any(own.by_size for own in given)


def _most_values(node: onnx.NodeProto, given: list[Tensor]) -> int:
    """Return a number of values that the output of a node of constants is not larger than."""
    sizes = [max(1, math.prod(own.shape)) for own in given]
    if node.op_type != "Gather" or not given[0].rank:
        return math.prod(sizes)
    axis = next((own.i for own in node.attribute if own.name == "axis"), 0)
    return sizes[0] // max(1, given[0].shape[axis]) * sizes[1]


def _folded(
    node: onnx.NodeProto, inputs: list[Tensor | None], opset: int, most: int
) -> list[npt.NDArray[Any]] | None:
    """Compute a node from constants; None where that is more than a few values, or fails."""
    from onnx.reference import ReferenceEvaluator  # which imports scipy

    feeds = {
        name: own.value for name, own in zip(node.input, inputs, strict=True) if own is not None
    }
    if node.op_type in REPEATING:
        shape = feeds[node.input[-1]]
        if shape is None or math.prod(int(length) for length in shape.reshape(-1)) > most:
            return None
    if node.op_type == "Range":
        start, limit, delta = (float(np.asarray(feeds[name]).item()) for name in node.input)
        if not abs(limit - start) <= abs(delta) * MAX_VALUES:
            return None
    try:
        with np.errstate(all="ignore"):
            outputs = ReferenceEvaluator(node, opsets={"": opset}).run(None, feeds)
    except Exception:  # its operators raise what they like; a rule may know better
        return None
    arrays = [np.asarray(own) for own in outputs]
    return arrays if all(own.size <= MAX_VALUES for own in arrays) else None


def _initializer(tensor: onnx.TensorProto, folder: Path) -> Tensor:
    shape = tuple(tensor.dims)
    if math.prod(shape) > MAX_VALUES:
        return Tensor(plain_axes(shape))
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        return constant(numpy_helper.to_array(tensor))
    except Exception:  # a missing file, or too few values, is the runtime's to complain about
        return Tensor(plain_axes(shape))


def _signature(tensor: Tensor) -> object:
    """Return what must be the same of a tensor in images of all sizes."""
    return tuple(tuple(map(_part_signature, axis)) for axis in tensor.axes)


def _part_signature(part: Part) -> object:
    if isinstance(part, ImageAxis):
        dirty = part.start, part.length - part.stop
        return part.axis, part.step, part.period, *dirty, part.excess
    return part if isinstance(part, int) else None


def images_of(batch: int, channels: int, height: int, width: int, channels_last: bool) -> Tensor:
    """Return the tensor of a batch of images, ``(B, C, H, W)`` or ``(B, H, W, C)``."""
    if channels_last:
        return image_of((batch, height, width, channels), 1, 2)
    return image_of((batch, channels, height, width), 2, 3)


def image_of(shape: tuple[int, ...], rows: int, cols: int) -> Tensor:
    """Return the tensor of an image of a shape, of which two axes are rows and columns."""
    axes = list(plain_axes(shape))
    axes[rows] = (ImageAxis.of_image(0, shape[rows]),)
    axes[cols] = (ImageAxis.of_image(1, shape[cols]),)
    return replace(Tensor(tuple(axes)), varies=True)
