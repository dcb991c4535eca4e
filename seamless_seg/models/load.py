"""Opening: from a path, a function or several of these to a model that can be run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError, OptionError
from .base import CallableModel, Model, ModelSpec
from .ensemble import Ensemble
from .files import models_of
from .onnx_model import OnnxModel
from .onnx_session import OnnxFile
from .tta import symmetries_of

Function = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]

TORCHVISION_OUTPUT = "out"
"""Key of the logits in what torchvision's segmentation models return."""


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

    @cached_property
    def opened(self) -> Model:
        """The open model, not yet ``resolved``; raises what ``open_models`` does."""
        return open_models(self.source, self.provider, self.threads, self.tta, self.output)


def open_models(
    model: Any,
    provider: str = "cpu",
    threads: int | None = None,
    tta: str | None = None,
    output: str | int | None = None,
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
        _open(source, name, provider, threads, output)
        for source, name in zip(sources, names, strict=True)
    ]
    return opened[0] if len(opened) == len(symmetries) == 1 else Ensemble(opened, tta)


def _open(
    model: Any, name: str, provider: str, threads: int | None, output: str | int | None
) -> Model:
    if not callable(model):
        return OnnxModel(OnnxFile(model, provider, threads), output)
    if output is not None:
        raise OptionError("model-output chooses among the outputs of an ONNX file: leave it out")
    if isinstance(model, Model):
        return model
    return CallableModel(as_function(model, name), ModelSpec(name))


def as_function(function: Any, name: str = "the model") -> Function:
    """Return a ``torch.nn.Module`` as a function of numpy arrays, any other function as it is.

    Batches go to the device of the module's first parameter of floats and take its dtype, without
    gradients; float32 logits come back. Of a mapping as a result, ``"out"`` is taken.

    Raises
    ------
    ModelError
        Where the module, or a part of it, is in training mode.
    """
    torch = sys.modules.get("torch")  # no module exists where torch has not been imported
    if torch is None or not isinstance(function, torch.nn.Module):
        return function  # type: ignore[no-any-return]  # any callable
    if any(part.training for part in function.modules()):
        raise ModelError(
            f"{name} is in training mode, in which logits may depend on the batch and on chance: "
            f"call its eval() first"
        )
    return _TorchFunction(torch, function)


class _TorchFunction:
    def __init__(self, torch: Any, module: Any) -> None:
        self._torch, self._module = torch, module

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        with self._torch.inference_mode():
            result = self._module(self._tensor(batch))
            if isinstance(result, Mapping):
                if TORCHVISION_OUTPUT not in result:
                    listed = ", ".join(map(str, result))
                    raise ModelError(
                        f"its result has {listed}, and no {TORCHVISION_OUTPUT!r}: wrap it in a "
                        f"function that returns the logits"
                    )
                result = result[TORCHVISION_OUTPUT]
            logits: npt.NDArray[Any] = result.float().cpu().numpy()
            return logits

    def _tensor(self, batch: npt.NDArray[np.float32]) -> Any:
        """Return the batch on the module's device, in the module's dtype."""
        values, module = self._torch.from_numpy(batch), self._module
        held = chain(module.parameters(), module.buffers())
        like = next((tensor for tensor in held if tensor.is_floating_point()), None)
        return values if like is None else values.to(like.device, like.dtype)
