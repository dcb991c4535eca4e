"""Writing: windows into a GeoTIFF that appears under its name once it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Pixels, Values
from ..publishing.publication import Publication, publish
from .block_buffer import Block, BlockBuffer
from .creation_options import MAX_FLOAT16
from .gdal import reporting
from .geotiff import Output, check_complete, create, send_to_disk
from .legend import write_categories

WRITEBACK_BYTES = 64_000_000
"""Bytes after which the writer makes the system flush: else all of them would wait for the end."""

LOW_DISK_BYTES = 100_000_000
"""Bytes free on a disk below which the error of a failed write mentions them."""

Step: TypeAlias = Callable[[Path, Path], None]
"""Processes a complete raster that is not published: from the first file into the second."""


class RasterFile:
    """Writes windows into the blocks of a new tiled GeoTIFF.

    Windows may come in any shape and order, each pixel once, or if sparse at most once. They are
    collected in blocks of the file, so that each block is compressed and written once, whole.

    Parameters
    ----------
    path : Path
        The file, which does not exist.
    output : Output
        Size, encoding and metadata of the raster.
    held : int, optional
        Open blocks in memory at most; others are kept on the disk.
    """

    def __init__(self, path: Path, output: Output, held: int | None = None) -> None:
        self.path = path
        self._output = output
        empty = output.nodata if output.is_sparse else None
        self._buffer = BlockBuffer(
            output.size, output.block, output.count, output.dtype, path.parent, held, empty
        )
        self._dataset = create(path, output)
        self._is_interleaved = self._dataset.interleaving.name == "pixel"
        self._unsent = 0
        self._written = 0

    def write(self, rows: slice, cols: slice, window: Pixels) -> None:
        """Write a window.

        Parameters
        ----------
        rows, cols : slice
            The window.
        window : array, shape (height, width, bands)
            Its pixels.
        """
        for block in self._buffer.add(rows, cols, window):
            self._flush(block)

    def complete(self) -> None:
        """Write the remaining blocks, close the file and check that it is complete.

        Raises
        ------
        OSError
            Where windows are missing, or blocks have not reached the disk.
        """
        if self._output.is_sparse:
            for block in self._buffer.rest():
                self._flush(block)
        if still_open := self._buffer.open_blocks:
            raise OSError(f"it is not complete: {still_open} blocks are open")
        self._dataset.close()
        check_complete(self.path, self._output, self._written)

    def close(self) -> None:
        """Close the file, complete or not."""
        with suppress(Exception):  # errors of writing have been raised by then
            self._dataset.close()
        self._buffer.close()

    def _flush(self, block: Block) -> None:
        pixels = block.pixels
        if self._output.encoding.is_half and pixels.dtype.kind == "f":
            pixels = _as_float16(pixels)
        self._dataset.write(pixels, window=tuple((own.start, own.stop) for own in block.window))
        self._written += self._filled(block)
        self._unsent += pixels.nbytes
        if self._unsent >= WRITEBACK_BYTES:
            self._unsent = 0
            send_to_disk(self.path)

    def _filled(self, block: Block) -> int:
        """Number of the file's blocks that a block fills: GDAL omits empty ones in sparse files."""
        bands = len(block.pixels)
        if self._output.is_sparse:
            bands = sum(not self._is_empty(band) for band in block.pixels)
        return min(bands, 1) if self._is_interleaved else bands

    def _is_empty(self, band: Pixels) -> bool:
        is_nodata = np.isnan(band) if band.dtype.kind == "f" else band == self._output.nodata
        return bool(is_nodata.all())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self.complete()
        finally:
            self.close()


class RasterWriter:
    """Writes windows into a tiled GeoTIFF that appears under its name once complete.

    Use it as a context manager: leaving the block without an error publishes the raster, leaving
    it with one removes the partial file.

    Parameters
    ----------
    path : Path
        From ``check_destination``.
    output : Output
        Size, encoding and metadata of the raster.
    overwrite : bool
        Replace a file of that name.
    held : int, optional
        Open blocks in memory at most; others are kept on the disk.
    steps : sequence of callable, optional
        Processing of the complete raster before it is published, one after the other.
    stale : sequence of Path
        Files beside a raster of that name that are removed when it is replaced.

    Raises
    ------
    RasterError
        Where the file cannot be created or written.
    """

    def __init__(
        self,
        path: Path,
        output: Output,
        overwrite: bool = False,
        held: int | None = None,
        steps: Sequence[Step] = (),
        stale: Sequence[Path] = (),
    ) -> None:
        self._path = path
        self._output = output
        self._held = held
        self._steps = steps
        self.publication = Publication(
            path, overwrite, lambda own: check_complete(own, output), stale
        )
        self._file: RasterFile | None = None
        self._stack = ExitStack()
        self._is_complete = False

    def write(self, rows: slice, cols: slice, window: Pixels) -> None:
        """Write a window.

        Parameters
        ----------
        rows, cols : slice
            The window.
        window : array, shape (height, width, bands)
            Its pixels.
        """
        assert self._file is not None, "it is used as a context manager"
        with self._writing():
            self._file.write(rows, cols, window)

    def complete(self) -> None:
        """Finish the raster and all steps, so that it only remains to publish it."""
        assert self._file is not None, "it is used as a context manager"
        with self._writing():
            self._file.complete()
            current = self._file.path
            for step in self._steps:
                following = self.publication.partial()
                step(current, following)
                current.unlink()
                current = following
            if self._output.categories:
                write_categories(current, self._output.categories)
            self.publication.complete(current)
        self._is_complete = True

    def __enter__(self) -> Self:
        with ExitStack() as stack, reporting(f"cannot create {self._path}"):
            stack.enter_context(self.publication)
            self._file = RasterFile(self.publication.partial(), self._output, self._held)
            stack.callback(self._file.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._stack:
            if error is None and not self._is_complete:
                self.complete()
                with self._writing():
                    publish([self.publication])

    def _writing(self) -> AbstractContextManager[None]:
        return reporting(f"cannot write {self._path}", self._scarce_space)

    def _scarce_space(self) -> str:
        free = shutil.disk_usage(self._path.parent).free
        return f" ({free / 1e6:.1f} MB are free there)" if free < LOW_DISK_BYTES else ""


def _as_float16(pixels: Array) -> Values:
    """Round to values of 16 bits; values beyond become the largest ones."""
    clipped = np.clip(pixels, -MAX_FLOAT16, MAX_FLOAT16)
    halves: npt.NDArray[np.float16] = clipped.astype(np.float16)
    return halves.astype(np.float32)
