"""Validity: which pixels of a raster are there, as its nodata value, alpha band or mask say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import OptionError


class Validity:
    """The valid pixels of an open dataset.

    A mask or an alpha band of the dataset speaks for all of its bands, and wins over its nodata
    value. Where there is neither, a pixel is valid if one of the bands is not nodata there. A
    nodata value that the user gives replaces the file's, and counts beside a mask or alpha band.

    Parameters
    ----------
    dataset : rasterio dataset
        Open for reading.
    nodata : float, optional
        Instead of the dataset's nodata value.
    """

    def __init__(self, dataset: Any, nodata: float | None = None) -> None:
        self._dataset = dataset
        self._nodata = nodata

    def may_have_nodata(self, bands: Sequence[int]) -> bool:
        """Whether a pixel of these bands can be invalid."""
        return self._has_mask or self._depends_on_pixels(self._own(bands))

    def valid(self, rows: slice, cols: slice, bands: Sequence[int]) -> Mask | None:
        """Valid pixels of a window, shape ``(height, width)``; None where all of them are."""
        window = Window.from_slices(rows, cols)
        valid: Mask | None = None
        if self._has_mask:
            valid = self._masked(window)
        bands = self._own(bands)
        if self._depends_on_pixels(bands):
            there = self._with_data(window, bands)
            valid = there if valid is None else valid & there
        return None if valid is None or valid.all() else valid

    def may_have_gaps(self, bands: Sequence[int]) -> bool:
        """Whether a value of one of these bands can be nodata, if perhaps not the whole pixel."""
        return self._has_mask or any(self._own_nodata(band) for band in bands)

    def of_bands(self, rows: slice, cols: slice, bands: Sequence[int]) -> Mask | None:
        """Valid values, ``(bands, height, width)`` or alike for all of them; None where all are."""
        window = Window.from_slices(rows, cols)
        valid = self._masked(window)[None] if self._has_mask else None
        if any(self._own_nodata(band) for band in bands):
            size = rows.stop - rows.start, cols.stop - cols.start
            own = [
                self._has_data(band, window) if self._own_nodata(band) else np.ones(size, np.bool_)
                for band in bands
            ]
            valid = np.stack(own) if valid is None else valid & np.stack(own)
        return None if valid is None or valid.all() else valid

    def _own_nodata(self, band: int) -> bool:
        """Whether a band may be nodata somewhere by its own values."""
        if band == self._alpha:
            return False
        if self._nodata is not None:
            return can_hold(self._dataset.dtypes[band - 1], self._nodata)
        return not self._has_mask and MaskFlags.all_valid not in self._flags[band - 1]

    def _masked(self, window: Window) -> Mask:
        if self._alpha is not None:
            return np.asarray(self._dataset.read(self._alpha, window=window) != 0)
        return np.asarray(self._dataset.read_masks(1, window=window) != 0)

    def _with_data(self, window: Window, bands: Sequence[int]) -> Mask:
        """Where one of the bands has data: a band is not looked at once all pixels have some."""
        found = self._has_data(bands[0], window)
        for band in bands[1:]:
            if found.all():
                break
            found |= self._has_data(band, window)
        return found

    def _has_data(self, band: int, window: Window) -> Mask:
        if self._nodata is None:
            return np.asarray(self._dataset.read_masks(band, window=window) != 0)
        pixels = self._dataset.read(band, window=window)
        if math.isnan(self._nodata):
            return np.asarray(~np.isnan(pixels))
        return np.asarray(pixels != pixels.dtype.type(self._nodata))

    def _own(self, bands: Sequence[int]) -> list[int]:
        """The bands that say something of themselves, an alpha band does of the others."""
        return [band for band in bands if band != self._alpha] or list(bands)

    def _depends_on_pixels(self, bands: Sequence[int]) -> bool:
        """Whether each of the bands may be nodata somewhere; else all pixels have data."""
        if self._nodata is not None:
            dtypes = (self._dataset.dtypes[band - 1] for band in bands)
            return all(can_hold(dtype, self._nodata) for dtype in dtypes)
        if self._has_mask:
            return False
        return all(MaskFlags.all_valid not in self._flags[band - 1] for band in bands)

    @cached_property
    def _has_mask(self) -> bool:
        """Whether something else than pixels says which of them are valid."""
        if self._alpha is not None:
            return True
        first = self._flags[0]
        # NODATA_VALUES, one value a band, are nodata of the whole dataset: pixels after all.
        replaced = self._nodata is not None and MaskFlags.nodata in first
        return MaskFlags.per_dataset in first and not replaced

    @cached_property
    def _alpha(self) -> int | None:
        interpretations = self._dataset.colorinterp
        found = [n for n, what in enumerate(interpretations, 1) if what == ColorInterp.alpha]
        return found[-1] if found else None

    @cached_property
    def _flags(self) -> Sequence[Sequence[MaskFlags]]:
        flags: Sequence[Sequence[MaskFlags]] = self._dataset.mask_flag_enums
        return flags


def refuse_nodata(dataset: Any, nodata: float | None) -> None:
    """Raise ``OptionError`` where no band of a dataset can hold that value."""
    if nodata is not None and not any(can_hold(dtype, nodata) for dtype in dataset.dtypes):
        types = ", ".join(dict.fromkeys(dataset.dtypes))
        raise OptionError(
            f"nodata {nodata} cannot be a pixel of {dataset.name}, whose pixels are {types}"
        )


def can_hold(dtype: Any, value: float) -> bool:
    """Whether a pixel of that type can have that value."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(kind).max)
    if not math.isfinite(value) or value != int(value):
        return False
    limits = np.iinfo(kind)
    return bool(limits.min <= int(value) <= limits.max)
