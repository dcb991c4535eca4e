"""The bound of a model's graph, for images of any size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from seamless_seg.graphs.bound import bound
from seamless_seg.graphs.image_axis import ImageAxis
from seamless_seg.graphs.interpreter import LoadedGraph, image_of
from seamless_seg.graphs.tensors import BoundError


def axes_of(output):
    """The axes of a ``(N, C, height, width)`` output, down and across."""
    axes = [axis[0] for axis in output.axes if len(axis) == 1 and isinstance(axis[0], ImageAxis)]
    if [own.axis for own in axes] != [0, 1] or output.rank != 4:
        raise BoundError("unknown", "its output is no image")
    return axes


def bound_of(model, **options):
    """The bound for ``(1, C, height, width)`` images, as the model's file has it."""
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        graph = LoadedGraph(path, model.graph.output[0].name)
    return bound(graph, lambda sides: image_of((1, channels, *sides), 2, 3), axes_of, **options)
