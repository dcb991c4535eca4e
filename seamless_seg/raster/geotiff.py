"""GeoTIFFs: they are created, checked to be complete, and copied to Cloud Optimized GeoTIFFs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
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
    rejecting_unknown_options,
)
from .georeference import Georeference
from .legend import RGB

CORES_PER_COMPRESSOR = 4
"""Processors whose logits one thread can compress; the writer's own thread is enough for those."""

COG_CACHE_BYTES = 64_000_000
"""Bytes of GDAL's block cache while overviews are made: with 8 MB it takes twice as long."""

MAX_COG_THREADS = 8
"""Threads that make a COG at most: more would wait for the one that reads."""

MAX_TEST_SIDE = 2048
"""Height and width in pixels, at most, of a raster with which creation options are tested."""

BYTE_ORDERS = {b"II": "<", b"MM": ">"}
"""Byte orders of numpy by the first bytes of a TIFF."""

TIFF_INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Types of numpy by the numbers of integer types in a TIFF's directory."""

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
"""Tags of a tiled TIFF."""

STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
"""Tags of a TIFF in strips."""


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
    dataset.update_tags(ns=NAMESPACE, **output.tags)
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


def check_complete(path: Path, written: int | None = None) -> None:
    """Check that all blocks of a closed file are on the disk: GDAL may fail to write them silently.

    Parameters
    ----------
    path : Path
        The file.
    written : int, optional
        Number of blocks that were written; by default all blocks of the file.

    Raises
    ------
    OSError
        Where some are missing.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    length, (offsets, sizes) = path.stat().st_size, find_blocks(path)
    is_stored = (offsets != 0) & (sizes != 0) & (offsets + sizes <= length)
    written = len(is_stored) if written is None else written
    if missing := written - np.count_nonzero(is_stored):
        raise OSError(f"{missing} of {written} blocks did not reach the disk")


def copy_to_cog(source: Path, target: Path, output: Output) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL cannot write one directly.

    Parameters
    ----------
    source, target : Path
        The raster, and the new file.
    output : Output
        Size, encoding and metadata of the raster.

    Raises
    ------
    OSError
        Where the copy is incomplete.
    """
    own = {"sparse_ok": output.is_sparse, "num_threads": min(cores(), MAX_COG_THREADS)}
    options = own | output.encoding.as_cog(output.dtype)
    with ignoring_missing_georeference(), block_cache(COG_CACHE_BYTES):
        rasterio.shutil.copy(source, target, driver="COG", **options)
        with rasterio.open(target) as copy:
            found = (copy.shape, copy.count, copy.tags(ns=NAMESPACE))
    if found != (output.size, output.count, dict(output.tags)):
        raise OSError("its copy with overviews differs from it in size, bands or tags")
    if not output.is_sparse:
        check_complete(target)


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


class Blocks(NamedTuple):
    """All blocks of all bands of a TIFF, in the order of its directory."""

    offsets: npt.NDArray[np.uint64]
    """Bytes from the start of the file."""
    sizes: npt.NDArray[np.uint64]
    """Bytes of the block; 0 where a block is not in the file."""


def find_blocks(path: Path) -> Blocks:
    """Read where the blocks of a TIFF lie in its file.

    Raises
    ------
    OSError
        Where the file is no TIFF, or ends before its directory does.
    """
    with path.open("rb") as file:
        found = _directory(file)
    for offsets, sizes in ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS)):
        if offsets in found and sizes in found:
            return Blocks(found[offsets], found[sizes])
    raise OSError(f"{path} has no offsets of its blocks")


def _directory(file: BinaryIO) -> dict[int, npt.NDArray[np.uint64]]:
    """The integers in the first directory, by tag."""
    order = BYTE_ORDERS.get(file.read(2))
    if order is None:
        raise OSError("not a TIFF")
    version = int(_read(file, order + "u2", 1)[0])
    if version not in (42, 43):
        raise OSError(f"a TIFF of version {version}")
    big = version == 43
    file.seek(8 if big else 4)
    size, count = (order + "u8", order + "u8") if big else (order + "u4", order + "u2")
    file.seek(int(_read(file, size, 1)[0]))
    entry = np.dtype([("tag", order + "u2"), ("kind", order + "u2"), ("n", size), ("value", size)])
    entries = _read(file, entry, int(_read(file, count, 1)[0]))
    start = file.tell() - entries.nbytes
    found = {}
    for at, (tag, kind, n, value) in enumerate(entries.tolist()):
        if kind in TIFF_INTEGERS:
            dtype = np.dtype(order + TIFF_INTEGERS[kind])
            inside = n * dtype.itemsize <= np.dtype(size).itemsize
            within = start + (at + 1) * entry.itemsize - np.dtype(size).itemsize
            file.seek(within if inside else value)
            found[tag] = _read(file, dtype, n).astype(np.uint64)
    return found


def _read(file: BinaryIO, dtype: Any, count: int) -> npt.NDArray[Any]:
    wanted = np.dtype(dtype).itemsize * count
    content = file.read(wanted)
    if len(content) < wanted:
        raise OSError("the file ends too early")
    return np.frombuffer(content, dtype, count)
