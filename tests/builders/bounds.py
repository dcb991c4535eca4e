"""The bound of a model's graph, for images of any size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from seamless_seg.graphs.bound import bound
from seamless_seg.graphs.interpreter import LoadedGraph, image_of


def axes_of(output):
    """The axes of a ``(N, C, height, width)`` output, down and across."""
    return output.axes[2][0], output.axes[3][0]


def bound_of(model, **options):
    """The bound for ``(1, C, height, width)`` images, as the model's file has it."""
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        graph = LoadedGraph(path, model.graph.output[0].name)
    return bound(graph, lambda sides: image_of((1, channels, *sides), 2, 3), axes_of, **options)
