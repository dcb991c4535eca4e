"""Features: traced outlines, in pixels, get coordinates, a class name and an area."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import shapely

from ..arrays import Integers
from ..raster.georeference import Georeference
from ..raster.surface_areas import PolygonAreas
from .files import Features
from .rings import Outlines, concatenated, densified, with_nodes
from .trace import Traced

VERTEX_SPACING = 64
"""Pixels between the vertices of an edge that is a curve in the file's CRS."""


class FeatureBuilder:
    """Makes features of traced polygons, and counts them.

    Parameters
    ----------
    georeference : Georeference
        Where the raster lies.
    areas : PolygonAreas
        Measures the polygons.
    names : sequence of str
        Names of the classes, which are indices into it; empty for none.
    min_area : float, optional
        Polygons of a smaller area are dropped.
    is_curved : bool
        Whether the file's CRS turns straight edges into curves. Edges get a vertex at every 64th
        row or column then, the same for both polygons beside them.
    """

    def __init__(
        self,
        georeference: Georeference,
        areas: PolygonAreas,
        names: Sequence[str] = (),
        min_area: float | None = None,
        is_curved: bool = False,
    ) -> None:
        self._georeference, self._areas, self._names = georeference, areas, names
        self._min_area, self._is_curved = min_area, is_curved
        self.written = self.dropped = 0

    def features(self, traced: Iterable[Traced]) -> Iterator[Features]:
        """Yield the features of each window's polygons."""
        for outlines, classes, _ in traced:
            kept, features = self._measured(outlines, classes)
            kept = densified(kept, VERTEX_SPACING) if self._is_curved else kept
            yield features._replace(
                geometries=shapely.transform(kept.geometries, self._georeference.coordinates)
            )

    def simplified(self, traced: Iterable[Traced], tolerance: float) -> Iterator[Features]:
        """Yield features with simpler outlines, for which all polygons must be in memory.

        Polygons that touch have the same vertices along the edges that they share, before and
        after.
        """
        measured = [self._measured(outlines, classes) for outlines, classes, _ in traced]
        together = with_nodes(concatenated([outlines for outlines, _ in measured]))
        geometries = shapely.transform(together.geometries, self._georeference.coordinates)
        del together
        geometries = shapely.coverage_simplify(geometries, tolerance)
        start = 0
        for _, features in measured:
            stop = start + len(features.classes)
            yield features._replace(geometries=geometries[start:stop])
            start = stop

    def _measured(self, outlines: Outlines, classes: Integers) -> tuple[Outlines, Features]:
        """Polygons that are large enough, and features of them that lack their geometries."""
        pixels = shapely.area(outlines.geometries)
        areas = self._areas.of_polygons(outlines.geometries, pixels)
        if self._min_area is not None:
            large = areas >= self._min_area
            outlines, classes = outlines.selected(large), classes[large]
            areas, pixels = areas[large], pixels[large]
            self.dropped += int(np.count_nonzero(~large))
        self.written += len(outlines)
        names = [self._name(value) for value in classes.tolist()]
        return outlines, Features(
            classes, names, areas, pixels.astype(np.int64), np.empty(0, object)
        )

    def _name(self, value: int) -> str | None:
        return self._names[value] or None if 0 <= value < len(self._names) else None
