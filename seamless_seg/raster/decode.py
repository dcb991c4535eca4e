"""Decoding: stored numbers become colors by a color table, or values by scale and offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp

CHANNELS = {3: "RGB", 4: "RGBA"}
"""Bands that a color table can be expanded to."""

COLORS = ("red", "green", "blue", "alpha")
"""Names of those bands."""


class Palette:
    """The color table of a dataset's only band; indices without a color are transparent black.

    Parameters
    ----------
    dataset : rasterio dataset
        One that ``has_palette``.
    """

    def __init__(self, dataset: Any) -> None:
        self._table = np.zeros((np.iinfo(dataset.dtypes[0]).max + 1, 4), np.uint8)
        for index, color in dataset.colormap(1).items():
            self._table[index] = color

    def colors(self, indices: npt.NDArray[Any], bands: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return bands, counted from 1, of the colors of indices of shape ``(height, width)``."""
        return np.stack([self._table[:, band - 1][indices] for band in bands])


def has_palette(dataset: Any) -> bool:
    """Whether a dataset has one band, of indices into a color table."""
    return (
        dataset.count == 1
        and dataset.dtypes[0] in ("uint8", "uint16")
        and dataset.colorinterp[0] == ColorInterp.palette
    )


@dataclass(frozen=True)
class Unscaling:
    """``value = pixel * scale + offset``, one scale and one offset a band of the file.

    The arithmetic is in float32, for float64 pixels and integers of 32 bits in float64.
    """

    scales: Sequence[float]
    offsets: Sequence[float]

    @property
    def changes_nothing(self) -> bool:
        """Whether all scales are 1 and all offsets 0."""
        return all(scale == 1 for scale in self.scales) and not any(self.offsets)

    def dtype(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Type of the values of pixels that are stored in another type."""
        return np.result_type(stored, np.float32)

    def apply(self, pixels: npt.NDArray[Any], bands: Sequence[int]) -> npt.NDArray[Any]:
        """Return the values of pixels, ``(bands, height, width)``, of these bands, from 1."""
        values = pixels.astype(self.dtype(pixels.dtype))
        scales = np.array([self.scales[band - 1] for band in bands], values.dtype)
        offsets = np.array([self.offsets[band - 1] for band in bands], values.dtype)
        values *= scales[:, None, None]
        values += offsets[:, None, None]
        return values
