"""Finishing: what becomes of a complete raster before it is published."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from .geotiff import Output, check_complete, refusing_odd_options
from .output import Step


def steps_of(output: Output, cleanup: Mapping[str, Any]) -> list[Step]:
    """What is done to a raster, one after the other.

    Parameters
    ----------
    output : Output
        What it looks like.
    cleanup : mapping
        Of classes: ``smooth`` and ``smooth_by``, ``sieve``.

    Raises
    ------
    OptionError
        Where GDAL does not know a creation option.
    """
    steps: list[Step] = []
    if output.encoding.cog:
        _try_cog(output)
        steps.append(lambda source, target: _to_cog(source, target, output))
    return steps


def _to_cog(source: Path, target: Path, output: Output) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL's driver only copies."""
    options = output.encoding.as_cog(output.dtype) | {"sparse_ok": output.is_sparse}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(source, target, driver="COG", **options)
    if not output.is_sparse:
        check_complete(target)


def _try_cog(output: Output) -> None:
    """Make a file of one pixel: an option that is no good must not be found at the end of a run."""
    options = output.encoding.as_cog(output.dtype)
    pixel = {"width": 1, "height": 1, "count": output.count, "dtype": output.dtype}
    with warnings.catch_warnings(), refusing_odd_options():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile() as source, MemoryFile() as target:
            source.open(driver="GTiff", **pixel).close()
            rasterio.shutil.copy(source.name, target.name, driver="COG", **options)
