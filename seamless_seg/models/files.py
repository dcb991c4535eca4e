"""The files of a model, and a digest of them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ModelError


def members(model: Any) -> list[Any]:
    """The files and functions of which the logits are averaged, in the order given.

    Parameters
    ----------
    model : str, path-like, callable, list or tuple
        A file, a function, or several of these; a string may name several files, joined by commas.
        The name of a file that is there stands for that file, whatever commas are in it.

    Raises
    ------
    ModelError
        Where a list is empty, or nothing stands between two commas.
    """
    if isinstance(model, list | tuple):
        if not model:
            raise ModelError("no model is given: the list of models is empty")
        return [member for part in model for member in members(part)]
    if not isinstance(model, str) or "," not in model or _is_there(model):
        return [model]
    names = [name.strip() for name in model.split(",")]
    if not all(names):
        raise ModelError(f"{model}: a comma joins two models, and one of them has no name")
    return list(names)


def files_of(model: Any) -> list[Path]:
    """The files among a model's members."""
    return [Path(member) for member in members(model) if not callable(member)]


def has_functions(model: Any) -> bool:
    """Whether a member is a function, so that nothing can be remembered of the model."""
    return any(callable(member) for member in members(model))


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # many names joined are too long for one
        return False


def fingerprint(model: Any) -> str:
    """SHA-256 of a model's file; of those of its files, where it has several."""
    digests = [_digest(path) for path in files_of(model)]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _digest(path: Path) -> str:
    """SHA-256 of a file: the weights of a large model may lie in one of their own beside."""
    digest = hashlib.sha256()
    for part in (path, *(path.with_name(path.name + ending) for ending in (".data", "_data"))):
        with suppress(FileNotFoundError), part.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()
