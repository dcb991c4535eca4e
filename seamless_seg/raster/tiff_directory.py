"""Where the blocks of a TIFF lie in its file, read from its directories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

BYTE_ORDERS = {b"II": "<", b"MM": ">"}
"""Byte orders of numpy by the first bytes of a TIFF."""

TIFF_INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Types of numpy by the numbers of integer types in a TIFF's directory."""

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
"""Tags of a tiled TIFF."""

STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
"""Tags of a TIFF in strips."""


class Blocks(NamedTuple):
    """All blocks of all bands of a TIFF, in the order of its directory."""

    offsets: npt.NDArray[np.uint64]
    """Bytes from the start of the file."""
    sizes: npt.NDArray[np.uint64]
    """Bytes of the block; 0 where a block is not in the file."""


def find_blocks(path: Path) -> list[Blocks]:
    """Read where the blocks of a TIFF lie in its file, for each image: the raster, its overviews.

    Raises
    ------
    OSError
        Where the file is no TIFF, or ends before its directories do.
    """
    with path.open("rb") as file:
        return [_blocks(found) for found in _directories(file)]


def _blocks(directory: dict[int, npt.NDArray[np.uint64]]) -> Blocks:
    for offsets, sizes in ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS)):
        if offsets in directory and sizes in directory:
            return Blocks(directory[offsets], directory[sizes])
    raise OSError("a TIFF without offsets of its blocks")


def _directories(file: BinaryIO) -> Iterator[dict[int, npt.NDArray[np.uint64]]]:
    """Yield the integers in each directory, by tag."""
    order = BYTE_ORDERS.get(file.read(2))
    if order is None:
        raise OSError("not a TIFF")
    version = int(_read(file, order + "u2", 1)[0])
    if version not in (42, 43):
        raise OSError(f"a TIFF of version {version}")
    is_big = version == 43
    pointer = order + ("u8" if is_big else "u4")
    file.seek(8 if is_big else 4)
    seen = set()
    while (at := int(_read(file, pointer, 1)[0])) and at not in seen:
        seen.add(at)
        file.seek(at)
        count = int(_read(file, order + ("u8" if is_big else "u2"), 1)[0])
        directory, end = _integers(file, order, pointer, count)
        yield directory
        file.seek(end)


def _integers(
    file: BinaryIO, order: str, pointer: str, count: int
) -> tuple[dict[int, npt.NDArray[np.uint64]], int]:
    """Read the integers of a directory by tag, and find where it ends."""
    width = np.dtype(pointer).itemsize
    entry = np.dtype(
        [("tag", order + "u2"), ("kind", order + "u2"), ("n", pointer), ("value", pointer)]
    )
    entries = _read(file, entry, count)
    end = file.tell()
    start, found = end - entries.nbytes, {}
    for at, (tag, kind, n, value) in enumerate(entries.tolist()):
        if kind in TIFF_INTEGERS:
            dtype = np.dtype(order + TIFF_INTEGERS[kind])
            is_inside = n * dtype.itemsize <= width
            file.seek(start + (at + 1) * entry.itemsize - width if is_inside else value)
            found[tag] = _read(file, dtype, n).astype(np.uint64)
    return found, end


def _read(file: BinaryIO, dtype: Any, count: int) -> npt.NDArray[Any]:
    wanted = np.dtype(dtype).itemsize * count
    content = file.read(wanted)
    if len(content) < wanted:
        raise OSError("the file ends too early")
    return np.frombuffer(content, dtype, count)
