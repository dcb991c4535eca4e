"""GeoTIFFs: how one looks that is to be written, created block by block and seen to be whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from .blocks import block_shape
from .colours import RGB
from .encoding import Encoding
from .gdal import NAMESPACE, refusing_odd_options
from .raster import Georeference
from .system import cores
from .tiff import find_blocks

CORES_PER_COMPRESSOR = 4
"""One thread compresses what so many processors compute: the writer's own where one will do."""


@dataclass(frozen=True)
class Output:
    """What a raster to be written looks like."""

    size: tuple[int, int]
    count: int
    georeference: Georeference
    encoding: Encoding = Encoding()  # noqa: RUF009  # it cannot be changed
    dtype: np.dtype[Any] = np.dtype(np.float32)  # noqa: RUF009  # as above
    descriptions: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """What stands in the file under the name of this package."""
    nodata: float | None = None
    is_sparse: bool = False
    """Whether pixels, and whole blocks, may be left out; they are nodata then."""
    colours: Sequence[RGB] = ()
    """Of each class, from 0 on."""
    categories: Sequence[str] = ()
    """Names of the classes, from 0 on."""

    @property
    def block(self) -> tuple[int, int]:
        """Height and width of its blocks in pixels."""
        return self.encoding.block(block_shape(self.size))


def create(path: Path, output: Output) -> Any:
    """Create a tiled GeoTIFF; returns the dataset, open for writing."""
    height, width = output.size
    place = output.georeference
    threads = cores() // CORES_PER_COMPRESSOR
    options = output.encoding.as_geotiff(output.dtype)
    with warnings.catch_warnings(), refusing_odd_options():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=output.count,
            dtype=output.dtype,
            nodata=output.nodata,
            crs=place.crs,
            transform=place.transform,
            tiled=True,
            blockysize=output.block[0],
            blockxsize=output.block[1],
            sparse_ok=output.is_sparse,
            **(({"num_threads": threads} if threads > 1 else {}) | options),
        )
    if place.gcps:
        dataset.gcps = (place.gcps, place.crs or CRS())
    if place.rpcs:
        dataset.rpcs = place.rpcs
    if place.is_point and not place.gcps:  # GDAL would move these by a pixel
        dataset.update_tags(AREA_OR_POINT="Point")
    dataset.update_tags(ns=NAMESPACE, **output.tags)
    if output.colours:
        dataset.write_colormap(1, dict(enumerate(output.colours)))
    for band, description in enumerate(output.descriptions, start=1):
        dataset.set_band_description(band, description)
    return dataset


def send_to_disk(path: Path) -> None:
    """Ask the system to begin writing what it holds of a file, and to forget what is written."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def check_complete(path: Path, written: int | None = None) -> None:
    """Make sure that all blocks of a closed file are on the disk: closing may fail in silence.

    Parameters
    ----------
    path : Path
        The file.
    written : int, optional
        Blocks that were written; all that it can have where None.

    Raises
    ------
    OSError
        Where some are not.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    length, (offsets, sizes) = path.stat().st_size, find_blocks(path)
    there = (offsets != 0) & (sizes != 0) & (offsets + sizes <= length)
    written = len(there) if written is None else written
    if missing := written - np.count_nonzero(there):
        raise OSError(f"{missing} of {written} blocks did not reach the disk")
