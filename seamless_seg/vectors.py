"""Vectors out: polygons as features of a file, written as they come."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from .atomic import hidden, rename
from .errors import RasterError
from .raster.gdal import reporting
from .vector_ends import check_flatgeobuf, check_geojson, check_geopackage

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
    folder = hidden(path)
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
