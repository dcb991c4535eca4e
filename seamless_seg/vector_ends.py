"""Ends of vector files: whether they are there. GDAL's drivers may lose them in silence.

What is written as a file is closed, where a disk is full, is missed by nobody: the end of a GeoJSON
document, the last features of a FlatGeobuf, the spatial index of a GeoPackage.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

BRANCHES = 16
"""Items of a node of the index of a FlatGeobuf, as GDAL writes it."""

ITEM = 40
"""Bytes of such an item: four bounds and a place in the file."""


def check_geojson(path: Path) -> None:
    """Raise ``OSError`` where a collection is not closed."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        if not b"".join(file.read().split()).endswith(b"]}"):
            raise OSError("its end did not reach the disk")


def check_geopackage(path: Path, count: int) -> None:
    """Raise ``OSError`` where features, or their items in the spatial index, are missing."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns")
        table, column = (name.replace('"', '""') for name in found.fetchone())
        for name in (table, f"rtree_{table}_{column}_rowid"):
            try:
                there = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            except sqlite3.Error:
                there = 0
            if there != count:
                raise OSError(f"{count - there} features or their index did not reach the disk")


def check_flatgeobuf(path: Path, count: int) -> None:
    """Raise ``OSError`` where the last feature is not whole.

    The file is 8 bytes, the length of a header and the header, an index and the features, which
    have their length before them. The last item of the index says where the last of them begins.
    """
    if not count:
        return
    with path.open("rb") as file:
        (header,) = struct.unpack("<I", file.read(12)[8:])
        features = 12 + header + ITEM * _items(count)
        file.seek(features - 8)
        (last,) = struct.unpack("<Q", file.read(8))
        file.seek(features + last)
        length = file.read(4)
        end = features + last + 4 + (struct.unpack("<I", length)[0] if len(length) == 4 else 0)
    if end != path.stat().st_size:
        raise OSError("its last features did not reach the disk")


def _items(count: int) -> int:
    """Items of all levels of the index of so many features."""
    total = level = count
    while True:
        level = -(-level // BRANCHES)
        total += level
        if level == 1:
            return total
