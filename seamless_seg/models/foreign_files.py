"""Foreign files: what is given as a model and is none, told by its content."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

HEAD = 4096
"""Bytes at the beginning of a file that tell most formats."""

SEARCHED = 2**22
"""Bytes at the beginning of a file in which names of operators are searched."""

ONNX, IMAGE = "an ONNX model", "an image"
"""Descriptions of the two files that may be confused with each other."""

_EXPORT = """\
torch.onnx.export(model.eval(), torch.zeros(1, 3, 512, 512), "model.onnx",
                  input_names=["image"], output_names=["logits"], dynamo=False,
                  dynamic_axes={"image": [0, 2, 3], "logits": [0, 2, 3]})"""

MODULE_EXPORT = f"""\
import torch
model = torch.load("FILE", map_location="cpu", weights_only=False)
{_EXPORT}"""
"""Python that exports a file with a whole PyTorch module to ONNX."""

WEIGHTS_EXPORT = f"""\
import torch
model = build_network()  # your code: the network that was trained
model.load_state_dict(torch.load("FILE", map_location="cpu"))
{_EXPORT}"""
"""Python that exports PyTorch weights, which are no network, to ONNX."""

SAFETENSORS_EXPORT = f"""\
import torch, safetensors.torch
model = build_network()  # your code: the network that was trained
model.load_state_dict(safetensors.torch.load_file("FILE"))
{_EXPORT}"""
"""Python that exports weights in a safetensors file to ONNX."""

SCRIPT_EXPORT = f"""\
import torch
model = torch.jit.load("FILE", map_location="cpu")
{_EXPORT}"""
"""Python that exports a TorchScript module to ONNX."""

TO_ONNX = "export it to ONNX"
FROM_TENSORFLOW = "convert it to ONNX with tf2onnx: python -m tf2onnx.convert"

_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that begins what torch.save wrote before version 1.6, as pickle writes it."""

_GLOBAL = re.compile(rb"c([\w.]+)\n(\w+)\n")
"""A class or function in a pickle of protocol 2, torch's."""

_TENSORFLOW_NODES = (b"\x12\x0bPlaceholder", b"\x12\x0bVarHandleOp", b"\x12\nVariableV2")
"""Operators in nodes of TensorFlow's graphs: field 2, where ONNX has the name of an output."""


class ForeignFile(NamedTuple):
    """A file that is no ONNX model."""

    what: str
    """What it is, as in "FILE is ..."."""
    advice: str
    """What to do, as in "...: do this"."""
    code: str | None = None
    """Python that exports it to ONNX, where that is possible."""


def identify(path: Path) -> ForeignFile | None:
    """Tell by its content what a file or folder is; None where it is unknown, or does not exist."""
    if path.is_dir():
        return _folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    found = next((answer for tell in _TESTS if (answer := tell(head, path))), None)
    if found is None or found.code is None:
        return found
    return found._replace(code=found.code.replace("FILE", str(path)))


def _folder(path: Path) -> ForeignFile:
    names = sorted(entry.name for entry in path.iterdir())
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        advice = f"{FROM_TENSORFLOW} --saved-model {path} --output model.onnx"
        return ForeignFile("a TensorFlow SavedModel", advice)
    models = [name for name in names if name.endswith(".onnx")]
    advice = "give a file, such as model.onnx"
    if models:
        advice = f"give a file in it, such as {path / models[0]}"
    return ForeignFile("a folder, not a model file", advice)


def _text(head: bytes, path: Path) -> ForeignFile | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return ForeignFile("empty", "download or export it again")
    if start.startswith(b"version https://git-lfs"):
        return ForeignFile(
            "a git-lfs pointer in place of the model",
            "run `git lfs install` and `git lfs pull` in its repository, or download the file "
            "itself",
        )
    if start.startswith((b"<!doctype html", b"<html")):
        return ForeignFile(
            "a web page (HTML), not a model",
            "the download gave a page about the file; use the link to the file itself (on GitHub "
            "'Raw', on Hugging Face /resolve/ in place of /blob/)",
        )
    if start.startswith(b"<?xml") and b"<net " in start:
        return ForeignFile("an OpenVINO model", "export the original model to ONNX")
    if start.startswith((b"{", b"[")):
        return ForeignFile("JSON, not a model", "give the .onnx file that it belongs to")
    return None


def _image(head: bytes, path: Path) -> ForeignFile | None:
    kinds = {
        "a TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "a PNG": (b"\x89PNG\r\n",),
        "a JPEG": (b"\xff\xd8\xff",),
        "a JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    }
    for kind, magic in kinds.items():
        if head.startswith(magic):
            return ForeignFile(
                f"{kind} image, not a model", "the raster comes first, then the model"
            )
    return None


def _zip(head: bytes, path: Path) -> ForeignFile | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return _archive(archive)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return ForeignFile("a damaged or incomplete ZIP file", "download it again")


def _archive(archive: zipfile.ZipFile) -> ForeignFile:
    names = archive.namelist()
    folders = {name.partition("/")[2] for name in names}
    if "model.weights.h5" in names:
        return _keras()
    if "constants.pkl" in folders:
        return ForeignFile("a TorchScript module of PyTorch", TO_ONNX, SCRIPT_EXPORT)
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return ForeignFile(
            "an exported program of PyTorch (torch.export)",
            "export it to ONNX in Python: torch.onnx.export(torch.export.load(FILE), dynamo=True)",
        )
    pickles = [name for name in names if name.endswith("data.pkl")]
    if pickles:
        return _torch(archive.read(pickles[0]))
    models = [name for name in names if name.endswith(".onnx")]
    return ForeignFile(
        "a ZIP file" + (f" with {models[0]} in it" if models else ", not a model"),
        "unpack it first",
    )


def _pickle(head: bytes, path: Path) -> ForeignFile | None:
    if head[:1] != b"\x80" or head[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return None
    if _TORCH_MAGIC not in head:
        return ForeignFile("a Python pickle, not a model", TO_ONNX)
    with path.open("rb") as file:
        return _torch(file.read(SEARCHED))


def _torch(pickled: bytes) -> ForeignFile:
    """Tell a module of PyTorch from weights alone: its pickle names the classes of its layers."""
    modules = [name for name, _ in _GLOBAL.findall(pickled)]
    own = (b"torch._utils", b"collections", b"numpy", b"builtins", b"__builtin__")
    layers = [name for name in modules if name != b"torch" and not name.startswith(own)]
    if any(name.startswith(b"torch.nn.modules") for name in layers):
        return ForeignFile("a PyTorch module", TO_ONNX, MODULE_EXPORT)
    return ForeignFile("PyTorch weights, without the network", TO_ONNX, WEIGHTS_EXPORT)


def _safetensors(head: bytes, path: Path) -> ForeignFile | None:
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or not 2 <= length <= path.stat().st_size - 8:
        return None
    with path.open("rb") as file, suppress(ValueError):
        file.seek(8)
        if isinstance(json.loads(file.read(length)), dict):
            return ForeignFile(
                "weights in the safetensors format, without the network",
                TO_ONNX,
                SAFETENSORS_EXPORT,
            )
    return None


def _keras() -> ForeignFile:
    return ForeignFile(
        "a Keras model",
        "convert it to ONNX: in Python, keras.models.load_model(FILE).export('model.onnx', "
        "format='onnx')",
    )


def _tensorflow(head: bytes, path: Path) -> ForeignFile | None:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _keras()._replace(what="an HDF5 file, as Keras and TensorFlow write")
    if head[4:8] == b"TFL3":
        advice = f"{FROM_TENSORFLOW} --tflite {path} --output model.onnx"
        return ForeignFile("a TensorFlow Lite model", advice)
    with path.open("rb") as file:
        searched = file.read(SEARCHED)
    if not any(node in searched for node in _TENSORFLOW_NODES):
        return None
    if head[:1] == b"\x08":  # SavedModel begins with a version, a graph with a node
        advice = f"{FROM_TENSORFLOW} --saved-model {path.parent} --output model.onnx"
        return ForeignFile("the graph of a TensorFlow SavedModel", advice)
    advice = f"{FROM_TENSORFLOW} --graphdef {path} --output model.onnx"
    return ForeignFile("a TensorFlow graph", advice)


def _engine(head: bytes, path: Path) -> ForeignFile | None:
    if head[:4] in (b"ftrt", b"ptrt"):
        return ForeignFile("a TensorRT engine", "give the ONNX model from which it was built")
    packed = (b"\x1f\x8b", b"7z\xbc\xaf'\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
    if head.startswith(packed) or head[257:262] == b"ustar":
        return ForeignFile("a packed archive", "unpack it first")
    return None


def _onnx(head: bytes, path: Path) -> ForeignFile | None:
    """Tell an ONNX model, which begins with a version and goes on with its next field."""
    if head[:1] == b"\x08" and head[1:2] < b"\x40" and head[2:3] in b"\x12\x1a\x22\x28\x32\x3a\x42":
        return ForeignFile(ONNX, "")
    return None


_TESTS: list[Callable[[bytes, Path], ForeignFile | None]] = [
    _text,
    _image,
    _zip,
    _pickle,
    _safetensors,
    _engine,
    _tensorflow,
    _onnx,
]
