"""Opening: from a path, a function or several of these to a model that can be run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import OptionError
from ..windows import Pair
from .base import Model, ModelSpec
from .callable_model import CallableModel
from .ensemble import Ensemble
from .files import models_of
from .onnx_model import OnnxModel
from .onnx_session import OnnxFile
from .torch_module import as_function
from .tta import symmetries_of


@dataclass(frozen=True)
class LazyModel:
    """A model that is opened on first use, and once."""

    source: Any
    """A file, a function, or a list of these."""
    provider: str = "cpu"
    """Execution provider of onnxruntime."""
    threads: int | None = None
    """Threads of onnxruntime; as many as there are processors where None."""
    tta: str | None = None
    """Test-time augmentation, a name in ``AUGMENTATIONS``."""
    output: str | int | None = None
    """Output of a graph that gives the logits, by name or counted from 0."""
    tile: Pair | None = None
    """Height and width of the tiles, if an option states them, px."""

    @cached_property
    def opened(self) -> Model:
        """The open model, not yet ``resolved``; raises what ``open_models`` does."""
        return open_models(
            self.source, self.provider, self.threads, self.tta, self.output, self.tile
        )


def open_models(
    model: Any,
    provider: str = "cpu",
    threads: int | None = None,
    tta: str | None = None,
    output: str | int | None = None,
    tile: Pair | None = None,
) -> Model:
    """Open a model; several of them, or an augmented one, become an ``Ensemble``.

    Parameters
    ----------
    model : str, path-like, callable, list or tuple
        A file, a function, a ``Model``, or several of these.
    provider : str
        Execution provider of onnxruntime.
    threads : int, optional
        Threads of onnxruntime; as many as there are processors where None.
    tta : str, optional
        Test-time augmentation, a name in ``AUGMENTATIONS``.
    output : str or int, optional
        Output of a graph that gives the logits, by name or counted from 0.
    tile : (int, int), optional
        Height and width of images that a function takes, where it takes few sizes, px.

    Raises
    ------
    OptionError
        Where provider, augmentation or output do not exist, or do not suit the model.
    ModelError
        Where a file is not a model, several contradict each other, or a torch module is in
        training mode.
    """
    sources, symmetries = models_of(model), symmetries_of(tta)
    names = [ModelSpec().name]
    if len(sources) > 1:
        names = [f"model {n} of {len(sources)}" for n in range(1, len(sources) + 1)]
    opened = [
        _open(source, name, provider, threads, output, tile)
        for source, name in zip(sources, names, strict=True)
    ]
    return opened[0] if len(opened) == len(symmetries) == 1 else Ensemble(opened, tta)


def _open(
    model: Any,
    name: str,
    provider: str,
    threads: int | None,
    output: str | int | None,
    tile: Pair | None,
) -> Model:
    if not callable(model):
        return OnnxModel(OnnxFile(model, provider, threads), output)
    if output is not None:
        raise OptionError("model-output chooses among the outputs of an ONNX file: leave it out")
    if isinstance(model, Model):
        return model
    return CallableModel(as_function(model, name), ModelSpec(name), trial_size=tile)
