"""Loading: from a model as it is given, to one that can be run."""

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
from .base import CallableModel, Model
from .ensemble import Ensemble
from .files import members
from .onnx_model import OnnxModel
from .onnx_session import OnnxFile
from .tta import turns_of

Function = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]

OUT = "out"
"""Where torchvision's segmentation models have their logits."""


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


def open_model(
    model: Any,
    provider: str = "cpu",
    threads: int | None = None,
    output: str | int | None = None,
) -> Model:
    """Open an ONNX file, wrap a function, or take a model as it is."""
    if callable(model):
        if output is not None:
            raise OptionError(
                "model-output chooses among the outputs of an ONNX file: leave it out"
            )
        return model if isinstance(model, Model) else CallableModel(model)
    return OnnxModel(OnnxFile(model, provider, threads), output)


def as_function(function: Any, name: str = "the model") -> Function:
    """A ``torch.nn.Module`` as a function of numpy arrays, any other function as it is.

    Batches go to the device of the module's first parameter of floats and take its dtype, without
    gradients; float32 logits come back. Of a mapping as a result, ``"out"`` is taken.

    Raises
    ------
    ModelError
        Where the module, or a part of it, is in training mode.
    """
    torch = sys.modules.get("torch")  # nobody has a module who has not imported it
    if torch is None or not isinstance(function, torch.nn.Module):
        return function  # type: ignore[no-any-return]  # whatever was given
    if any(part.training for part in function.modules()):
        raise ModelError(
            f"{name} is in training mode, in which its answer may depend on the batch and on "
            f"chance: call its eval() first"
        )
    return _Evaluated(torch, function)


class _Evaluated:
    def __init__(self, torch: Any, module: Any) -> None:
        self._torch, self._module = torch, module

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        with self._torch.inference_mode():
            result = self._module(self._given(batch))
            if isinstance(result, Mapping):
                if OUT not in result:
                    listed = ", ".join(map(str, result))
                    raise ModelError(f"its result has {listed}, and no {OUT!r}")
                result = result[OUT]
            logits: npt.NDArray[Any] = result.float().cpu().numpy()
            return logits

    def _given(self, batch: npt.NDArray[np.float32]) -> Any:
        """The batch where the module is, as it is."""
        values, module = self._torch.from_numpy(batch), self._module
        held = chain(module.parameters(), module.buffers())
        like = next((tensor for tensor in held if tensor.is_floating_point()), None)
        return values if like is None else values.to(like.device, like.dtype)
