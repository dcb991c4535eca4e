"""Cropping: an output that covers a window of its raster alone."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from rasterio.transform import Affine

from .arrays import Mask, Values
from .pipeline import Writer
from .raster import Georeference
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


def cropped(place: Georeference, extent: Window) -> Georeference:
    """Where the extent of a raster lies, one without ground control points: those have no areas."""
    top, left = extent.rows.start, extent.cols.start
    transform = place.transform
    if transform:  # spelt out: releases of affine differ in the operator for it
        a, b, c, d, e, f = transform[:6]
        transform = Affine(a, b, a * left + b * top + c, d, e, d * left + e * top + f)
    return replace(place, transform=transform, rpcs=_shifted(place.rpcs, top, left))


def _shifted(rpcs: Any, top: int, left: int) -> Any:
    if rpcs is None:
        return None
    moved = copy.copy(rpcs)
    moved.line_off -= top
    moved.samp_off -= left
    return moved
