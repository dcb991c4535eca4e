"""Feeds: what the pixels of a tile become on their way to a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .models.base import FLOAT
from .models.tile_model import FittedModel
from .normalization import Normalisation

PLAIN = Normalisation()


class Feed:
    """Puts pixels into a batch: normalised in float32, or as they are.

    Parameters
    ----------
    normalisation : Normalisation
        What is done to them.
    fill : float, optional
        Value of pixels that are not valid; their mean, zero after normalisation, where None.
    bands : int
        How many there are.
    as_they_are : dtype, optional
        Of the pixels, where nothing is done to them here.
    """

    def __init__(
        self,
        normalisation: Normalisation,
        fill: float | None,
        bands: int,
        as_they_are: np.dtype[Any] | None = None,
    ) -> None:
        self.dtype: np.dtype[Any] = as_they_are or FLOAT
        self._normalisation = normalisation if as_they_are is None else None
        self._fill = normalised_fill(fill, normalisation, bands)
        if self.dtype.kind in "iu":  # of which float32 holds not all
            limits = np.iinfo(self.dtype)
            value = np.clip(np.rint(fill or 0.0), limits.min, limits.max)
            self._fill = np.full(self._fill.shape, value, self.dtype)

    def put(
        self, pixels: npt.NDArray[Any], gaps: npt.NDArray[np.bool_] | None, to: npt.NDArray[Any]
    ) -> None:
        """Put pixels ``(bands, height, width)`` where they belong, and the fill into gaps."""
        if self._normalisation is None:
            to[:] = pixels
        else:
            self._normalisation.apply(pixels, out=to)
        if gaps is not None:
            np.copyto(to, self._fill, where=gaps)


def takes_integers(model: FittedModel, normalisation: Normalisation, dtype: np.dtype[Any]) -> bool:
    """Whether a model computes with integers just as they are in the raster, gaps or none."""
    is_its_own = dtype.kind in "iu" and dtype == model.dtype and normalisation == PLAIN
    return is_its_own and model.normalises(normalisation, dtype)


def normalised_fill(
    fill: float | None, normalisation: Normalisation, bands: int
) -> npt.NDArray[Any]:
    """What to put where nothing is, ``(bands, 1, 1)``."""
    values = np.zeros((bands, 1, 1), np.float32)
    if fill is not None:
        normalisation.apply(np.full(values.shape, fill, np.float64), out=values)
    return values
