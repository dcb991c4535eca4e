"""The files of a model, those of its weights included, and the fingerprint of their contents."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from ..boundary import boundary
from ..errors import ModelError
from ..graphs.onnx_graph import GraphError, external_locations
from ..inputs.regular import refusal_of_special, require_regular


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
    """List the ONNX files of a model, without its functions and without files of weights."""
    return [Path(one) for one in models_of(model) if not callable(one)]


def all_files_of(model: Any) -> list[Path]:
    """List all files of a model: each ONNX file, followed by the files of its weights."""
    return [file for path in files_of(model) for file in (path, *weight_files(path))]


def weight_files(path: Path) -> list[Path]:
    """List the files beside an ONNX file in which its graph says that weights are stored.

    Empty where the weights are in the file itself, and for a file that holds no ONNX graph.
    """
    with suppress(GraphError, OSError):
        require_regular(path)
        return [path.parent / location for location in external_locations(path)]
    return []


def check_are_regular(path: Any) -> None:
    """Raise ``ModelError`` where reading an ONNX file, or one of its weights, would block."""
    if (refusal := refusal_of_special(path)) is not None:
        raise ModelError(f"the model {path} {refusal}")
    for weights in weight_files(Path(path)):
        if (refusal := refusal_of_special(weights)) is not None:
            raise ModelError(f"{weights}, where {path} has its weights, {refusal}")


def has_functions(model: Any) -> bool:
    """Tell whether part of a model is a function, so that no measurement of it can be cached."""
    return any(callable(one) for one in models_of(model))


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # several joined names are longer than one may be
        return False


def fingerprint(model: Any) -> str:
    """Return the SHA-256 of a model's contents.

    Of one ONNX file it is that of the file and of the files of its weights; of several, that of
    their digests.
    """
    with boundary(ModelError, f"{model} cannot be read"):
        digests = [_digest(path) for path in files_of(model)]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _digest(path: Path) -> str:
    """Return the SHA-256 of an ONNX file and of the files of its weights, in the graph's order."""
    digest = hashlib.sha256()
    for part in (path, *weight_files(path)):
        with suppress(FileNotFoundError), part.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()
