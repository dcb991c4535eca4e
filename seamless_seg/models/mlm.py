"""MLM sidecars: the STAC Machine Learning Model document beside a model's file.

The document is a STAC item, or its properties alone. A value that cannot be parsed is left out
with a note, never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..boundary import MAX_SHOWN, boundary, is_text, shown
from ..decisions import SIDECAR
from ..errors import ModelError
from ..inputs.regular import require_regular
from ..normalization import parse_scaling
from .metadata import MAX_CLASS, ModelMetadata, text_of

OTHER_TASKS = (
    "classification",
    "scene-classification",
    "detection",
    "object-detection",
    "similarity-search",
    "image-captioning",
)
"""Tasks of MLM whose output is no raster."""

DIMENSION_LETTERS = {"batch": "N", "channel": "C", "channels": "C", "height": "H", "width": "W"}
"""Letters of ONNX's layouts for MLM's names of dimensions."""

MAX_DOCUMENT_LENGTH = 2**24
"""Characters of a document; a longer file is cut off, and so no JSON."""


def sidecar_paths(model: Any) -> tuple[Path, Path]:
    """Return the paths of a model's document: ``model.onnx.json``, or else ``model.json``."""
    path = Path(model)
    return path.with_name(f"{path.name}.json"), path.with_name(f"{path.stem}.json")


def with_sidecar(metadata: ModelMetadata, model: Any) -> ModelMetadata:
    """Return the metadata of a model's file, overridden by the document beside it, if any.

    Raises
    ------
    ModelError
        Where the document states tasks whose output is no raster.
    """
    for path in sidecar_paths(model):
        try:
            with boundary(ModelError, f"{path} cannot be read as JSON and is ignored"):
                properties = _properties(path)
        except ModelError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                metadata = metadata.with_note(str(error))
            continue
        if properties:
            with boundary(ModelError, f"{path} cannot be read"):
                return _overridden(metadata, path, properties)
    return metadata


def _properties(path: Path) -> Mapping[str, Any]:
    """Return a document's properties of MLM; none where it is another kind of document."""
    if path.exists():
        require_regular(path)
    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_DOCUMENT_LENGTH)
    document = json.loads(text)
    if isinstance(document, Mapping) and isinstance(document.get("properties"), Mapping):
        document = document["properties"]
    if not isinstance(document, Mapping):
        return {}
    return {key: value for key, value in document.items() if key.startswith("mlm:")}


def _overridden(
    metadata: ModelMetadata, path: Path, properties: Mapping[str, Any]
) -> ModelMetadata:
    document = _Document(properties)
    document.refuse_other_tasks(path)
    fields = dict(document.input()) | dict(document.output())
    fields["batch"] = document.get("mlm:batch_size_suggestion", properties, _count)
    stated = {name: value for name, value in fields.items() if value is not None}
    return replace(
        metadata,
        **stated,
        notes=(*metadata.notes, *document.notes),
        sidecar=path,
        from_sidecar=frozenset(stated),
    )


class _Document:
    """Reads values one by one, and notes those that cannot be parsed."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = properties
        self.notes: list[str] = []

    def get(self, key: str, parent: Any, parser: Callable[[Any], Any]) -> Any:
        """Return the value of a key; None where there is none, or the parser refuses it."""
        value = parent.get(key) if isinstance(parent, Mapping) else None
        if value is None:
            return None
        try:
            with boundary(ModelError, key):
                return parser(value)
        except ModelError:
            self.note(f"{key} {shown(value)}, which is ignored")
            return None

    def note(self, what: str) -> None:
        sentence = f"{SIDECAR} has {what}"
        if sentence not in self.notes:
            self.notes.append(sentence)

    def refuse_other_tasks(self, path: Path) -> None:
        tasks = self.get("mlm:tasks", self._properties, _texts)
        if tasks and all(task in OTHER_TASKS for task in tasks):
            raise ModelError(
                f"{path} states the tasks {', '.join(tasks)}, whose output is not a raster of "
                f"classes: give a segmentation model"
            )

    def input(self) -> Iterator[tuple[str, Any]]:
        inputs = self.get("mlm:input", self._properties, _mappings) or [{}]
        first = inputs[0]
        lengths = self.get("input", first, _lengths) or {}
        bands = self.get("bands", first, _bands)
        channels = lengths.get("C")
        if bands and channels not in (None, len(bands)):
            self.note(f"{len(bands)} bands and a shape of {channels}: neither is used")
            bands = channels = None
        yield "tile", _square(lengths.get("H"), lengths.get("W"))
        yield "channels", channels or (len(bands) if bands else None)
        yield "bands", bands or None
        layout = "".join(lengths)
        yield "layout", layout if layout in ("NCHW", "NHWC") else None
        yield "value_scaling", self._scaling(first)
        for key in ("norm_type", "norm_clip", "statistics"):
            if first.get(key) is not None:
                self.note(f"{key}, of an old version of MLM, which is ignored")
        resize = first.get("resize_type")
        if resize not in (None, "crop", "pad"):
            named = resize if is_text(resize) and len(resize) < MAX_SHOWN else shown(resize)
            self.note(f"resize_type {named}, which is not done: tiles keep pixels")

    def _scaling(self, first: Mapping[str, Any]) -> Any:
        """Return the scaling, which null states to be none at all; None where none is stated."""
        function = first.get("pre_processing_function")
        if function is not None:
            self.note(f"pre_processing_function {shown(function)}, which is not called")
        if "value_scaling" not in first or (first["value_scaling"] is None and function):
            return None
        if first["value_scaling"] is None:
            return parse_scaling(None)
        return self.get("value_scaling", first, parse_scaling)

    def output(self) -> Iterator[tuple[str, Any]]:
        outputs = self.get("mlm:output", self._properties, _mappings) or [{}]
        chosen = next((own for own in outputs if _segments(own)), outputs[0])
        names = self.get("classification:classes", chosen, _class_names)
        yield "class_names", names
        if names is not None:
            yield "class_values", self.get("classification:classes", chosen, _class_values)
            yield "class_nodata", self.get("classification:classes", chosen, _class_nodata)
        yield "class_colors", self.get("classification:classes", chosen, _class_colors)
        yield "output", self.get("name", chosen, text_of)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(value)
    return [text_of(text) for text in value]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(own, Mapping) for own in value):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(value)
    return int(value)


def _count(value: Any) -> int:
    if _whole(value) < 1:
        raise ValueError(value)
    return _whole(value)


def _lengths(value: Any) -> dict[str, int | None]:
    """Return the length of each dimension by its letter, in order; None where it is free."""
    shape, order = value["shape"], _texts(value["dim_order"])
    if not isinstance(shape, list) or len(set(order)) != len(order):
        raise ValueError(value)
    lengths = (None if _whole(own) == -1 else _count(own) for own in shape)
    return {
        DIMENSION_LETTERS.get(name, name): length
        for name, length in zip(order, lengths, strict=True)
    }


def _square(height: int | None, width: int | None) -> int | tuple[int, int] | None:
    if not height or not width:
        return None
    return height if height == width else (height, width)


def _bands(value: Any) -> tuple[str, ...]:
    """Return the names of bands, which may be objects unless they are computed."""
    if not isinstance(value, list):
        raise TypeError(value)
    if any(isinstance(band, Mapping) and band.get("expression") is not None for band in value):
        raise ValueError(value)
    return tuple(text_of(band["name"] if isinstance(band, Mapping) else band) for band in value)


def _segments(output: Mapping[str, Any]) -> bool:
    tasks = output.get("tasks")
    return isinstance(tasks, list) and any("segmentation" in str(task) for task in tasks)


def _classes(value: Any) -> list[Mapping[str, Any]]:
    """Return the classes in the order of their values."""
    by_value = {_whole(own["value"]): own for own in _mappings(value)}
    if (
        not value
        or len(by_value) < len(value)
        or not 0 <= min(by_value) <= max(by_value) <= MAX_CLASS
    ):
        raise ValueError(value)
    return [by_value[number] for number in sorted(by_value)]


def _class_names(value: Any) -> tuple[str, ...]:
    return tuple(text_of(own.get("name") or own.get("title")) for own in _classes(value))


def _class_values(value: Any) -> tuple[int, ...]:
    """Return the values of the classes; none where they count from 0."""
    values = tuple(_whole(own["value"]) for own in _classes(value))
    return () if values == tuple(range(len(values))) else values


def _class_nodata(value: Any) -> tuple[int, ...]:
    """Return the values of the classes that are nodata."""
    return tuple(_whole(own["value"]) for own in _classes(value) if own.get("nodata") is True)


def _class_colors(value: Any) -> tuple[str | None, ...] | None:
    colors = tuple(_color(own.get("color_hint")) for own in _classes(value))
    return colors if any(colors) else None


def _color(value: Any) -> str | None:
    """``RRGGBB`` in upper case."""
    if value is None:
        return None
    digits = text_of(value).removeprefix("#").upper()
    if len(digits) != 6 or not set(digits) <= set("0123456789ABCDEF"):
        raise ValueError(value)
    return digits
