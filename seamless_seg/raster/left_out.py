"""Check the blocks that a sparse Cloud Optimized GeoTIFF leaves out: they must hold no data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from ..arrays import Array
from ..windows import Window
from .tiff_directory import Blocks, find_blocks


def check_left_out(source: Path, target: Path) -> None:
    """Check that the blocks which a copy leaves out are empty in the raster that was copied.

    A failed write may leave a block out, too. An overview is compared with the next finer level:
    a block may be left out only where that has pixels of nodata, as its method may take these.

    Parameters
    ----------
    source, target : Path
        The raster, and its copy with overviews.

    Raises
    ------
    OSError
        Where a block is missing.
    """
    levels = find_blocks(target)
    for level, blocks in enumerate(levels):
        with rasterio.open(target, **_overview(level - 1)) as copy:
            windows = list(_windows_left_out(copy, blocks))
            size = copy.shape
        if not windows:
            continue
        finer: dict[str, Any] = {} if level < 2 else _overview(level - 2)
        with rasterio.open(target if level else source, **finer) as dataset:
            for window in windows:
                is_nodata = _is_nodata(dataset, window, size)
                if not (is_nodata.any() if level else is_nodata.all()):
                    raise OSError("blocks of its copy with overviews did not reach the disk")


def _overview(level: int) -> dict[str, Any]:
    return {} if level < 0 else {"overview_level": level}


def _windows_left_out(dataset: Any, blocks: Blocks) -> Iterator[Window]:
    """Yield the windows that have no block in a file."""
    (height, width), (rows, cols) = dataset.shape, dataset.block_shapes[0]
    across = -(-width // cols)
    count = across * -(-height // rows)  # in each band, where bands are stored one by one
    missing = np.flatnonzero((blocks.offsets == 0) & (blocks.sizes == 0)) % count
    for number in np.unique(missing).tolist():
        row, col = divmod(number, across)
        yield Window(
            slice(row * rows, min((row + 1) * rows, height)),
            slice(col * cols, min((col + 1) * cols, width)),
        )


def _is_nodata(dataset: Any, window: Window, size: tuple[int, int]) -> Array:
    """Find the pixels of nodata in a window on the grid of another size."""
    scaled = tuple(
        (own.start * finer // coarse, -(-own.stop * finer // coarse))
        for own, finer, coarse in zip(window, dataset.shape, size, strict=True)
    )
    pixels = dataset.read(window=scaled)
    found: Array = np.isnan(pixels) if pixels.dtype.kind == "f" else pixels == dataset.nodata
    return found
