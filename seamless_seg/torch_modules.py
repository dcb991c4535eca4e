"""Torch modules as functions of numpy arrays; torch itself is never imported here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ModelError

Function = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]

OUT = "out"
"""Where torchvision's segmentation models have their logits."""


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
