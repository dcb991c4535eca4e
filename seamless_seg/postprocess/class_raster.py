"""Cleaning: passes over a raster of classes, from windows read to windows written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..arrays import Pixels
from ..windows import Window, cut

WriteWindow = Callable[[slice, slice, Pixels], None]
"""Takes a finished window: its rows, its columns, its pixels of shape ``(height, width, 1)``."""


class Source(Protocol):
    """A raster of classes that can be read again and again."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window; they are not changed by who reads them."""
        ...


class Band:
    """A band of an open dataset of rasterio as a source."""

    def __init__(self, dataset: Any, band: int = 1) -> None:
        self._dataset = dataset
        self._band = band
        self.size: tuple[int, int] = (dataset.height, dataset.width)

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of a window; raises ``RasterError`` where they cannot be read."""
        from rasterio.windows import Window as Part

        from ..raster.gdal import reporting

        with reporting(f"cannot read {self._dataset.name}"):
            part: Pixels = self._dataset.read(self._band, window=Part.from_slices(rows, cols))
        return part


def windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """Windows of at most ``side`` x ``side`` pixels that tile a raster, row by row."""
    height, width = size
    return cut(slice(0, height), slice(0, width), (side, side))
