"""Rasters and models made for the tests: small, and with answers that are known."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import onnx
import rasterio
from onnx import TensorProto, helper, numpy_helper
from rasterio.transform import from_origin

UTM = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 0.5, 0.5)}


def pixels(bands, height, width, dtype="uint8", seed=0):
    """Random pixels of the dtype's usual range, shape (bands, height, width)."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.standard_normal((bands, height, width)).astype(dtype)
    return random.integers(0, min(4000, np.iinfo(dtype).max), (bands, height, width)).astype(dtype)


def raster(path, array, **profile):
    """Write an array of shape (bands, height, width) as a GeoTIFF; returns the path."""
    count, height, width = array.shape
    profile = {"driver": "GTiff", "dtype": array.dtype} | UTM | profile
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as dataset:
        dataset.write(array)
    return path


def name_bands(path, names):
    """Describe a raster's bands; returns its path."""
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = names
    return path


def name_classes(path, names):
    """Write GDAL category names beside a raster; returns its path."""
    listed = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames></PAMRasterBand>'
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>", encoding="utf-8")
    return path


def read(path):
    """All bands of a raster, shape (bands, height, width)."""
    with rasterio.open(path) as dataset:
        return dataset.read()


def bounds(path, rows, cols):
    """West, south, east and north of some rows and columns of a raster."""
    with rasterio.open(path) as dataset:
        left, top = dataset.transform * (cols.start, rows.start)
        right, bottom = dataset.transform * (cols.stop, rows.stop)
    return left, bottom, right, top


def names(folder):
    """What lies in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


def model(path, nodes, weights, channels, classes, **options):
    """Save a graph from ``image`` to ``logits``; free lengths unless options fix them."""
    batch, height, width = (options.get(key, key) for key in ("batch", "height", "width"))
    given = options.get("bands", channels)
    out_height, out_width = options.get("out_size", (height, width))
    graph = helper.make_graph(
        nodes,
        "made",
        [tensor("image", [batch, given, height, width], options.get("dtype"))],
        [tensor("logits", [batch, classes, out_height, out_width], options.get("out_dtype"))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opset = options.get("opset", 17)
    versions = {"opset_imports": [helper.make_opsetid("", opset)], "ir_version": max(8, opset // 2)}
    made = helper.make_model(graph, **versions)
    metadata = options.get("metadata", {})
    helper.set_model_props(made, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return path


def tensor(name, shape, dtype=None):
    return helper.make_tensor_value_info(name, dtype or TensorProto.FLOAT, shape)


def pointwise(path, channels, classes, seed=0, **options):
    """A 1 x 1 convolution; returns its path and numpy's answer as a function."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((classes, channels)).astype(np.float32)
    bias = random.standard_normal(classes).astype(np.float32)
    node = helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])
    weights = {"weight": weight[:, :, None, None], "bias": bias}

    def answer(image):
        return np.einsum("kc,chw->khw", weight, image) + bias[:, None, None]

    return model(path, [node], weights, channels, classes, **options), answer


def convolutions(path, channels, classes, layers=3, width=8, seed=0, **options):
    """A stack of 3 x 3 convolutions with ReLU in between: its receptive radius is ``layers``."""
    random = np.random.default_rng(seed)
    nodes, weights, last, given = [], {}, "image", channels
    for layer in range(layers):
        given_next = classes if layer == layers - 1 else width
        scale = np.sqrt(2 / (9 * given))
        name = f"weight{layer}"
        weights[name] = (random.standard_normal((given_next, given, 3, 3)) * scale).astype("f4")
        out = "logits" if layer == layers - 1 else f"conv{layer}"
        nodes.append(helper.make_node("Conv", [last, name], [out], pads=[1, 1, 1, 1]))
        if out != "logits":
            nodes.append(helper.make_node("Relu", [out], [f"relu{layer}"]))
        last, given = f"relu{layer}", given_next
    return model(path, nodes, weights, channels, classes, **options)


def faint(path, far, strength, classes=2):
    """A 3 x 3 convolution and another with taps ``far`` pixels apart, weaker by ``strength``."""
    weight = np.random.default_rng(0).standard_normal((classes, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "near"], ["close"], pads=[1] * 4),
        helper.make_node(
            "Conv", ["image", "far"], ["distant"], pads=[far] * 4, dilations=[far, far]
        ),
        helper.make_node("Add", ["close", "distant"], ["logits"]),
    ]
    return model(path, nodes, {"near": weight, "far": weight * np.float32(strength)}, 3, classes)


def halving(path, channels, classes, times=3):
    """Pooled ``times`` times, blown up again and set beside the image: a strict U-Net's shape.

    It fails on lengths that are not multiples of ``2 ** times``.
    """
    random = np.random.default_rng(0)
    weight = random.standard_normal((classes, 2 * channels, 1, 1)).astype("f4")
    scales = np.array([1, 1, 2**times, 2**times], np.float32)
    nodes, last = [], "image"
    for n in range(times):
        nodes.append(
            helper.make_node("MaxPool", [last], [f"p{n}"], kernel_shape=[2, 2], strides=[2, 2])
        )
        last = f"p{n}"
    nodes += [
        helper.make_node("Resize", [last, "", "scales"], ["up"], mode="nearest"),
        helper.make_node("Concat", ["image", "up"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "weight"], ["logits"]),
    ]
    return model(path, nodes, {"weight": weight, "scales": scales}, channels, classes)


def sidecar(path, channels=3, is_item=False, task="semantic-segmentation", output=None, **fields):
    """Write a document of STAC MLM: an item or its properties; fields are those of the input."""
    names = [f"B{n + 1}" for n in range(channels)]
    order = ["batch", "channel", "height", "width"]
    shape = {"shape": [-1, channels, -1, -1], "dim_order": order, "data_type": "float32"}
    properties = {
        "mlm:name": "made",
        "mlm:architecture": "U-Net",
        "mlm:tasks": [task],
        "mlm:input": [{"name": "image", "bands": names, "input": shape} | fields],
        "mlm:output": [{"name": "logits", "tasks": [task]} | (output or {})],
    }
    document = {"type": "Feature", "properties": properties} if is_item else properties
    Path(path).write_text(json.dumps(document))
    return document
