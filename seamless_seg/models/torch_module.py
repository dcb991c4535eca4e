"""Torch modules as functions of numpy arrays, without importing torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

Function = Callable[[npt.NDArray[np.float32]], Any]


def as_function(function: Any, name: str = "the model") -> Function:
    """Return a ``torch.nn.Module`` as a function of numpy arrays, any other function as it is.

    Batches go to the device of the module's first parameter of floats and take its dtype, without
    gradients. Scripted, traced, compiled and exported modules are modules.

    Raises
    ------
    ModelError
        Where the module, or a part of it, is in training mode.
    """
    torch = sys.modules.get("torch")  # no module exists where torch has not been imported
    if torch is None or not isinstance(function, torch.nn.Module):
        return function  # type: ignore[no-any-return]  # any callable
    if _is_training(function):
        raise ModelError(
            f"{name} is in training mode, in which logits may depend on the batch and on chance: "
            f"call its eval() first"
        )
    return _TorchFunction(torch, function)


def _is_training(module: Any) -> bool:
    """Tell whether a module, or a part of it, is in training mode.

    A frozen module has no mode. That of an exported one was settled when it was exported, whatever
    its attribute says: it has an ``eval`` of its own, which raises.
    """
    if "eval" in vars(module):
        return False
    return any(getattr(part, "training", False) for part in module.modules())


class _TorchFunction:
    def __init__(self, torch: Any, module: Any) -> None:
        self._torch, self._module = torch, module

    def __call__(self, batch: npt.NDArray[np.float32]) -> Any:
        with self._torch.inference_mode():
            return self._module(self._tensor(batch))

    def _tensor(self, batch: npt.NDArray[np.float32]) -> Any:
        """Return the batch on the module's device, in the module's dtype."""
        values, module = self._torch.from_numpy(batch), self._module
        held = chain(module.parameters(), module.buffers())
        like = next((tensor for tensor in held if tensor.is_floating_point()), None)
        return values if like is None else values.to(like.device, like.dtype)
