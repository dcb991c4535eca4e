"""Files beside a model: a document of MLM, names of classes in JSON, and what is ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..boundary import boundary
from ..errors import ModelError
from ..inputs.regular import require_regular
from .metadata import NAMES_KEYS, ModelMetadata, classes_of
from .mlm import MAX_DOCUMENT_LENGTH, sidecar_paths, with_sidecar

LIST_ENDINGS = (".names", ".labels", ".txt")
"""Ends of the names of files with the name of a class in each line."""

UNREAD_ENDINGS = (".yaml", ".yml", *LIST_ENDINGS)
"""Ends of the names of files of other formats, after the model's own name."""

UNREAD_NAMES = ("rdf.yaml", "bioimageio.yaml")
"""Names of files that describe the model in their folder: of bioimage.io."""

TRANSFORMERS_CONFIG = "config.json"
"""Name of the file in which transformers keep ``id2label``."""


def with_sidecars(metadata: ModelMetadata, model: Any) -> ModelMetadata:
    """Return the metadata of a model's file, overridden by the files beside it.

    A document of MLM wins. Another JSON file may state names of classes; what else is beside the
    model and seems to describe it is named in a note, as it is ignored.

    Raises
    ------
    ModelError
        Where the document of MLM states tasks whose output is no raster.
    """
    metadata = with_sidecar(metadata, model)
    if metadata.sidecar is None:
        metadata = _with_names(metadata, Path(model))
    for path in _unread(Path(model)):
        advice = "; give its names with class_names=" if path.suffix in LIST_ENDINGS else ""
        metadata = metadata.with_note(
            f"{path} is ignored: a model is described by an MLM document, MODEL.json{advice}"
        )
    return metadata


def _with_names(metadata: ModelMetadata, model: Path) -> ModelMetadata:
    """Take the names of classes from JSON that is no document of MLM; note what has none."""
    for path in (*sidecar_paths(model), model.with_name(TRANSFORMERS_CONFIG)):
        document = _json(path)
        if document is None:
            continue
        found = _names(document)
        if found is not None:
            metadata = metadata.with_note(f"names of classes are read from {path}")
            return replace(metadata, class_names=found[0], class_values=found[1])
        if path.name != TRANSFORMERS_CONFIG:
            metadata = metadata.with_note(
                f"{path} is ignored: it is no MLM document, and names no classes"
            )
    return metadata


def _json(path: Path) -> Any:
    """Return what a JSON file holds; None where there is no such file, or none that is JSON."""
    with suppress(ModelError), boundary(ModelError, f"{path} is ignored"):
        require_regular(path)
        with path.open(encoding="utf-8") as file:
            return json.loads(file.read(MAX_DOCUMENT_LENGTH))
    return None


def _names(document: Any) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """Return the names and numbers of classes that a document states under one of the keys."""
    if not isinstance(document, Mapping):
        return None
    for key in NAMES_KEYS:
        with suppress(ModelError), boundary(ModelError, key):
            names, numbers = classes_of(document[key]) if key in document else ((), ())
            if names:
                return names, numbers
    return None


def _unread(model: Path) -> Iterator[Path]:
    """Yield the files beside a model that seem to describe it in another format."""
    names = [f"{own}{ending}" for own in (model.name, model.stem) for ending in UNREAD_ENDINGS]
    for name in (*names, *UNREAD_NAMES):
        path = model.with_name(name)
        with suppress(OSError):
            if path.is_file():
                yield path
