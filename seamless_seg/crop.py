"""Cropping: an output that covers a window of its raster alone."""

from __future__ import annotations

from .arrays import Mask, Values
from .pipeline import Writer
from .windows import Window, common


class CroppingWriter:
    """Passes on what falls into an extent, in its own rows and columns.

    Parameters
    ----------
    writer : Writer
        Where to.
    extent : Window
        Rows and columns of the raster that the writer's raster has.
    """

    def __init__(self, writer: Writer, extent: Window) -> None:
        self._writer = writer
        self._extent = extent

    def write(self, rows: slice, cols: slice, values: Values, is_there: Mask | None) -> None:
        """Take a window, shape ``(height, width, classes)``."""
        to, part = common(self._extent, (rows, cols))
        if values[part].size:
            self._writer.write(*to, values[part], None if is_there is None else is_there[part])
