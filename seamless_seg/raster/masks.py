"""Validity: which pixels of a raster are valid, by its nodata value, alpha band or mask."""

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

    A mask or an alpha band of the dataset applies to all of its bands, and takes precedence over
    its nodata value. Without either, a pixel is valid if at least one band is not nodata. A nodata
    value that the user gives replaces the file's, and is combined with a mask or alpha band.

    Parameters
    ----------
    dataset : rasterio dataset
        Open for reading.
    nodata : float, optional
        Replaces the dataset's nodata value.
    mask_band : int, optional
        Band, from 1, that is zero where pixels are not valid; it counts beside all else.
    """

    def __init__(
        self, dataset: Any, nodata: float | None = None, mask_band: int | None = None
    ) -> None:
        self._dataset = dataset
        self._nodata = nodata
        self._mask_band = mask_band

    def may_have_nodata(self, bands: Sequence[int]) -> bool:
        """Whether a pixel of these bands can be invalid."""
        return self._is_masked or self._depends_on_pixels(self._without_alpha(bands))

    def valid(self, rows: slice, cols: slice, bands: Sequence[int]) -> Mask | None:
        """Read which pixels of a window are valid.

        Parameters
        ----------
        rows, cols : slice
            The window.
        bands : sequence of int
            Bands of which one must have data, from 1.

        Returns
        -------
        booleans, shape (height, width), or None
            None where all pixels are valid.
        """
        window = Window.from_slices(rows, cols)
        valid = self._masked(window)
        bands = self._without_alpha(bands)
        if self._depends_on_pixels(bands):
            has_data = self._any_has_data(window, bands)
            valid = has_data if valid is None else valid & has_data
        return None if valid is None or valid.all() else valid

    def may_have_gaps(self, bands: Sequence[int]) -> bool:
        """Whether a value of one of these bands can be invalid, even in a valid pixel."""
        return self._is_masked or any(self._may_be_nodata(band) for band in bands)

    def valid_values(self, rows: slice, cols: slice, bands: Sequence[int]) -> Mask | None:
        """Read which values of each band in a window are valid.

        Parameters
        ----------
        rows, cols : slice
            The window.
        bands : sequence of int
            The bands, from 1.

        Returns
        -------
        booleans, shape (bands or 1, height, width), or None
            None where all values are valid.
        """
        window = Window.from_slices(rows, cols)
        masked = self._masked(window)
        valid = None if masked is None else masked[None]
        if any(self._may_be_nodata(band) for band in bands):
            size = rows.stop - rows.start, cols.stop - cols.start
            has_data = np.stack(
                [
                    self._has_data(band, window)
                    if self._may_be_nodata(band)
                    else np.ones(size, np.bool_)
                    for band in bands
                ]
            )
            valid = has_data if valid is None else valid & has_data
        return None if valid is None or valid.all() else valid

    def _may_be_nodata(self, band: int) -> bool:
        """Whether values of a band can be nodata."""
        if band == self._alpha:
            return False
        if self._nodata is not None:
            return can_hold(self._dataset.dtypes[band - 1], self._nodata)
        return not self._has_mask and MaskFlags.all_valid not in self._flags[band - 1]

    def _masked(self, window: Window) -> Mask | None:
        """Read the alpha band or the mask, and the mask band; None where there is none of them."""
        masks = []
        if self._alpha is not None and self._alpha != self._mask_band:
            masks.append(self._dataset.read(self._alpha, window=window) != 0)
        elif self._has_mask and self._alpha is None:
            masks.append(self._dataset.read_masks(1, window=window) != 0)
        if self._mask_band is not None:
            masks.append(self._dataset.read(self._mask_band, window=window) != 0)
        return np.logical_and.reduce(masks) if masks else None

    def _any_has_data(self, window: Window, bands: Sequence[int]) -> Mask:
        """Where one of the bands has data; bands are read until all pixels have some."""
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

    def _without_alpha(self, bands: Sequence[int]) -> list[int]:
        """Bands but for the alpha band, unless that is the only one."""
        return [band for band in bands if band != self._alpha] or list(bands)

    def _depends_on_pixels(self, bands: Sequence[int]) -> bool:
        """Whether all of the bands can be nodata; if not, all pixels have data."""
        if self._nodata is not None:
            dtypes = (self._dataset.dtypes[band - 1] for band in bands)
            return all(can_hold(dtype, self._nodata) for dtype in dtypes)
        if self._has_mask:
            return False
        return all(MaskFlags.all_valid not in self._flags[band - 1] for band in bands)

    @property
    def _is_masked(self) -> bool:
        """Whether a mask, an alpha band or the mask band makes pixels valid or not."""
        return self._has_mask or self._mask_band is not None

    @cached_property
    def _has_mask(self) -> bool:
        """Whether a mask or an alpha band makes pixels valid or not."""
        if self._alpha is not None:
            return True
        first = self._flags[0]
        # GDAL has a mask per dataset also for the tag NODATA_VALUES, one value a band: a nodata
        # value of the user replaces that.
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


def check_nodata(dataset: Any, nodata: float | None) -> None:
    """Raise ``OptionError`` where no band of a dataset can hold a nodata value."""
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
