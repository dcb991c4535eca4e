"""Read tiles of a raster in batches, as normalized input of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from ..arrays import Mask, Pixels, Values
from ..models.base import FLOAT
from ..models.tile_model import TileModel
from ..normalization import Normalization
from ..raster.source import Reader, gaps_extended, read_extended, valid_extended
from ..tiling.grid import shape_to_slices
from ..tiling.plan import Batch, Plan

NO_NORMALIZATION = Normalization()
"""The normalization that leaves pixels unchanged."""


class TileReader:
    """Reads batches of tiles for a model.

    Parameters
    ----------
    reader : Reader
        The raster.
    model : TileModel
        The model; it determines the shape of its input.
    normalization : Normalization
        Applied to the pixels, here or by the model.
    dtype : dtype
        Type of the raster's pixels.
    fill : float, optional
        Pixel value in place of nodata; the mean, which is zero after normalization, if None.
    normalizes : bool
        Normalize here even where the model could.
    """

    def __init__(
        self,
        reader: Reader,
        model: TileModel,
        normalization: Normalization,
        dtype: np.dtype[Any],
        fill: float | None = None,
        normalizes: bool = False,
    ) -> None:
        self._reader = reader
        self._model = model
        # Raw pixels have no spare value for gaps, so a raster with gaps is normalized here.
        is_raw = takes_integers(model, normalization, dtype) or (
            not (reader.may_have_gaps or normalizes)
            and model.take_over_normalization(normalization, dtype)
        )
        raw_dtype = dtype if is_raw else None
        self._input = InputWriter(normalization, fill, len(reader.bands), raw_dtype)

    def batches(self, plan: Plan, size: int) -> Iterator[TileBatch]:
        """Yield the plan's tiles in its order, ``size`` at a time."""
        return self.read(plan.batches(size))

    def read(self, batches: Iterable[Batch]) -> Iterator[TileBatch]:
        """Yield batches of tiles."""
        for batch in batches:
            runs = list(_runs(batch))
            valid: list[Mask | None] = [None] * len(batch.indices)
            if self._reader.may_have_nodata:
                for first, last in runs:
                    valid[first:last] = self._read_valid(batch.geoms[first:last])
            has_data = [mask is None or bool(mask.any()) for mask in valid]
            tiles = self._model.empty_batch(
                sum(has_data), len(self._reader.bands), self._input.dtype
            )
            at = 0
            for first, last in runs:
                geoms = list(compress(batch.geoms[first:last], has_data[first:last]))
                if geoms:
                    self._read_tiles(geoms, tiles[at : at + len(geoms)])
                at += len(geoms)
            yield TileBatch(tiles, has_data, valid)

    def _read_valid(self, geoms: list[shapely.Polygon]) -> list[Mask | None]:
        """Read the valid pixels of neighboring tiles of one row at once."""
        rows, cols = _extent(geoms)
        valid = valid_extended(self._reader, rows, cols)
        if valid is None:
            return [None] * len(geoms)
        masks = (valid[:, _within(geom, cols.start, 0)] for geom in geoms)
        return [None if mask.all() else mask for mask in masks]

    def _read_tiles(self, geoms: list[shapely.Polygon], tiles: Pixels) -> None:
        """Read neighboring tiles of one row at once into the model's input."""
        rows, cols = _extent(geoms)
        border = self._model.border
        pixels = read_extended(self._reader, rows, cols, border)
        gaps = gaps_extended(self._reader, rows, cols, border)
        for geom, tile in zip(geoms, tiles, strict=True):
            within = _within(geom, cols.start, border)
            tile_gaps = None if gaps is None else gaps[:, :, within]
            self._input.write(pixels[:, :, within], tile_gaps, self._model.tile_view(tile))


class TileBatch(NamedTuple):
    """The tiles of a batch that have a valid pixel."""

    pixels: Pixels
    """Input of the model, ``(B, C, H, W)``, for as many tiles as have a valid pixel."""
    has_data: list[bool]
    """Whether each tile of the batch has a valid pixel."""
    valid: list[Mask | None]
    """Valid pixels of each tile of the batch, ``(height, width)``; None for all."""


def batch_logits(model: TileModel, batch: TileBatch) -> list[Values]:
    """Run the model; return the logits ``(height, width, K)`` of each tile of the batch.

    Tiles without a valid pixel are not run; their logits are zeros and never written.
    """
    logits = iter(model(batch.pixels) if any(batch.has_data) else ())
    return [next(logits) if has_data else model.zero_logits for has_data in batch.has_data]


class InputWriter:
    """Writes pixels into a model's input, as normalized float32 or unchanged.

    Parameters
    ----------
    normalization : Normalization
        Applied to the pixels, here or by the model.
    fill : float or None
        Pixel value in place of nodata; the mean, which is zero after normalization, if None.
    bands : int
        Number of bands.
    raw_dtype : dtype, optional
        Type of the pixels, if they are written unchanged; else they are normalized.
    """

    def __init__(
        self,
        normalization: Normalization,
        fill: float | None,
        bands: int,
        raw_dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.dtype: np.dtype[Any] = raw_dtype or FLOAT
        self._normalization = normalization if raw_dtype is None else None
        self._fill = _normalized_fill(fill, normalization, bands)
        if self.dtype.kind in "iu":  # float32 cannot represent all of them
            limits = np.iinfo(self.dtype)
            value = np.clip(np.rint(fill or 0.0), limits.min, limits.max)
            self._fill = np.full(self._fill.shape, value, self.dtype)

    def write(
        self, pixels: npt.NDArray[Any], gaps: npt.NDArray[np.bool_] | None, to: npt.NDArray[Any]
    ) -> None:
        """Write pixels, and the fill into gaps.

        Parameters
        ----------
        pixels : ndarray
            Pixels of a tile, ``(bands, height, width)``.
        gaps : ndarray of bool or None
            Values that are not valid, of a shape that broadcasts to that of the pixels.
        to : ndarray
            The tile's part of the model's input, of the same shape as the pixels.
        """
        if self._normalization is None:
            to[:] = pixels
        else:
            self._normalization.apply(pixels, out=to)
        if gaps is not None:
            np.copyto(to, self._fill, where=gaps)


def takes_integers(model: TileModel, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
    """Whether a model computes with the raster's integers unchanged, even where there are gaps.

    Parameters
    ----------
    model : TileModel
        The model.
    normalization : Normalization
        Applied to the pixels.
    dtype : dtype
        Type of the raster's pixels.
    """
    is_unchanged = dtype.kind in "iu" and dtype == model.dtype and normalization == NO_NORMALIZATION
    return is_unchanged and model.take_over_normalization(normalization, dtype)


def _normalized_fill(
    fill: float | None, normalization: Normalization, bands: int
) -> npt.NDArray[Any]:
    """Normalized values in place of nodata, ``(bands, 1, 1)``."""
    values = np.zeros((bands, 1, 1), np.float32)
    if fill is not None:
        normalization.apply(np.full(values.shape, fill, np.float64), out=values)
    return values


def _within(geom: shapely.Polygon, start: int, border: int) -> slice:
    """Columns of a tile and its border in an array that begins at column ``start``."""
    _, cols = shape_to_slices(geom)
    return slice(cols.start - start, cols.stop - start + 2 * border)


def _extent(geoms: list[shapely.Polygon]) -> tuple[slice, slice]:
    """Rows and columns from the first to the last of some tiles of one row."""
    rows, first = shape_to_slices(geoms[0])
    _, last = shape_to_slices(geoms[-1])
    return rows, slice(first.start, last.stop)


def _runs(batch: Batch) -> Iterator[tuple[int, int]]:
    """Half-open intervals of a batch whose tiles are neighbors in one tile row."""
    first = 0
    for at, (i, j) in enumerate(batch.indices):
        if at and batch.indices[at - 1] != (i, j - 1):
            yield first, at
            first = at
    yield first, len(batch.indices)
