"""The output that is checked: how it is read, and whether it fits the raster and the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Logits, Mask
from ..errors import OptionError
from ..inference.extent import part_of
from ..inference.provenance import KIND
from ..planning.outputs import LOGITS
from ..windows import Window

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


class CheckedOutput:
    """An output that is checked.

    Parameters
    ----------
    reader : RasterReader
        The output's file, opened.
    """

    def __init__(self, reader: RasterReader) -> None:
        self.reader = reader
        self.path: Any = reader.path
        self.tags = reader.tags
        self.part = part_of(reader.tags)
        """The part of the raster that the output covers; None for all of it."""

    def require_raster(self, raster: RasterReader) -> None:
        """Raise ``OptionError`` if the output is not of logits, or lies elsewhere than a raster."""
        kind = json.loads(self.tags.get(KIND, "null"))
        if kind not in (None, LOGITS):
            raise OptionError(
                f"{self.path} holds {kind}, and check compares logits: give an output of logits, "
                'which also={"logits": PATH} adds to a run'
            )
        self._require_place(raster)

    def require_classes(self, classes: int) -> None:
        """Raise ``OptionError`` if the output has not one band of floats for each class."""
        reader = self.reader
        if reader.dtype.kind != "f" or reader.count != classes:
            raise OptionError(
                f"{self.path} has {reader.count} bands of {reader.dtype}, and logits of this model "
                f"have {classes} of float32"
            )

    def _require_place(self, raster: RasterReader) -> None:
        """Raise ``OptionError`` if the output has not the size or the geotransform of a raster."""
        size, place = raster.size, raster.georeference
        if self.part is not None:
            size, place = self.part.covered(raster.size).shape, self.part.georeference(place)
        if self.reader.size != size:
            (height, width), (own_height, own_width) = self.reader.size, raster.size
            raise OptionError(
                f"{self.path} is {height} x {width} px and {raster.path} {own_height} x "
                f"{own_width}: give the output of a run over that raster"
            )
        if self.reader.georeference.transform != place.transform:
            raise OptionError(
                f"{self.path} has another geotransform than {raster.path}: give the output of a "
                f"run over that raster"
            )

    def read(self, window: Window, valid: Mask | None) -> tuple[Logits, Mask | None]:
        """Return the logits of a window, and which of its pixels to compare.

        Parameters
        ----------
        window : Window
            A part of the raster.
        valid : ndarray or None
            Valid pixels of the raster, shape ``(height, width)``; None if all are.

        Returns
        -------
        logits : ndarray
            Shape ``(height, width, classes)``.
        valid : ndarray or None
            Pixels that are valid and inside the output's area, if it has one.
        """
        if self.part is None:
            return self.reader.read(*window).transpose(1, 2, 0), valid
        logits = self.part.read(self.reader, *window)
        wanted = self.part.wanted(*window)
        if wanted is None:
            wanted = np.asarray(~np.isnan(logits).all(axis=-1))
        return logits, wanted if valid is None else valid & wanted

    @staticmethod
    def count_invalid(logits: Logits, valid: Mask | None) -> int:
        """Count the pixels that have finite logits and are not valid."""
        return 0 if valid is None else int(np.isfinite(logits[~valid]).any(axis=-1).sum())
