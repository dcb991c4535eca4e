"""Palettes: a band of indices into a table of colours, and the colours that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp

CHANNELS = {3: "RGB", 4: "RGBA"}
"""Bands that a colour table can be expanded to."""


class Palette:
    """The colour table of a dataset's only band; indices that it lacks are black, and transparent.

    Parameters
    ----------
    dataset : rasterio dataset
        One that ``has_palette``.
    """

    def __init__(self, dataset: Any) -> None:
        self._table = np.zeros((np.iinfo(dataset.dtypes[0]).max + 1, 4), np.uint8)
        for index, colour in dataset.colormap(1).items():
            self._table[index] = colour

    def colours(self, indices: npt.NDArray[Any], bands: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Bands of the colours, counted from 1, of indices of shape ``(height, width)``."""
        return np.stack([self._table[:, band - 1][indices] for band in bands])


def has_palette(dataset: Any) -> bool:
    """Whether a dataset's pixels are indices into a table of colours, and nothing else."""
    return (
        dataset.count == 1
        and dataset.dtypes[0] in ("uint8", "uint16")
        and dataset.colorinterp[0] == ColorInterp.palette
    )
