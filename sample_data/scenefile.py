"""Scenes as GeoTIFF files, and as the pixels that come back from them."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from landscape import Landscape

RESOLUTION = 0.5  # meters per pixel
CRS = "EPSG:32632"
ORIGIN = (568_000.0, 5_934_000.0)  # easting and northing of the north-west corner, meters

PHOTO = {"compress": "JPEG", "photometric": "YCBCR", "jpeg_quality": 90, "interleave": "pixel"}
LOSSLESS = {"compress": "DEFLATE", "zlevel": 9}
PICTURE = {**LOSSLESS, "photometric": "RGB", "interleave": "pixel", "predictor": 2}


def _profile(size: int, bands: int, **options: object) -> dict[str, object]:
    return {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": bands,
        "dtype": "uint8",
        "crs": CRS,
        "transform": from_origin(*ORIGIN, RESOLUTION, RESOLUTION),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        **options,
    }


def write_scene(scene: Landscape, image_path: Path, labels_path: Path) -> None:
    """Write the picture and the classes losslessly: decoders of JPEG differ by a value or two."""
    size = scene.labels.shape[0]
    with rasterio.open(image_path, "w", **_profile(size, 3, **PICTURE)) as file:
        file.write(scene.image.transpose(2, 0, 1))
    with rasterio.open(labels_path, "w", **_profile(size, 1, **LOSSLESS)) as file:
        file.write(scene.labels, 1)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the (height, width, 3) uint8 pixels of a picture."""
    with rasterio.open(path) as file:
        pixels: NDArray[np.uint8] = file.read().transpose(1, 2, 0)
    return pixels


def as_filed(scene: Landscape) -> Landscape:
    """Return the scene with its picture as it comes back from JPEG in TIFF, as an orthophoto."""
    with MemoryFile() as memory:
        with memory.open(**_profile(scene.labels.shape[0], 3, **PHOTO)) as file:
            file.write(scene.image.transpose(2, 0, 1))
        with memory.open() as file:
            return scene._replace(image=np.ascontiguousarray(file.read().transpose(1, 2, 0)))
