"""Shaping: outlines in pixels become features with coordinates, a name and an area."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import shapely

from ..raster.georeference import Surface
from .files import Features
from .rings import Integers, Outlines, gathered, with_nodes, with_stops
from .trace import Traced

STEP = 64
"""Pixels after which an edge that bends gets a point."""


class Shaper:
    """Makes features of what is traced, and counts them.

    Parameters
    ----------
    surface : Surface
        Where the raster lies.
    names : sequence of str
        Names of the classes, which are indices into it; empty for none.
    min_area : float, optional
        Drop what is smaller.
    bends : bool
        Whether the file will have other coordinates, in which straight edges are none: they get
        a point at every 64th row or column, the same for both polygons beside them.
    """

    def __init__(
        self,
        surface: Surface,
        names: Sequence[str] = (),
        min_area: float | None = None,
        bends: bool = False,
    ) -> None:
        self._surface, self._names = surface, names
        self._least, self._bends = min_area, bends
        self.written = self.dropped = 0

    def shape(self, traced: Iterable[Traced]) -> Iterator[Features]:
        """Features of each window's polygons."""
        for outlines, classes, _ in traced:
            kept, features = self._measured(outlines, classes)
            kept = with_stops(kept, STEP) if self._bends else kept
            yield features._replace(
                geometries=shapely.transform(kept.geometries, self._surface.coordinates)
            )

    def simplify(self, traced: Iterable[Traced], tolerance: float) -> Iterator[Features]:
        """The same with simpler outlines, for which all polygons must be there.

        Polygons that touch have the same points along the edges that they share, before and after.
        """
        measured = [self._measured(outlines, classes) for outlines, classes, _ in traced]
        together = with_nodes(gathered([outlines for outlines, _ in measured]))
        geometries = shapely.transform(together.geometries, self._surface.coordinates)
        del together
        geometries = shapely.coverage_simplify(geometries, tolerance)
        start = 0
        for _, features in measured:
            stop = start + len(features.classes)
            yield features._replace(geometries=geometries[start:stop])
            start = stop

    def _measured(self, outlines: Outlines, classes: Integers) -> tuple[Outlines, Features]:
        """Polygons that are large enough, and what is known of them but for their coordinates."""
        pixels = shapely.area(outlines.geometries)
        areas = self._surface.areas(outlines.geometries, pixels)
        if self._least is not None:
            large = areas >= self._least
            outlines, classes = outlines.split(large), classes[large]
            areas, pixels = areas[large], pixels[large]
            self.dropped += int(np.count_nonzero(~large))
        self.written += len(outlines)
        names = [self._name(value) for value in classes.tolist()]
        return outlines, Features(
            classes, names, areas, pixels.astype(np.int64), np.empty(0, object)
        )

    def _name(self, value: int) -> str | None:
        return self._names[value] or None if 0 <= value < len(self._names) else None
