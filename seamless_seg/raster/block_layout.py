"""Block layouts of datasets: which blocks are decoded when windows are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags

from ..errors import RasterError
from .blocks import BlockLayout
from .gdal import ignoring_missing_georeference, reading_file
from .georeference import pixel_size


def layout_of(file: Any, dataset: Any, bands: Sequence[int]) -> BlockLayout:
    """Return how the pixels of some bands of a dataset are stored.

    Where the dataset is resampled, its blocks and the file's that they are made of count together:
    GDAL's cache needs both at once.

    Parameters
    ----------
    file : rasterio dataset
        The file.
    dataset : rasterio dataset
        The file itself, or a VRT that resamples it.
    bands : sequence of int
        Bands to read, from 1.
    """
    of_file = _layout_of_file(file, bands)
    if dataset is file:
        return of_file
    steps = [
        new / old
        for new, old in zip(pixel_size(dataset.transform), pixel_size(file.transform), strict=True)
    ]
    height, width = dataset.block_shapes[0]
    own_bytes = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    return BlockLayout(
        height=max(height, math.ceil(of_file.height / steps[0])),
        width=min(dataset.width, max(width, math.ceil(of_file.width / steps[1]))),
        pixel_bytes=own_bytes
        + math.ceil(_layout(file, file.indexes).pixel_bytes * math.prod(steps)),
    )


def _layout_of_file(file: Any, bands: Sequence[int]) -> BlockLayout:
    """The layout of a file; of a mosaic in a VRT, which has no blocks, that of its first file."""
    layout = _layout(file, bands)
    sources = [name for name in file.files if name != file.name] if file.driver == "VRT" else []
    if not sources:
        return layout
    try:
        with (
            reading_file(f"cannot open {sources[0]}"),
            ignoring_missing_georeference(),
            rasterio.open(sources[0]) as source,
        ):
            found = _layout(source, [min(band, source.count) for band in bands])
    except RasterError:  # the error is raised when its pixels are read
        return layout
    return BlockLayout(*(max(lengths) for lengths in zip(layout, found, strict=True)))


def _layout(dataset: Any, bands: Sequence[int]) -> BlockLayout:
    height, width = dataset.block_shapes[0]
    together = dataset.dtypes
    if dataset.interleaving and dataset.interleaving.value != "PIXEL":
        together = [dataset.dtypes[band - 1] for band in _with_alpha(dataset, bands)]
    pixel_bytes = sum(np.dtype(dtype).itemsize for dtype in together)
    return BlockLayout(height, width, pixel_bytes + _mask_bytes(dataset))


def _with_alpha(dataset: Any, bands: Sequence[int]) -> list[int]:
    """Bands, and the alpha band that makes them valid or not."""
    found = [n for n, what in enumerate(dataset.colorinterp, 1) if what == ColorInterp.alpha]
    return sorted({*bands, *found[-1:]})


def _mask_bytes(dataset: Any) -> int:
    """Bytes of a pixel's mask, which GDAL decodes and caches beside its bands."""
    flags = dataset.mask_flag_enums[0]
    has_own = MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags
    return int(has_own and MaskFlags.alpha not in flags)
