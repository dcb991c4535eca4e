"""Finishing: what becomes of a complete raster before it is published."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning

from .geotiff import Output, check_complete
from .output import Step


def steps_of(output: Output, cleanup: Mapping[str, Any]) -> list[Step]:
    """What is done to a raster, one after the other.

    Parameters
    ----------
    output : Output
        What it looks like.
    cleanup : mapping
        Of classes: ``smooth`` and ``smooth_by``, ``sieve``.
    """
    steps: list[Step] = []
    if output.encoding.cog:
        steps.append(lambda source, target: _to_cog(source, target, output))
    return steps


def _to_cog(source: Path, target: Path, output: Output) -> None:
    """Copy a raster into a Cloud Optimized GeoTIFF with overviews: GDAL's driver only copies."""
    options = output.encoding.as_cog(output.dtype)
    if output.is_sparse:
        options["sparse_ok"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(source, target, driver="COG", **options)
    if not output.is_sparse:
        check_complete(target)
