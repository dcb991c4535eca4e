"""Foreign files: what is given as a model or a raster and is something else, by its content."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from . import export_code
from .errors import RasterError
from .inputs.regular import refusal_of_special

MODEL, IMAGE, OTHER = "model", "image", "other"
"""Kinds of files: models of any format, images, and what is neither."""

HEAD = 4096
"""Bytes at the beginning of a file that tell most formats."""

SEARCHED = 2**22
"""Bytes at the beginning of a file in which names of operators and classes are searched."""

ORDER = "raster and model may be swapped"
"""Advice where a raster and a model are confused with each other."""

EXPORT = "export it to ONNX"
TF2ONNX = "convert it to ONNX: python -m tf2onnx.convert"

_IMAGES = {
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PNG": (b"\x89PNG\r\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
}
"""Formats of images, and how their files begin."""

_ARCHIVES = (b"\x1f\x8b", b"7z\xbc\xaf'\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
"""How files of gzip, 7-Zip, RAR, bzip2, xz and zstd begin."""

_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that begins what torch.save wrote before version 1.6, as pickle writes it."""

_TENSORFLOW_NODES = (b"\x12\x0bPlaceholder", b"\x12\x0bVarHandleOp", b"\x12\nVariableV2")
"""Operators in nodes of TensorFlow's graphs: field 2, where ONNX has the name of an output."""


_ONNX_FIELDS = (b"\x12", b"\x1a", b"\x22", b"\x28", b"\x32", b"\x3a", b"\x42")
"""How a field of an ONNX model begins that can follow the version of its format."""


class ForeignFile(NamedTuple):
    """What a file is, and what to do with it where an ONNX model is needed."""

    what: str
    """As in "FILE is ..."."""
    advice: str
    code: str | None = None
    """Python that exports it to ONNX, where that is possible."""
    kind: str = MODEL
    """A name above."""


def identify(path: Path) -> ForeignFile | None:
    """Tell by its content what a file or folder is; None where that is unknown."""
    try:
        if refusal_of_special(path):
            return None
        if path.is_dir():
            return _folder(path)
        with path.open("rb") as file:
            head = file.read(HEAD)
        found = next((answer for tell in _TESTS if (answer := tell(head, path))), None)
    except (OSError, ValueError):  # a name with a null character, for one
        return None
    if found is None:
        return None
    code = found.code and found.code.replace("FILE", str(path))
    return found._replace(advice=found.advice.replace("FILE", repr(str(path))), code=code)


@contextmanager
def naming_what_is_no_class_raster(path: Any) -> Iterator[None]:
    """Say what a file is where it cannot be opened as a raster of classes, and is no image."""
    try:
        yield
    except RasterError as error:
        found = identify(Path(path))
        if found is None or found.kind == IMAGE:
            raise
        raise RasterError(
            f"{path} is {found.what}, not a raster: give a class raster, such as "
            f'kind="classes" writes'
        ) from error


def _folder(path: Path) -> ForeignFile:
    names = sorted(entry.name for entry in path.iterdir())
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        advice = f"{TF2ONNX} --saved-model {path} --output model.onnx"
        return ForeignFile("a TensorFlow SavedModel", advice)
    models = [path / name for name in names if name.endswith(".onnx")]
    advice = f"give a file in it, such as {models[0]}" if models else "give an .onnx file"
    return ForeignFile("a folder", advice, kind=OTHER)


def _text(head: bytes, path: Path) -> ForeignFile | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return ForeignFile("an empty file", "download or export it again", kind=OTHER)
    if start.startswith(b"version https://git-lfs"):
        advice = "run `git lfs pull` in its repository, or download the file itself"
        return ForeignFile("a git-lfs pointer in place of the file", advice, kind=OTHER)
    if start.startswith((b"<!doctype html", b"<html")):
        advice = (
            "download it again, from the link to the file itself (on GitHub: Raw; on Hugging Face: "
            "/resolve/ in place of /blob/)"
        )
        return ForeignFile("a web page (HTML)", advice, kind=OTHER)
    if start.startswith(b"<?xml") and b"<net " in start:
        return ForeignFile("an OpenVINO model", "export the original model to ONNX")
    if start.startswith((b"{", b"[")):
        return ForeignFile("JSON", "give the .onnx file that it belongs to", kind=OTHER)
    return None


def _image(head: bytes, path: Path) -> ForeignFile | None:
    for name, beginnings in _IMAGES.items():
        if head.startswith(beginnings):
            return ForeignFile(f"a {name} image", f"give an .onnx file ({ORDER})", kind=IMAGE)
    return None


def _zip(head: bytes, path: Path) -> ForeignFile | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return _zipped_model(archive) or _zipped_files(archive)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return ForeignFile("a damaged or incomplete ZIP file", "download it again", kind=OTHER)


def _zipped_model(archive: zipfile.ZipFile) -> ForeignFile | None:
    names = archive.namelist()
    inner = {name.partition("/")[2] for name in names}
    if "model.weights.h5" in names:
        return _keras("a Keras model")
    if "constants.pkl" in inner:
        return ForeignFile("a TorchScript module", EXPORT, export_code.SCRIPT)
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        advice = f"{EXPORT}: torch.onnx.export(torch.export.load(FILE), dynamo=True) in Python"
        return ForeignFile("an exported program of PyTorch", advice)
    pickles = [name for name in names if name.partition("/")[2] == "data.pkl"]
    return _torch(archive.read(pickles[0])) if pickles else None


def _zipped_files(archive: zipfile.ZipFile) -> ForeignFile:
    models = [name for name in archive.namelist() if name.endswith(".onnx")]
    inside = f" with {models[0]} in it" if models else ""
    return ForeignFile(f"a ZIP file{inside}", "unpack it first", kind=OTHER)


def _pickle(head: bytes, path: Path) -> ForeignFile | None:
    if head[:1] != b"\x80" or head[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return None
    if _TORCH_MAGIC in head:
        return _torch(_beginning(path))
    return ForeignFile("a Python pickle", f"load it in Python and {EXPORT}")


def _torch(pickled: bytes) -> ForeignFile:
    """Tell a module of PyTorch from weights alone by the names of its attributes."""
    if b"_parameters" in pickled and b"_modules" in pickled:
        return ForeignFile("a PyTorch module", EXPORT, export_code.MODULE)
    code = export_code.CHECKPOINT if b"state_dict" in pickled else export_code.WEIGHTS
    return ForeignFile("a file of PyTorch weights, without the network", EXPORT, code)


def _safetensors(head: bytes, path: Path) -> ForeignFile | None:
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or not 2 <= length <= path.stat().st_size - 8:
        return None
    with path.open("rb") as file, suppress(ValueError):
        file.seek(8)
        json.loads(file.read(length))
        what = "a safetensors file of weights, without the network"
        return ForeignFile(what, EXPORT, export_code.SAFETENSORS)
    return None


def _keras(what: str) -> ForeignFile:
    convert = "keras.models.load_model(FILE).export('model.onnx', format='onnx')"
    return ForeignFile(what, f"convert it to ONNX: {convert} in Python")


def _tensorflow(head: bytes, path: Path) -> ForeignFile | None:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _keras("an HDF5 file, as Keras and TensorFlow write")
    if head[4:8] == b"TFL3":
        advice = f"{TF2ONNX} --tflite {path} --output model.onnx"
        return ForeignFile("a TensorFlow Lite model", advice)
    if not any(node in _beginning(path) for node in _TENSORFLOW_NODES):
        return None
    if head[:1] == b"\x08":  # a SavedModel begins with its version, a graph with a node
        advice = f"{TF2ONNX} --saved-model {path.parent} --output model.onnx"
        return ForeignFile("a graph of a TensorFlow SavedModel", advice)
    advice = f"{TF2ONNX} --graphdef {path} --output model.onnx --inputs NAME:0 --outputs NAME:0"
    return ForeignFile("a TensorFlow graph", advice)


def _engine_or_archive(head: bytes, path: Path) -> ForeignFile | None:
    if head.startswith((b"ftrt", b"ptrt")):
        return ForeignFile("a TensorRT engine", "give the ONNX model that it was built from")
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        return ForeignFile("a packed archive", "unpack it first", kind=OTHER)
    return None


def _onnx(head: bytes, path: Path) -> ForeignFile | None:
    """Tell an ONNX model, which begins with a version and goes on with the next field."""
    if head[:1] == b"\x08" and head[1:2] < b"\x40" and head.startswith(_ONNX_FIELDS, 2):
        return ForeignFile("an ONNX model", "")
    return None


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SEARCHED)


_TESTS: list[Callable[[bytes, Path], ForeignFile | None]] = [
    _text,
    _image,
    _zip,
    _pickle,
    _safetensors,
    _engine_or_archive,
    _tensorflow,
    _onnx,
]
