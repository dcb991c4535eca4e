"""Names of classes that a raster carries: GDAL's category names, which rasterio does not read."""

from __future__ import annotations

import warnings
from typing import Any
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from .raster import reporting


def category_names(path: Any) -> list[str]:
    """Category names of a raster's first band, the index being the class; empty where it has none.

    A class without a name has an empty one.

    Raises
    ------
    RasterError
        Where the raster cannot be opened.
    """
    with reporting(f"cannot open {path}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # A VRT of a raster is a text about it, in which GDAL writes down also these.
        with rasterio.open(path) as dataset, MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(dataset, memory.name, driver="VRT")
            document = ElementTree.fromstring(memory.read().decode(errors="replace"))
    names = document.iterfind("VRTRasterBand[@band='1']/CategoryNames/Category")
    return [name.text or "" for name in names]
