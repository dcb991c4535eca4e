"""Vector files: features are written as they come, into a file that appears once complete."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet
import pyogrio
import shapely

from ..arrays import Floats, Geometries, Integers
from ..errors import RasterError
from ..publishing.publication import Publication, publish
from ..raster.gdal import reporting
from .completeness import CHECKS

SCHEMA = pa.schema(
    [
        ("class", pa.int64()),
        ("name", pa.string()),
        ("area", pa.float64()),
        ("pixels", pa.int64()),
        ("geometry", pa.binary()),
    ]
)

ROW_GROUP_BYTES = 16_000_000
"""Bytes of a row group of a GeoParquet file, before compression."""


class Features(NamedTuple):
    """Polygons and the attributes of each."""

    classes: Integers
    names: list[str | None]
    areas: Floats
    pixels: Integers
    geometries: Geometries


@dataclass(frozen=True)
class Layer:
    """Name and coordinates of the layer that a file holds."""

    name: str
    crs: Any
    """A CRS of rasterio's, or None."""
    decimals: int | None = None
    """Decimals of longitude and latitude in GeoJSON; None where coordinates are others."""


def write_features(
    path: Path,
    features: Iterator[Features],
    layer: Layer,
    overwrite: bool = False,
    check_inputs: Callable[[], None] = lambda: None,
) -> None:
    """Write features into a file that appears under its name once it is complete.

    Parameters
    ----------
    path : Path
        From ``check_destination``; its extension is one of ``FORMATS``.
    features : iterator
        Written as they come; an error that it raises ends the work, and is raised.
    layer : Layer
        Name and coordinates of the layer.
    overwrite : bool
        Replace a file of that name.
    check_inputs : callable
        Called when the file is complete; what it raises is a reason not to publish it.

    Raises
    ------
    RasterError
        Where the file cannot be written.
    """
    batches, suffix = _Batches(features), path.suffix.lower()
    publication = Publication(path, overwrite, lambda own: CHECKS[suffix](own, batches.count))
    with reporting(f"cannot write {path}"), publication:
        partial = publication.partial()
        try:
            FORMATS[suffix](partial, batches, layer)
        except (RuntimeError, OSError, pa.ArrowException) as error:
            if batches.error is not None:  # GDAL's own error hides that of the iterator
                raise batches.error from None
            raise RasterError(f"cannot write {path}: {error}") from error
        publication.complete(partial)
        check_inputs()
        publish([publication])


class _Batches:
    """Features as record batches of Arrow."""

    def __init__(self, features: Iterator[Features]) -> None:
        self._features = features
        self.error: BaseException | None = None
        """The error that the iterator of features raised."""
        self.count = 0
        """Features so far."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for features in self._features:
                if len(features.classes):
                    self.count += len(features.classes)
                    yield _batch(features)
        except GeneratorExit:  # the consumer has closed it: that is no error
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


def _write_geopackage(path: Path, batches: _Batches, layer: Layer) -> None:
    _write_with("GPKG", path, batches, layer)


def _write_flatgeobuf(path: Path, batches: _Batches, layer: Layer) -> None:
    _write_with("FlatGeobuf", path, batches, layer)


def _write_geoparquet(path: Path, batches: _Batches, layer: Layer) -> None:
    """Write a GeoParquet file, version 1.1."""
    crs = layer.crs.to_dict(projjson=True) if layer.crs else None
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": crs}
    metadata = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    schema = SCHEMA.with_metadata({"geo": json.dumps(metadata)})
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        for batch in batches:
            group.append(batch.replace_schema_metadata(schema.metadata))
            if sum(part.nbytes for part in group) > ROW_GROUP_BYTES:
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
"""What writes a file of that extension."""
