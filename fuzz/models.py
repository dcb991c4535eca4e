"""Damaged models: bytes, shapes, attributes, metadata, weights outside and cyclic graphs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import onnx
from onnx import helper

from seamless_seg import describe_model, forecast, probe, segment

from . import valid
from .calls import Call, program
from .damage import RAW, TEXTS, damaged_bytes

NUMBERS = (0, -1, 1, 2, 3, 7, 64, 1000, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63))

KINDS = (
    *("Resize", "Conv", "Pad", "Slice", "Reshape", "Split", "MatMul", "Loop", "If", "Concat"),
    *("Shape", "Gemm", "Einsum", "Expand", "Gather", "MaxPool", "Unheard", "Range", "CumSum"),
    *("Tile", "Squeeze", "ConvTranspose", "DepthToSpace", "LayerNormalization", "", "\0"),
    *("ArgMax", "Softmax", "InstanceNormalization", "GlobalAveragePool", "NonZero", "Cast"),
)

LOCATIONS = (
    *("", ".", "/", "/etc/passwd", "../model.onnx", "/dev/zero", "weights", "model.onnx"),
    *("x" * 5000, "a\0b", "\x1b[2J"),
)


def make(random: Random) -> tuple[Path, str]:
    """Write a damaged model; return its path, and what it is."""
    path = Path("model.onnx")
    made = valid.any_network(random)
    if random.random() < 0.3:
        content, what = damaged_bytes(made.SerializeToString(), random)
        path.write_bytes(content)
        return path, f"{made.graph.name}: {what}"
    if random.random() < 0.03:
        more, what = _nested(random)
        path.write_bytes(made.SerializeToString() + more)
        return path, what
    done = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        damage = random.choice(_DAMAGES)
        damage(made, random)
        done.append(damage.__name__.strip("_"))
    path.write_bytes(made.SerializeToString())
    return path, f"{made.graph.name}: {', '.join(done)}"


def from_corpus(source: Path) -> Path:
    """Copy a file of the corpus."""
    return Path(shutil.copy(source, "model.onnx"))


def calls(path: Path, random: Random) -> list[Call]:
    """Return all calls with a model."""
    raster = str(valid.raster("in.tif"))
    outputs = ("out.tif",)
    plain = {"margin": 0, "align": 1, "tile": 64, "overlap": 16, "overwrite": True}
    return [
        Call("describe_model", lambda: describe_model(path).figures()),
        Call("probe", lambda: probe(path)),
        Call("segment", lambda: segment(raster, path, "out/out.tif", **plain), outputs=outputs),
        Call(
            "segment, classes",
            lambda: segment(raster, path, "out/out.tif", kind="classes", overwrite=True),
            outputs=outputs,
        ),
        Call("forecast", lambda: forecast(raster, path)),
        program(["info", str(path)]),
        program(["plan", raster, str(path)]),
        program(["run", raster, str(path), "out/out.tif", "-q", "--tta", "flips"], outputs),
    ]


def _node(made: Any, random: Random) -> Any:
    return random.choice(made.graph.node) if made.graph.node else made.graph.node.add()


def _lose_node(made: Any, random: Random) -> None:
    made.graph.node.remove(_node(made, random))


def _change_kind(made: Any, random: Random) -> None:
    _node(made, random).op_type = random.choice(KINDS)


def _change_domain(made: Any, random: Random) -> None:
    _node(made, random).domain = random.choice(("com.microsoft", "nowhere", "ai.onnx.ml", "\0"))


def _connect_wrongly(made: Any, random: Random) -> None:
    node, other = _node(made, random), _node(made, random)
    if node.input:
        names = [*other.output, *node.output, "", "nothing", "x" * 1000]
        node.input[random.randrange(len(node.input))] = random.choice(names)


def _change_attribute(made: Any, random: Random) -> None:
    node = _node(made, random)
    if not node.attribute:
        return
    old = random.choice(node.attribute)
    numbers = random.choice(NUMBERS)
    value: Any = random.choice((numbers, [numbers] * 2, [numbers] * 4, "text", 0.5, float("nan")))
    old.CopyFrom(helper.make_attribute(old.name, value))


def _lose_attribute(made: Any, random: Random) -> None:
    node = _node(made, random)
    if node.attribute:
        node.attribute.remove(random.choice(node.attribute))


def _change_weights(made: Any, random: Random) -> None:
    if not made.graph.initializer:
        return
    weights = random.choice(made.graph.initializer)
    kind = random.choice(("dims", "more", "raw", "type", "name"))
    if kind == "dims" and weights.dims:
        weights.dims[random.randrange(len(weights.dims))] = random.choice(NUMBERS)
    elif kind == "more":
        weights.dims.extend([random.choice(NUMBERS)] * random.choice((1, 50)))
    elif kind == "raw":
        weights.raw_data = weights.raw_data[: random.randrange(len(weights.raw_data) + 1)]
    elif kind == "type":
        weights.data_type = random.choice((*range(25), 1000, 2**31 - 1))
    else:
        weights.name = random.choice(TEXTS[:1] + TEXTS[2:])


def _weights_outside(made: Any, random: Random) -> None:
    if not made.graph.initializer:
        return
    weights = random.choice(made.graph.initializer)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    numbers = ("0", "-1", "9" * 30, str(2**63), "abc", "8")
    for key, value in (
        ("location", random.choice(LOCATIONS)),
        ("offset", random.choice(numbers)),
        ("length", random.choice(numbers)),
    ):
        if random.random() < 0.8:
            weights.external_data.add(key=key, value=value)
    Path("weights").write_bytes(bytes(100))


def _change_shape(made: Any, random: Random) -> None:
    own = random.choice([*made.graph.input, *made.graph.output] or [made.graph.input.add()])
    kind = random.choice(("value", "value", "name", "rank", "none", "type"))
    shape = own.type.tensor_type.shape
    if kind == "value" and shape.dim:
        shape.dim[random.randrange(len(shape.dim))].dim_value = random.choice(NUMBERS)
    elif kind == "name" and shape.dim:
        names = ("image", "n", "", "9", "\x1b[2J", "x" * 3000)
        shape.dim[random.randrange(len(shape.dim))].dim_param = random.choice(names)
    elif kind == "rank":
        shape.dim.add().dim_value = random.choice(NUMBERS)
    elif kind == "none":
        own.ClearField("type")
    elif kind == "type":
        own.type.tensor_type.elem_type = random.choice((*range(25), 1000))


def _change_tensors(made: Any, random: Random) -> None:
    kind = random.choice(("no input", "no output", "two", "name", "same"))
    if kind == "no input":
        del made.graph.input[:]
    elif kind == "no output":
        del made.graph.output[:]
    elif kind == "two":
        made.graph.input.add().CopyFrom(made.graph.input[0])
    elif kind == "name":
        made.graph.input[0].name = random.choice(("", "other", "a\nb"))
    else:
        made.graph.output[0].name = made.graph.input[0].name


def _change_version(made: Any, random: Random) -> None:
    if random.random() < 0.5:
        made.ir_version = random.choice(NUMBERS)
    elif made.opset_import:
        made.opset_import[0].version = random.choice(NUMBERS)
    else:
        made.opset_import.add(domain="nowhere", version=random.choice(NUMBERS))


def _change_metadata(made: Any, random: Random) -> None:
    own = random.choice(made.metadata_props)
    texts = [text for text in (*RAW, *TEXTS) if text != "\ud800"]
    own.value = random.choice(texts)
    if random.random() < 0.1:
        own.key = random.choice(("names", "id2label", "", "\0"))


def _nested(random: Random) -> tuple[bytes, str]:
    """Return a graph in a node in a graph, and so on, which is merged into a model's graph."""
    levels = random.choice((10, 30, 90, 900, 5000))
    graph = b""
    for _ in range(levels):
        attribute = (
            _field(1, b"then_branch") + _field(6, graph) + bytes([20 << 3 & 127 | 128, 1, 5])
        )
        node = _field(4, b"If") + _field(1, b"yes") + _field(2, b"never") + _field(5, attribute)
        graph = _field(1, node)
    return _field(7, graph), f"{levels} graphs in each other"


def _field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf."""
    length, written = len(content), bytearray([number << 3 | 2])
    while length > 127:
        written.append(length & 127 | 128)
        length >>= 7
    return bytes([*written, length]) + content


def _repeat_nodes(made: Any, random: Random) -> None:
    nodes = list(made.graph.node)
    for _ in range(random.choice((1, 100))):
        made.graph.node.extend(nodes)


def _add_function(made: Any, random: Random) -> None:
    """Add a function that calls itself."""
    function = made.functions.add(name="Own", domain="own")
    function.input.append("x")
    function.output.append("y")
    function.node.add(op_type="Own", domain="own", input=["x"], output=["y"])
    function.opset_import.add(domain="own", version=1)
    made.opset_import.add(domain="own", version=1)
    _node(made, random).op_type = "Own"
    _node(made, random).domain = "own"


_DAMAGES: list[Callable[[Any, Random], None]] = [
    *(_lose_node, _change_kind, _change_kind, _change_domain, _connect_wrongly),
    *(_change_attribute, _change_attribute, _lose_attribute, _change_weights, _change_weights),
    *(_weights_outside, _change_shape, _change_shape, _change_tensors, _change_version),
    *(_change_metadata, _change_metadata, _repeat_nodes, _add_function),
]
