"""Overviews: coarser copies of a raster in its own file, or beside it."""

from __future__ import annotations

from typing import Any

import rasterio

from .errors import OptionError


def overview(dataset: Any, path: Any, level: int) -> Any:
    """An open dataset's overview of that level, from 1, in its stead; 0 is the dataset itself.

    Raises
    ------
    OptionError
        Where there is no such overview, with those that there are.
    """
    if level == 0:
        return dataset
    factors = dataset.overviews(1)
    dataset.close()
    if not factors:
        raise OptionError(f"level {level}: {path} has no overviews: gdaladdo makes them")
    if level > len(factors):
        listed = ", ".join(f"1/{factor}" for factor in factors)
        there = "overview 1" if len(factors) == 1 else f"overviews 1 to {len(factors)}"
        raise OptionError(f"level {level}: {path} has {there} ({listed})")
    return rasterio.open(path, overview_level=level - 1)
