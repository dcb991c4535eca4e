"""Rasters out: windows into a GeoTIFF that is published once it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from ..atomic import Publication
from .block_buffer import Block, Gathering
from .creation_options import LARGEST_HALF
from .gdal import reporting
from .geotiff import Output, check_complete, create, send_to_disk
from .legend import write_categories

SEND = 64_000_000
"""Bytes after which the system is asked to begin writing: else all of it waits for the end."""

SCARCE = 100_000_000
"""Bytes free on a disk below which a failure to write mentions them."""

Step: TypeAlias = Callable[[Path, Path], None]
"""Makes of a complete raster, which is not published, another: from the one file to the other."""


class RasterFile:
    """Writes windows into the blocks of a new tiled GeoTIFF.

    Windows may come in any shape and order, each pixel once, or if sparse at most once. They are
    gathered into the blocks of the file, so that each block is compressed and written once, whole.

    Parameters
    ----------
    path : Path
        The file; nothing is there yet.
    output : Output
        What it will look like.
    held : int, optional
        Open blocks in memory at most; others wait on the disk.
    """

    def __init__(self, path: Path, output: Output, held: int | None = None) -> None:
        self._path = path
        self._output = output
        empty = output.nodata if output.is_sparse else None
        self._gathering = Gathering(
            output.size, output.block, output.count, output.dtype, path.parent, held, empty
        )
        self._dataset = create(path, output)
        self._together = self._dataset.interleaving.name == "pixel"
        self._unsent = 0
        self._written = 0

    def write(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Write a window, shape ``(height, width, bands)``."""
        for block in self._gathering.add(rows, cols, window):
            self._flush(block)

    def complete(self) -> None:
        """Write what is left and see that all of it is there.

        Raises
        ------
        OSError
            Where windows are missing, or not all of it has reached the disk.
        """
        if self._output.is_sparse:
            for block in self._gathering.rest():
                self._flush(block)
        if still_open := self._gathering.open_blocks:
            raise OSError(f"it is not complete: {still_open} blocks are open")
        self._dataset.close()
        check_complete(self._path, self._written)

    def close(self) -> None:
        """Let go of the file, whatever is in it."""
        with suppress(Exception):  # what matters has been raised; this only tidies up
            self._dataset.close()
        self._gathering.close()

    def _flush(self, block: Block) -> None:
        pixels = block.pixels
        if self._output.encoding.is_half and pixels.dtype.kind == "f":
            pixels = _as_half(pixels)
        self._dataset.write(pixels, window=tuple((own.start, own.stop) for own in block.window))
        self._written += self._filled(block)
        self._unsent += pixels.nbytes
        if self._unsent >= SEND:
            self._unsent = 0
            send_to_disk(self._path)

    def _filled(self, block: Block) -> int:
        """Blocks of the file that it becomes: GDAL leaves out empty ones where a file is sparse."""
        bands = len(block.pixels)
        if self._output.is_sparse:
            bands = sum(not self._is_empty(band) for band in block.pixels)
        return min(bands, 1) if self._together else bands

    def _is_empty(self, band: npt.NDArray[Any]) -> bool:
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
    steps : sequence of callable, optional
        What is done to the complete raster before it is published, one after the other.

    Raises
    ------
    RasterError
        Where it cannot be created or written.
    """

    def __init__(
        self,
        path: Path,
        output: Output,
        overwrite: bool = False,
        held: int | None = None,
        steps: Sequence[Step] = (),
    ) -> None:
        self._path = path
        self._output = output
        self._held = held
        self._steps = steps
        self._publication = Publication(path, overwrite)
        self._file: RasterFile | None = None
        self._current = self._publication.partial()
        self._is_complete = self._is_published = False

    def write(self, rows: slice, cols: slice, window: npt.NDArray[Any]) -> None:
        """Write a window, shape ``(height, width, bands)``."""
        assert self._file is not None, "it is used as a context manager"
        with self._writing():
            self._file.write(rows, cols, window)

    def complete(self) -> None:
        """Finish the raster and all steps; what is left to do is to give it its name."""
        assert self._file is not None, "it is used as a context manager"
        with self._writing():
            self._file.complete()
            for step in self._steps:
                following = self._publication.partial()
                step(self._current, following)
                self._publication.drop(self._current)
                self._current = following
            if self._output.categories:
                write_categories(self._current, self._output.categories)
        self._is_complete = True

    def publish(self) -> None:
        """Give the complete raster its name."""
        with self._writing():
            self._publication.publish(self._current)
        self._is_published = True

    def retract(self) -> None:
        """Take its name from it again, unless something has been replaced by it."""
        self._publication.retract()

    def __enter__(self) -> Self:
        try:
            with reporting(f"cannot create {self._path}"):
                self._file = RasterFile(self._current, self._output, self._held)
        except BaseException:  # Ctrl-C may come when the file is there and nobody knows of it
            self._publication.discard()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                if not self._is_complete:
                    self.complete()
                if not self._is_published:
                    self.publish()
        finally:
            if self._file is not None:
                self._file.close()
            self._publication.discard()

    def _writing(self) -> AbstractContextManager[None]:
        return reporting(f"cannot write {self._path}", self._scarce_space)

    def _scarce_space(self) -> str:
        free = shutil.disk_usage(self._path.parent).free
        return f" ({free / 1e6:.1f} MB are free there)" if free < SCARCE else ""


def _as_half(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The nearest values that 16 bits hold, the largest for all beyond."""
    kept = np.clip(pixels, -LARGEST_HALF, LARGEST_HALF)
    halves: npt.NDArray[np.float16] = kept.astype(np.float16)
    return halves.astype(np.float32)
