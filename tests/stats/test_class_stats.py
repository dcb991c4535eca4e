"""Pixels, area and share of each class, next to numpy's answer for the whole array."""

import math

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from builders import made
from seamless_seg import OptionError, RasterError, class_stats
from seamless_seg.raster import blocks
from seamless_seg.raster.blocks import BlockLayout

SIZE = 203, 331
LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "deflate"},
    "striped": {"blockysize": 7},
    "one strip": {"blockysize": SIZE[0], "compress": "deflate"},
}


@pytest.fixture(params=[blocks.MAX_WINDOW_PIXELS, 1500, 250])
def steps(request, monkeypatch):
    """Windows as they are, such as cut blocks, and such as cut rows."""
    monkeypatch.setattr("seamless_seg.raster.blocks.MAX_WINDOW_PIXELS", request.param)


def classes_of(dtype="uint8", low=0, high=6, size=SIZE):
    return np.random.default_rng(0).integers(low, high, size).astype(dtype)


def saved(path, classes, **profile):
    return made.raster(path, classes[None], **profile)


def expected(classes, valid=None):
    """Pixels of each class."""
    numbers, counts = np.unique(classes if valid is None else classes[valid], return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def table_of(path, **options):
    (table,) = class_stats(path, **options).tables
    assert table.pixels == sum(own.pixels for own in table.classes)
    return table


def pixels_of(table):
    return {own.number: own.pixels for own in table.classes}


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("uint8", 0, 6),
        ("uint8", 0, 256),
        ("int8", -128, 128),
        ("uint16", 0, 65536),
        ("int16", -32768, 32768),
        ("uint32", 2**32 - 9, 2**32),
        ("int32", -(2**31), 2**31),
        ("uint64", 2**64 - 9, 2**64),
        ("int64", -(2**63), -(2**63) + 9),
    ],
)
def test_pixels_are_numpy_s(tmp_path, layout, dtype, low, high):
    random = np.random.default_rng(0)
    classes = random.integers(low, high, SIZE, dtype)
    if high - low > 2**17:  # far apart, and not too many
        classes = random.choice(classes.ravel()[:9], SIZE)
    table = table_of(saved(tmp_path / "c.tif", classes, **LAYOUTS[layout]))
    assert pixels_of(table) == expected(classes)
    assert table.area == classes.size * 0.25
    assert [own.area for own in table.classes] == [own.pixels * 0.25 for own in table.classes]
    assert [own.share for own in table.classes] == [
        own.pixels / classes.size for own in table.classes
    ]
    assert (table.nodata_pixels, table.nodata_area) == (0, 0)


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 100), st.integers(1, 100)),
    st.integers(1, 300),
)
def test_windows_cover_a_raster_once(size, block, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MAX_WINDOW_PIXELS", most)
        windows = blocks.BlockWindows(size, BlockLayout(*block, 1))
        seen = np.zeros(size, int)
        for window in windows:
            assert 0 < math.prod(window.shape) <= most
            seen[window.rows, window.cols] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("size", "block", "bounds"),
    [
        # Blocks are whole as long as one of them goes into a window: none is decoded twice.
        ((9000, 70_000), (512, 512), (512, 2048)),
        ((9000, 7000), (1, 7000), (149, 7000)),
        ((9000, 1000), (256, 256), (1024, 1000)),
        ((9000, 9000), (4096, 4096), (256, 4096)),
    ],
)
def test_windows_are_whole_blocks(size, block, bounds):
    assert next(iter(blocks.BlockWindows(size, BlockLayout(*block, 1)))).shape == bounds


class TestNodata:
    @pytest.mark.usefixtures("steps")
    @pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326"])
    def test_a_value_counts_apart(self, tmp_path, crs):
        classes = classes_of(high=7)
        classes[:40] = 255
        place = {"crs": crs, "transform": from_origin(9, 50, 0.001, 0.001)}
        path = saved(tmp_path / "c.tif", classes, nodata=255, **LAYOUTS["tiled"], **place)
        table = table_of(path)
        assert pixels_of(table) == expected(classes, classes != 255)
        assert table.nodata_pixels == (classes == 255).sum() == 40 * SIZE[1]
        assert math.isclose(sum(own.share for own in table.classes), 1)

    def test_another_value_may_be_given(self, tmp_path):
        classes = classes_of()
        table = table_of(saved(tmp_path / "c.tif", classes, nodata=255), nodata=3)
        assert pixels_of(table) == expected(classes, classes != 3)
        assert table.nodata_pixels == (classes == 3).sum()
        with pytest.raises(OptionError, match=r"nodata -1 cannot be a pixel of .*uint8"):
            class_stats(tmp_path / "c.tif", nodata=-1)

    @pytest.mark.usefixtures("steps")
    @pytest.mark.parametrize("kind", ["mask", "alpha"])
    @pytest.mark.parametrize("dtype", ["uint8", "int16"])
    def test_masked_pixels_count_apart(self, tmp_path, kind, dtype):
        classes = classes_of(dtype, high=120)
        valid = np.random.default_rng(1).random(SIZE) < 0.7
        valid[:64, :128], classes[0, 0] = False, 127
        path, opaque = tmp_path / "c.tif", np.where(valid, 127, 0).astype(dtype)
        bands = [classes] if kind == "mask" else [classes, opaque]
        made.raster(path, np.stack(bands), **LAYOUTS["tiled"])
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            if kind == "mask":
                dataset.write_mask(valid)
            else:
                dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
        table = table_of(path)
        assert pixels_of(table) == expected(classes, valid)
        assert table.nodata_pixels == (~valid).sum()

    def test_where_all_is_nodata_there_are_no_shares(self, tmp_path):
        table = table_of(saved(tmp_path / "c.tif", np.full(SIZE, 9, np.uint8), nodata=9))
        assert (table.classes, table.pixels, table.area) == ((), 0, 0)
        assert table.nodata_area == math.prod(SIZE) * 0.25


class TestArea:
    def test_feet_become_meters(self, tmp_path):
        place = {"crs": "EPSG:2263", "transform": from_origin(980_000, 200_000, 2, 3)}
        table = table_of(saved(tmp_path / "c.tif", classes_of(), **place))
        assert math.isclose(table.area, math.prod(SIZE) * 6 * (1200 / 3937) ** 2, rel_tol=1e-9)

    def test_a_rotated_map(self, tmp_path):
        turned = Affine.translation(5e5, 5.6e6) @ Affine.rotation(30) @ Affine.scale(2, -0.5)
        table = table_of(saved(tmp_path / "c.tif", classes_of(), transform=turned))
        assert math.isclose(table.area, math.prod(SIZE))

    def test_a_mercator_map_is_warned_of(self, tmp_path):
        place = {"crs": "EPSG:3857", "transform": from_origin(1e6, 6e6, 1, 1)}
        (note,) = class_stats(saved(tmp_path / "c.tif", classes_of(), **place)).notes
        assert note.startswith("areas are measured on a Mercator map, which enlarges them")
        assert class_stats(saved(tmp_path / "d.tif", classes_of())).notes == ()

    @pytest.mark.usefixtures("steps")
    def test_the_earth_has_510065621_7_square_kilometers(self, tmp_path):
        # Half a pixel sticks out beyond either pole, as where pixels are points.
        place = {"crs": "EPSG:4326", "transform": from_origin(-180, 90.5, 1, 1)}
        table = table_of(saved(tmp_path / "c.tif", classes_of(size=(181, 360)), **place))
        assert round(table.area / 1e6, 1) == 510_065_621.7

    @pytest.mark.usefixtures("steps")
    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4807", "+proj=longlat +R=6371000"])
    def test_degrees_are_integrated_over_the_ellipsoid(self, tmp_path, crs):
        place = {"crs": crs, "transform": from_origin(9, 57.5, 0.02, 0.01)}
        classes = classes_of()
        table = table_of(saved(tmp_path / "c.tif", classes, **place))
        assert pixels_of(table) == expected(classes)
        for own, area in zip(table.classes, integrated(classes, crs), strict=True):
            assert math.isclose(own.area, area, rel_tol=1e-8)
            assert math.isclose(own.share, own.area / table.area)
            assert own.share != own.pixels / table.pixels

    @pytest.mark.usefixtures("steps")
    def test_a_grid_that_lies_on_its_side(self, tmp_path):
        classes, crs = classes_of(), "EPSG:4326"
        upright = saved(
            tmp_path / "u.tif", classes, crs=crs, transform=from_origin(9, 57, 0.1, 0.1)
        )
        aside = Affine(0, 0.1, 9, -0.1, 0, 57)
        turned = saved(tmp_path / "t.tif", classes.T.copy(), crs=crs, transform=aside)
        for one, other in zip(table_of(upright).classes, table_of(turned).classes, strict=True):
            assert math.isclose(one.area, other.area)

    @pytest.mark.usefixtures("steps")
    def test_rotated_degrees_are_nearly_those_that_are_not(self, tmp_path):
        classes, upright = classes_of(), from_origin(9, 57, 0.001, 0.001)
        turned = upright @ Affine.rotation(1e-4)
        tables = [
            table_of(saved(tmp_path / f"{n}.tif", classes, crs="EPSG:4326", transform=transform))
            for n, transform in enumerate((upright, turned))
        ]
        for one, other in zip(*(table.classes for table in tables), strict=True):
            assert one.area != other.area
            assert math.isclose(one.area, other.area, rel_tol=1e-6)

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    @pytest.mark.parametrize(
        ("profile", "message"),
        [
            ({"crs": None}, "the raster has no CRS: areas in square meters are unknown"),
            ({"transform": None}, "the raster has no geotransform: areas in square"),
            (
                {
                    "transform": None,
                    "gcps": [GroundControlPoint(9 * n, 9 * n, n, n, 0) for n in range(4)],
                },
                "the raster has ground control points only: areas in",
            ),
        ],
    )
    def test_is_unknown_without_a_place(self, tmp_path, profile, message):
        classes = classes_of()
        path = saved(tmp_path / "c.tif", classes, **profile)
        assert class_stats(path).notes[0].startswith(message)
        table = table_of(path)
        assert (table.area, table.nodata_area) == (None, None)
        assert {own.area for own in table.classes} == {None}
        assert [own.share for own in table.classes] == [
            count / classes.size for count in expected(classes).values()
        ]


def integrated(classes, crs):
    """Area of each class: the surface element of the ellipsoid at many parallels of each row."""
    (a, inverse), unit = {
        "EPSG:4326": ((6_378_137, 298.257223563), np.pi / 180),
        "EPSG:4807": ((6_378_249.2, 293.466021293627), np.pi / 200),
        "+proj=longlat +R=6371000": ((6_371_000, np.inf), np.pi / 180),
    }[crs]
    squared = 1 / inverse * (2 - 1 / inverse)
    parts = 200
    latitudes = (57.5 - (np.arange(SIZE[0] * parts) + 0.5) * 0.01 / parts) * unit
    bend = 1 - squared * np.sin(latitudes) ** 2
    along_meridian, along_parallel = a * (1 - squared) / bend**1.5, a / bend**0.5
    element = along_meridian * along_parallel * np.cos(latitudes) * (0.01 / parts * 0.02 * unit**2)
    rows = element.reshape(SIZE[0], parts).sum(axis=1)
    return [float(((classes == k).sum(axis=1) * rows).sum()) for k in range(6)]


def test_named_classes_are_listed_without_pixels_too(tmp_path):
    path = saved(tmp_path / "c.tif", classes_of(low=1, high=3), nodata=4)
    names = "".join(f"<Category>{name}</Category>" for name in ("", "road", "", "wood", "none"))
    band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    path.with_name("c.tif.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>")
    found = [(own.number, own.name, own.pixels > 0) for own in table_of(path).classes]
    assert found == [(1, "road", True), (2, None, True), (3, "wood", False)]


class TestRefusals:
    def test_several_bands(self, tmp_path):
        path = made.raster(tmp_path / "c.tif", made.pixels(3, 20, 30))
        with pytest.raises(RasterError, match=r"c.tif has 3 bands, .*kind=.classes. w"):
            class_stats(path)

    def test_floats(self, tmp_path):
        path = made.raster(tmp_path / "c.tif", made.pixels(1, 20, 30, "float32"))
        with pytest.raises(RasterError, match=r"pixels of float32, .*kind=.classes. w"):
            class_stats(path)

    def test_numbers_that_are_no_classes(self, tmp_path):
        path = saved(tmp_path / "c.tif", np.arange(300 * 300, dtype=np.int32).reshape(300, 300))
        with pytest.raises(RasterError, match=r"c.tif has more than 65536 different values: these"):
            class_stats(path)

    def test_a_key_without_zones(self, tmp_path):
        path = saved(tmp_path / "c.tif", classes_of())
        with pytest.raises(OptionError, match="zone-key needs zones: give a file of zones, too"):
            class_stats(path, zone_key="name")


def test_progress_ends_with_all_pixels(tmp_path):
    seen = []
    class_stats(
        saved(tmp_path / "c.tif", classes_of(), **LAYOUTS["tiled"]), on_progress=seen.append
    )
    assert seen[-1].done == seen[-1].total
    assert seen[-1].pixels == math.prod(SIZE)
