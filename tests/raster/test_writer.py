import numpy as np
import pytest
import rasterio
import rasterio.rpc
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from builders import made
from seamless_seg import RasterError, segment
from seamless_seg.raster.creation_options import Encoding
from seamless_seg.raster.georeference import Georeference
from seamless_seg.raster.geotiff import Output
from seamless_seg.raster.writer import RasterWriter

NOWHERE = Georeference(crs=None, transform=None, gcps=[], rpcs=None)
ROTATED_POLE = CRS.from_wkt(
    'GEOGCRS["rotated",BASEGEOGCRS["base",DATUM["D",ELLIPSOID["E",6371229,0]],PRIMEM["Greenwich",0,'
    'ANGLEUNIT["degree",0.0174532925199433]]],DERIVINGCONVERSION["c",METHOD["PROJ ob_tran '
    'o_proj=longlat"],PARAMETER["o_lat_p",39.25,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["lon_0",18,ANGLEUNIT["degree",0.0174532925199433]]],CS[ellipsoidal,2],'
    'AXIS["lon",east],AXIS["lat",north],ANGLEUNIT["degree",0.0174532925199433]]'
)


def identity(batch):
    return batch


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.tif"


@pytest.mark.parametrize("order", ["rows", "columns", "backwards"])
def test_windows_may_come_in_any_order(out, order):
    image = np.random.default_rng(0).random((600, 700, 2), np.float32)
    corners = [(y, x) for y in range(0, 600, 100) for x in range(0, 700, 70)]
    if order == "columns":
        corners.sort(key=lambda corner: corner[::-1])
    elif order == "backwards":
        corners.reverse()
    with RasterWriter(out, Output((600, 700), 2, NOWHERE)) as writer:
        for y, x in corners:
            writer.write(slice(y, y + 100), slice(x, x + 70), image[y : y + 100, x : x + 70])
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        np.testing.assert_array_equal(made.read(out), image.transpose(2, 0, 1))


@pytest.mark.parametrize("compress", ["zstd", "deflate", "none"])
def test_several_threads_compress_to_the_same_file(out, monkeypatch, compress):
    image = np.random.default_rng(0).random((900, 1000, 2), np.float32)
    for processors in (1, 16):
        monkeypatch.setattr("seamless_seg.raster.geotiff.cores", lambda count=processors: count)
        with RasterWriter(
            out, Output((900, 1000), 2, NOWHERE, Encoding(compress)), overwrite=True
        ) as writer:
            for y in range(0, 900, 90):
                writer.write(slice(y, y + 90), slice(0, 1000), image[y : y + 90])
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            np.testing.assert_array_equal(made.read(out), image.transpose(2, 0, 1))


@pytest.mark.parametrize("held", [1, 2, 5])
def test_open_blocks_beyond_those_that_may_be_held_wait_on_the_disk(out, held):
    image = np.random.default_rng(0).random((600, 700, 2), np.float32)
    with RasterWriter(out, Output((600, 700), 2, NOWHERE), held=held) as writer:
        for x in range(0, 700, 70):
            for y in range(0, 600, 100):
                writer.write(slice(y, y + 100), slice(x, x + 70), image[y : y + 100, x : x + 70])
        assert len(made.names(out.parent)) == 1
    at_once = out.with_name("at_once.tif")
    with RasterWriter(at_once, Output((600, 700), 2, NOWHERE)) as writer:
        writer.write(slice(0, 600), slice(0, 700), image)
    assert out.stat().st_size == at_once.stat().st_size
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        np.testing.assert_array_equal(made.read(out), image.transpose(2, 0, 1))


def leave_incomplete(out):
    with RasterWriter(out, Output((300, 300), 1, NOWHERE)) as writer:
        writer.write(slice(0, 300), slice(0, 200), np.zeros((300, 200, 1), np.float32))


def test_an_output_that_misses_windows_is_not_put_in_place(out):
    with pytest.raises(RasterError, match="is not complete: 2 blocks are open"):
        leave_incomplete(out)
    assert made.names(out.parent) == []


@pytest.mark.parametrize(("side", "magic"), [(1_000, b"II*\0"), (40_000, b"II+\0")])
def test_an_output_that_could_pass_four_gigabytes_is_a_bigtiff(out, side, magic):
    began = []

    def begin():
        with RasterWriter(out, Output((side, side), 1, NOWHERE)) as writer:
            (partial,) = out.parent.glob(".out.tif.*.partial/*.tif")
            writer.write(slice(0, 256), slice(0, 256), np.ones((256, 256, 1), np.float32))
            began.append(partial.read_bytes()[:4])
            raise KeyboardInterrupt  # nobody wants to wait for all of it

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert began == [magic]


def take_the_name(out):
    with RasterWriter(out, Output((10, 10), 1, NOWHERE)) as writer:
        writer.write(slice(0, 10), slice(0, 10), np.zeros((10, 10, 1), np.float32))
        out.write_text("mine")


def test_a_file_that_came_meanwhile_is_not_replaced(out):
    with pytest.raises(RasterError, match="something else has taken that name meanwhile"):
        take_the_name(out)
    assert out.read_text() == "mine"
    assert made.names(out.parent) == ["out.tif"]


def test_a_crs_that_geotiff_cannot_hold_is_kept_beside_it(tmp_path, out):
    made.raster(tmp_path / "in.tif", made.pixels(1, 20, 20, "float32"), crs=ROTATED_POLE)
    segment(tmp_path / "in.tif", identity, out)
    with rasterio.open(out) as dataset:
        assert dataset.crs == ROTATED_POLE
    assert made.names(out.parent) == ["out.tif", "out.tif.aux.xml"]


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_ground_control_points_are_kept(tmp_path, out, crs):
    points = [
        GroundControlPoint(row, col, x=col * 2.0, y=-row * 2.0, id=str(n))
        for n, (row, col) in enumerate([(0, 0), (0, 90), (80, 0), (80, 90)])
    ]
    image = made.pixels(3, 80, 90, "float32")
    place = {"transform": None, "gcps": points, "crs": crs or CRS()}
    made.raster(tmp_path / "in.tif", image, **place)
    segment(tmp_path / "in.tif", identity, out)
    with rasterio.open(out) as dataset:
        gcps, kept_crs = dataset.gcps
    assert kept_crs == (CRS.from_user_input(crs) if crs else None)
    assert [(p.row, p.col, p.x, p.y) for p in gcps] == [(p.row, p.col, p.x, p.y) for p in points]


def test_ground_control_points_stay_where_pixels_are_points(tmp_path, out):
    points = [
        GroundControlPoint(row, col, x=col * 2.0, y=-row * 2.0, id=str(n))
        for n, (row, col) in enumerate([(1, 0), (0, 90), (80, 0), (80, 90)])
    ]
    place = {"transform": None, "gcps": points, "crs": "EPSG:4326"}
    made.raster(tmp_path / "in.tif", made.pixels(3, 80, 90, "float32"), **place)
    with rasterio.open(tmp_path / "in.tif", "r+") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    segment(tmp_path / "in.tif", identity, out)
    with rasterio.open(tmp_path / "in.tif") as dataset, rasterio.open(out) as made_of_it:
        right, found = dataset.gcps[0], made_of_it.gcps[0]
    assert [(p.row, p.col) for p in found] == [(p.row, p.col) for p in right]


def test_rational_polynomials_are_kept(tmp_path, out):
    coefficients = [float(n) for n in range(20)]
    numbers = dict.fromkeys(
        ("height_off", "lat_off", "long_off", "line_off", "samp_off"), 50.0
    ) | dict.fromkeys(("height_scale", "lat_scale", "long_scale", "line_scale", "samp_scale"), 2.0)
    lists = ("line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff")
    rpcs = rasterio.rpc.RPC(
        **numbers, **dict.fromkeys(lists, coefficients), err_bias=0.5, err_rand=0.25
    )
    made.raster(
        tmp_path / "in.tif",
        made.pixels(1, 20, 20, "float32"),
        crs=None,
        transform=None,
        rpcs=rpcs,
    )
    segment(tmp_path / "in.tif", identity, out)
    with rasterio.open(out) as dataset:
        assert dataset.rpcs.to_dict() == rpcs.to_dict()


@pytest.mark.parametrize("name", ["a name with spaces.tif", "ä" * 118 + ".tif", "OUT.TIFF"])
def test_names_of_every_kind(tmp_path, out, name):
    made.raster(tmp_path / "in.tif", made.pixels(1, 20, 20, "float32"))
    segment(tmp_path / "in.tif", identity, out.with_name(name))
    assert made.names(out.parent) == [name]


def test_a_link_is_followed(tmp_path, out):
    made.raster(tmp_path / "in.tif", made.pixels(1, 20, 20, "float32"))
    (tmp_path / "link.tif").symlink_to(out)
    segment(tmp_path / "in.tif", identity, tmp_path / "link.tif")
    assert made.read(out).shape == (1, 20, 20)
    assert (tmp_path / "link.tif").is_symlink()
