"""Tiles of a raster: read in batches, normalized, as a model takes them."""

from __future__ import annotations

from collections.abc import Iterator
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

PLAIN = Normalization()


class TileBatch(NamedTuple):
    """Tiles of a batch, those without a valid pixel left out."""

    pixels: Pixels
    """``(B, C, H, W)`` as the model takes them, for as many tiles as there are."""
    is_there: list[bool]
    """Whether each tile of the batch has a valid pixel."""
    valid: list[Mask | None]
    """For each tile its valid pixels, ``(height, width)``; None where all of them."""


class TileReader:
    """Reads tiles for a model.

    Parameters
    ----------
    reader : Reader
        Where pixels come from.
    model : TileModel
        What they are for: it says how much room its tiles need.
    normalization : Normalization
        What is done to them; here, or by the model.
    dtype : dtype
        Of the pixels.
    fill : float, optional
        Value of pixels that are not valid; their mean, zero after normalization, where None.
    """

    def __init__(
        self,
        reader: Reader,
        model: TileModel,
        normalization: Normalization,
        dtype: np.dtype[Any],
        fill: float | None = None,
    ) -> None:
        self._reader = reader
        self._model = model
        # Where the model normalizes, what is missing has no value of its own among bytes.
        is_as_it_is = takes_integers(model, normalization, dtype) or (
            not reader.may_have_gaps and model.take_over_normalization(normalization, dtype)
        )
        as_they_are = dtype if is_as_it_is else None
        self._feed = Feed(normalization, fill, len(reader.bands), as_they_are)

    def batches(self, plan: Plan, size: int) -> Iterator[TileBatch]:
        """The plan's tiles in its order, ``size`` at a time."""
        for batch in plan.batches(size):
            runs = list(_runs(batch))
            valid: list[Mask | None] = [None] * len(batch.indices)
            if self._reader.may_have_nodata:
                for first, last in runs:
                    valid[first:last] = self._valid_run(batch.geoms[first:last])
            is_there = [mask is None or bool(mask.any()) for mask in valid]
            tiles = self._model.empty_batch(
                sum(is_there), len(self._reader.bands), self._feed.dtype
            )
            at = 0
            for first, last in runs:
                geoms = list(compress(batch.geoms[first:last], is_there[first:last]))
                if geoms:
                    self._read_run(geoms, tiles[at : at + len(geoms)])
                at += len(geoms)
            yield TileBatch(tiles, is_there, valid)

    def _valid_run(self, geoms: list[shapely.Polygon]) -> list[Mask | None]:
        """Valid pixels of neighboring tiles of one row."""
        rows, cols = _along(geoms)
        valid = valid_extended(self._reader, rows, cols)
        if valid is None:
            return [None] * len(geoms)
        cut = (valid[:, _within(geom, cols.start, 0)] for geom in geoms)
        return [None if mask.all() else mask for mask in cut]

    def _read_run(self, geoms: list[shapely.Polygon], tiles: Pixels) -> None:
        """Read tiles of one row at once."""
        rows, cols = _along(geoms)
        border = self._model.border
        pixels = read_extended(self._reader, rows, cols, border)
        gaps = gaps_extended(self._reader, rows, cols, border)
        for geom, tile in zip(geoms, tiles, strict=True):
            within = _within(geom, cols.start, border)
            own = None if gaps is None else gaps[:, :, within]
            self._feed.put(pixels[:, :, within], own, self._model.tile_view(tile))


def answers(model: TileModel, batch: TileBatch) -> list[Values]:
    """Logits of each tile, ``(height, width, K)``; zeros for those that have no valid pixel.

    Nobody wants what those say, and the model never sees them.
    """
    found = iter(model(batch.pixels) if any(batch.is_there) else ())
    return [next(found) if is_there else model.zero_logits for is_there in batch.is_there]


def _within(geom: shapely.Polygon, start: int, border: int) -> slice:
    """Columns of a tile and its border in what was read from a column on."""
    _, cols = shape_to_slices(geom)
    return slice(cols.start - start, cols.stop - start + 2 * border)


def _along(geoms: list[shapely.Polygon]) -> tuple[slice, slice]:
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


class Feed:
    """Puts pixels into a batch: normalized in float32, or as they are.

    Parameters
    ----------
    normalization : Normalization
        What is done to them.
    fill : float, optional
        Value of pixels that are not valid; their mean, zero after normalization, where None.
    bands : int
        How many there are.
    as_they_are : dtype, optional
        Of the pixels, where nothing is done to them here.
    """

    def __init__(
        self,
        normalization: Normalization,
        fill: float | None,
        bands: int,
        as_they_are: np.dtype[Any] | None = None,
    ) -> None:
        self.dtype: np.dtype[Any] = as_they_are or FLOAT
        self._normalization = normalization if as_they_are is None else None
        self._fill = normalized_fill(fill, normalization, bands)
        if self.dtype.kind in "iu":  # of which float32 holds not all
            limits = np.iinfo(self.dtype)
            value = np.clip(np.rint(fill or 0.0), limits.min, limits.max)
            self._fill = np.full(self._fill.shape, value, self.dtype)

    def put(
        self, pixels: npt.NDArray[Any], gaps: npt.NDArray[np.bool_] | None, to: npt.NDArray[Any]
    ) -> None:
        """Put pixels ``(bands, height, width)`` where they belong, and the fill into gaps."""
        if self._normalization is None:
            to[:] = pixels
        else:
            self._normalization.apply(pixels, out=to)
        if gaps is not None:
            np.copyto(to, self._fill, where=gaps)


def takes_integers(model: TileModel, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
    """Whether a model computes with integers just as they are in the raster, gaps or none."""
    is_its_own = dtype.kind in "iu" and dtype == model.dtype and normalization == PLAIN
    return is_its_own and model.take_over_normalization(normalization, dtype)


def normalized_fill(
    fill: float | None, normalization: Normalization, bands: int
) -> npt.NDArray[Any]:
    """What to put where nothing is, ``(bands, 1, 1)``."""
    values = np.zeros((bands, 1, 1), np.float32)
    if fill is not None:
        normalization.apply(np.full(values.shape, fill, np.float64), out=values)
    return values
