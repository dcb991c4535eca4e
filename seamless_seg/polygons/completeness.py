"""Check that vector files are whole: drivers may lose the end of one where a disk is full."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

INDEX_NODE_ITEMS = 16
"""Items of a node of a FlatGeobuf's index, as GDAL writes it."""

INDEX_ITEM_BYTES = 40
"""Bytes of an item of that index: four bounds and an offset in the file."""


def check_geojson(path: Path, count: int) -> None:
    """Raise ``OSError`` where a collection is not closed."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        if not b"".join(file.read().split()).endswith((b"}]}", b"[]}")):
            raise OSError("its end did not reach the disk")


def check_geopackage(path: Path, count: int) -> None:
    """Raise ``OSError`` where features, or their items in the spatial index, are missing."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns")
        table, column = (name.replace('"', '""') for name in found.fetchone())
        for name in (table, f"rtree_{table}_{column}_rowid"):
            try:
                stored = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            except sqlite3.Error:
                stored = 0
            if stored != count:
                raise OSError(f"{count - stored} features or their index did not reach the disk")


def check_flatgeobuf(path: Path, count: int) -> None:
    """Raise ``OSError`` where the last feature is not whole.

    The file is 8 bytes, the length of a header and the header, an index and the features, which
    have their length before them. The last item of the index has the offset of the last feature.
    """
    if not count:
        return
    with path.open("rb") as file:
        (header,) = struct.unpack("<I", file.read(12)[8:])
        features = 12 + header + INDEX_ITEM_BYTES * _index_items(count)
        file.seek(features - 8)
        (last,) = struct.unpack("<Q", file.read(8))
        file.seek(features + last)
        length = file.read(4)
        end = features + last + 4 + (struct.unpack("<I", length)[0] if len(length) == 4 else 0)
    if end != path.stat().st_size:
        raise OSError("its last features did not reach the disk")


def _index_items(count: int) -> int:
    """Number of items on all levels of the index of so many features."""
    total = level = count
    while True:
        level = -(-level // INDEX_NODE_ITEMS)
        total += level
        if level == 1:
            return total


def check_geoparquet(path: Path, count: int) -> None:
    """Raise ``OSError`` where rows are missing."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        stored = parquet.ParquetFile(path).metadata.num_rows
    except pa.ArrowException as error:
        raise OSError(str(error)) from error
    if stored != count:
        raise OSError(f"{count - stored} features did not reach the disk")


Check: TypeAlias = Callable[[Path, int], None]

CHECKS: dict[str, Check] = {
    ".geojson": check_geojson,
    ".gpkg": check_geopackage,
    ".fgb": check_flatgeobuf,
    ".parquet": check_geoparquet,
}
"""What checks a file of that extension and so many features."""
