"""Normalisation: from a raster's pixels to what a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .scaling import Scaling


@dataclass(frozen=True)
class Normalisation:
    """``value = (pixel * scale - mean) / std``, in this order, or a ``Scaling`` in place of it.

    The arithmetic is in float32, for float64 pixels and integers of 32 bits in float64.

    ``mean`` and ``std`` have one number a band, or one for all.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scaling: Scaling | None = None

    def __str__(self) -> str:
        """Say it as the command line's options would."""
        if self.scaling is not None:
            return str(self.scaling)
        mean, std = (",".join(f"{x:g}" for x in values) for values in (self.mean, self.std))
        return f"(pixel * {self.scale:.6g} - {mean}) / {std}"

    def apply(self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None:
        """Normalise pixels of shape ``(bands, height, width)`` into ``out`` of the same shape."""
        # Pixels that float32 cannot hold are brought near zero first, and rounded then.
        wide = np.result_type(pixels.dtype, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite logits are counted later
            self._apply(pixels, out, wide)

    def _apply(
        self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32], wide: np.dtype[Any]
    ) -> None:
        values = out if wide == np.float32 else np.empty(pixels.shape, wide)
        values[:] = pixels
        if self.scaling is not None:
            self.scaling.apply(values)
        else:
            self._apply_linear(values, wide)
        if values is not out:
            out[:] = values

    def _apply_linear(self, values: npt.NDArray[Any], wide: np.dtype[Any]) -> None:
        if self.scale != 1:
            values *= wide.type(self.scale)
        if any(self.mean):
            values -= np.array(self.mean, wide)[:, None, None]
        if any(number != 1 for number in self.std):
            values /= np.array(self.std, wide)[:, None, None]
