"""Images of raw values whose headers are apart: how long their files must be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from ..errors import RasterError

ENVI_WIDTHS = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 9: 16, 12: 2, 13: 4, 14: 8, 15: 8}
"""Bytes of a value, by the number of ENVI's data type."""

ILWIS_WIDTHS = {"byte": 1, "int": 2, "long": 4, "float": 4, "real": 8}
"""Bytes of a value, by ILWIS' name of its type."""

PCIDSK_WIDTHS = {"8U": 1, "16S": 2, "16U": 2, "32R": 4, "C16U": 4, "C16S": 4, "C32R": 8}
"""Bytes of a value, by PCIDSK's name of its type."""

PCIDSK_BLOCK = 8192
"""Bytes of the blocks in which PCIDSK stores tiles."""

PCIDSK_AHEAD = 16 * PCIDSK_BLOCK
"""Bytes that a writer of tiles reserves, and may not write."""

MAX_HEADER = 2**20
"""Characters of a header that are read."""

ENVI_KEYS = ("samples", "lines", "bands", "data type", "interleave", "byte order")
"""Fields that every header of ENVI has."""


MFF2_FIELDS = ("pixel.encoding", "pixel.order")
"""Fields that say how a value of MFF2 is written."""


def ends_too_early(path: Path, size: int, expected: int) -> None:
    """Raise ``RasterError`` if a file has fewer bytes than expected."""
    if size < expected:
        raise RasterError(
            f"{path} ends too early: it has {size} bytes of {expected}: copy or download it again"
        )


def check_same_size(path: Path, header: Path, expected: int) -> None:
    """Raise ``RasterError`` if a file of values is not as long as its header states."""
    size = path.stat().st_size
    ends_too_early(path, size, expected)
    if size > expected:
        raise RasterError(
            f"{path} has {size} bytes, and its header {header} describes {expected}: one of them "
            f"is incomplete: copy or download both again (if they are right, gdal_translate "
            f"writes a TIFF of them)"
        )


def check_lines(header: Path) -> None:
    """Raise ``RasterError`` if a file of text ends within a line: the end may be cut off."""
    with header.open("rb") as file:
        file.seek(max(0, header.stat().st_size - 1))
        last = file.read()
    if last not in (b"", b"\n", b"\r"):
        raise RasterError(
            f"{header} ends within a line, and so it may be incomplete: copy or download it again, "
            f"or add a line break at its end"
        )


def check_mff2(folder: Path, expected: int) -> None:
    """Raise ``RasterError`` unless the values of an MFF2 raster are as many as its header states.

    Parameters
    ----------
    folder : Path
        The raster, which is a folder.
    expected : int
        Bytes of its values.
    """
    header = folder / "attrib"
    text = _text(header) or ""
    for field in MFF2_FIELDS:
        if not re.search(rf"(?m)^{re.escape(field)}[ \t]*=\s*\{{[^{{}}]*\}}", text):
            raise RasterError(f"{header} states no {field}: copy or download it again")
    check_same_size(folder / "image_data", header, expected)


def check_envi(path: Path, size: int) -> None:
    """Raise ``RasterError`` unless an image of ENVI is as long as its header states.

    Files without such a header pass. GDAL takes what is missing for zeros.
    """
    for header in (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr")):
        if header != path and (text := _text(header)) is not None and text.startswith("ENVI"):
            break
    else:
        return
    fields = _envi_fields(text)
    missing = [key for key in ENVI_KEYS if not fields.get(key)]
    if missing:
        raise RasterError(f"{header} states no {missing[0]}: copy or download it again")
    check_lines(header)
    try:
        samples, lines, bands, kind = (int(fields[key]) for key in ENVI_KEYS[:4])
        expected = int(fields.get("header offset") or 0)
        expected += samples * lines * bands * ENVI_WIDTHS[kind]
    except (ValueError, KeyError):  # GDAL refuses it
        return
    if "gzip" not in text and "file compression" not in fields:
        check_same_size(path, header, expected)


def _envi_fields(text: str) -> dict[str, str]:
    """Values of a header by their names; what stands in braces is left out."""
    plain = re.sub(r"\{[^{}]*\}", "{}", text)
    pairs = (line.partition("=") for line in plain.splitlines())
    return {key.strip().lower(): value.strip() for key, equals, value in pairs if equals}


def check_ilwis(header: Path) -> None:
    """Raise ``RasterError`` if the values of an ILWIS map are fewer than its header states."""
    values = header.with_suffix(".mp#")
    if not values.is_file() or (text := _text(header)) is None:
        return
    extent = re.search(r"(?im)^size\s*=\s*(\d+)\s+(\d+)", text)
    stored = text[max(0, text.lower().find("[mapstore]")) :]
    kind = re.search(r"(?im)^type\s*=\s*(\w+)", stored)
    if extent and kind and kind[1].lower() in ILWIS_WIDTHS:
        pixels = int(extent[1]) * int(extent[2])
        ends_too_early(values, values.stat().st_size, pixels * ILWIS_WIDTHS[kind[1].lower()])


def check_pcidsk(path: Path, file: BinaryIO, head: bytes, size: int) -> None:
    """Raise ``RasterError`` if a PCIDSK file, or one of its bands' own files, is too short.

    Headers are numbers in fields of fixed width; a block has 512 bytes, and blocks count from 1.
    """
    try:
        start, channels, width, height = (
            int(head[slice(*at)]) for at in ((336, 352), (376, 384), (384, 392), (392, 400))
        )
        expected = 512 * int(head[16:32])
        file.seek(512 * (start - 1))
        for _ in range(min(channels, MAX_HEADER // 1024)):
            header = file.read(1024)
            missing = expected - size
            if header[64:69] == b"/SIS=" and missing < PCIDSK_AHEAD and not missing % PCIDSK_BLOCK:
                expected = size
            _check_channel(path, header, width, height)
        ends_too_early(path, size, expected)
    except ValueError:  # GDAL refuses it, or it is an older version's
        return


def _check_channel(path: Path, header: bytes, width: int, height: int) -> None:
    """Check the file of one channel, if it has its own."""
    name = header[64:128].decode("latin-1").strip()
    if not name or "=" in name or not header[168:184].strip():
        return
    own = path.parent / name
    start, pixel, line = (int(header[slice(*at)]) for at in ((168, 184), (184, 192), (192, 200)))
    cell = PCIDSK_WIDTHS.get(header[160:168].decode("latin-1").strip())
    if cell and own.is_file():
        expected = start + (height - 1) * line + (width - 1) * pixel + cell
        ends_too_early(own, own.stat().st_size, expected)


def _text(path: Path) -> str | None:
    try:
        with path.open(encoding="latin-1") as file:
            return file.read(MAX_HEADER)
    except OSError:
        return None
