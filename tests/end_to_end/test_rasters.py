"""Whatever rasterio opens: stored in every way, lying anywhere or nowhere, far away or packed."""

import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from builders import made
from builders.nodata import masked, stacked
from seamless_seg import OptionError, check, segment
from seamless_seg.raster.reader import RasterReader

SIZE = 70, 90


def run(raster, output, count, **options):
    """Segment with a function that gives its pixels back, of any number of bands."""
    options = {"tile": 48, "overlap": 8, "scale": 1} | options
    segment(raster, lambda batch: batch, output, margin=0, **options)
    found = made.read(output)
    assert found.shape[0] == count
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 5, 300])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    "layout",
    [
        {"blockysize": 1},
        {"blockysize": 70},
        {"tiled": True, "blockxsize": 32, "blockysize": 16},
        {"tiled": True, "blockxsize": 256, "blockysize": 256},
    ],
)
def test_every_layout(paths, count, interleave, layout):
    raster, _, output = paths
    pixels = made.pixels(count, *SIZE)
    made.raster(raster, pixels, interleave=interleave, photometric="minisblack", **layout)
    np.testing.assert_array_equal(run(raster, output, count), pixels)


INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = [*INTEGERS, "float32", "float64"]
if "float16" in rasterio.dtypes.dtype_rev:  # from GDAL 3.11 on
    DTYPES.append("float16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_pixels(paths, dtype):
    raster, _, output = paths
    pixels = made.pixels(2, *SIZE, dtype)
    if np.dtype(dtype).kind == "i":
        pixels[0] *= -1
    made.raster(raster, pixels)
    np.testing.assert_array_equal(run(raster, output, 2), pixels.astype("float32"))


def test_floats_of_16_bits(paths):
    raster, _, output = paths
    pixels = made.pixels(2, *SIZE, "float16").astype("float32")
    made.raster(raster, pixels, nbits=16)
    np.testing.assert_array_equal(run(raster, output, 2), pixels)


@pytest.mark.parametrize("driver", ["PNG", "BMP", "ENVI", "HFA", "JP2OpenJPEG"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_other_formats(paths, driver):
    raster, _, output = paths
    pixels = made.pixels(3, *SIZE)
    made.raster(raster, pixels)
    other = raster.with_suffix(f".{driver}")
    lossless = {"QUALITY": 100, "REVERSIBLE": "YES", "YCBCR420": "NO"}
    rasterio.shutil.copy(raster, other, driver=driver, **(lossless if "JP2" in driver else {}))
    np.testing.assert_array_equal(run(other, output, 3), pixels)


class TestPlace:
    @pytest.mark.parametrize(
        "transform",
        [
            made.UTM["transform"] * Affine.rotation(30),
            made.UTM["transform"] * Affine.shear(10, 5),
            Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000),  # south up
            Affine(-0.5, 0, 500_000, 0, -0.25, 5_000_000),
        ],
    )
    @pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", None])
    def test_any_transform(self, paths, transform, crs):
        raster, _, output = paths
        made.raster(raster, made.pixels(1, *SIZE), transform=transform, crs=crs)
        run(raster, output, 1)
        with rasterio.open(output) as dataset:
            assert dataset.transform.almost_equals(transform, 1e-9)
            assert dataset.crs == crs

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_ground_control_points(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(1, *SIZE), transform=None, crs=None)
        points = [GroundControlPoint(*p) for p in [(0, 0, 1, 2), (0, 90, 2, 2), (70, 0, 1, 1)]]
        with rasterio.open(raster, "r+") as dataset:
            dataset.gcps = points, rasterio.crs.CRS.from_epsg(4326)
        run(raster, output, 1)
        with rasterio.open(output) as dataset:
            found, crs = dataset.gcps
        assert crs.to_epsg() == 4326
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_rational_polynomials(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(1, *SIZE), transform=None, crs=None)
        ones = [1.0] + [0.0] * 19
        rpcs = RPC(10, 100, 47, 1, ones, ones, 35, 70, 8, 1, ones, ones, 45, 90, -1, -1)
        with rasterio.open(raster, "r+") as dataset:
            dataset.rpcs = rpcs
        run(raster, output, 1)
        with rasterio.open(output) as dataset:
            assert dataset.rpcs.to_dict() == rpcs.to_dict()

    @pytest.mark.parametrize("kind", ["Point", "Area"])
    def test_pixels_are_points_or_areas_as_they_were(self, paths, kind):
        raster, _, output = paths
        made.raster(raster, made.pixels(1, *SIZE))
        with rasterio.open(raster, "r+") as dataset:
            dataset.update_tags(AREA_OR_POINT=kind)
        run(raster, output, 1)
        with rasterio.open(raster) as before, rasterio.open(output) as after:
            assert before.tags()["AREA_OR_POINT"] == after.tags()["AREA_OR_POINT"] == kind
            assert before.transform == after.transform


class TestNames:
    """Names that are no paths get to rasterio as they are."""

    @pytest.fixture
    def pixels(self, folder):
        return made.read("in.tif")

    @pytest.mark.parametrize(
        "name", ["zip://in.zip/in.tif", "zip://{folder}/in.zip!/in.tif", "/vsizip/in.zip/in.tif"]
    )
    def test_a_raster_in_an_archive(self, folder, pixels, name):
        with zipfile.ZipFile("in.zip", "w") as archive:
            archive.write("in.tif")
        name = name.format(folder=folder)
        np.testing.assert_array_equal(run(name, "out/out.tif", 3), pixels)
        with pytest.raises(OptionError, match=r"output in.zip is one of the inputs"):
            run(name, "in.zip", 3, overwrite=True)

    def test_a_raster_in_memory(self, folder, pixels):
        rasterio.shutil.copy("in.tif", "/vsimem/in.tif", driver="GTiff")
        try:
            np.testing.assert_array_equal(run("/vsimem/in.tif", "out/out.tif", 3), pixels)
        finally:
            rasterio.shutil.delete("/vsimem/in.tif")

    @pytest.mark.parametrize("scheme", ["/vsicurl/http", "http"])
    def test_a_raster_far_away(self, folder, pixels, served, scheme, cli):
        name = f"{scheme}://{served}/in.tif"
        np.testing.assert_array_equal(run(name, "out/out.tif", 3), pixels)
        report = check(name, lambda batch: batch, "out/out.tif", tile=48, overlap=8, scale=1)
        assert report.judged.identical == 1
        assert cli("run", name, "model.onnx", "out/other.tif", "--quiet") == (0, "", "")

    def test_a_raster_far_away_that_is_not_there(self, served, cli, folder):
        status, _, errors = cli("run", f"http://{served}/no.tif", "model.onnx", "out/out.tif")
        assert status == 1
        assert f"cannot open http://{served}/no.tif" in errors

    @pytest.mark.parametrize("name", ["s3://bucket/in.tif", "https://host.invalid//a/in.tif"])
    def test_names_are_not_mangled(self, folder, cli, name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_NO_SIGN_REQUEST", "YES")
            patch.setenv("AWS_S3_ENDPOINT", "host.invalid")
            status, _, errors = cli("run", name, "model.onnx", "out/out.tif")
        assert status == 1
        assert f"cannot open {name}" in errors

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_a_mosaic(self, folder):
        pixels = made.pixels(2, *SIZE)
        names = [made.raster(folder / f"{n}.tif", pixels[n : n + 1]) for n in range(2)]
        stacked(folder / "in.vrt", names, ["Byte", "Byte"], SIZE)
        np.testing.assert_array_equal(run("in.vrt", "out/out.tif", 2), pixels)


@pytest.fixture
def served(folder):
    """Host and port of a server of the folder: a process, as rasterio holds Python's lock."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        yield f"127.0.0.1:{port}"
        server.terminate()


class TestBlocks:
    def test_a_mosaic_is_stored_as_its_files_are(self, tmp_path):
        paths = [
            made.raster(tmp_path / f"{n}.tif", made.pixels(1, *SIZE), blockysize=5) for n in (0, 1)
        ]
        with RasterReader(stacked(tmp_path / "in.vrt", paths, ["Byte", "Byte"], SIZE)) as reader:
            assert (reader.blocks.height, reader.blocks.width) == (70, 90)
        wide = [made.raster(tmp_path / "w.tif", made.pixels(1, 300, 900), blockysize=5)]
        vrt = stacked(tmp_path / "in.vrt", wide, ["Byte"], SIZE)
        vrt.write_text(vrt.read_text().replace('"90"', '"900"').replace('"70"', '"300"'))
        with RasterReader(vrt) as reader:
            assert reader.blocks.width == 900

    @pytest.mark.parametrize(("interleave", "bands"), [("pixel", (1,)), ("band", (2, 1, 1))])
    def test_what_says_where_it_is_valid_is_read_with_it(self, tmp_path, interleave, bands):
        profile = {"interleave": interleave, "tiled": True, "blockxsize": 64, "blockysize": 64}
        pixels, mask = made.pixels(3, *SIZE, "uint16"), np.ones(SIZE, bool)
        kinds = {
            "none": (made.raster(tmp_path / "n.tif", pixels, **profile), 0),
            "mask": (masked(tmp_path / "m.tif", pixels, mask, True, **profile), 1),
            "beside": (masked(tmp_path / "b.tif", pixels, mask, False, **profile), 1),
            "nodata": (made.raster(tmp_path / "v.tif", pixels, nodata=0, **profile), 0),
        }
        own = 2 * (3 if interleave == "pixel" else len(set(bands)))
        for path, more in kinds.values():
            with RasterReader(path) as reader:
                reader.select(bands)
                assert reader.blocks.pixel_bytes == own + more
        path = made.raster(tmp_path / "a.tif", pixels[:2], alpha="yes", **profile)
        with RasterReader(path) as reader:
            reader.select([1])
            assert reader.blocks.pixel_bytes == 2 + 2

    def test_one_whose_files_are_gone_can_still_be_asked(self, tmp_path):
        path = made.raster(tmp_path / "0.tif", made.pixels(1, *SIZE))
        vrt = stacked(tmp_path / "in.vrt", [path], ["Byte"], SIZE)
        with RasterReader(vrt) as reader:
            path.unlink()
            assert reader.blocks.pixel_bytes == 1
