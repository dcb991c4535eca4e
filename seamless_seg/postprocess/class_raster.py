"""Class rasters that smoothing and sieving read window by window, and where windows are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

from ..arrays import Pixels
from ..windows import Window, cut

WriteWindow: TypeAlias = Callable[[slice, slice, Pixels], None]
"""Receives a finished window: its rows, its columns, its pixels of shape ``(height, width, 1)``."""


class ClassRaster(Protocol):
    """A raster of classes whose windows can be read repeatedly."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Return the pixels of a window, shape ``(height, width)``; callers do not change them."""
        ...


class ClassBand:
    """A band of an open rasterio dataset as a ``ClassRaster``.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        It stays open while the band is read.
    band : int
        Number of the band, from 1.
    """

    def __init__(self, dataset: Any, band: int = 1) -> None:
        self._dataset = dataset
        self._band = band
        self.size: tuple[int, int] = (dataset.height, dataset.width)

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Return the pixels of a window; raise ``RasterError`` if they cannot be read."""
        from rasterio.windows import Window as RasterioWindow

        from ..raster.gdal import reporting

        with reporting(f"cannot read {self._dataset.name}"):
            window = RasterioWindow.from_slices(rows, cols)
            pixels: Pixels = self._dataset.read(self._band, window=window)
        return pixels


def iterate_windows(size: tuple[int, int], window_size: int) -> Iterator[Window]:
    """Divide a raster into square windows, smaller at its right and bottom edge, row by row.

    Parameters
    ----------
    size : (height, width)
        Of the raster in pixels.
    window_size : int
        Height and width of a window in pixels, at most.
    """
    height, width = size
    return cut(slice(0, height), slice(0, width), (window_size, window_size))
