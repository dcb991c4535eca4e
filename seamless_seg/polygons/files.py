"""Vectors out: polygons as features of a file, written as they come."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow as pa
import pyarrow.parquet
import pyogrio
import shapely

from ..atomic import partial_name, rename
from ..errors import RasterError
from ..raster.gdal import reporting

SCHEMA = pa.schema(
    [
        ("class", pa.int64()),
        ("name", pa.string()),
        ("area", pa.float64()),
        ("pixels", pa.int64()),
        ("geometry", pa.binary()),
    ]
)

ROW_GROUP = 16_000_000
"""Bytes that are written into a GeoParquet file together, before compression."""

BRANCHES = 16
"""Items of a node of the index of a FlatGeobuf, as GDAL writes it."""

ITEM = 40
"""Bytes of such an item: four bounds and a place in the file."""


class Features(NamedTuple):
    """Some polygons and what is known of each."""

    classes: npt.NDArray[np.int64]
    names: list[str | None]
    areas: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.int64]
    geometries: npt.NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """What the features of a file have in common."""

    name: str
    crs: Any
    """A CRS of rasterio's, or None."""
    decimals: int | None = None
    """Of longitude and latitude in GeoJSON; None where they are no such coordinates."""


def write_features(
    path: Path, features: Iterator[Features], layer: Layer, overwrite: bool = False
) -> None:
    """Write features into a file that appears under its name once it is complete.

    Parameters
    ----------
    path : Path
        From ``check_destination``; its ending is one of ``FORMATS``.
    features : iterator
        They are taken as they come; an error that it raises ends the work, and is raised.
    layer : Layer
        What they have in common.
    overwrite : bool
        Replace what is there by then under that name.

    Raises
    ------
    RasterError
        Where the file cannot be written.
    """
    batches = _Batches(features)
    with _aside(path, overwrite) as partial:
        try:
            FORMATS[path.suffix.lower()](partial, batches, layer)
        except (RuntimeError, OSError, pa.ArrowException) as error:
            if batches.error is not None:  # GDAL was asking for more, and tells of that only
                raise batches.error from None
            raise RasterError(f"cannot write {path}: {error}") from error


class _Batches:
    """Features as record batches of Arrow."""

    def __init__(self, features: Iterator[Features]) -> None:
        self._features = features
        self.error: BaseException | None = None
        """What the features ended with."""
        self.count = 0
        """Features so far."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for features in self._features:
                if len(features.classes):
                    self.count += len(features.classes)
                    yield _batch(features)
        except GeneratorExit:  # whoever took them has had enough
            raise
        except BaseException as error:
            self.error = error
            raise


def _batch(features: Features) -> pa.RecordBatch:
    columns = [
        pa.array(features.classes),
        pa.array(features.names, pa.string()),
        pa.array(features.areas),
        pa.array(features.pixels),
        pa.array(shapely.to_wkb(features.geometries), pa.binary()),
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def _write_with(driver: str, path: Path, batches: _Batches, layer: Layer) -> None:
    """Write a file with one of GDAL's drivers."""
    options = {}
    if layer.decimals is not None:
        # RFC 7946: in WGS 84, counter-clockwise, cut at the 180th meridian.
        options = {"RFC7946": "YES", "COORDINATE_PRECISION": layer.decimals}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(SCHEMA, batches),
            path,
            layer=layer.name,
            driver=driver,
            geometry_name="geometry",
            geometry_type="Polygon",
            crs=layer.crs.to_wkt() if layer.crs else None,
            layer_options=options,
        )


def _write_geojson(path: Path, batches: _Batches, layer: Layer) -> None:
    _write_with("GeoJSON", path, batches, layer)
    check_geojson(path)


def _write_geopackage(path: Path, batches: _Batches, layer: Layer) -> None:
    _write_with("GPKG", path, batches, layer)
    check_geopackage(path, batches.count)


def _write_flatgeobuf(path: Path, batches: _Batches, layer: Layer) -> None:
    _write_with("FlatGeobuf", path, batches, layer)
    check_flatgeobuf(path, batches.count)


def _write_geoparquet(path: Path, batches: _Batches, layer: Layer) -> None:
    """Write a GeoParquet file, version 1.1."""
    crs = layer.crs.to_dict(projjson=True) if layer.crs else None
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": crs}
    said = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    schema = SCHEMA.with_metadata({"geo": json.dumps(said)})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        for batch in batches:
            group.append(batch.replace_schema_metadata(schema.metadata))
            if sum(part.nbytes for part in group) > ROW_GROUP:
                writer.write_table(pa.Table.from_batches(group, schema))
                group = []
        writer.write_table(pa.Table.from_batches(group, schema))


Write: TypeAlias = Callable[[Path, _Batches, Layer], None]

FORMATS: dict[str, Write] = {
    ".geojson": _write_geojson,
    ".gpkg": _write_geopackage,
    ".fgb": _write_flatgeobuf,
    ".parquet": _write_geoparquet,
}
"""How files with an ending are written."""


@contextmanager
def _aside(path: Path, overwrite: bool) -> Iterator[Path]:
    """A place beside ``path`` from which what is complete is moved there, and nothing else.

    It is in a folder of its own: formats have journals and indices beside the file while it grows.
    """
    folder = partial_name(path)
    try:
        folder.mkdir()
        partial = folder / f"partial{path.suffix}"
        yield partial
        with reporting(f"cannot write {path}"):
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            rename(partial, path, overwrite)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
