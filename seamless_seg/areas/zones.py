"""Zones: polygons with names, for each of which something is counted on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from ..errors import OptionError
from .geojson import read_features, refuse_outside

if TYPE_CHECKING:
    from ..raster.georeference import Georeference

NAMES = ("name", "id")
"""Properties after which zones are called, the first that there is."""

LISTED = 5
"""Zones that a note calls by their names at most."""


@dataclass(frozen=True)
class Zones:
    """Polygons that may overlap, in (y, x) pixels of a raster."""

    names: tuple[str, ...]
    polygons: npt.NDArray[np.object_]
    notes: tuple[str, ...] = ()
    """What a user should know of them."""


def read_zones(
    path: Any, size: tuple[int, int], place: Georeference | None = None, key: str | None = None
) -> Zones:
    """Read the features of a GeoJSON file as zones of a raster.

    Parameters
    ----------
    path, size, place
        As for ``geojson.read_area``.
    key : str, optional
        The property that is a zone's name: by default ``name`` or ``id``. A zone without one is
        called by its number among the zones, from 1.

    Raises
    ------
    OptionError
        Where the file holds no polygon, no feature has that property, or all zones lie outside
        the raster.
    """
    features, areas = read_features(path, size, place)
    names = tuple(_name(feature, n, key) for n, feature in enumerate(features, start=1))
    if key is not None and not any(_has(feature, key) for feature in features):
        raise OptionError(
            f"zone-key: no feature of {path} has a property {key!r}{_there(features)}"
        )
    transform = place.transform if place else None
    refuse_outside(areas, size, transform, f"zones {path}")
    polygons = _to_pixels(areas, transform)
    outside = ~shapely.intersects(polygons, shapely.box(0, 0, *size))
    return Zones(names, polygons, _about([names[k] for k in np.flatnonzero(outside)]))


def _name(feature: dict[str, Any], number: int, key: str | None) -> str:
    for wanted in NAMES if key is None else (key,):
        if _has(feature, wanted):
            return str(feature["properties"][wanted])
    if key is None and feature.get("id") is not None:
        return str(feature["id"])
    return str(number)


def _has(feature: dict[str, Any], key: str) -> bool:
    properties = feature.get("properties")
    return isinstance(properties, dict) and properties.get(key) is not None


def _there(features: Sequence[dict[str, Any]]) -> str:
    properties = features[0].get("properties")
    if not isinstance(properties, dict) or not properties:
        return ""
    return f": there are {', '.join(map(str, properties))}"


def _to_pixels(areas: npt.NDArray[np.object_], transform: Any) -> npt.NDArray[np.object_]:
    """As ``area.to_pixels``, of many."""
    a, b, c, d, e, f = (~transform)[:6] if transform else (1, 0, 0, 0, 1, 0)

    def placed(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = xy.T
        return np.column_stack([d * x + e * y + f, a * x + b * y + c])

    return np.asarray(shapely.transform(areas, placed))


def _about(outside: Sequence[str]) -> tuple[str, ...]:
    if not outside:
        return ()
    more = ", ..." if len(outside) > LISTED else ""
    lie = "zone lies" if len(outside) == 1 else "zones lie"
    return (f"{len(outside)} {lie} outside the raster: {', '.join(outside[:LISTED])}{more}",)
