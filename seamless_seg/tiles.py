"""Tiles of a raster: read in batches, normalised, as a model takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from .fit import FLOAT, FittedModel
from .grid import shape_to_slices
from .normalise import Normalisation
from .plan import Batch, Plan

Pixels: TypeAlias = npt.NDArray[Any]
Values: TypeAlias = npt.NDArray[np.float32]


class Reader(Protocol):
    """Where pixels come from: ``RasterReader``, or anything that does the same."""

    bands: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...


class TileReader:
    """Reads tiles for a model.

    Parameters
    ----------
    reader : Reader
        Where pixels come from.
    model : FittedModel
        What they are for: it says how much room its tiles need.
    normalisation : Normalisation
        What is done to them; here, or by the model.
    dtype : dtype
        Of the pixels.
    """

    def __init__(
        self,
        reader: Reader,
        model: FittedModel,
        normalisation: Normalisation,
        dtype: np.dtype[Any],
    ) -> None:
        self._reader = reader
        self._model = model
        self._normalisation: Normalisation | None = normalisation
        self._dtype: np.dtype[Any] = FLOAT
        if model.normalises(normalisation, dtype):
            self._normalisation, self._dtype = None, dtype

    def batches(self, plan: Plan, size: int) -> Iterator[Pixels]:
        """The plan's tiles in its order, ``size`` at a time: ``(B, C, H, W)`` as the model's."""
        for batch in plan.batches(size):
            count, bands = len(batch.indices), len(self._reader.bands)
            tiles = self._model.empty(count, bands, self._dtype)
            for first, last in _runs(batch):
                self._read_run(batch.geoms[first:last], tiles[first:last])
            yield tiles

    def _read_run(self, geoms: list[shapely.Polygon], tiles: Pixels) -> None:
        """Read neighbouring tiles of one row at once."""
        rows, first = shape_to_slices(geoms[0])
        _, last = shape_to_slices(geoms[-1])
        border = self._model.border
        pixels = read_extended(self._reader, rows, slice(first.start, last.stop), border)
        for geom, tile in zip(geoms, tiles, strict=True):
            _, cols = shape_to_slices(geom)
            own = pixels[:, :, cols.start - first.start : cols.stop - first.start + 2 * border]
            if self._normalisation is None:
                self._model.place(tile)[:] = own
            else:
                self._normalisation.apply(own, out=self._model.place(tile))


def read_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Pixels:
    """Pixels of a window and its border; what sticks out of the raster is reflected."""
    inside, beyond = [], [(0, 0)]
    for along, size in zip((rows, cols), reader.size, strict=True):
        start, stop = along.start - border, along.stop + border
        inside.append(slice(max(0, start), min(size, stop)))
        beyond.append((max(0, -start), max(0, stop - size)))
    pixels = reader.read(*inside)
    return np.pad(pixels, beyond, mode="reflect") if np.any(beyond) else pixels


def _runs(batch: Batch) -> Iterator[tuple[int, int]]:
    """Half-open intervals of a batch whose tiles are neighbours in one tile row."""
    first = 0
    for at, (i, j) in enumerate(batch.indices):
        if at and batch.indices[at - 1] != (i, j - 1):
            yield first, at
            first = at
    yield first, len(batch.indices)
