"""Rasters with pixels that are not there."""

from __future__ import annotations

import numpy as np
import rasterio

from . import made

NODATA = 7

SIZE = 300, 340


def holes(seed=0):
    """Valid pixels of an image with a large part, a corner and single pixels missing."""
    valid = np.ones(SIZE, bool)
    valid[40:260, 90:330] = False
    valid[:5, :] = valid[290:, 200:] = False
    valid[120:130, 200:210] = True
    random = np.random.default_rng(seed)
    valid[random.integers(300, size=200), random.integers(340, size=200)] = False
    return valid


def image_with(valid, bands=3, dtype="uint8"):
    """Pixels that are ``NODATA`` in all bands where they are not valid, and nowhere else."""
    image = made.pixels(bands, *valid.shape, dtype)
    image[image == NODATA] = NODATA + 1
    return np.where(valid, image, np.array(NODATA, dtype))


def masked(path, array, mask, internal, **profile):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        count, height, width = array.shape
        profile = {"driver": "GTiff", "dtype": array.dtype} | made.UTM | profile
        with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as out:
            out.write(array)
            out.write_mask(mask)
    return path


def stacked(path, sources, types, size):
    """A VRT of that size, of a band of each source."""
    height, width = size
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{n}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">{source.name}</SourceFilename><SourceBand>1</SourceBand>'
        f"</SimpleSource></VRTRasterBand>"
        for n, (source, kind) in enumerate(zip(sources, types, strict=True), 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{bands}</VRTDataset>'
    )
    return path
