"""Resampling: a raster on a grid of another resolution, computed as its windows are read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..arrays import Pixels
from ..errors import OptionError
from ..validation import format_length
from .ellipsoid import WGS84
from .georeference import apply_affine, pixel_size

Resolution = tuple[float, float]
"""Height and width of a pixel, in units of the CRS."""

SAME_RESOLUTION = 1e-6
"""Relative difference up to which a resolution is the raster's own."""

GDAL_CHUNK_PIXELS = 512 * 128
"""Pixels of the new grid that GDAL resamples at a time."""

MAX_CHUNK_BYTES = 500_000_000
"""Bytes of the raster that GDAL may read for one chunk."""


def resampled(
    dataset: Any,
    resolution: Resolution,
    nodata: float | None = None,
    mask_band: int | None = None,
) -> Any:
    """Resample a dataset to a north-up grid; return the dataset itself where it has that already.

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
    mask_band : int, optional
        Band, from 1, that is zero where pixels are not valid.

    Raises
    ------
    OptionError
        Where the dataset has no affine transform, or is smaller than half a pixel of the new grid,
        or so many of its pixels go into a new one that they do not fit into memory.
    """
    check_has_transform(dataset, "resolution")
    old, is_upright = pixel_size(dataset.transform), _is_upright(dataset.transform)
    if is_upright and np.allclose(resolution, old, rtol=SAME_RESOLUTION, atol=0):
        return dataset
    _check_chunk_size(dataset, resolution, old)
    transform, (height, width) = _grid(dataset, resolution)
    value, has_alpha, has_mask = _validity(dataset, nodata)
    if mask_band is not None and (has_alpha or has_mask or value is not None):
        raise OptionError(
            f"resolution: {dataset.name} has a mask or a nodata value, beside which mask_band= "
            f"cannot be used: leave one of them out"
        )
    masking = {} if mask_band is None else {"src_alpha": mask_band, "dst_alpha": mask_band}
    # Corners of the grid beyond a rotated raster must become nodata, too.
    add_alpha = not (has_alpha or masking) and (has_mask or (value is None and not is_upright))
    return BlockwiseVRT(
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
        **masking,
    )


class BlockwiseVRT(WarpedVRT):  # type: ignore[misc]  # rasterio has no types
    """A raster that is resampled block by block, whatever the windows in which it is read.

    GDAL would resample a larger window, or the whole raster, at once: it interpolates the
    coordinates of pixels between the ends of the window then, so that their last bits depend on it.
    """

    def read(self, indexes: Any, *, window: Window) -> Pixels:
        """Pixels of a window, ``(bands, height, width)``, or ``(height, width)`` of one band."""
        rows, cols = window.toslices()
        step = self.block_shapes[0][0]
        if (window.height, window.width) == self.shape and window.height <= step:
            step = -(-window.height // 2)
        parts = [
            super(BlockwiseVRT, self).read(
                indexes,
                window=Window.from_slices(slice(top, min(top + step, rows.stop)), cols),
            )
            for top in range(rows.start, rows.stop, step)
        ]
        return np.concatenate(parts, axis=-2)


def resolution_for_pixel_size(dataset: Any, centimeters: float) -> Resolution:
    """Resolution, in units of the CRS, at which the side of a pixel has a length in centimeters.

    In a geographic CRS it is that at the raster's center.

    Raises
    ------
    OptionError
        Where the raster has no CRS or no affine transform.
    """
    check_has_transform(dataset, "match_resolution=")
    if not dataset.crs:
        raise OptionError(
            f"match_resolution=True: {dataset.name} has no CRS that gives its pixel size in "
            f"meters: give resolution= in units of its transform"
        )
    return _resolution(dataset, centimeters)


def times_pixel_size(dataset: Any, centimeters: float) -> tuple[float, float] | None:
    """How many times higher and wider pixels are than a length in centimeters.

    None where the dataset has no CRS or no affine transform.
    """
    if dataset.transform.is_identity or not dataset.crs:
        return None
    (height, width), wanted = pixel_size(dataset.transform), _resolution(dataset, centimeters)
    return height / wanted[0], width / wanted[1]


def _resolution(dataset: Any, centimeters: float) -> Resolution:
    meters, factor = centimeters / 100, dataset.crs.units_factor[1]
    if not dataset.crs.is_geographic:
        return meters / factor, meters / factor
    _, latitude = apply_affine(dataset.transform, dataset.width / 2, dataset.height / 2)
    along_meridian, along_parallel = WGS84.radii(latitude * factor)
    return meters / along_meridian / factor, meters / along_parallel / factor


def check_has_transform(dataset: Any, option: str) -> None:
    """Raise ``OptionError`` where a dataset has no transform, which gives pixels their size."""
    if dataset.transform.is_identity:
        has = "only ground control points" if dataset.gcps[0] else "no geotransform"
        raise OptionError(f"{option}: {dataset.name} has {has}, so its pixel size is unknown")


def _check_chunk_size(dataset: Any, resolution: Resolution, old: Resolution) -> None:
    pixel_bytes = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    pixels = min(
        GDAL_CHUNK_PIXELS * math.prod(resolution) / math.prod(old), math.prod(dataset.shape)
    )
    if pixels * pixel_bytes > MAX_CHUNK_BYTES:
        raise OptionError(
            f"resolution: pixels of {_joined(resolution)} are so much larger than those of "
            f"{dataset.name}, {_joined(old)}, that resampling would need "
            f"{pixels * pixel_bytes / 1e6:.0f} MB at once: read an overview with level="
        )


def _grid(dataset: Any, resolution: Resolution) -> tuple[Affine, tuple[int, int]]:
    """Transform and size of a north-up grid over the extent of a dataset."""
    transform, (height, width) = dataset.transform, dataset.shape
    corners = [apply_affine(transform, col, row) for col in (0, width) for row in (0, height)]
    xs, ys = ([corner[axis] for corner in corners] for axis in (0, 1))
    extent = max(ys) - min(ys), max(xs) - min(xs)
    # The last pixel is one more than half of which lies on the raster.
    size = [
        math.ceil(length / pixel - 0.5 - SAME_RESOLUTION)
        for length, pixel in zip(extent, resolution, strict=True)
    ]
    if not all(size):
        raise OptionError(
            f"resolution: pixels of {_joined(resolution)} are larger than all of {dataset.name}, "
            f"{_joined(extent)}: give a smaller pixel size"
        )
    grid = Affine(resolution[1], 0, min(xs), 0, -resolution[0], max(ys))
    return grid, (size[0], size[1])


def _validity(dataset: Any, nodata: float | None) -> tuple[float | None, bool, bool]:
    """Return the nodata value for the VRT, and whether it has an alpha band or a mask."""
    if ColorInterp.alpha in dataset.colorinterp:
        return nodata, True, False
    flags = dataset.mask_flag_enums[0]
    has_mask = MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags
    if nodata is not None and has_mask:
        # GDAL applies one or the other.
        raise OptionError(
            f"resolution: {dataset.name} has a mask, beside which no nodata= can be used: leave "
            f"nodata= out"
        )
    if nodata is not None or has_mask:
        return nodata, False, has_mask
    values = set(map(repr, dataset.nodatavals))
    if len(values) > 1 or MaskFlags.per_dataset in flags:
        raise OptionError(
            f"resolution: the nodata value of {dataset.name} differs from band to band: give one "
            f"for all with nodata="
        )
    return dataset.nodata, False, False


def _has_palette_band(dataset: Any) -> bool:
    """Whether a band, of one or more, has indices of colors, which cannot be interpolated."""
    return ColorInterp.palette in dataset.colorinterp


def _is_upright(transform: Affine) -> bool:
    """Whether north is up and rows run from west to east."""
    return bool(transform.b == transform.d == 0 and transform.a > 0 and transform.e < 0)


def _joined(lengths: tuple[float, float]) -> str:
    return " x ".join(format_length(length) for length in lengths)
