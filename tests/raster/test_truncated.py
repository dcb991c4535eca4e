"""Rasters that are cut off: whatever the format, none is read as if it were whole."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

from builders import made
from seamless_seg import RasterError, segment
from seamless_seg.raster.reader import RasterReader

FORMATS = {
    "plain.tif": {"driver": "GTiff"},
    "tiled.tif": {"driver": "GTiff", "tiled": True, "compress": "deflate"},
    "cog.tif": {"driver": "COG"},
    "a.png": {"driver": "PNG"},
    "a.jpg": {"driver": "JPEG"},
    "a.gpkg": {"driver": "GPKG", "TILE_FORMAT": "PNG"},
    "a.mbtiles": {"driver": "MBTiles"},
    "a.pix": {"driver": "PCIDSK"},
    "tiles.pix": {"driver": "PCIDSK", "INTERLEAVING": "TILED"},
    "apart.pix": {"driver": "PCIDSK", "INTERLEAVING": "FILE"},
    "envi.img": {"driver": "ENVI"},
    "a.bil": {"driver": "EHdr"},
    "a.raw": {"driver": "PAux"},
    "a.ers": {"driver": "ERS"},
    "a.cub": {"driver": "ISIS3"},
    "a.ntf": {"driver": "NITF"},
    "hfa.img": {"driver": "HFA"},
    "a.bmp": {"driver": "BMP"},
    "a.jp2": {"driver": "JP2OpenJPEG"},
    "a.webp": {"driver": "WEBP"},
    "a.nc": {"driver": "netCDF", "bands": 1},
    "a64.nc": {"driver": "netCDF", "bands": 1, "FORMAT": "NC2", "dtype": "int16"},
    "a.map": {"driver": "PCRaster", "bands": 1, "dtype": "float32"},
    "a.mpr": {"driver": "ILWIS", "bands": 1, "dtype": "int16"},
    "a.sdat": {"driver": "SAGA", "bands": 1, "dtype": "float32"},
    "a.asc": {"driver": "AAIGrid", "bands": 1, "dtype": "int16"},
    "a.xyz": {"driver": "XYZ", "bands": 1, "dtype": "int16"},
    "a12.jpg": {"driver": "JPEG", "bands": 1, "dtype": "uint16"},
    "mff2": {"driver": "MFF2", "bands": 1, "dtype": "int16"},
}
"""Formats that GDAL writes, by the name of a file, with their options."""

PLACE = {"crs": "EPSG:4326", "transform": from_origin(10, 45, 0.001, 0.001)}


def written(folder, name):
    """A raster in a format, alone in a folder; returns its path and its files."""
    options = FORMATS[name].copy()
    bands, dtype = options.pop("bands", 3), options.pop("dtype", "uint8")
    source = folder / "source.tif"
    pixels = made.pixels(bands, 60, 70, "uint8" if dtype == "float32" else dtype)
    made.raster(source, (pixels | 1).astype(dtype), **PLACE)
    (folder / "own").mkdir()
    rasterio.shutil.copy(source, folder / "own" / name, **options)
    files = [own for own in sorted((folder / "own").rglob("*")) if own.is_file()]
    return folder / "own" / name, [own for own in files if not own.name.endswith(".aux.xml")]


def read(path):
    with RasterReader(path) as reader:
        whole = [slice(0, length) for length in reader.size]
        return reader.read(*whole)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_it_is_refused_or_read_as_the_whole_is(tmp_path, name):
    path, files = written(tmp_path, name)
    whole = read(path)
    for file in files:
        content = file.read_bytes()
        places = {len(content) * n // 10 for n in range(1, 10)} | {len(content) - n for n in (1, 9)}
        for place in sorted(places & set(range(1, len(content)))):
            file.write_bytes(content[:place])
            try:
                found = read(path)
            except RasterError:
                continue
            np.testing.assert_array_equal(found, whole, f"{file.name} at {place}")
        file.write_bytes(content)
    np.testing.assert_array_equal(read(path), whole)


def png(pixels, rows, depth=8, is_interlaced=False):
    """A PNG with the given number of rows in its stream, all of whose parts are well formed."""
    height, width, count = pixels.shape
    steps = [(0, 0, 1, 1)]
    if is_interlaced:
        steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
        steps.append((1, 0, 2, 1))
    lines = [row for y, x, down, across in steps for row in pixels[y::down, x::across]]
    stream = zlib.compress(
        b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in lines[:rows])
    )
    kind = {1: 0, 3: 2}[count]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(is_interlaced))
    parts = [(b"IHDR", head), (b"IDAT", stream), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(own)) + kind + own + struct.pack(">I", zlib.crc32(kind + own))
        for kind, own in parts
    )


@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize(("count", "depth"), [(1, 8), (3, 8), (1, 16)])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_png_whose_stream_is_short_gives_no_uninitialized_memory(
    tmp_path, count, depth, is_interlaced
):
    pixels = made.pixels(count, 40, 50, f"uint{depth}").transpose(1, 2, 0)
    path = tmp_path / "in.png"
    for rows in (1000, 39, 20, 1):
        path.write_bytes(png(pixels, rows, depth, is_interlaced))
        if rows == 1000:
            np.testing.assert_array_equal(read(path).transpose(1, 2, 0), pixels)
        else:
            with pytest.raises(RasterError):
                read(path)


class TestVirtualRasters:
    def vrt(self, folder, band):
        path = folder / "in.vrt"
        path.write_text(
            f'<VRTDataset rasterXSize="70" rasterYSize="60"><VRTRasterBand dataType="UInt16" '
            f'band="1" {band}</VRTRasterBand></VRTDataset>'
        )
        return path

    def test_of_raw_values(self, tmp_path):
        pixels = made.pixels(1, 60, 70, "uint16")
        raw = tmp_path / "raw.bin"
        raw.write_bytes(b"head" + pixels.astype("<u2").tobytes())
        path = self.vrt(
            tmp_path,
            'subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="1">raw.bin</SourceFilename>'
            "<ImageOffset>4</ImageOffset><PixelOffset>2</PixelOffset><LineOffset>140</LineOffset>"
            "<ByteOrder>LSB</ByteOrder>",
        )
        np.testing.assert_array_equal(read(path), pixels)
        raw.write_bytes(raw.read_bytes()[:-1])
        with pytest.raises(
            RasterError, match=r"raw\.bin ends too early: it has 8403 bytes of 8404"
        ):
            read(path)

    def test_of_virtual_rasters_of_files_that_notice_nothing(self, tmp_path):
        made.raster(tmp_path / "own.img", made.pixels(1, 60, 70, "uint16"), driver="ENVI")
        source = (
            '><SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource>"
        )
        inner = self.vrt(tmp_path, source.format("own.img")).rename(tmp_path / "inner.vrt")
        outer = self.vrt(tmp_path, source.format(inner.name))
        assert read(outer).shape == (1, 60, 70)
        (tmp_path / "own.img").write_bytes((tmp_path / "own.img").read_bytes()[:5000])
        with pytest.raises(
            RasterError, match=r"own\.img ends too early: it has 5000 bytes of 8400"
        ):
            read(outer)


class TestMasks:
    """A mask that GDAL cannot read would be ignored, and so would a nodata value."""

    @pytest.fixture
    def masked(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, 200, 200), blockysize=16)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.eye(200, dtype=bool))
        return path

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
    def test_beside_the_raster(self, masked, share):
        mask = masked.with_name("in.tif.msk")
        content = mask.read_bytes()
        mask.write_bytes(content[: int(share * len(content))])
        with pytest.raises(RasterError, match=r"in\.tif\.msk"), RasterReader(masked) as reader:
            reader.valid(slice(0, 200), slice(0, 200))

    def test_in_the_raster(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, 200, 200))
        before = path.stat().st_size
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.eye(200, dtype=bool))
        content = path.read_bytes()
        for place in range(before, len(content), 50):
            path.write_bytes(content[:place])
            with pytest.raises(RasterError), RasterReader(path) as reader:
                reader.valid(slice(0, 200), slice(0, 200))

    def test_a_description_beside_the_raster(self, tmp_path):
        path = made.raster(tmp_path / "in.png", made.pixels(1, 20, 20), driver="PNG", nodata=3)
        aux = tmp_path / "in.png.aux.xml"
        assert RasterReader(path).nodata == 3
        aux.write_text(aux.read_text()[:-3])
        with pytest.raises(RasterError, match=r"in\.png\.aux\.xml is incomplete"):
            RasterReader(path)


def test_a_sparse_tiff_is_whole(tmp_path):
    path = tmp_path / "in.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "sparse_ok": True}
    with rasterio.open(path, "w", height=600, width=600, **made.UTM, **profile) as dataset:
        dataset.write(np.full((1, 256, 256), 7, np.uint8), window=((0, 256), (0, 256)))
    assert read(path).sum() == 7 * 256**2


def test_a_run_on_one_writes_nothing(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 100, 100))
    made.pointwise(model, 3, 2)
    raster.write_bytes(raster.read_bytes()[:-9000])
    with pytest.raises(RasterError, match=r"in\.tif is incomplete or damaged: .* copy or download"):
        segment(raster, model, output)
    assert made.names(output.parent) == []
