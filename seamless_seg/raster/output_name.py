"""Names of outputs: GeoTIFF files in a local folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..errors import OptionError

SUFFIXES = (".tif", ".tiff")
"""Endings of the names of outputs, in small or capital letters."""


VECTORS = (".gpkg", ".geojson", ".json", ".shp", ".parquet", ".fgb")
"""Endings of the names of vector files."""


def check_is_local(path: Any) -> None:
    """Raise ``OptionError`` where an output's name is no path of a local file.

    Parameters
    ----------
    path : str or path-like
        The name, as the user gave it.
    """
    name = _name(path)
    if name == "-":
        raise OptionError(
            "output - would be standard output, to which no GeoTIFF can be written, as its parts "
            "are not written in order: name a local file, such as out.tif"
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://?", name) or name.startswith("/vsi"):
        raise OptionError(
            f"output {name} is not a local file: write to a local file, such as out.tif, and copy "
            f"it there when it is complete"
        )


def check_is_geotiff(path: Any) -> None:
    """Raise ``OptionError`` where an output's name does not end as that of a GeoTIFF.

    Parameters
    ----------
    path : str or path-like
        The name, as the user gave it.
    """
    name = _name(path)
    suffix = Path(name).suffix
    root = name.removesuffix(suffix)
    if suffix.lower() in SUFFIXES:
        return
    if not suffix:
        raise OptionError(f"output {name} has no ending: outputs are GeoTIFF; name it {name}.tif")
    if suffix.lower() in VECTORS:
        raise OptionError(
            f"output {name}: polygons are made from classes; write them to {root}.tif with "
            f'kind="classes", and convert it with polygonize'
        )
    raise OptionError(
        f"output {name}: outputs are GeoTIFF, whose names end in .tif or .tiff; write {root}.tif, "
        f"and convert it (gdal_translate {root}.tif {name}, or rio convert)"
    )


def _name(path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise OptionError(f"output must be the path of a file, not {path!r}") from None
