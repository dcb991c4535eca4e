"""GeoTIFFs: how one looks that is to be written, created, copied to a COG and seen to be whole."""

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
    refusing_odd_options,
)
from .georeference import Georeference
from .legend import RGB

CORES_PER_COMPRESSOR = 4
"""One thread compresses what so many processors compute: the writer's own where one will do."""

COG_CACHE = 64_000_000
"""Bytes of GDAL's block cache while overviews are made: with 8 MB it takes twice as long."""

MOST_THREADS = 8
"""More of them would wait for the one that reads."""

TRIAL_SIDE = 2048
"""Height and width of a raster on which creation options are tried."""

BYTE_ORDERS = {b"II": "<", b"MM": ">"}

INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Types of values by their numbers in a directory."""

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325

STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279


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
    colors: Sequence[RGB] = ()
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
    with ignoring_missing_georeference(), refusing_odd_options():
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
    if output.colors:
        dataset.write_colormap(1, dict(enumerate(output.colors)))
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


def copy_to_cog(source: Path, target: Path, output: Output) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL's driver only copies."""
    own = {"sparse_ok": output.is_sparse, "num_threads": min(cores(), MOST_THREADS)}
    options = own | output.encoding.as_cog(output.dtype)
    with ignoring_missing_georeference(), block_cache(COG_CACHE):
        rasterio.shutil.copy(source, target, driver="COG", **options)
        with rasterio.open(target) as copy:
            there = (copy.shape, copy.count, copy.tags(ns=NAMESPACE))
    if there != (output.size, output.count, dict(output.tags)):
        raise OSError("its copy with overviews is not what it was")
    if not output.is_sparse:
        check_complete(target)


def try_cog_options(output: Output) -> None:
    """Make an empty one: an option that is no good must not be found at the end of a run."""
    options = output.encoding.as_cog(output.dtype)
    height, width = (min(length, TRIAL_SIDE) for length in output.size)
    empty = {"width": width, "height": height, "count": 1, "dtype": output.dtype}
    with (
        ignoring_missing_georeference(),
        refusing_odd_options(),
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
    """All blocks of all bands, in the file's order of them."""

    offsets: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint64]
    """Bytes; 0 where a block is not in the file."""


def find_blocks(path: Path) -> Blocks:
    """Read where the blocks of a TIFF lie.

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
    raise OSError(f"{path} does not say where its blocks are")


def _directory(file: BinaryIO) -> dict[int, npt.NDArray[np.uint64]]:
    """The whole numbers in the first directory, by tag."""
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
        if kind in INTEGERS:
            dtype = np.dtype(order + INTEGERS[kind])
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
