"""Storage: the blocks that are decoded when windows of a dataset are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from .blocks import BlockLayout
from .gdal import ignoring_missing_georeference
from .resample import resolution_of


def layout_of(file: Any, dataset: Any, bands: Sequence[int]) -> BlockLayout:
    """How the pixels of some bands of a dataset are stored.

    ``dataset`` is ``file`` itself, or the same resampled. Of a resampled one, its blocks and those
    of the file that they are made of are needed at once.
    """
    own = _layout_of_file(file, bands)
    if dataset is file:
        return own
    steps = [
        new / old for new, old in zip(resolution_of(dataset), resolution_of(file), strict=True)
    ]
    height, width = dataset.block_shapes[0]
    bytes_here = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    return BlockLayout(
        height=max(height, math.ceil(own.height / steps[0])),
        width=min(dataset.width, max(width, math.ceil(own.width / steps[1]))),
        pixel_bytes=bytes_here
        + math.ceil(_layout(file, file.indexes).pixel_bytes * math.prod(steps)),
    )


def _layout_of_file(file: Any, bands: Sequence[int]) -> BlockLayout:
    """Of a mosaic in a VRT, the layout of its first file: it has no blocks of its own."""
    layout = _layout(file, bands)
    sources = [name for name in file.files if name != file.name] if file.driver == "VRT" else []
    if not sources:
        return layout
    try:
        with ignoring_missing_georeference(), rasterio.open(sources[0]) as source:
            found = _layout(source, [min(band, source.count) for band in bands])
    except RasterioError:  # it is told when its pixels are read
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
    """Bands, and the alpha band that says where they are valid."""
    found = [n for n, what in enumerate(dataset.colorinterp, 1) if what == ColorInterp.alpha]
    return sorted({*bands, *found[-1:]})


def _mask_bytes(dataset: Any) -> int:
    """Bytes of a pixel's mask, which is decoded beside its bands and as long needed."""
    flags = dataset.mask_flag_enums[0]
    has_own = MaskFlags.per_dataset in flags and MaskFlags.nodata not in flags
    return int(has_own and MaskFlags.alpha not in flags)
