"""Where a raster lies: its CRS, its transform, and what follows from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import Array, Floats
from ..errors import RasterError
from ..windows import Window

METERS_PER_DEGREE = 111_000.0
"""Along a meridian, roughly."""


@dataclass(frozen=True)
class Georeference:
    """Where a raster lies: an affine transform or ground control points, and their CRS."""

    crs: Any
    """Of rasterio; None where the raster has none."""
    transform: Any
    """From (column, row) to (x, y) in the CRS; None where the raster has none."""
    gcps: Sequence[Any]
    """Ground control points; a raster that has some has no transform."""
    rpcs: Any
    """Rational polynomial coefficients, or None."""
    is_point: bool = False
    """Whether the file's tag AREA_OR_POINT is Point: pixels are points at their centers."""

    @property
    def is_projected(self) -> bool:
        """Whether coordinates are those of a map."""
        return bool(self.crs and self.crs.is_projected)

    @property
    def has_lonlat(self) -> bool:
        """Whether coordinates can be converted to longitude and latitude."""
        return self.is_projected or bool(self.crs and self.crs.is_geographic)

    @property
    def pixel_degrees(self) -> float:
        """The side of a pixel in degrees, roughly; only where it ``has_lonlat``."""
        side = math.sqrt(abs(self.transform.determinant)) if self.transform else 1.0
        factor = float(self.crs.units_factor[1])
        if self.crs.is_geographic:
            return math.degrees(side * factor)
        return side * factor / METERS_PER_DEGREE

    def coordinates(self, points: Array) -> Floats:
        """Coordinates (x, y) in the CRS of points (column, row), both of shape ``(n, 2)``.

        They are (column, row) themselves without a transform.
        """
        points = points.astype(np.float64)
        if self.transform is None:
            return points
        a, b, c, d, e, f = self.transform[:6]
        cols, rows = points.T
        # Summed in GDAL's order, which is not that of `apply_affine`: on a rotated grid the last
        # bits depend on it.
        return np.stack([c + cols * a + rows * b, f + cols * d + rows * e], axis=1)


def check_place(dataset: Any) -> None:
    """Raise where nothing can be computed with the transform or the CRS of a dataset."""
    transform = dataset.transform
    if not (all(map(math.isfinite, transform[:6])) and _has_area(transform)):
        raise RasterError(
            f"{dataset.name} has a geotransform whose pixels have no area: set it with "
            f"gdal_edit.py -a_ullr, or remove it with gdal_edit.py -unsetgt"
        )
    gcps_crs = dataset.gcps[1]
    for crs in (dataset.crs, gcps_crs):
        if not crs:
            continue
        crs.to_wkt()
        if not crs.is_geographic and not crs.is_projected:
            continue
        factor = float(crs.units_factor[1])
        if not (math.isfinite(factor) and factor > 0):
            raise RasterError(
                f"{dataset.name} has a CRS whose unit has no length: set it with gdal_edit.py "
                f"-a_srs"
            )


def _has_area(transform: Any) -> bool:
    """Whether a transform can be inverted, with finite numbers."""
    area = abs(float(transform.determinant))
    return 0 < area < math.inf and all(map(math.isfinite, (~transform)[:6]))


def cropped(georeference: Georeference, window: Window) -> Georeference:
    """Return where a window of a raster lies.

    The raster has no ground control points: it could not have been cropped to an area.
    """
    top, left = window.rows.start, window.cols.start
    transform = georeference.transform
    if transform:
        a, b, _, d, e, _ = transform[:6]
        x, y = apply_affine(transform, left, top)
        transform = type(transform)(a, b, x, d, e, y)
    return replace(georeference, transform=transform, rpcs=_shifted(georeference.rpcs, top, left))


def apply_affine(transform: Any, cols: Any, rows: Any) -> tuple[Any, Any]:
    """Apply an affine transform to columns and rows, or its inverse to x and y.

    ``x = a col + b row + c`` and ``y = d col + e row + f``. It is spelled out since affine 3
    deprecates the operator that affine 2 has for it.

    Parameters
    ----------
    transform : affine.Affine
        The transform.
    cols, rows : float or array
        Coordinates, of one point or of many.

    Returns
    -------
    x, y : float or array
        Coordinates of the same shape.
    """
    a, b, c, d, e, f = transform[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def pixel_size(transform: Any) -> tuple[float, float]:
    """Height and width of a pixel in units of the CRS, also where the grid is rotated."""
    return math.hypot(transform.b, transform.e), math.hypot(transform.a, transform.d)


def _shifted(rpcs: Any, top: int, left: int) -> Any:
    """Rational polynomials of a raster from that row and column on."""
    if rpcs is None:
        return None
    moved = copy.copy(rpcs)
    moved.line_off -= top
    moved.samp_off -= left
    return moved
