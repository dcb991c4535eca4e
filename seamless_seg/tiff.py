"""Where the blocks of a TIFF lie, read from its first directory.

GDAL tells this block by block only, a second for 50,000 of them. The format: TIFF 6.0, and
https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

BYTE_ORDERS = {b"II": "<", b"MM": ">"}

INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Types of values by their numbers in a directory."""

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325

STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279


class Blocks(NamedTuple):
    """All blocks of all bands, in the file's order of them."""

    offsets: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint64]
    """Bytes; 0 where a block is not in the file."""


def find_blocks(path: Path) -> Blocks:
    """Read where the blocks of a TIFF lie.

    Raises
    ------
    OSError
        Where the file is no TIFF, or ends before its directory does.
    """
    with path.open("rb") as file:
        found = _directory(file)
    for offsets, sizes in ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS)):
        if offsets in found and sizes in found:
            return Blocks(found[offsets], found[sizes])
    raise OSError(f"{path} does not say where its blocks are")


def _directory(file: BinaryIO) -> dict[int, npt.NDArray[np.uint64]]:
    """The whole numbers in the first directory, by tag."""
    order = BYTE_ORDERS.get(file.read(2))
    if order is None:
        raise OSError("not a TIFF")
    version = int(_read(file, order + "u2", 1)[0])
    if version not in (42, 43):
        raise OSError(f"a TIFF of version {version}")
    big = version == 43
    file.seek(8 if big else 4)
    size, count = (order + "u8", order + "u8") if big else (order + "u4", order + "u2")
    file.seek(int(_read(file, size, 1)[0]))
    entry = np.dtype([("tag", order + "u2"), ("kind", order + "u2"), ("n", size), ("value", size)])
    entries = _read(file, entry, int(_read(file, count, 1)[0]))
    start = file.tell() - entries.nbytes
    found = {}
    for at, (tag, kind, n, value) in enumerate(entries.tolist()):
        if kind in INTEGERS:
            dtype = np.dtype(order + INTEGERS[kind])
            inside = n * dtype.itemsize <= np.dtype(size).itemsize
            within = start + (at + 1) * entry.itemsize - np.dtype(size).itemsize
            file.seek(within if inside else value)
            found[tag] = _read(file, dtype, n).astype(np.uint64)
    return found


def _read(file: BinaryIO, dtype: Any, count: int) -> npt.NDArray[Any]:
    wanted = np.dtype(dtype).itemsize * count
    content = file.read(wanted)
    if len(content) < wanted:
        raise OSError("the file ends too early")
    return np.frombuffer(content, dtype, count)
