"""Rasters out: complete under their own name, or not there at all."""

from __future__ import annotations

import os
import secrets
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from .blocks import block_shape
from .compression import COMPRESSION
from .errors import OptionError, RasterError
from .process import cores
from .provenance import NAMESPACE
from .raster import Georeference, reporting
from .spill import Spill
from .tiff import find_blocks

CORES_PER_COMPRESSOR = 4
"""One thread compresses what so many processors compute: the writer's own where one will do."""

SEND = 64_000_000
"""Bytes after which the system is asked to begin writing: else all of it waits for the end."""

SCARCE = 100_000_000
"""Bytes free on a disk below which a failure to write mentions them."""

Place = tuple[int, int]
"""Row and column of a block in the file."""

SIDECARS = (".aux.xml", ".ovr", ".msk")
"""Endings of files beside a raster that describe it, and would belie the one that replaces it."""


@dataclass(frozen=True)
class Output:
    """What a raster to be written looks like."""

    size: tuple[int, int]
    count: int
    georeference: Georeference
    compress: str = "zstd"
    descriptions: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """What stands in the file under the name of this package."""
    nodata: float | None = None
    is_sparse: bool = False
    """Whether pixels, and whole blocks, may be left out; they are nodata then."""


def check_destination(path: Any, inputs: Sequence[Any], overwrite: bool) -> Path:
    """Return where a new raster goes, or say why it cannot go there.

    Raises
    ------
    OptionError
        Where ``path`` is one of ``inputs``, a folder, in a missing folder, or exists and may
        not be overwritten.
    """
    destination = Path(os.path.realpath(path))
    taken = [destination, *(_beside(destination, ending) for ending in SIDECARS)]
    if any(_is_same(source, name) for source in inputs for name in taken):
        raise OptionError(f"output {path} is one of the inputs: give it another name")
    if destination.is_dir():
        raise OptionError(f"output {path} is a folder: name a file in it")
    if not destination.parent.is_dir():
        raise OptionError(f"output {path}: there is no folder {destination.parent}")
    if destination.exists() and not destination.is_file():
        raise OptionError(f"output {path} exists and is not a regular file")
    if destination.exists() and not overwrite:
        raise OptionError(f"output {path} exists already: --overwrite replaces it")
    if not os.access(destination.parent, os.W_OK):
        raise OptionError(f"output {path}: no permission to write in {destination.parent}")
    return destination


def _is_same(source: Any, destination: Path) -> bool:
    try:
        return destination.samefile(source)
    except (OSError, TypeError, ValueError):  # one of them is not there, or no file at all
        return False


class RasterWriter:
    """Writes float32 windows into a tiled GeoTIFF that appears under its name once complete.

    Windows may come in any shape and order, each pixel once, or if sparse at most once. They are
    gathered into the blocks of the file, so that each block is compressed and written once, whole.
    Where more blocks are open than may be held, those that have waited longest do so on the disk.

    Use it as a context manager: leaving the block without an error puts the raster in its
    place, leaving it with one removes what there is.

    Parameters
    ----------
    path : Path
        From ``check_destination``.
    output : Output
        What it will look like.
    overwrite : bool
        Replace what is there by then under that name.
    held : int, optional
        Open blocks in memory at most.

    Raises
    ------
    RasterError
        Where it cannot be created or written.
    """

    def __init__(
        self, path: Path, output: Output, overwrite: bool = False, held: int | None = None
    ) -> None:
        self._path = path
        self._output = output
        self._overwrite = overwrite
        self._held = held
        stem = path.name.encode()[:100].decode(errors="ignore")  # file systems count bytes
        self._partial = path.with_name(f".{stem}.{secrets.token_hex(4)}.partial")
        self._block = block_shape(output.size)
        self._blocks: dict[Place, _Block] = {}
        self._missing_aside: dict[Place, int] = {}
        self._aside: Spill[Place] = Spill(path.parent)
        self._dataset: Any = None
        self._unsent = 0
        self._written = 0

    def write(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Write a window, shape ``(height, width, bands)``."""
        height, width = self._block
        for i in range(rows.start // height, -(-rows.stop // height)):
            for j in range(cols.start // width, -(-cols.stop // width)):
                block = self._open_block((i, j))
                block.fill(rows, cols, window)
                if not block.missing:
                    self._flush(block)
                else:
                    self._keep((i, j), block)

    def __enter__(self) -> Self:
        try:
            with reporting(f"cannot create {self._path}"):
                self._dataset = _create(self._partial, self._block, self._output)
        except BaseException:  # Ctrl-C may come when the file is there and nobody knows of it
            self._discard()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._discard()

    def _discard(self) -> None:
        """Leave nothing but what has been put in its place."""
        if self._dataset is not None:
            with suppress(Exception):  # what matters has been raised; this only tidies up
                self._dataset.close()
        self._aside.__exit__(None, None, None)
        for name in (self._partial, _beside(self._partial, ".aux.xml")):
            name.unlink(missing_ok=True)

    def _writing(self) -> AbstractContextManager[None]:
        return reporting(f"cannot write {self._path}", self._scarce_space)

    def _scarce_space(self) -> str:
        free = shutil.disk_usage(self._path.parent).free
        return f" ({free / 1e6:.1f} MB are free there)" if free < SCARCE else ""

    def _open_block(self, place: Place) -> _Block:
        """The block at a place, which is then held by the caller alone."""
        (height, width), (i, j) = self._block, place
        bottom = min((i + 1) * height, self._output.size[0])
        right = min((j + 1) * width, self._output.size[1])
        if place in self._blocks:
            return self._blocks.pop(place)
        if place in self._aside:
            pixels = self._aside.pop(place)
        else:
            pixels = np.empty((self._output.count, height, width), np.float32)
            if self._output.is_sparse:
                pixels.fill(np.float32(self._output.nodata))
        block = _Block(i * height, j * width, pixels, (bottom - i * height, right - j * width))
        block.missing = self._missing_aside.pop(place, block.missing)
        return block

    def _keep(self, place: Place, block: _Block) -> None:
        """Keep an open block, if need be at the cost of the one that has waited longest."""
        self._blocks[place] = block
        if self._held is not None and len(self._blocks) > self._held:
            longest = next(iter(self._blocks))
            waiting = self._blocks.pop(longest)
            self._aside[longest] = waiting.whole
            self._missing_aside[longest] = waiting.missing

    def _flush(self, block: _Block) -> None:
        _, height, width = block.pixels.shape
        with self._writing():
            self._dataset.write(block.pixels, window=Window(block.left, block.top, width, height))
            self._written += self._output.count if not self._output.is_sparse else _filled(block)
            self._unsent += block.pixels.nbytes
            if self._unsent >= SEND:
                self._unsent = 0
                _send_to_disk(self._partial)

    def _finish(self) -> None:
        if self._output.is_sparse:
            for place in [*self._blocks, *self._missing_aside]:
                self._flush(self._open_block(place))
        if still_open := len(self._blocks) + len(self._aside):
            raise RasterError(f"{self._path} is not complete: {still_open} blocks are open")
        with self._writing():
            self._dataset.close()
            _check_complete(self._partial, self._written)
            if self._overwrite:
                for ending in SIDECARS:
                    with suppress(OSError):  # not there, or with a name too long to be there
                        _beside(self._path, ending).unlink()
            rename(self._partial, self._path, self._overwrite)
            # GDAL puts beside a GeoTIFF what that cannot hold, some kinds of CRS for one.
            sidecar = _beside(self._partial, ".aux.xml")
            if sidecar.exists():
                sidecar.replace(_beside(self._path, ".aux.xml"))


class _Block:
    """A block of the output while its windows come in."""

    def __init__(
        self, top: int, left: int, whole: npt.NDArray[np.float32], shape: tuple[int, int]
    ) -> None:
        self.top = top
        self.left = left
        self.whole = whole
        """All of its pixels; those that stick out of the raster are not written."""
        self.pixels = whole[:, : shape[0], : shape[1]]
        self.missing = shape[0] * shape[1]

    def fill(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Take from a window what falls into this block."""
        _, height, width = self.pixels.shape
        top, bottom = max(rows.start, self.top), min(rows.stop, self.top + height)
        left, right = max(cols.start, self.left), min(cols.stop, self.left + width)
        part = window[
            top - rows.start : bottom - rows.start, left - cols.start : right - cols.start
        ]
        to = self.pixels[
            :, top - self.top : bottom - self.top, left - self.left : right - self.left
        ]
        to[:] = part.transpose(2, 0, 1)
        self.missing -= part.shape[0] * part.shape[1]


def _filled(block: _Block) -> int:
    """Bands of a block that have a value: GDAL leaves out the others where a file is sparse."""
    return sum(not np.isnan(band).all() for band in block.pixels)


def _create(path: Path, block: Sequence[int], output: Output) -> Any:
    height, width = output.size
    place = output.georeference
    threads = cores() // CORES_PER_COMPRESSOR
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=output.count,
            dtype="float32",
            nodata=output.nodata,
            crs=place.crs,
            transform=place.transform,
            tiled=True,
            blockysize=block[0],
            blockxsize=block[1],
            interleave="band",
            bigtiff="IF_SAFER",
            sparse_ok=output.is_sparse,
            **({"num_threads": threads} if threads > 1 else {}),
            **COMPRESSION[output.compress],
        )
    if place.gcps:
        dataset.gcps = (place.gcps, place.crs or CRS())
    if place.rpcs:
        dataset.rpcs = place.rpcs
    if place.is_point:
        dataset.update_tags(AREA_OR_POINT="Point")
    dataset.update_tags(ns=NAMESPACE, **output.tags)
    for band, description in enumerate(output.descriptions, start=1):
        dataset.set_band_description(band, description)
    return dataset


def _send_to_disk(path: Path) -> None:
    """Ask the system to begin writing what it holds of a file, and to forget what is written."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def rename(partial: Path, path: Path, overwrite: bool) -> None:
    """Give a complete file its name; ``OSError`` where that is taken and may not be."""
    if overwrite:
        partial.replace(path)
        return
    try:
        os.link(partial, path)  # it fails where the name has been taken meanwhile
    except FileExistsError:
        raise OSError("something else has taken that name meanwhile") from None
    except OSError:  # a file system without links
        if path.exists():
            raise OSError("something else has taken that name meanwhile") from None
        partial.rename(path)
    else:
        partial.unlink()


def _check_complete(path: Path, written: int) -> None:
    """Make sure that all blocks of a closed file are on the disk: closing may fail in silence."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    length, (offsets, sizes) = path.stat().st_size, find_blocks(path)
    there = (offsets != 0) & (sizes != 0) & (offsets + sizes <= length)
    if missing := written - np.count_nonzero(there):
        raise OSError(f"{missing} of {written} blocks did not reach the disk")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
