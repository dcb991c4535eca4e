"""Files that end too early: those formats for which GDAL gives zeros in place of what is missing.

For other formats GDAL itself raises an error when it reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import RasterError
from . import netcdf
from .raw_images import check_envi, check_pcidsk, ends_too_early

HEAD = 512
"""Bytes at the beginning of a file that tell its format."""

TAIL = 4096
"""Bytes at the end of a file in which an end mark is searched."""


def check_not_truncated(path: Path) -> None:
    """Raise ``RasterError`` if a file is shorter than its own header states.

    Parameters
    ----------
    path : Path
        A local file of any format; those that do not exist or are not known pass.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD)
            for magic, check in _CHECKS.items():
                if head.startswith(magic):
                    file.seek(0)
                    check(path, file, head, size)
                    return
    except RasterError:
        raise
    except OSError:  # whoever reads it will say why
        return
    if path.name.endswith(".aux.xml"):
        _check_xml(path)
    check_envi(path, size)


def _check_sqlite(path: Path, file: BinaryIO, head: bytes, size: int) -> None:
    """Compare the number of pages in the header; a log beside the file may hold newer ones."""
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    is_valid = head[24:28] == head[92:96]
    has_log = path.with_name(f"{path.name}-wal").exists()
    if is_valid and not has_log:
        ends_too_early(path, size, pages * (65536 if page == 1 else page))


def _check_pcraster(path: Path, file: BinaryIO, head: bytes, size: int) -> None:
    """Its main header is followed at byte 64 by that of the raster, and at 256 by the values."""
    order = "little" if head[46:50] == b"\1\0\0\0" else "big"
    rows, cols = (int.from_bytes(head[at : at + 4], order) for at in (100, 104))  # type: ignore[arg-type]  # a literal
    cell = int.from_bytes(head[66:68], order)  # type: ignore[arg-type]  # a literal
    ends_too_early(path, size, 256 + rows * cols * (1 << (cell & 3)))


def _check_netcdf(path: Path, file: BinaryIO, head: bytes, size: int) -> None:
    try:
        end = netcdf.stored_end(file)
    except (EOFError, ValueError, LookupError):
        raise RasterError(f"{path} has a damaged header: copy or download it again") from None
    ends_too_early(path, size, end)


def _check_jpeg(path: Path, file: BinaryIO, head: bytes, size: int) -> None:
    """Look for the end mark of JPEGs of 12 bits; GDAL notices that of other ones."""
    file.seek(max(0, size - TAIL))
    if b"\xff\xd9" not in file.read(TAIL) and _is_12_bit(file):
        raise _incomplete(path, "it has no end mark")


def _is_12_bit(file: BinaryIO) -> bool:
    """Whether the frame of a JPEG has 12 bits per value: frames begin with FF C0 to FF C2."""
    file.seek(2)
    while (marker := file.read(2))[:1] == b"\xff":
        length = int.from_bytes(file.read(2), "big")
        if marker[1] in (0xC0, 0xC1, 0xC2):
            return file.read(1) == b"\x0c"
        if length < 2:
            return False
        file.seek(length - 2, 1)
    return False


def _check_xml(path: Path) -> None:
    """GDAL ignores what it cannot parse here, such as the nodata value."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        if not file.read().rstrip().endswith(b">"):
            raise _incomplete(path, "its last element is not closed")


def _incomplete(path: Path, reason: str) -> RasterError:
    return RasterError(f"{path} is incomplete: {reason}: copy or download it again")


_CHECKS: dict[bytes, Callable[[Path, BinaryIO, bytes, int], None]] = {
    b"SQLite format 3\0": _check_sqlite,
    b"PCIDSK  ": check_pcidsk,
    b"RUU CROSS SYSTEM MAP FORMAT": _check_pcraster,
    b"CDF\1": _check_netcdf,
    b"CDF\2": _check_netcdf,
    b"CDF\5": _check_netcdf,
    b"\xff\xd8\xff": _check_jpeg,
}
"""How files begin, and what tells whether they are complete."""
