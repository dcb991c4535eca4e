"""Virtual rasters: the files that they name, and those of raw values, which may be too short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from .raw_images import ends_too_early

MAX_DOCUMENT = 2**26
"""Characters of a document that are read."""

WIDTHS = {
    "byte": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "float32": 4,
    "uint64": 8,
    "int64": 8,
    "float64": 8,
}
"""Bytes of a value, by GDAL's name of its type."""

_NAMED = re.compile(
    r"<(?:SourceFilename|SourceDataset|SourceVRTFilename)\b([^<>]*)>([^<]*)</", re.IGNORECASE
)
_BAND = re.compile(r"<VRTRasterBand\b", re.IGNORECASE)


def read_vrt(path: Path) -> str | None:
    """Return the text of a file if it is a VRT."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            start = file.read(1024)
            is_vrt = "<VRTDataset" in start
            return start + file.read(MAX_DOCUMENT) if is_vrt else None
    except OSError:
        return None


def named_files(text: str, folder: Path) -> Iterator[Path]:
    """Yield the paths that a VRT names in its folder; names of other kinds are paths of nothing."""
    for attributes, name in _NAMED.findall(text):
        is_relative = re.search(r"relativeTo\w+\s*=\s*[\"']1", attributes, re.IGNORECASE)
        yield (folder if is_relative else Path()) / unescape(name).strip()


def check_raw_bands(text: str, folder: Path) -> None:
    """Raise ``RasterError`` if a file of raw values, of which a band is made, is too short.

    GDAL takes what is missing for zeros.
    """
    size = [
        re.search(rf"<VRTDataset\b[^<>]*\braster{axis}Size\s*=\s*\W?(\d+)", text) for axis in "XY"
    ]
    if size[0] is None or size[1] is None:
        return
    width, height = int(size[0][1]), int(size[1][1])
    for band in _BAND.split(text)[1:]:
        attributes = band.partition(">")[0]
        if re.search(r"subClass\s*=\s*.VRTRawRasterBand", attributes):
            cell = WIDTHS.get((_attribute(attributes, "dataType") or "byte").lower())
            for path in named_files(band, folder):
                if cell and path.is_file():
                    ends_too_early(path, path.stat().st_size, _end(band, width, height, cell))


def _end(band: str, width: int, height: int, cell: int) -> int:
    """Bytes up to the end of the last value of a band, wherever its first one is."""
    pixel = _number(band, "PixelOffset", cell)
    line = _number(band, "LineOffset", pixel * width)
    across, down = (max(0, step * (count - 1)) for step, count in ((pixel, width), (line, height)))
    return _number(band, "ImageOffset", 0) + across + down + cell


def _number(band: str, name: str, default: int) -> int:
    found = re.search(rf"<{name}>\s*(-?\d+)", band, re.IGNORECASE)
    return int(found[1]) if found else default


def _attribute(attributes: str, name: str) -> str | None:
    found = re.search(rf"\b{name}\s*=\s*[\"']([^\"']*)", attributes)
    return found[1] if found else None
