import numpy as np
import pytest
import rasterio

from builders import made
from seamless_seg.raster.tiff_directory import find_blocks


def as_gdal_says(path):
    """Offset and size of every block of every band, block by block."""
    with rasterio.open(path) as dataset:
        blocks = [
            [dataset.get_tag_item(f"BLOCK_{what}_{j}_{i}", "TIFF", bidx=band) or 0 for what in WHAT]
            for band in dataset.indexes
            for (i, j), _ in dataset.block_windows(band)
        ]
    return np.array(blocks, np.uint64)


WHAT = ("OFFSET", "SIZE")


@pytest.mark.parametrize("bigtiff", ["YES", "NO"])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize(
    "layout",
    [
        {"tiled": True, "blockxsize": 64, "blockysize": 32},
        {"tiled": True, "blockxsize": 512, "blockysize": 512},
        {"blockysize": 7},
    ],
    ids=["tiles", "one tile a band", "strips"],
)
def test_it_finds_the_blocks_that_gdal_finds(tmp_path, layout, endianness, bigtiff):
    image = made.pixels(3, 200, 300)
    profile = layout | {"interleave": "band", "endianness": endianness, "bigtiff": bigtiff}
    path = made.raster(tmp_path / "in.tif", image, **profile, compress="deflate")
    (found,) = find_blocks(path)
    np.testing.assert_array_equal(np.stack(found, axis=1), as_gdal_says(path))


def test_a_block_that_was_never_written_has_no_size(tmp_path):
    path = tmp_path / "in.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 64, "width": 64, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, **made.UTM, tiled=True, sparse_ok=True) as dataset:
        dataset.write(np.ones((1, 16, 16), np.uint8), window=((0, 16), (0, 16)))
    assert (find_blocks(path)[0].sizes > 0).sum() <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a TIFF"),
        (b"\x89PNG....", "not a TIFF"),
        (b"II\x07\x00....", "a TIFF of version 7"),
        (b"II*\x00", "the file ends too early"),
        (b"II*\x00\x08\x00\x00\x00\x01\x00", "the file ends too early"),
        (b"II*\x00\x08\x00\x00\x00\x00\x00", "a TIFF without offsets of its blocks"),
    ],
)
def test_what_is_no_whole_tiff_is_refused(tmp_path, content, message):
    (tmp_path / "in.tif").write_bytes(content)
    with pytest.raises(OSError, match=message):
        find_blocks(tmp_path / "in.tif")
