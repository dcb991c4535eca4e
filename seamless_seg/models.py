"""Models: from a model as it is given to the one that is run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .ensemble import Ensemble
from .members import members
from .model import CallableModel, Model, open_model
from .symmetry import turns_of
from .torch_modules import as_function


@dataclass(frozen=True)
class LazyModel:
    """A model that is opened when it is first asked for, and once."""

    source: Any
    """A file, a function, or a list of these."""
    provider: str = "cpu"
    """Of onnxruntime."""
    threads: int | None = None
    """Of onnxruntime; as many as there are processors where None."""
    tta: str | None = None
    """Test-time augmentation: name in ``TURNS``."""
    output: str | int | None = None
    """Which output of a graph to take, by name or counted from 0."""

    @cached_property
    def opened(self) -> Model:
        """The model, ready to run; raises as ``open_models`` does."""
        return open_models(self.source, self.provider, self.threads, self.tta, self.output)


def open_models(
    model: Any,
    provider: str = "cpu",
    threads: int | None = None,
    tta: str | None = None,
    output: str | int | None = None,
) -> Model:
    """Open a model's members; where there are several, or tiles are turned, as an ``Ensemble``.

    Raises
    ------
    OptionError
        Where the provider or the turns are not there, or do not fit the model.
    ModelError
        Where a file is not a model, members contradict each other, or a torch module is not ready.
    """
    given, turns = members(model), turns_of(tta)
    names = ["the model"]
    if len(given) > 1:
        names = [f"model {n} of {len(given)}" for n in range(1, len(given) + 1)]
    opened = [
        _open(member, name, provider, threads, output)
        for member, name in zip(given, names, strict=True)
    ]
    return opened[0] if len(opened) == len(turns) == 1 else Ensemble(opened, tta)


def _open(
    member: Any, name: str, provider: str, threads: int | None, output: str | int | None
) -> Model:
    if callable(member) and not isinstance(member, Model) and output is None:
        return CallableModel(as_function(member, name), name)
    return open_model(member, provider, threads, output)
