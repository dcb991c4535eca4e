"""Areas in another CRS than the raster's: around 180 degrees, with long edges, in no degrees."""

import json

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform

from builders import made
from builders.command import refused
from seamless_seg import OptionError, segment
from seamless_seg.areas.geojson import read_area
from seamless_seg.raster.georeference import Georeference


def write(path, *rings, **more):
    """Polygons, one of each ring, as RFC 7946 has them."""
    parts = [[[*ring, ring[0]]] for ring in rings]
    path.write_text(json.dumps({"type": "MultiPolygon", "coordinates": parts} | more))
    return path


def ring(west, south, east, north):
    return [(west, south), (east, south), (east, north), (west, north)]


def place(crs, transform):
    return Georeference(CRS.from_user_input(crs), transform, (), None)


def wanted(area, size):
    """Pixels of which the center lies inside."""
    rows, cols = np.mgrid[: size[0], : size[1]] + 0.5
    return shapely.contains_xy(area, rows, cols)


def exactly(size, where, crs, is_inside):
    """The slow way: every pixel's center, brought to the area instead."""
    rows, cols = np.mgrid[: size[0], : size[1]] + 0.5
    xs, ys = where @ (cols.ravel(), rows.ravel())
    lons, lats = (np.array(part) for part in transform(crs, "OGC:CRS84", xs, ys))
    return is_inside(lons, lats).reshape(size)


HALVES = ring(179.7, -17.2, 180, -16.9), ring(-180, -17.2, -179.75, -16.9)
"""A box around the 180th meridian, cut there as RFC 7946 wants it."""


def is_in_halves(lons, lats):
    return ((lons % 360 > 179.7) & (lons % 360 < 180.25)) & ((lats > -17.2) & (lats < -16.9))


@pytest.mark.parametrize(
    ("crs", "where"),
    [
        ("EPSG:4326", from_origin(179.5, -16.8, 0.01, 0.01)),
        ("EPSG:4326", from_origin(-180.5, -16.8, 0.01, 0.01)),
        ("EPSG:4807", from_origin(196.9 - 400, -18.5, 0.012, 0.012)),  # in grads, from Paris
        ("EPSG:32760", from_origin(770_000, 8_141_300, 1000, 1000)),
        ("EPSG:32701", from_origin(130_000, 8_141_300, 1000, 1000)),
        ("EPSG:3832", from_origin(3_280_000, -1_880_000, 1200, 1200)),
    ],
)
def test_an_area_around_180_degrees(paths, crs, where):
    raster, model, output = paths
    size = 60, 110
    made.raster(raster, made.pixels(3, *size), crs=crs, transform=where)
    _, answer = made.pointwise(model, 3, 2)
    area = write(raster.with_name("a.json"), *HALVES)
    segment(raster, model, output, area=area, tile=64, overlap=16, scale=1)
    inside = exactly(size, where, crs, is_in_halves)
    assert 800 < inside.sum() < inside.size / 2
    logits = made.read(output)
    np.testing.assert_array_equal(~np.isnan(logits[0]), inside)
    expected = answer(made.read(raster).astype(np.float32))
    np.testing.assert_allclose(logits[:, inside], expected[:, inside], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("west", [-180, 0, -360, 180])
def test_areas_lie_somewhere_in_every_world(tmp_path, west):
    size, where = (180, 360), place("EPSG:4326", from_origin(west, 90, 1, 1))
    for box in [(-20, 10, 30, 40), (170, 10, 190, 20), (340, 10, 350, 20), (-200, 0, -170, 9)]:
        area = read_area(write(tmp_path / "a.json", ring(*box)), size, where)
        assert wanted(area, size).sum() == (box[2] - box[0]) * (box[3] - box[1])


def test_what_a_raster_shows_twice_is_wanted_twice(tmp_path):
    size, where = (10, 400), place("EPSG:4326", from_origin(-200, 10, 1, 1))
    area = read_area(write(tmp_path / "a.json", ring(165, 2, 175, 4)), size, where)
    assert area.bounds == (6, 5, 8, 375)
    assert area.area == 2 * 10 * 2


def test_a_turn_does_not_help_what_is_elsewhere(tmp_path):
    where = place("EPSG:4326", from_origin(179, 1, 0.1, 0.1))
    with pytest.raises(OptionError, match="misses the raster: it spans -170, 0, -160, 1, the r"):
        read_area(write(tmp_path / "a.json", ring(-170, 0, -160, 1)), (20, 20), where)


PARALLELS = ring(4, 50, 14, 50.2)
"""Two parallels, 10 degrees long."""


@pytest.mark.parametrize(
    ("crs", "where"),
    [
        ("EPSG:32632", Affine(1100, 0, 130_000, 0, -120, 5_610_000)),
        ("EPSG:3035", Affine(1100, 0, 3_880_000, 0, -120, 3_046_000)),
        ("EPSG:32632", Affine(700, 700, 130_000, 60, -60, 5_560_000)),  # rotated
    ],
)
def test_edges_are_straight_in_the_areas_own_coordinates(tmp_path, crs, where):
    size = 420, 660
    area = read_area(write(tmp_path / "a.json", PARALLELS), size, place(crs, where))

    def is_inside(lons, lats):
        return (lons > 4) & (lons < 14) & (lats > 50) & (lats < 50.2)

    inside = exactly(size, where, crs, is_inside)
    assert inside.sum() > 20_000
    assert (wanted(area, size) != inside).sum() <= 5e-4 * inside.sum()


def test_an_edge_that_does_not_deviate_in_its_middle(tmp_path):
    """Symmetric around the center of the projection, and bent like an S."""
    size, where, crs = (400, 400), from_origin(-2e6, 2e6, 1e4, 1e4), "+proj=sinu +datum=WGS84"
    corners = [(-17, -17), (17, 17), (17, -17)]
    area = read_area(write(tmp_path / "a.json", corners), size, place(crs, where))

    def is_inside(lons, lats):
        return (lats < lons) & (lons < 17) & (lats > -17)

    inside = exactly(size, where, crs, is_inside)
    assert (wanted(area, size) != inside).sum() <= 2


def test_an_area_around_the_pole(tmp_path):
    size, where, crs = (200, 200), from_origin(-4e6, 4e6, 4e4, 4e4), "EPSG:3031"
    area = read_area(write(tmp_path / "a.json", ring(-180, -90, 180, -60)), size, place(crs, where))
    inside = exactly(size, where, crs, lambda lons, lats: lats < -60)
    assert inside.sum() > 10_000
    assert (wanted(area, size) != inside).sum() <= 8


def test_only_edges_that_the_raster_sees_become_many(tmp_path):
    """Else a country's outline would, in pixels of a centimeter, come to billions of vertices."""
    size, where = (1000, 1000), place("EPSG:32632", from_origin(500_000, 5_540_000, 0.01, 0.01))
    angles = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    circle = np.column_stack([9 + 40 * np.cos(angles), 50 + 35 * np.sin(angles)]).tolist()
    area = read_area(write(tmp_path / "a.json", circle, ring(4, 50, 14, 50.01)), size, where)
    assert shapely.count_coordinates(area) < 20_000


def test_an_area_in_the_rasters_crs_keeps_its_vertices(tmp_path):
    size, where = (100, 100), place("EPSG:32632", from_origin(500_000, 5_540_000, 1, 1))
    corners = ring(500_010, 5_539_910, 500_090, 5_539_950)
    area = read_area(write(tmp_path / "a.json", corners, crs="EPSG:32632"), size, where)
    assert area.equals_exact(shapely.box(50, 10, 90, 90), normalize=True)
    assert shapely.count_coordinates(area) == 5


class TestRefusals:
    def test_meters_without_a_crs(self, folder, cli):
        write(folder / "a.json", ring(500_000, 5_599_960, 500_050, 5_600_000))
        message = (
            "area a.json has coordinates such as 500000, 5599960, which are no longitude and "
            'latitude of OGC:CRS84: GeoJSON is in WGS 84 unless .*"EPSG:32632"'
        )
        run = ("run", "in.tif", "model.onnx", "out/out.tif", "--area", "a.json", "-q")
        refused(cli(*run), 2, message)
        made.raster("in.tif", made.pixels(3, 20, 20), crs="EPSG:4326")
        refused(cli(*run), 2, "no longitude and latitude .*EPSG:32632")

    def test_meters_that_are_said_to_be_degrees(self, folder, cli):
        write(folder / "a.json", ring(500_000, 0, 500_050, 10), crs="EPSG:4326")
        result = cli("plan", "in.tif", "--area", "a.json")
        refused(result, 2, "such as 500000, 0, which are no longitude and latitude of EPSG:4326")
