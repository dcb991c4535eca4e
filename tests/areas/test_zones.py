"""Statistics of zones, next to pixels that rasterio or shapely find in the whole array."""

import json
import math

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_geom

from builders import made
from seamless_seg import OptionError, class_stats
from seamless_seg.areas.rasterize import Scanlines
from seamless_seg.raster import blocks

SIZE = 203, 331
BLOCKS = {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "deflate"}
ROTATED = Affine.translation(5e5, 5.6e6) @ Affine.rotation(30) @ Affine.scale(2, -0.5)
PLACES = {
    "meters": made.UTM,
    "degrees": {"crs": "EPSG:4326", "transform": from_origin(9, 57, 0.002, 0.001)},
    "rotated": {"crs": "EPSG:32632", "transform": ROTATED},
    "rotated degrees": {
        "crs": "EPSG:4326",
        "transform": from_origin(9, 57, 0.002, 0.001) @ Affine.rotation(10),
    },
}


@pytest.fixture(params=[blocks.MAX_WINDOW_PIXELS, 2500, 250])
def steps(request, monkeypatch):
    """Windows as they are, such as a block, and such as cut blocks."""
    monkeypatch.setattr("seamless_seg.raster.blocks.MAX_WINDOW_PIXELS", request.param)


def classes_of(seed=0):
    return np.random.default_rng(seed).integers(0, 6, SIZE, "uint8")


def star(center, radius, corners, seed):
    """A polygon that is not convex, in columns and rows."""
    random = np.random.default_rng(seed)
    angles = np.sort(random.random(corners)) * 2 * np.pi
    radii = radius * random.uniform(0.2, 1, corners)
    return shapely.Polygon(
        np.column_stack([center[0] + radii * np.cos(angles), center[1] + radii * np.sin(angles)])
    )


SHAPES = {
    "small": star((31.3, 47.1), 9, 7, 1),
    "over it": star((33.3, 49.1), 9, 7, 2),
    "large": star((150.3, 100.1), 140, 400, 3),
    "beyond": star((320.3, 190.1), 60, 9, 4),
    "with a hole": shapely.Polygon(
        [(9.2, 9.3), (300.1, 20.2), (280.4, 190.8), (30.6, 180.1)],
        [[(100.2, 60.7), (220.9, 90.1), (180.4, 150.3)]],
    ),
    "in parts": shapely.MultiPolygon(
        [star((60.3, 150.1), 30, 9, 5), shapely.box(200.3, 9.1, 320.2, 90.7)]
    ),
    "a bow-tie": shapely.Polygon([(70.1, 20.2), (130.3, 80.4), (130.3, 20.2), (70.1, 80.4)]),
    "between centers": shapely.box(100.6, 50.1, 101.4, 90.2),
    "everything": shapely.box(-50, -50, 500, 500),
    "outside": star((900.3, 47.1), 9, 7, 1),
}
"""Columns and rows."""


def save_zones(path, shapes, place, crs=None):
    """GeoJSON of shapes in columns and rows, in the coordinates of a place."""
    features = []
    for name, shape in shapes.items():
        in_crs = shapely.affinity.affine_transform(shape, place["transform"].to_shapely())
        geometry = json.loads(json.dumps(shapely.geometry.mapping(in_crs)))
        if crs is None:
            geometry = transform_geom(place["crs"], "OGC:CRS84", geometry)
        features.append({"type": "Feature", "properties": {"name": name}, "geometry": geometry})
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features} | named))
    return path


def inside(shape):
    """Pixels of the whole array of which the center is inside."""
    rows, cols = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return shapely.contains_xy(shapely.make_valid(shape), cols, rows)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("place", PLACES)
def test_each_zone_has_the_pixels_of_which_the_center_is_inside(tmp_path, place):
    classes, place = classes_of(), PLACES[place]
    classes[30:60, 30:60] = 255
    path = made.raster(tmp_path / "c.tif", classes[None], nodata=255, **BLOCKS, **place)
    zones = save_zones(tmp_path / "z.json", SHAPES, place, crs=place["crs"])
    found = class_stats(path, zones)
    (whole,) = class_stats(path).tables
    assert found.notes == ("1 zone lies outside the raster: outside",)
    assert [table.zone for table in found.tables] == list(SHAPES)
    for table, shape in zip(found.tables, SHAPES.values(), strict=True):
        wanted = inside(shape)
        numbers, counts = np.unique(classes[wanted], return_counts=True)
        expected = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        assert table.nodata_pixels == expected.pop(255, 0)
        assert {own.number: own.pixels for own in table.classes} == expected
        if "32632" in place["crs"]:
            assert math.isclose(table.area, table.pixels * whole.area / whole.pixels)
    everything = found.tables[list(SHAPES).index("everything")]
    assert math.isclose(everything.area, whole.area)
    assert math.isclose(everything.nodata_area, whole.nodata_area)
    for own, same in zip(everything.classes, whole.classes, strict=True):
        assert math.isclose(own.area, same.area)


@pytest.mark.parametrize("place", ["degrees", "rotated degrees"])
def test_the_area_of_a_zone_is_that_of_its_own_pixels(tmp_path, monkeypatch, place):
    monkeypatch.setattr("seamless_seg.raster.blocks.MAX_WINDOW_PIXELS", 2500)
    classes, place = classes_of(), PLACES[place]
    path = made.raster(tmp_path / "c.tif", classes[None], **BLOCKS, **place)
    wanted = inside(SHAPES["large"])
    shapes = {"large": SHAPES["large"]}
    (table,) = class_stats(
        path, save_zones(tmp_path / "z.json", shapes, place, crs="EPSG:4326")
    ).tables
    # The same pixels, every other one being nodata.
    alone = np.where(wanted, classes, 255).astype("uint8")
    (whole,) = class_stats(
        made.raster(tmp_path / "a.tif", alone[None], nodata=255, **BLOCKS, **place)
    ).tables
    for own, same in zip(table.classes, whole.classes, strict=True):
        assert own.pixels == same.pixels
        assert math.isclose(own.area, same.area)
        assert math.isclose(own.share, same.share)


def test_rasterio_burns_the_same_pixels_in_longitude_and_latitude(tmp_path):
    path = made.raster(tmp_path / "c.tif", np.zeros((1, *SIZE), "uint8"), **BLOCKS, **made.UTM)
    zones = save_zones(tmp_path / "z.json", SHAPES, made.UTM)
    for table, shape in zip(class_stats(path, zones).tables, SHAPES.values(), strict=True):
        if shape.is_valid:
            burnt = rasterio.features.geometry_mask([shape], SIZE, Affine.identity(), invert=True)
            assert abs(table.pixels - burnt.sum()) <= 2  # coordinates come back with rounding


def test_a_zone_beyond_the_180th_meridian_is_found(tmp_path):
    place = {"crs": "EPSG:4326", "transform": from_origin(170, 57, 0.1, 0.1)}
    path = made.raster(tmp_path / "c.tif", classes_of()[None], **place)
    shape = shapely.box(150.2, 20.3, 180.4, 90.6)
    zones = {"here": shape, "there": shapely.affinity.translate(shape, -3600)}
    found = class_stats(path, save_zones(tmp_path / "z.json", zones, place, crs="EPSG:4326"))
    here, there = found.tables
    assert here.pixels == inside(shape).sum()
    assert there.classes == here.classes


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.tuples(st.integers(-20, 120), st.integers(-20, 120)),
            st.integers(1, 80),
            st.integers(3, 12),
        ),
        min_size=1,
        max_size=4,
    ),
    st.tuples(st.integers(9, 70), st.integers(9, 70)),
)
def test_outlines_are_drawn_in_any_windows(stars, step):
    shapes = [star((x + 0.3, y + 0.1), radius, n, x + 20) for (x, y), radius, n in stars]
    shapes = np.array([shapely.make_valid(shape) for shape in shapes], object)
    size = 90, 110
    drawn = np.zeros((len(shapes), *size), int)
    outlines = Scanlines(shapely.transform(shapes, lambda xy: xy[:, ::-1]), size)
    for top in range(0, size[0], step[0]):
        rows = slice(top, min(top + step[0], size[0]))
        strip = outlines.on(rows)
        for left in range(0, size[1], step[1]):
            cols = slice(left, min(left + step[1], size[1]))
            pieces = list(strip.pieces(cols))
            assert strip.touches(cols) or not pieces
            for polygon, part, mask in pieces:
                drawn[polygon, rows, cols][part] += 1 if mask is None else mask
    rows, cols = np.mgrid[: size[0], : size[1]] + 0.5
    for own, shape in zip(drawn, shapes, strict=True):
        np.testing.assert_array_equal(own, shapely.contains_xy(shape, cols, rows))


def test_zones_that_share_a_side_share_no_pixel():
    """Also where sides run through centers: each pixel belongs to one of them."""
    corners = [(10.5, 10.5), (20.5, 10.5), (20.5, 20.5), (10.5, 20.5)]
    parts = [
        shapely.Polygon([a, b, (15.5, 15.5)])
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    strip = Scanlines(np.array(parts, object), (40, 40)).on(slice(0, 40))
    drawn = np.zeros((40, 40), int)
    for _, part, mask in strip.pieces(slice(0, 40)):
        drawn[part] += 1 if mask is None else mask
    assert drawn.sum() == 100
    assert drawn.max() == 1


def test_only_windows_that_a_zone_touches_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("seamless_seg.raster.blocks.MAX_WINDOW_PIXELS", 2048)
    classes = classes_of()
    path = made.raster(tmp_path / "c.tif", classes[None], **BLOCKS)
    shape = shapely.box(70.2, 40.3, 120.1, 60.9)  # in the second block of the second row
    zones = save_zones(tmp_path / "z.json", {"a": shape}, made.UTM, crs="EPSG:32632")
    with rasterio.open(path) as dataset:
        offset, count = (
            int(dataset.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", 1)) for what in ("OFFSET", "SIZE")
        )
    kept = path.read_bytes()
    damaged = bytearray(b"\xff" * len(kept))
    first = min_offset(path)
    damaged[:first] = kept[:first]
    damaged[offset : offset + count] = kept[offset : offset + count]
    path.write_bytes(damaged)
    (table,) = class_stats(path, zones).tables
    numbers, counts = np.unique(classes[inside(shape)], return_counts=True)
    assert {own.number: own.pixels for own in table.classes} == dict(
        zip(numbers, counts, strict=True)
    )
    with pytest.raises(OSError, match="which may be damaged"):
        class_stats(path)


def min_offset(path):
    """Where the first block of pixels begins."""
    with rasterio.open(path) as dataset:
        places = [
            int(dataset.get_tag_item(f"BLOCK_OFFSET_{j}_{i}", "TIFF", 1))
            for (i, j), _ in dataset.block_windows(1)
        ]
    return min(places)


BOX = {"type": "Polygon", "coordinates": [[[9, 9], [90, 9], [90, 60.3], [9, 9]]]}
"""Columns and rows."""


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
class TestFiles:
    """A raster without a georeference, so that coordinates are columns and rows."""

    @pytest.fixture
    def stats(self, tmp_path):
        path = made.raster(tmp_path / "c.tif", classes_of()[None], crs=None, transform=None)

        def stats(document, key=None):
            (tmp_path / "z.json").write_text(json.dumps(document))
            return class_stats(path, tmp_path / "z.json", zone_key=key)

        return stats

    @pytest.mark.parametrize(
        ("feature", "key", "name"),
        [
            ({"properties": {"id": 7, "name": "wood"}}, None, "wood"),
            ({"properties": {"id": 7, "name": None}}, None, "7"),
            ({"properties": {"no": 7}, "id": "a7"}, None, "a7"),
            ({"properties": None}, None, "2"),
            ({}, None, "2"),
            ({"properties": {"no": 7, "name": "wood"}}, "no", "7"),
            ({"properties": {"name": "wood"}}, "no", "2"),
        ],
    )
    def test_a_zone_is_called_by_a_property_or_its_number(self, stats, feature, key, name):
        first = {"properties": {"no": "I", "name": "first"}}
        features = [{"type": "Feature", "geometry": BOX} | own for own in (first, feature)]
        found = stats({"type": "FeatureCollection", "features": features}, key)
        assert [table.zone for table in found.tables] == ["I" if key else "first", name]

    @pytest.mark.parametrize(
        "document", [BOX, {"type": "Feature", "properties": None, "geometry": BOX}]
    )
    def test_a_geometry_alone_is_a_zone(self, stats, document):
        (table,) = stats(document).tables
        assert table.zone == "1"
        assert table.pixels == inside(shapely.geometry.shape(BOX)).sum()

    def test_features_without_polygons_are_no_zones(self, stats):
        others = [None, {"type": "Point", "coordinates": [20, 20]}]
        features = [{"type": "Feature", "geometry": shape} for shape in (*others, BOX)]
        (table,) = stats({"type": "FeatureCollection", "features": features}).tables
        assert table.zone == "1"

    def test_many_that_miss_are_not_all_named(self, stats):
        far = {"type": "Polygon", "coordinates": [[[900, 9], [990, 9], [990, 90], [900, 9]]]}
        features = [{"type": "Feature", "geometry": shape} for shape in (BOX, *[far] * 6)]
        found = stats({"type": "FeatureCollection", "features": features})
        assert found.notes[0] == "6 zones lie outside the raster: 2, 3, 4, 5, 6, ..."
        assert [table.pixels > 0 for table in found.tables] == [True] + [False] * 6
        assert {table.classes for table in found.tables[1:]} == {()}
        with pytest.raises(
            OptionError, match=r"zones .*z.json misses the raster: it spans 900, 9, 990, 90, the"
        ):
            stats({"type": "FeatureCollection", "features": features[1:]})

    @pytest.mark.parametrize(
        ("document", "key", "message"),
        [
            ({"type": "FeatureCollection", "features": []}, None, "z.json holds no polygon"),
            ([1], None, "z.json is not GeoJSON: something in it has no type"),
            (BOX, "no", "zone-key: no feature of .*z.json has a property 'no'$"),
            (
                {"type": "Feature", "geometry": BOX, "properties": {"a": 1, "b": 2}},
                "no",
                "has a property 'no': its first feature has a, b$",
            ),
        ],
    )
    def test_what_is_no_zone_is_refused(self, stats, document, key, message):
        with pytest.raises(OptionError, match=message):
            stats(document, key)
