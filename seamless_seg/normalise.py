"""Normalisation: from a raster's pixels to what a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Normalisation:
    """``value = (pixel * scale - mean) / std``, in float32 and in this order.

    ``mean`` and ``std`` have one number a band, or one for all.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __str__(self) -> str:
        """Say it as the command line's options would."""
        mean, std = (",".join(f"{x:g}" for x in values) for values in (self.mean, self.std))
        return f"(pixel * {self.scale:.6g} - {mean}) / {std}"

    def apply(self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None:
        """Normalise pixels of shape ``(bands, height, width)`` into ``out`` of the same shape."""
        np.copyto(out, pixels, casting="unsafe")
        if self.scale != 1:
            out *= np.float32(self.scale)
        if any(self.mean):
            out -= np.array(self.mean, np.float32)[:, None, None]
        if any(number != 1 for number in self.std):
            out /= np.array(self.std, np.float32)[:, None, None]
