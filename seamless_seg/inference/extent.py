"""Parts: which rows and columns of a raster an output was made of, as its tags say."""

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
"""Tags of an output that is not of the whole raster."""

LONGEST = 200_000
"""Characters of an area that is kept."""


@dataclass(frozen=True)
class Part:
    """What an output has of a raster."""

    extent: Window
    """All wanted pixels are in here."""
    is_cropped: bool
    """Whether the output covers no more than that."""
    area: shapely.Geometry | None = None
    """The wanted area in (y, x) pixels, if it is not too long to be kept."""

    def to_tags(self) -> dict[str, str]:
        """As tags of the output's file."""
        bounds = [[along.start, along.stop] for along in self.extent]
        tags = {PART: json.dumps(bounds), CROPPED: json.dumps(self.is_cropped)}
        if self.area is not None and len(wkb := shapely.to_wkb(self.area, hex=True)) <= LONGEST:
            tags[AREA] = wkb
        return tags

    def wanted(self, rows: slice, cols: slice) -> Mask | None:
        """Pixels of a window of the raster of which the center is in the area, if it is known."""
        if self.area is None:
            return None
        centers = np.ogrid[rows, cols]
        return np.asarray(shapely.contains_xy(self.area, centers[0] + 0.5, centers[1] + 0.5))

    def covered(self, size: tuple[int, int]) -> Window:
        """Rows and columns of a raster of that size that the output's file has."""
        height, width = size
        return self.extent if self.is_cropped else Window(slice(0, height), slice(0, width))

    def place(self, place: Georeference) -> Georeference:
        """Where the output lies if its raster lies there."""
        return cropped(place, self.extent) if self.is_cropped else place

    def read(self, made: RasterReader, rows: slice, cols: slice) -> Values:
        """Logits of a window of the raster from an output; NaN beyond what it covers."""
        shape = rows.stop - rows.start, cols.stop - cols.start, made.count
        logits = np.full(shape, np.nan, made.dtype)
        inside, to = common(self.covered(made.size), (rows, cols))
        if logits[to].size:
            logits[to] = made.read(*inside).transpose(1, 2, 0)
        return logits


def part_of(tags: Mapping[str, str]) -> Part | None:
    """The part that an output's tags name; None for the whole raster."""
    if PART not in tags:
        return None
    rows, cols = (slice(*bounds) for bounds in json.loads(tags[PART]))
    area = shapely.from_wkb(tags[AREA]) if AREA in tags else None
    return Part(Window(rows, cols), json.loads(tags.get(CROPPED, "false")), area)
