"""Zones: polygons with names, each of which gets statistics of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ..arrays import Geometries
from ..errors import OptionError
from ..raster.georeference import Georeference
from .geojson import outside, overlaps, read_features, to_pixels, without_overflow_warnings
from .misplaced import unreferenced

NAME_PROPERTIES = ("name", "id")
"""Properties that name a zone, in order of preference."""

MAX_LISTED = 5
"""Names of zones that a note lists at most."""


@dataclass(frozen=True)
class Zones:
    """Polygons with names, in (y, x) pixels of a raster; they may overlap."""

    names: tuple[str, ...]
    polygons: Geometries
    notes: tuple[str, ...] = ()
    """Sentences that a user should read."""


@without_overflow_warnings()
def read_zones(
    path: Any,
    size: tuple[int, int],
    georeference: Georeference | None = None,
    key: str | None = None,
) -> Zones:
    """Read the features of a GeoJSON file as zones of a raster.

    Parameters
    ----------
    path, size, georeference
        As for ``geojson.read_area``.
    key : str, optional
        The property that is a zone's name: by default ``name`` or ``id``. A zone without one is
        named by its number among the zones, from 1.

    Raises
    ------
    OptionError
        Where the file holds no polygon, no feature has that property, or all zones lie outside
        the raster.
    """
    features, areas, stated = read_features(path, size, georeference, "zones")
    names = tuple(_name(feature, n, key) for n, feature in enumerate(features, start=1))
    if key is not None and not any(_has(feature, key) for feature in features):
        raise OptionError(
            f"zone-key: no feature of {path} has a property {key!r}{_properties(features)}"
        )
    transform = georeference.transform if georeference else None
    if not overlaps(areas, size, transform):
        advice = unreferenced(georeference) or stated
        raise outside(areas, size, georeference, f"zones {path}", advice)
    polygons = to_pixels(areas, transform)
    is_outside = ~shapely.intersects(polygons, shapely.box(0, 0, *size))
    return Zones(names, polygons, _notes([names[k] for k in np.flatnonzero(is_outside)]))


def _name(feature: dict[str, Any], number: int, key: str | None) -> str:
    for wanted in NAME_PROPERTIES if key is None else (key,):
        if _has(feature, wanted):
            return str(feature["properties"][wanted])
    if key is None and feature.get("id") is not None:
        return str(feature["id"])
    return str(number)


def _has(feature: dict[str, Any], key: str) -> bool:
    properties = feature.get("properties")
    return isinstance(properties, dict) and properties.get(key) is not None


def _properties(features: Sequence[dict[str, Any]]) -> str:
    """List the properties of the first feature, for an error."""
    properties = features[0].get("properties")
    if not isinstance(properties, dict) or not properties:
        return ""
    return f": its first feature has {', '.join(map(str, properties))}"


def _notes(outside: Sequence[str]) -> tuple[str, ...]:
    if not outside:
        return ()
    more = ", ..." if len(outside) > MAX_LISTED else ""
    lie = "zone lies" if len(outside) == 1 else "zones lie"
    return (f"{len(outside)} {lie} outside the raster: {', '.join(outside[:MAX_LISTED])}{more}",)
