"""Where the blocks of a TIFF lie in its file, read from its directories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF."""

BYTE_ORDERS = {b"II": "<", b"MM": ">"}
"""Byte orders of numpy by the first bytes of a TIFF."""

TIFF_INTEGERS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""Types of numpy by the numbers of integer types in a TIFF's directory."""

TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
"""Tags of a tiled TIFF."""

STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
"""Tags of a TIFF in strips."""

COMPRESSION = 259
"""Tag of the compression; 1 stands for none."""

CHECKED_AT_ONCE = 2**18
"""Blocks whose places are in memory at once, at most, while they are checked."""

MAX_ENTRIES = 2**16
"""Entries of a directory, and directories of a file, at most: what has more is damaged."""


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
        return [_blocks(file, found) for found in _directories(file)]


def check_blocks(path: Path) -> None:
    """Check that all blocks of a TIFF, of its masks and its overviews lie in its file.

    Blocks that are left out are none of them. They are checked a part at a time: the offsets of a
    large raster alone may not fit into memory.

    Raises
    ------
    OSError
        Where the file is no TIFF, or ends before its directories or its blocks do.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        for directory in _directories(file):
            offsets, sizes = _located(directory)
            if offsets is None or sizes is None:  # an image of no pixels of its own
                continue
            is_plain = COMPRESSION not in directory or directory[COMPRESSION].read(file)[0] == 1
            for first in range(0, min(offsets.length, sizes.length), CHECKED_AT_ONCE):
                starts, counts = (
                    own.read(file, first, CHECKED_AT_ONCE) for own in (offsets, sizes)
                )
                common = min(len(starts), len(counts))
                starts, counts = starts[:common], counts[:common]
                # Some writers round the size of the last strip up; reading it tells.
                ends = starts + np.minimum(counts, 1 if is_plain else length + 1)
                beyond = np.count_nonzero((starts != 0) & (counts != 0) & (ends > length))
                if beyond:
                    raise OSError(f"{beyond} of its blocks lie beyond the end of the file")


class _Integers(NamedTuple):
    """Where a file has the integers of a tag."""

    dtype: np.dtype[Any]
    length: int
    at: int

    def read(
        self, file: BinaryIO, first: int = 0, most: int | None = None
    ) -> npt.NDArray[np.uint64]:
        """Read all of them, or as many as ``most`` from the first on."""
        count = self.length - first if most is None else min(most, self.length - first)
        file.seek(self.at + first * self.dtype.itemsize)
        return _read(file, self.dtype, count).astype(np.uint64)


def _blocks(file: BinaryIO, directory: dict[int, _Integers]) -> Blocks:
    offsets, sizes = _located(directory)
    if offsets is None or sizes is None:
        raise OSError("a TIFF without offsets of its blocks")
    return Blocks(offsets.read(file), sizes.read(file))


def _located(directory: dict[int, _Integers]) -> tuple[_Integers | None, _Integers | None]:
    """Where a directory has the offsets and the sizes of its blocks; None where it has none."""
    for offsets, sizes in ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS)):
        if offsets in directory and sizes in directory:
            return directory[offsets], directory[sizes]
    return None, None


def _directories(file: BinaryIO) -> Iterator[dict[int, _Integers]]:
    """Yield the integers of each directory, by tag."""
    order = BYTE_ORDERS.get(file.read(2))
    if order is None:
        raise OSError("not a TIFF")
    version = int(_read(file, order + "u2", 1)[0])
    if version not in (42, 43):
        raise OSError(f"a TIFF of version {version}")
    is_big = version == 43
    pointer = order + ("u8" if is_big else "u4")
    file.seek(8 if is_big else 4)
    seen: set[int] = set()
    while (at := int(_read(file, pointer, 1)[0])) and at not in seen:
        if len(seen) >= MAX_ENTRIES:
            raise OSError(f"more than {MAX_ENTRIES} directories")
        seen.add(at)
        file.seek(at)
        count = int(_read(file, order + ("u8" if is_big else "u2"), 1)[0])
        directory, end = _integers(file, order, pointer, count)
        yield directory
        file.seek(end)


def _integers(
    file: BinaryIO, order: str, pointer: str, count: int
) -> tuple[dict[int, _Integers], int]:
    """Find the integers of a directory by tag, and where it ends."""
    if count > MAX_ENTRIES:
        raise OSError(f"a directory of {count} entries")
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
            place = start + (at + 1) * entry.itemsize - width if is_inside else value
            found[tag] = _Integers(dtype, n, place)
    return found, end


def _read(file: BinaryIO, dtype: Any, count: int) -> npt.NDArray[Any]:
    wanted = np.dtype(dtype).itemsize * count
    content = file.read(wanted)
    if len(content) < wanted:
        raise OSError("the file ends too early")
    return np.frombuffer(content, dtype, count)
