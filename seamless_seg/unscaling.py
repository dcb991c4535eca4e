"""Unscaling: from the numbers that a file stores to the quantities that it says they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Unscaling:
    """``value = pixel * scale + offset``, one scale and one offset a band of the file.

    The arithmetic is in float32, for float64 pixels and integers of 32 bits in float64.
    """

    scales: Sequence[float]
    offsets: Sequence[float]

    @property
    def changes_nothing(self) -> bool:
        """Whether each value is its pixel."""
        return all(scale == 1 for scale in self.scales) and not any(self.offsets)

    def dtype(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Type of the values of stored pixels."""
        return np.result_type(stored, np.float32)

    def apply(self, pixels: npt.NDArray[Any], bands: Sequence[int]) -> npt.NDArray[Any]:
        """The values of pixels of these bands, counted from 1: ``(bands, height, width)``."""
        values = pixels.astype(self.dtype(pixels.dtype))
        scales = np.array([self.scales[band - 1] for band in bands], values.dtype)
        offsets = np.array([self.offsets[band - 1] for band in bands], values.dtype)
        values *= scales[:, None, None]
        values += offsets[:, None, None]
        return values
