"""Legend: names and colors of the classes of a raster."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from rasterio.io import MemoryFile

from ..publishing.destination import AUX, beside
from .gdal import NAMESPACE, ignoring_missing_georeference, reading_file

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""

DATASET, BAND = "PAMDataset", "PAMRasterBand"
"""XML elements of a raster and of a band in the ``.aux.xml`` file that GDAL puts beside it."""

CLASS_NAMES = "class_names"
"""Name of the tag that holds the names of the classes, a list in JSON."""

RGB = tuple[int, int, int]

# Gray, then Okabe and Ito (https://jfly.uni-koeln.de/color/), then Tol's muted scheme
# (https://personal.sron.nl/~pault/).
PALETTE = (
    "BBBBBB",
    "E69F00",
    "56B4E9",
    "009E73",
    "F0E442",
    "0072B2",
    "D55E00",
    "CC79A7",
    "000000",
    "882255",
    "332288",
    "117733",
    "DDCC77",
    "CC6677",
    "44AA99",
    "AA4499",
    "999933",
    "88CCEE",
)
"""Colors ``RRGGBB`` of classes; further classes have darker shades of them."""

SHADES = (1.0, 0.7, 0.45, 0.85, 0.55)
"""Brightness of the palette for its first round of classes, and for later ones."""


def category_names(path: Any) -> list[str]:
    """Read the category names of a raster's first band: the index in the list is the class.

    A class without a name has an empty one; the list is empty where the band has no names.

    Raises
    ------
    RasterError
        Where the raster cannot be opened.
    """
    with (
        reading_file(f"cannot open {path}"),
        ignoring_missing_georeference(),
        rasterio.open(path) as dataset,
        MemoryFile(ext=".vrt") as memory,
    ):
        if (own := _own_names(dataset.tags(ns=NAMESPACE).get(CLASS_NAMES))) is not None:
            return own  # a file beside it may describe another raster
        # rasterio does not give the names away: GDAL writes them into the XML of a VRT.
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        text = NOT_XML.sub("", memory.read().decode(errors="replace"))
        document = ElementTree.fromstring(text)
    names = document.iterfind("VRTRasterBand[@band='1']/CategoryNames/Category")
    return [name.text or "" for name in names]


def without_controls(names: Sequence[str]) -> list[str]:
    """Return names without the characters that XML cannot hold."""
    return [NOT_XML.sub("", name) for name in names]


def _own_names(tag: str | None) -> list[str] | None:
    """Return the names in the tag of a raster of this package; None for other tags."""
    try:
        names = json.loads(tag or "null")
    except ValueError:
        return None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else None


def write_categories(path: Path, names: Sequence[str]) -> None:
    """Write the names of classes into the ``.aux.xml`` file beside a raster.

    GeoTIFF itself cannot hold them. What GDAL has written into that file is kept.
    """
    aux = beside(path, AUX)
    document = ElementTree.parse(aux).getroot() if aux.exists() else ElementTree.Element(DATASET)
    band = document.find(f"{BAND}[@band='1']")
    if band is None:
        band = ElementTree.SubElement(document, BAND, band="1")
    listed = ElementTree.SubElement(band, "CategoryNames")
    for name in without_controls(names):
        ElementTree.SubElement(listed, "Category").text = name
    aux.write_bytes(ElementTree.tostring(document, encoding="utf-8"))


def colors_of(count: int, stated: Sequence[str | None] = ()) -> list[RGB]:
    """Return a color for each class: the stated one, as ``RRGGBB``, or one of the palette."""
    given = [*stated, *[None] * count][:count]
    return [_rgb(own) if own else _default_color(number) for number, own in enumerate(given)]


def _default_color(number: int) -> RGB:
    repeat, index = divmod(number, len(PALETTE))
    shade = SHADES[repeat % len(SHADES)]
    red, green, blue = (round(shade * part) for part in _rgb(PALETTE[index]))
    return red, green, blue


def _rgb(text: str) -> RGB:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue
