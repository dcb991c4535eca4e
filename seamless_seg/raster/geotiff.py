"""GeoTIFFs: they are created, checked to be complete, and copied to Cloud Optimized GeoTIFFs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from ..errors import OptionError
from ..system import cores
from .blocks import block_shape
from .creation_options import Encoding
from .gdal import (
    NAMESPACE,
    block_cache,
    ignoring_missing_georeference,
)
from .georeference import Georeference
from .left_out import check_left_out
from .legend import CLASS_NAMES, RGB, without_controls
from .option_log import rejecting_unknown_options
from .tiff_directory import find_blocks

CORES_PER_COMPRESSOR = 4
"""Processors whose logits one thread can compress; the writer's own thread is enough for those."""

COG_CACHE_BYTES = 64_000_000
"""Bytes of GDAL's block cache while overviews are made: with 8 MB it takes twice as long."""

MAX_COG_THREADS = 8
"""Threads that make a COG at most: more would wait for the one that reads."""

COG_BLOCK = 512
"""Height and width in pixels of a COG's blocks, as GDAL's driver has them by default."""

MAX_TEST_SIDE = 2048
"""Height and width in pixels, at most, of a raster with which creation options are tested."""


@dataclass(frozen=True)
class Output:
    """Size, type, georeference and metadata of a raster to be written."""

    size: tuple[int, int]
    """Height and width in pixels."""
    count: int
    """Number of bands."""
    georeference: Georeference
    encoding: Encoding = Encoding()  # noqa: RUF009  # it cannot be changed
    dtype: np.dtype[Any] = np.dtype(np.float32)  # noqa: RUF009  # as above
    descriptions: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags in the metadata domain of this package."""
    nodata: float | None = None
    is_sparse: bool = False
    """Whether pixels, and whole blocks, may be left out; they are nodata then."""
    colors: Mapping[int, RGB] = field(default_factory=dict)
    """Colors of the classes by their numbers."""
    categories: Sequence[str] = ()
    """Names of the classes, from 0 on."""

    @property
    def all_tags(self) -> dict[str, str]:
        """``tags``, and the names of the classes: GDAL itself writes these beside the file only."""
        names = (
            {CLASS_NAMES: json.dumps(without_controls(self.categories))} if self.categories else {}
        )
        return {**self.tags, **names}

    @property
    def block(self) -> tuple[int, int]:
        """Height and width of its blocks in pixels."""
        return self.encoding.block(block_shape(self.size))


def create(path: Path, output: Output) -> Any:
    """Create a tiled GeoTIFF; return the dataset, open for writing."""
    height, width = output.size
    georeference = output.georeference
    threads = cores() // CORES_PER_COMPRESSOR
    options = output.encoding.as_geotiff(output.dtype)
    with ignoring_missing_georeference(), rejecting_unknown_options():
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=output.count,
            dtype=output.dtype,
            nodata=output.nodata,
            crs=georeference.crs,
            transform=georeference.transform,
            tiled=True,
            blockysize=output.block[0],
            blockxsize=output.block[1],
            sparse_ok=output.is_sparse,
            **(({"num_threads": threads} if threads > 1 else {}) | options),
        )
    _describe(dataset, output)
    return dataset


def _describe(dataset: Any, output: Output) -> None:
    """Write what rasterio does not take when a dataset is created."""
    georeference = output.georeference
    if georeference.gcps:
        dataset.gcps = (georeference.gcps, georeference.crs or CRS())
    if georeference.rpcs:
        dataset.rpcs = georeference.rpcs
    if georeference.is_point and not georeference.gcps:  # GDAL would move these by a pixel
        dataset.update_tags(AREA_OR_POINT="Point")
    dataset.update_tags(ns=NAMESPACE, **output.all_tags)
    if output.colors:
        dataset.write_colormap(1, dict(output.colors))
    for band, description in enumerate(output.descriptions, start=1):
        dataset.set_band_description(band, description)


def send_to_disk(path: Path) -> None:
    """Ask the system to write the cached pages of a file, and to drop those that are written."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def check_complete(path: Path, output: Output, written: int | None = None) -> None:
    """Check that all blocks of a closed file are in it: GDAL may fail to write them silently.

    Parameters
    ----------
    path : Path
        The file.
    output : Output
        What it holds. A sparse file may lack blocks.
    written : int, optional
        Number of blocks that were written, overviews apart; a file that is not sparse has all.

    Raises
    ------
    OSError
        Where some are missing, or lie behind the end of the file.
    """
    length = path.stat().st_size
    for level, blocks in enumerate(find_blocks(path)):
        has_place = (blocks.offsets != 0) & (blocks.sizes != 0)
        is_stored = has_place & (blocks.offsets + blocks.sizes <= length)
        expected = len(is_stored)
        if output.is_sparse:
            is_left_out = (blocks.offsets == 0) & (blocks.sizes == 0)
            expected -= int(np.count_nonzero(is_left_out))
            if written is not None and not level:
                expected = max(expected, written)
        if missing := expected - np.count_nonzero(is_stored):
            raise OSError(f"{missing} of {expected} blocks did not reach the disk")


def cog_block(output: Output) -> int:
    """Return the height and width of a COG's blocks in pixels: its creation option or GDAL's."""
    given = output.encoding.creation_options.get("BLOCKSIZE", "")
    return int(given) if given.isdecimal() else COG_BLOCK


def copy_to_cog(
    source: Path,
    target: Path,
    output: Output,
    cache: int = COG_CACHE_BYTES,
    most_threads: int = MAX_COG_THREADS,
) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL cannot write one directly.

    Parameters
    ----------
    source, target : Path
        The raster, and the new file.
    output : Output
        Size, encoding and metadata of the raster.
    cache : int
        Bytes of GDAL's block cache. The copy does not depend on it.
    most_threads : int
        Threads that compress, at most.

    Raises
    ------
    OSError
        Where the copy is incomplete.
    """
    own = {"sparse_ok": output.is_sparse, "num_threads": min(cores(), most_threads)}
    options = own | output.encoding.as_cog(output.dtype)
    with ignoring_missing_georeference(), block_cache(cache):
        rasterio.shutil.copy(source, target, driver="COG", **options)
        with rasterio.open(target) as copy:
            found = (copy.shape, copy.count, copy.tags(ns=NAMESPACE))
    if found != (output.size, output.count, output.all_tags):
        raise OSError("its copy with overviews differs from it in size, bands or tags")
    check_complete(target, output)
    if output.is_sparse:
        check_left_out(source, target)


def check_cog_options(output: Output) -> None:
    """Make an empty COG: wrong creation options must be found before a run and not at its end.

    Raises
    ------
    OptionError
        Where GDAL cannot make it.
    """
    options = output.encoding.as_cog(output.dtype)
    height, width = (min(length, MAX_TEST_SIDE) for length in output.size)
    empty = {"width": width, "height": height, "count": 1, "dtype": output.dtype}
    with (
        ignoring_missing_georeference(),
        rejecting_unknown_options(),
        MemoryFile() as source,
        MemoryFile() as target,
    ):
        source.open(driver="GTiff", tiled=True, sparse_ok=True, **empty).close()
        try:
            rasterio.shutil.copy(source.name, target.name, driver="COG", **options)
        except Exception as error:  # rasterio lets errors of GDAL's through as they are
            reason = re.sub(r"/vsimem/\S+: *", "", str(error))
            raise OptionError(f"these creation options make no COG: {reason}") from error
