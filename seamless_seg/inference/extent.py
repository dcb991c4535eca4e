"""The part of a raster that an output is limited to, as its tags record it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from ..arrays import Mask, Values
from ..raster.georeference import cropped
from ..windows import Window, common

if TYPE_CHECKING:
    from ..raster.georeference import Georeference
    from ..raster.reader import RasterReader

PART, CROPPED, AREA = "part", "cropped", "area"
"""Names of the tags of an output that is limited to a part of the raster."""

MAX_AREA_LENGTH = 200_000
"""Hexadecimal characters of the longest area that is recorded in a tag."""


@dataclass(frozen=True)
class Part:
    """The part of a raster that an output is limited to."""

    extent: Window
    """Rows and columns that contain the area."""
    is_cropped: bool
    """Whether the output covers the extent alone, and not the whole raster."""
    area: shapely.Geometry | None = None
    """Polygons in (y, x) pixels; None if they are too long for a tag."""

    def to_tags(self) -> dict[str, str]:
        """Return the tags of the output."""
        bounds = [[along.start, along.stop] for along in self.extent]
        tags = {PART: json.dumps(bounds), CROPPED: json.dumps(self.is_cropped)}
        if (
            self.area is not None
            and len(wkb := shapely.to_wkb(self.area, hex=True)) <= MAX_AREA_LENGTH
        ):
            tags[AREA] = wkb
        return tags

    def wanted(self, rows: slice, cols: slice) -> Mask | None:
        """Pixels of a window whose center is in the area; None if the area is not known."""
        if self.area is None:
            return None
        centers = np.ogrid[rows, cols]
        return np.asarray(shapely.contains_xy(self.area, centers[0] + 0.5, centers[1] + 0.5))

    def covered(self, size: tuple[int, int]) -> Window:
        """Rows and columns of the output, for a raster of that (height, width)."""
        height, width = size
        return self.extent if self.is_cropped else Window(slice(0, height), slice(0, width))

    def georeference(self, raster: Georeference) -> Georeference:
        """The output's georeference, given that of the raster."""
        return cropped(raster, self.extent) if self.is_cropped else raster

    def read(self, output: RasterReader, rows: slice, cols: slice) -> Values:
        """Read logits of a window of the raster from an output; NaN beyond what it covers.

        Parameters
        ----------
        output : RasterReader
            The output.
        rows, cols : slice
            Half-open rows and columns of the raster.

        Returns
        -------
        ndarray
            Shape ``(height, width, classes)``.
        """
        shape = rows.stop - rows.start, cols.stop - cols.start, output.count
        logits = np.full(shape, np.nan, output.dtype)
        inside, to = common(self.covered(output.size), (rows, cols))
        if logits[to].size:
            logits[to] = output.read(*inside).transpose(1, 2, 0)
        return logits


def part_of(tags: Mapping[str, str]) -> Part | None:
    """Return the part that an output's tags record; None for the whole raster."""
    if PART not in tags:
        return None
    rows, cols = (slice(*bounds) for bounds in json.loads(tags[PART]))
    area = shapely.from_wkb(tags[AREA]) if AREA in tags else None
    return Part(Window(rows, cols), json.loads(tags.get(CROPPED, "false")), area)
