"""Rasters out: windows into a GeoTIFF that is published once it is complete."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .errors import RasterError
from .gathering import Block, Gathering
from .geotiff import Output, check_complete, create, send_to_disk
from .publishing import Publication
from .raster import reporting

SEND = 64_000_000
"""Bytes after which the system is asked to begin writing: else all of it waits for the end."""

SCARCE = 100_000_000
"""Bytes free on a disk below which a failure to write mentions them."""


class RasterWriter:
    """Writes windows into a tiled GeoTIFF that appears under its name once complete.

    Windows may come in any shape and order, each pixel once, or if sparse at most once. They are
    gathered into the blocks of the file, so that each block is compressed and written once, whole.

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
        Open blocks in memory at most; others wait on the disk.

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
        self._publication = Publication(path, overwrite)
        self._partial = self._publication.partial()
        empty = output.nodata if output.is_sparse else None
        self._gathering = Gathering(
            output.size, output.block, output.count, np.float32, path.parent, held, empty
        )
        self._dataset: Any = None
        self._unsent = 0
        self._written = 0

    def write(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Write a window, shape ``(height, width, bands)``."""
        for block in self._gathering.add(rows, cols, window):
            self._flush(block)

    def __enter__(self) -> Self:
        try:
            with reporting(f"cannot create {self._path}"):
                self._dataset = create(self._partial, self._output)
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
        self._gathering.close()
        self._publication.discard()

    def _writing(self) -> AbstractContextManager[None]:
        return reporting(f"cannot write {self._path}", self._scarce_space)

    def _scarce_space(self) -> str:
        free = shutil.disk_usage(self._path.parent).free
        return f" ({free / 1e6:.1f} MB are free there)" if free < SCARCE else ""

    def _flush(self, block: Block) -> None:
        with self._writing():
            self._dataset.write(block.pixels, window=tuple(map(_bounds, block.window)))
            self._written += self._output.count if not self._output.is_sparse else _filled(block)
            self._unsent += block.pixels.nbytes
            if self._unsent >= SEND:
                self._unsent = 0
                send_to_disk(self._partial)

    def _finish(self) -> None:
        if self._output.is_sparse:
            for block in self._gathering.rest():
                self._flush(block)
        if still_open := self._gathering.open_blocks:
            raise RasterError(f"{self._path} is not complete: {still_open} blocks are open")
        with self._writing():
            self._dataset.close()
            check_complete(self._partial, self._written)
            self._publication.publish(self._partial)


def _bounds(along: slice) -> tuple[int, int]:
    return along.start, along.stop


def _filled(block: Block) -> int:
    """Bands of a block that have a value: GDAL leaves out the others where a file is sparse."""
    return sum(not np.isnan(band).all() for band in block.pixels)
