"""The files of a model, and the fingerprint of their contents."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import ModelError


def models_of(model: Any) -> list[Any]:
    """List the files and functions of a model, whose logits are averaged in this order.

    Parameters
    ----------
    model : str, path-like, callable, list or tuple
        A file, a function, or several of these; a string may name several files, joined by commas.
        The name of an existing file stands for that file, even with commas in it.

    Raises
    ------
    ModelError
        Where a list is empty, or a name between commas is.
    """
    if isinstance(model, list | tuple):
        if not model:
            raise ModelError("the list of models is empty: give one model at least")
        return [one for part in model for one in models_of(part)]
    if model == "":
        raise ModelError("the model's name is empty: give a file (a shell variable is empty?)")
    if not (callable(model) or isinstance(model, str | PathLike)):
        raise ModelError(
            f"the model must be an ONNX file, a function or a torch module, not "
            f"{type(model).__name__}"
        )
    if not isinstance(model, str) or "," not in model or _exists(model):
        return [model]
    names = [name.strip() for name in model.split(",")]
    if not all(names):
        raise ModelError(
            f"{model}: a comma joins two models, and one of them has no name: give both, or leave "
            f"the comma out"
        )
    return list(names)


def files_of(model: Any) -> list[Path]:
    """List the files of a model, without its functions."""
    return [Path(one) for one in models_of(model) if not callable(one)]


def has_functions(model: Any) -> bool:
    """Tell whether part of a model is a function, so that no measurement of it can be cached."""
    return any(callable(one) for one in models_of(model))


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # several joined names are longer than one may be
        return False


def fingerprint(model: Any) -> str:
    """Return the SHA-256 of a model's file, or of the digests of its files where it has several."""
    digests = [_digest(path) for path in files_of(model)]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _digest(path: Path) -> str:
    """Return the SHA-256 of a model's file and of the file of its weights beside it, if any."""
    digest = hashlib.sha256()
    for part in (path, *(path.with_name(path.name + ending) for ending in (".data", "_data"))):
        with suppress(FileNotFoundError), part.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()
