"""Sources of pixels, and windows beyond their edges, which are filled by reflection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arrays import Mask, Pixels
from .blocks import BlockLayout

if TYPE_CHECKING:
    from ..decisions import Decision


class Source(Protocol):
    """Pixels of which statistics can be taken: ``RasterReader``, or a stand-in."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        ...

    @property
    def blocks(self) -> BlockLayout:
        """How the pixels are stored."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...

    def valid_values(self, rows: slice, cols: slice) -> Mask | None:
        """Which values are valid, ``(bands, height, width)`` or with 1 for all bands; None: all."""
        ...


@dataclass(frozen=True)
class Reading:
    """Options for reading a raster; None where the file is read as it is."""

    nodata: Decision[float] | None = None
    """Nodata value that replaces the file's."""
    level: Decision[int] | None = None
    """Overview, counted from 1."""
    resolution: Decision[tuple[float, float]] | None = None
    """Height and width to which pixels are resampled, in units of the CRS."""
    unscale: Decision[bool] | None = None
    """Whether pixels are multiplied by the bands' scales, and their offsets added."""
    mask_band: Decision[int] | None = None
    """Band, counted from 1, that is zero where pixels are not valid."""


class Reader(Protocol):
    """Pixels of which tiles can be read: ``RasterReader``, or a stand-in."""

    bands: tuple[int, ...]

    @property
    def may_have_nodata(self) -> bool:
        """Whether a pixel can be invalid."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...

    def valid(self, rows: slice, cols: slice) -> Mask | None:
        """Which pixels of a window are valid, ``(height, width)``; None where all of them are."""
        ...

    @property
    def may_have_gaps(self) -> bool:
        """Whether a value of a band can be invalid."""
        ...

    def valid_values(self, rows: slice, cols: slice) -> Mask | None:
        """Which values are valid, ``(bands, height, width)`` or with 1 for all bands; None: all."""
        ...


def read_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Pixels:
    """Read the pixels of a window and of a border around it, reflected beyond the raster.

    Parameters
    ----------
    reader : Reader
        The raster.
    rows, cols : slice
        The window, which may extend beyond the raster.
    border : int
        Pixels around the window.

    Returns
    -------
    array, shape (bands, height + 2 border, width + 2 border)
    """
    inside, beyond = _split(reader.size, rows, cols, border)
    pixels = reader.read(*inside)
    return np.pad(pixels, [(0, 0), *beyond], mode="reflect") if np.any(beyond) else pixels


def valid_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Mask | None:
    """Read which pixels of a window and its border are valid; None where all of them are.

    Parameters
    ----------
    reader, rows, cols, border
        As for ``read_extended``.

    Returns
    -------
    booleans, shape (height + 2 border, width + 2 border), or None
    """
    inside, beyond = _split(reader.size, rows, cols, border)
    valid = reader.valid(*inside)
    return valid if valid is None else np.pad(valid, beyond, mode="reflect")


def gaps_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Mask | None:
    """Read which values of a window and its border are invalid; None where none of them is.

    Parameters
    ----------
    reader, rows, cols, border
        As for ``read_extended``.

    Returns
    -------
    booleans, shape (bands or 1, height + 2 border, width + 2 border), or None
    """
    inside, beyond = _split(reader.size, rows, cols, border)
    valid = reader.valid_values(*inside)
    return valid if valid is None else ~np.pad(valid, [(0, 0), *beyond], mode="reflect")


def _split(
    size: tuple[int, int], rows: slice, cols: slice, border: int
) -> tuple[list[slice], list[tuple[int, int]]]:
    """Slices inside a raster, and the pixels before and after it along each axis."""
    inside, beyond = [], []
    for along, length in zip((rows, cols), size, strict=True):
        start, stop = along.start - border, along.stop + border
        inside.append(slice(max(0, start), min(length, stop)))
        beyond.append((max(0, -start), max(0, stop - length)))
    return inside, beyond
