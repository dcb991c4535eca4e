"""Sources of pixels: what is read from, and windows that stick out of it, by reflection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..arrays import Mask, Pixels
from ..decisions import Decision
from .blocks import BlockLayout


class Source(Protocol):
    """Where pixels come from: ``RasterReader``, or anything that does the same."""

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
        """How they are stored."""
        ...

    def read(self, rows: slice, cols: slice) -> npt.NDArray[Any]:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...

    def valid_values(self, rows: slice, cols: slice) -> npt.NDArray[np.bool_] | None:
        """Which values are there, ``(bands, height, width)`` or with 1 for all bands; None: all."""
        ...


@dataclass(frozen=True)
class Reading:
    """How a raster's file is read, where that is not as it is; None for what nobody asked for."""

    nodata: Decision[float] | None = None
    """Value of pixels that are not there, instead of what the file says."""
    level: Decision[int] | None = None
    """Overview, counted from 1."""
    resolution: Decision[tuple[float, float]] | None = None
    """Height and width to which pixels are resampled, in units of the CRS."""
    unscale: Decision[bool] | None = None
    """Whether pixels are multiplied by the bands' scales, and their offsets added."""


class Reader(Protocol):
    """Where pixels come from: ``RasterReader``, or anything that does the same."""

    bands: tuple[int, ...]

    @property
    def may_have_nodata(self) -> bool:
        """Whether ``valid`` can find pixels that are not."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window inside the raster, shape ``(bands, height, width)``."""
        ...

    def valid(self, rows: slice, cols: slice) -> Mask | None:
        """Which pixels of a window are there, ``(height, width)``; None where all of them."""
        ...

    @property
    def may_have_gaps(self) -> bool:
        """Whether ``valid_values`` can find some that are not."""
        ...

    def valid_values(self, rows: slice, cols: slice) -> Mask | None:
        """The same value by value, ``(bands, height, width)``, or with 1 for all of the bands."""
        ...


def read_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Pixels:
    """Pixels of a window and its border; what sticks out of the raster is reflected."""
    inside, beyond = _split(reader.size, rows, cols, border)
    pixels = reader.read(*inside)
    return np.pad(pixels, [(0, 0), *beyond], mode="reflect") if np.any(beyond) else pixels


def valid_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Mask | None:
    """Which pixels of the same are valid; None where all of them."""
    inside, beyond = _split(reader.size, rows, cols, border)
    valid = reader.valid(*inside)
    return valid if valid is None else np.pad(valid, beyond, mode="reflect")


def gaps_extended(reader: Reader, rows: slice, cols: slice, border: int = 0) -> Mask | None:
    """Which values of the same are missing, ``(bands, height, width)`` or alike for all bands."""
    inside, beyond = _split(reader.size, rows, cols, border)
    valid = reader.valid_values(*inside)
    return valid if valid is None else ~np.pad(valid, [(0, 0), *beyond], mode="reflect")


def _split(
    size: tuple[int, int], rows: slice, cols: slice, border: int
) -> tuple[list[slice], list[tuple[int, int]]]:
    """What lies inside a raster, and how much beyond it, before and after along each axis."""
    inside, beyond = [], []
    for along, length in zip((rows, cols), size, strict=True):
        start, stop = along.start - border, along.stop + border
        inside.append(slice(max(0, start), min(length, stop)))
        beyond.append((max(0, -start), max(0, stop - length)))
    return inside, beyond
