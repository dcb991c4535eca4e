"""Resampling: a raster on a grid of another resolution, worked out as its windows are read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import OptionError

Resolution = tuple[float, float]
"""Height and width of a pixel, in units of the CRS."""

AS_IS = 1e-6
"""A resolution that differs by no more than this share is the raster's own."""

BLOCK = 512 * 128
"""Pixels that GDAL resamples at a time."""

MOST = 500_000_000
"""Bytes of a raster at most that it may need at once for that."""

EQUATOR, FLATTENING = 6_378_137.0, 1 / 298.257_223_563
"""Meters from the Earth's center to its equator, and how flat it is: WGS 84."""


def resolution_of(dataset: Any) -> Resolution:
    """Height and width of a pixel, also where the raster is rotated."""
    transform = dataset.transform
    return math.hypot(transform.b, transform.e), math.hypot(transform.a, transform.d)


def resampled(dataset: Any, resolution: Resolution, nodata: float | None = None) -> Any:
    """A dataset of the same pixels on a north-up grid of that resolution; itself on its own.

    The grid begins at the raster's upper left corner, and each pixel's center lies on the raster
    where that is not rotated. Pixels are interpolated between their neighbors, and averaged where
    they become larger; nodata takes no part. Those of a color table are the nearest.

    Parameters
    ----------
    dataset : rasterio dataset
        Open for reading.
    resolution : (float, float)
        Height and width of a pixel, in units of the CRS.
    nodata : float, optional
        Instead of the dataset's nodata value.

    Raises
    ------
    OptionError
        Where the dataset has no affine transform, or less than half a pixel of that resolution, or
        so many of its pixels go into one that they do not fit into memory.
    """
    refuse_without_place(dataset, "resolution")
    old, is_upright = resolution_of(dataset), _is_upright(dataset.transform)
    if is_upright and np.allclose(resolution, old, rtol=AS_IS, atol=0):
        return dataset
    _refuse_far_coarser(dataset, resolution, old)
    transform, (height, width) = _grid(dataset, resolution)
    value, has_alpha, has_mask = _validity(dataset, nodata)
    # Corners that a rotated raster leaves empty must be told from pixels, too.
    add_alpha = not has_alpha and (has_mask or (value is None and not is_upright))
    return Resampled(
        dataset,
        transform=transform,
        height=height,
        width=width,
        resampling=Resampling.nearest if _has_palette_band(dataset) else Resampling.bilinear,
        src_nodata=value,
        nodata=value,
        add_alpha=add_alpha,
        # Nodata of one band is left out also where another band has data.
        unified_src_nodata="PARTIAL",
        # Else each block has a factor of its own, rounded to the pixels that it needs.
        xscale=old[1] / resolution[1],
        yscale=old[0] / resolution[0],
    )


class Resampled(WarpedVRT):  # type: ignore[misc]  # rasterio has no types
    """A raster that is resampled block by block, whatever the windows in which it is read.

    GDAL resamples a window at once that is larger than a block, or all there is. Places of pixels
    are interpolated between the window's ends then, so that their last bits depend on it.
    """

    def read(self, indexes: Any, *, window: Window) -> npt.NDArray[Any]:
        """Pixels of a window, ``(bands, height, width)``, or ``(height, width)`` of one band."""
        rows, cols = window.toslices()
        step = self.block_shapes[0][0]
        if (window.height, window.width) == self.shape and window.height <= step:
            step = -(-window.height // 2)
        parts = [
            super(Resampled, self).read(
                indexes,
                window=Window.from_slices(slice(top, min(top + step, rows.stop)), cols),
            )
            for top in range(rows.start, rows.stop, step)
        ]
        return np.concatenate(parts, axis=-2)


def matched(dataset: Any, centimeters: float) -> Resolution:
    """The resolution at which a pixel is so large on the ground; at the center, for degrees.

    Raises
    ------
    OptionError
        Where the raster has no CRS or no affine transform.
    """
    refuse_without_place(dataset, "match-resolution")
    if not dataset.crs:
        raise OptionError(
            f"match-resolution: {dataset.name} has no CRS that says how large its pixels are: "
            f"give --resolution in its own units"
        )
    meters, factor = centimeters / 100, dataset.crs.units_factor[1]
    if not dataset.crs.is_geographic:
        return meters / factor, meters / factor
    _, latitude = _at(dataset.transform, dataset.width / 2, dataset.height / 2)
    along_meridian, along_parallel = _radii(latitude * factor)
    return meters / along_meridian / factor, meters / along_parallel / factor


def refuse_without_place(dataset: Any, option: str) -> None:
    """Raise where pixels have no size."""
    if dataset.transform.is_identity:
        why = "only ground control points" if dataset.gcps[0] else "no geotransform"
        raise OptionError(f"{option}: {dataset.name} has {why}, so its pixels have no size")


def _refuse_far_coarser(dataset: Any, resolution: Resolution, old: Resolution) -> None:
    pixel_bytes = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    pixels = min(BLOCK * math.prod(resolution) / math.prod(old), math.prod(dataset.shape))
    if pixels * pixel_bytes > MOST:
        raise OptionError(
            f"resolution: pixels of {_by(resolution)} are so much larger than those of "
            f"{dataset.name}, {_by(old)}, that {pixels * pixel_bytes / 1e6:.0f} MB would be needed "
            f"at once: read an overview with --level"
        )


def _radii(latitude: float) -> tuple[float, float]:
    """Radii of the Earth along a meridian and along a parallel, in meters, at radians north."""
    squared = FLATTENING * (2 - FLATTENING)
    bend = 1 - squared * math.sin(latitude) ** 2
    meridian = EQUATOR * (1 - squared) / bend**1.5
    return meridian, EQUATOR / math.sqrt(bend) * math.cos(latitude)


def _grid(dataset: Any, resolution: Resolution) -> tuple[Affine, tuple[int, int]]:
    transform, (height, width) = dataset.transform, dataset.shape
    corners = [_at(transform, col, row) for col in (0, width) for row in (0, height)]
    xs, ys = ([corner[axis] for corner in corners] for axis in (0, 1))
    extent = max(ys) - min(ys), max(xs) - min(xs)
    # The last pixel is one more than half of which lies on the raster.
    size = [
        math.ceil(length / pixel - 0.5 - AS_IS)
        for length, pixel in zip(extent, resolution, strict=True)
    ]
    if not all(size):
        raise OptionError(
            f"resolution: pixels of {_by(resolution)} are larger than all of {dataset.name}, "
            f"{_by(extent)}"
        )
    grid = Affine(resolution[1], 0, min(xs), 0, -resolution[0], max(ys))
    return grid, (size[0], size[1])


def _at(transform: Affine, col: float, row: float) -> tuple[float, float]:
    """Where a corner of pixels lies; spelled out, since not every affine has the same operator."""
    x = transform.a * col + transform.b * row + transform.c
    return x, transform.d * col + transform.e * row + transform.f


def _validity(dataset: Any, nodata: float | None) -> tuple[float | None, bool, bool]:
    """The nodata value that counts, and whether there is an alpha band or a mask."""
    if ColorInterp.alpha in dataset.colorinterp:
        return nodata, True, False
    flags = dataset.mask_flag_enums[0]
    has_mask = MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags
    if nodata is not None and has_mask:
        # GDAL leaves out one or the other.
        raise OptionError(
            f"resolution: {dataset.name} has a mask, beside which no --nodata can count: leave "
            f"that out"
        )
    if nodata is not None or has_mask:
        return nodata, False, has_mask
    values = set(map(repr, dataset.nodatavals))
    if len(values) > 1 or MaskFlags.per_dataset in flags:
        raise OptionError(
            f"resolution: the nodata value of {dataset.name} differs from band to band: give one "
            f"for all with --nodata"
        )
    return dataset.nodata, False, False


def _has_palette_band(dataset: Any) -> bool:
    """Whether some band, of however many, has indices into a table, which cannot be mixed."""
    return ColorInterp.palette in dataset.colorinterp


def _is_upright(transform: Affine) -> bool:
    return bool(transform.b == transform.d == 0 and transform.a > 0 and transform.e < 0)


def _by(lengths: tuple[float, float]) -> str:
    return " x ".join(f"{length:.6g}" for length in lengths)
