"""Damaged rasters of many drivers: what is written is what rasterio reads, or nothing is."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from seamless_seg import class_stats, polygonize, segment

from . import valid
from .calls import Call, program
from .children import FaultError
from .damage import as_bytes, damaged_bytes, damaged_text

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tiled": (".tif", {"driver": "GTiff", **TILED}),
    "striped": (".tif", {"driver": "GTiff", "blockysize": 8}),
    "deflate": (".tif", {"driver": "GTiff", "compress": "deflate", "predictor": 2, **TILED}),
    "lzw": (".tif", {"driver": "GTiff", "compress": "lzw", "interleave": "band"}),
    "zstd": (".tif", {"driver": "GTiff", "compress": "zstd", **TILED}),
    "tiff jpeg": (".tif", {"driver": "GTiff", "compress": "jpeg", **TILED}),
    "packbits": (".tif", {"driver": "GTiff", "compress": "packbits"}),
    "bigtiff": (".tif", {"driver": "GTiff", "bigtiff": "yes", **TILED}),
    "cog": (".tif", {"driver": "COG", "blocksize": 128}),
    "sparse": (".tif", {"driver": "GTiff", "sparse_ok": True, **TILED}),
    "nodata": (".tif", {"driver": "GTiff", "nodata": 0}),
    "png": (".png", {"driver": "PNG"}),
    "jpeg": (".jpg", {"driver": "JPEG"}),
    "webp": (".webp", {"driver": "WEBP", "lossless": "yes"}),
    "jpeg 2000": (".jp2", {"driver": "JP2OpenJPEG", "quality": "100", "reversible": "yes"}),
    "bmp": (".bmp", {"driver": "BMP"}),
    "gif": (".gif", {"driver": "GIF", "count": 1}),
    "envi": (".img", {"driver": "ENVI"}),
    "hfa": (".img", {"driver": "HFA"}),
    "pcidsk": (".pix", {"driver": "PCIDSK"}),
    "nitf": (".ntf", {"driver": "NITF", "count": 1, "crs": None}),
    "ascii grid": (".asc", {"driver": "AAIGrid", "count": 1}),
    "geopackage": (".gpkg", {"driver": "GPKG"}),
    "ers": (".ers", {"driver": "ERS"}),
    "rst": (".rst", {"driver": "RST", "count": 1}),
    "pnm": (".pgm", {"driver": "PNM", "count": 1}),
    "vrt": (".vrt", {"driver": "GTiff"}),
}
"""Ends of names, and how rasterio writes each kind; ``vrt`` is one of a GeoTIFF."""

OF_ANY_TYPE = (
    *("tiled", "striped", "deflate", "lzw", "zstd", "packbits", "bigtiff", "cog", "sparse"),
    *("nodata", "envi", "hfa", "ascii grid", "vrt"),
)
"""Kinds whose pixels may be of any type."""

DTYPES = ("uint8", "uint8", "uint8", "uint16", "int16", "float32", "float64")

VRT = """<VRTDataset rasterXSize="{width}" rasterYSize="{height}">
  <SRS>EPSG:32632</SRS><GeoTransform>500000, 0.5, 0, 5600000, 0, -0.5</GeoTransform>
  <VRTRasterBand dataType="{dtype}" band="1"><NoDataValue>0</NoDataValue>
    <SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>
      <SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>
      <DstRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/></SimpleSource>
  </VRTRasterBand>
</VRTDataset>"""


def make(random: Random) -> tuple[Path, str]:
    """Write a damaged raster; return its path, and what it is."""
    kind = random.choice(list(KINDS))
    path = _write(kind, random)
    what = []
    for damaged in sorted(Path().glob("in*")):
        if damaged == path or random.random() < 0.3:
            what.append(_damage(damaged, random))
    return path, f"{kind}: {'; '.join(what)}"


def from_corpus(source: Path) -> Path:
    """Copy a file of the corpus."""
    return Path(shutil.copy(source, f"in{source.suffix}"))


def _write(kind: str, random: Random) -> Path:
    """Write a valid raster."""
    ending, profile = KINDS[kind]
    dtype = random.choice(DTYPES) if kind in OF_ANY_TYPE else "uint8"
    counts = (3,) if kind in ("jpeg", "bmp", "webp") else (1, 3, 3, 4)
    count = profile.get("count") or random.choice(counts)
    height, width = random.choice((40, 64, 130, 200)), random.choice((33, 64, 130, 200))
    values = np.random.default_rng(random.randrange(2**32))
    coarse = values.integers(0, 5 if count == 1 else 250, (count, -(-height // 8), -(-width // 8)))
    pixels = coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width].astype(dtype)
    path = Path(f"in{'.tif' if kind == 'vrt' else ending}")
    whole = {
        "height": height,
        "width": width,
        "dtype": dtype,
        **valid.UTM,
        **profile,
        "count": count,
    }
    with rasterio.Env(GDAL_PAM_ENABLED=random.random() < 0.3), _without_warnings():
        with rasterio.open(path, "w", **whole) as dataset:
            dataset.write(pixels)
            if kind in ("tiled", "striped") and count == 4:
                dataset.colorinterp = [*[ColorInterp.undefined] * 3, ColorInterp.alpha]
        if kind in ("tiled", "deflate") and random.random() < 0.3:
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews([2])
                if dtype == "uint8" and count == 1:
                    dataset.write_colormap(1, {n: (n, 2 * n, 0, 255) for n in range(9)})
    if kind == "vrt":
        source = random.choice(("in.tif", "in.tif", "in.tif", "in.vrt", "nothing.tif", "/dev/zero"))
        types = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}
        path = Path("in.vrt")
        path.write_text(
            VRT.format(width=width, height=height, dtype=types.get(dtype, dtype), source=source)
        )
    return path


def _damage(path: Path, random: Random) -> str:
    content = path.read_bytes()
    is_text = path.suffix in (".vrt", ".hdr", ".xml", ".asc", ".prj", ".ers", ".rdc")
    if is_text and random.random() < 0.8:
        text, what = damaged_text(content.decode(errors="replace"), random)
        path.write_bytes(as_bytes(text, random))
    else:
        content, what = damaged_bytes(content, random)
        path.write_bytes(content)
    return f"{path.name}, {what}"


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _identity(batch: Any) -> Any:
    return batch


def calls(path: Path, random: Random) -> list[Call]:
    """Return all calls with a raster."""
    whole = {"margin": 0, "align": 1, "scale": 1, "mean": 0, "std": 1, "overwrite": True}
    run = partial(segment, str(path), _identity, "out/out.tif", tile=64, overlap=16)
    outputs = ("out.tif",)
    checked = Call(
        "segment", lambda: run(**_bands(path), **whole), lambda done: _check(path), outputs
    )
    model = str(valid.model())
    return [
        *[checked] * 4,
        Call("segment, resampled", lambda: run(resolution=0.7, **whole), outputs=outputs),
        Call("segment, overview", lambda: run(level=1, **whole), outputs=outputs),
        Call("segment, band by name", lambda: run(bands="red", **whole), outputs=outputs),
        Call("segment, z-score", lambda: run(normalize="zscore", margin=0), outputs=outputs),
        Call(
            "segment, bounds",
            lambda: run(bbox=[500001, 5599990, 500010, 5599999], crop=True, **whole),
            outputs=outputs,
        ),
        Call("class_stats", lambda: class_stats(path)),
        Call("polygonize", lambda: polygonize(path, "out/out.gpkg"), outputs=("out.gpkg",)),
        Call("polygonize", lambda: polygonize(path, "out/out.geojson"), outputs=("out.geojson",)),
        program(["stats", str(path), "--json"]),
        program(["polygonize", str(path), "out/out.fgb", "-q"], outputs=("out.fgb",)),
        program(["plan", str(path), "--tile", "64", "--overlap", "8"]),
        program(["run", str(path), model, "out/out.tif", "-q"], outputs),
    ]


def _bands(path: Path) -> dict[str, Any]:
    """Choose all bands, since an alpha band is none of the model's otherwise."""
    try:
        with _without_warnings(), rasterio.open(path) as dataset:
            return {"bands": list(dataset.indexes)} if 0 < dataset.count <= 8 else {}
    except Exception:
        return {}


def _check(path: Path) -> None:
    """Compare an output of the identity with the raster, wherever it has data."""
    with _without_warnings(), rasterio.open("out/out.tif") as dataset:
        found = dataset.read()
    try:
        whole = rasterio.Env(GDAL_PNG_WHOLE_IMAGE_OPTIM="NO")
        with _without_warnings(), whole, rasterio.open(path) as dataset:
            bands = list(dataset.indexes)[: len(found)]
            with np.errstate(over="ignore"):
                expected = np.stack([dataset.read(band) for band in bands]).astype(np.float32)
            valid = np.stack([dataset.read_masks(band) for band in bands]).any(axis=0)
    except Exception as error:
        raise FaultError(f"it gives an output, and rasterio does not read it: {error}") from None
    if found.shape != expected.shape:
        raise FaultError(f"the output is {found.shape}, the raster {expected.shape}")
    has_data = np.isfinite(expected).all(axis=0) & valid
    wrong = has_data & (found != expected).any(axis=0)
    if wrong.any():
        raise FaultError(f"{int(wrong.sum())} of {wrong.size} pixels are not those of the raster")
