"""Classic netCDF files: where the last value ends, read from the header."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value, by the number of its type."""

UNKNOWN_RECORDS = (2**32 - 1, 2**64 - 1)
"""Numbers of records that stand for "as many as there are"."""

MAX_ENTRIES = 100_000
"""Entries of a list in a header, at most: more are a sign of a damaged one."""


class _Variable(NamedTuple):
    has_records: bool
    size: int
    """Bytes of its values; of one record where it has several."""
    begin: int


def stored_end(file: BinaryIO) -> int:
    """Return after how many bytes the values of a file end, as its header states it.

    Parameters
    ----------
    file : binary file
        A file that begins with ``CDF`` and 1, 2 or 5, read from its start.

    Raises
    ------
    EOFError, ValueError, LookupError
        Where the header is cut off or damaged.
    """
    return _Header(file).end()


class _Header:
    """Reads a header in its order: dimensions, attributes, variables.

    The format: NetCDF Classic and 64-bit Data Format Specification.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        version = file.read(4)[3]
        self._count_bytes = 8 if version == 5 else 4
        self._offset_bytes = 4 if version == 1 else 8

    def end(self) -> int:
        """Return where the last value ends."""
        records = self._count()
        lengths = [self._dimension() for _ in self._entries()]
        self._skip_attributes()
        variables = [self._variable(lengths) for _ in self._entries()]
        ends = [own.begin + own.size for own in variables if not own.has_records]
        several = [own for own in variables if own.has_records]
        if several and records and records not in UNKNOWN_RECORDS:
            # One variable alone is not padded.
            step = several[0].size if len(several) == 1 else sum(_padded(v.size) for v in several)
            ends += [own.begin + (records - 1) * step + own.size for own in several]
        return max(ends, default=0)

    def _dimension(self) -> int:
        self._skip_name()
        return self._count()

    def _variable(self, lengths: list[int]) -> _Variable:
        self._skip_name()
        shape = [lengths[self._count()] for _ in range(self._bounded(self._count()))]
        self._skip_attributes()
        width = WIDTHS[self._number(4)]
        self._count()  # its size, which is wrong for large ones
        has_records = bool(shape) and shape[0] == 0
        size = width * math.prod(shape[1:] if has_records else shape)
        return _Variable(has_records, size, self._number(self._offset_bytes))

    def _skip_attributes(self) -> None:
        for _ in self._entries():
            self._skip_name()
            width = WIDTHS[self._number(4)]
            self._skip(_padded(width * self._count()))

    def _skip_name(self) -> None:
        self._skip(_padded(self._count()))

    def _entries(self) -> Iterator[int]:
        """Read the head of a list, and yield once for each of its entries."""
        self._number(4)  # which list it is
        return iter(range(self._bounded(self._count())))

    def _bounded(self, count: int) -> int:
        if count > MAX_ENTRIES:
            raise ValueError(f"a list of {count} entries")
        return count

    def _count(self) -> int:
        return self._number(self._count_bytes)

    def _number(self, width: int) -> int:
        read = self._file.read(width)
        if len(read) < width:
            raise EOFError
        return int.from_bytes(read, "big")

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)


def _padded(count: int) -> int:
    return -(-count // 4) * 4
