"""Valid files that calls need beside the damaged one: a raster, a model and an area."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import rasterio
from onnx import helper, numpy_helper
from rasterio.transform import from_origin

UTM = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}

SIDE = 96
"""Height and width of rasters, px."""

AREA = {
    "type": "FeatureCollection",
    "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
    "features": [
        {
            "type": "Feature",
            "id": 7,
            "properties": {"name": "north", "size": 3.5},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [
                        [500005, 5599995],
                        [500035, 5599990],
                        [500030, 5599970.5],
                        [500005, 5599995],
                    ]
                ],
            },
        },
        {
            "type": "Feature",
            "properties": None,
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [
                    [[[500001, 5599960], [500004, 5599960], [500004, 5599956], [500001, 5599960]]]
                ],
            },
        },
    ],
}


def raster(path: str, count: int = 3, most: int = 250) -> Path:
    """Write a raster of coarse squares; of one band, of classes."""
    values = np.random.default_rng(0).integers(0, most, (count, SIDE // 8, SIDE // 8), np.uint8)
    pixels = values.repeat(8, axis=1).repeat(8, axis=2)
    profile = {"driver": "GTiff", "count": count, "height": SIDE, "width": SIDE, "dtype": "uint8"}
    with rasterio.open(
        path, "w", tiled=True, blockxsize=64, blockysize=64, **profile, **UTM
    ) as own:
        own.write(pixels)
    return Path(path)


def model(path: str = "model.onnx") -> Path:
    """Write a model that is pointwise, of 3 bands and 2 classes."""
    Path(path).write_bytes(network("pointwise").SerializeToString())
    return Path(path)


@cache
def network(kind: str) -> Any:
    """Return a model, by a name in ``_NETWORKS``."""
    nodes, constants = _NETWORKS[kind]()
    image, logits = (
        helper.make_tensor_value_info(name, dtype, ["n", channels, "h", "w"])
        for name, dtype, channels in (
            ("image", onnx.TensorProto.FLOAT, 3),
            ("logits", onnx.TensorProto.INT64 if kind == "classes" else onnx.TensorProto.FLOAT, 1),
        )
    )
    if kind != "classes":
        logits.type.tensor_type.shape.dim[1].dim_value = 2
    graph = helper.make_graph(nodes, kind, [image], [logits], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {
        "model_type": "Segmentor",
        "class_names": {"0": "water", "1": "land"},
        "resolution": 50,
        "tile_size": 64,
        "tiles_overlap": 15.0,
        "standardization_mean": [0.4, 0.5, 0.6],
        "standardization_std": [0.2, 0.2, 0.2],
        "seg_thresh": 0.5,
    }
    helper.set_model_props(made, {key: json.dumps(value) for key, value in metadata.items()})
    return made


def _weights(name: str, shape: Sequence[int]) -> Any:
    random = np.random.default_rng(sum(map(ord, name)))
    return numpy_helper.from_array(random.standard_normal(shape).astype(np.float32) / 4, name)


def _conv(inner: str, name: str, outer: str, **attributes: Any) -> Any:
    return helper.make_node("Conv", [inner, name], [outer], pads=[1] * 4, **attributes)


def _pointwise() -> tuple[list[Any], list[Any]]:
    node = helper.make_node("Conv", ["image", "weights"], ["logits"], kernel_shape=[1, 1])
    return [node], [_weights("weights", (2, 3, 1, 1))]


def _convolutions() -> tuple[list[Any], list[Any]]:
    nodes = [
        _conv("image", "one", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("BatchNormalization", ["b", "s", "s", "s", "s"], ["c"]),
        _conv("c", "two", "logits"),
    ]
    scale = numpy_helper.from_array(np.ones(4, np.float32), "s")
    return nodes, [_weights("one", (4, 3, 3, 3)), _weights("two", (2, 4, 3, 3)), scale]


def _u_net() -> tuple[list[Any], list[Any]]:
    nodes = [
        _conv("image", "one", "a"),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        _conv("b", "two", "c"),
        helper.make_node("Resize", ["c", "", "scales"], ["d"], mode="nearest"),
        helper.make_node("Concat", ["a", "d"], ["e"], axis=1),
        _conv("e", "three", "logits"),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    weights = [
        _weights(name, shape)
        for name, shape in (("one", (4, 3, 3, 3)), ("two", (4, 4, 3, 3)), ("three", (2, 8, 3, 3)))
    ]
    return nodes, [*weights, scales]


def _gated() -> tuple[list[Any], list[Any]]:
    nodes = [
        _conv("image", "one", "a"),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["c"]),
        helper.make_node("Mul", ["a", "c"], ["logits"]),
    ]
    return nodes, [_weights("one", (2, 3, 3, 3))]


def _classes() -> tuple[list[Any], list[Any]]:
    nodes, weights = _pointwise()
    nodes[0].output[0] = "scores"
    return [*nodes, helper.make_node("ArgMax", ["scores"], ["logits"], axis=1)], weights


def _if() -> tuple[list[Any], list[Any]]:
    nodes, weights = _pointwise()
    nodes[0].output[0] = "scores"
    branches = [
        helper.make_graph(
            [helper.make_node(kind, ["scores"], [kind])],
            kind,
            [],
            [helper.make_tensor_value_info(kind, onnx.TensorProto.FLOAT, None)],
        )
        for kind in ("Relu", "Identity")
    ]
    choice = helper.make_node(
        "If", ["yes"], ["logits"], then_branch=branches[0], else_branch=branches[1]
    )
    return [*nodes, choice], [*weights, numpy_helper.from_array(np.array(True), "yes")]


_NETWORKS = {
    "pointwise": _pointwise,
    "convolutions": _convolutions,
    "u-net": _u_net,
    "gated": _gated,
    "classes": _classes,
    "if": _if,
}


def any_network(random: Random) -> Any:
    """Return a copy of one of the models."""
    copy = onnx.ModelProto()
    copy.CopyFrom(network(random.choice(list(_NETWORKS))))
    return copy
