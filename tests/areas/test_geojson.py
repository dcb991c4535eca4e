import json

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio.warp import transform

from builders import made
from seamless_seg import OptionError
from seamless_seg.areas.geojson import read_area
from seamless_seg.raster.reader import RasterReader


@pytest.fixture
def write(tmp_path):
    def write(document):
        path = tmp_path / "area.geojson"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


@pytest.fixture
def place(tmp_path):
    """Size and georeference of a raster of 300 x 200 pixels of half a meter."""
    with RasterReader(made.raster(tmp_path / "in.tif", made.pixels(1, 300, 200))) as reader:
        return reader.size, reader.georeference


def polygon(corners, **more):
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]} | more


def in_crs(rows_and_columns):
    rows, cols = zip(*rows_and_columns, strict=True)
    xs, ys = rasterio.transform.xy(made.UTM["transform"], rows, cols, offset="ul")
    return [[float(x), float(y)] for x, y in zip(xs, ys, strict=True)]


CORNERS = [(200, 30), (200, 90), (260, 90), (250, 30)]
"""Rows and columns of pixels, far from the diagonal."""


@pytest.mark.parametrize("crs", [None, "EPSG:32632", {"properties": {"name": "EPSG:32632"}}])
def test_an_area_in_a_crs_is_converted_to_pixels(write, place, crs):
    corners, named = in_crs(CORNERS), {} if crs is None else {"crs": crs}
    if crs is None:
        xs, ys = zip(*corners, strict=True)
        corners = [list(p) for p in zip(*transform("EPSG:32632", "OGC:CRS84", xs, ys), strict=True)]
    area = read_area(write(polygon(corners, **named)), *place)
    expected = shapely.Polygon(CORNERS)
    assert area.symmetric_difference(expected).area < 0.01 * expected.area


def test_without_a_georeference_coordinates_are_columns_and_rows(write):
    area = read_area(write(polygon([(30, 200), (90, 200), (90, 260)])), (300, 200))
    assert area.equals(shapely.Polygon([(200, 30), (200, 90), (260, 90)]))


def test_collections_are_put_together(write):
    boxes = [polygon([(x, 0), (x + 10, 0), (x + 10, 5), (x, 5)]) for x in (0, 5, 50, 70)]
    document = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": boxes[0]},
            {"type": "Feature", "geometry": None},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}},
            {"type": "GeometryCollection", "geometries": boxes[1:3]},
            {"type": "MultiPolygon", "coordinates": [boxes[3]["coordinates"]]},
        ],
    }
    assert read_area(write(document), (300, 200)).area == (15 + 10 + 10) * 5


def test_a_bow_tie_is_mended(write):
    area = read_area(write(polygon([(0, 0), (20, 20), (20, 0), (0, 20)])), (50, 50))
    assert area.is_valid
    assert area.area == 200


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not GeoJSON: Expecting"),
        ("<?xml version='1.0'?><kml/>", "is not GeoJSON: convert it .ogr2ogr -t_srs EPSG:4326"),
        ("", "is an empty file"),
        (
            '{"type": "Polygon", "coordinates": [[[NaN, 5], [9, 5], [9, 6], [NaN, 5]]]}',
            "has a broken polygon: a coordinate is no finite number",
        ),
        (polygon([(0, 0), (1, 0), (1, 1)], crs="EPSG:32633"), "the file states the CRS EPSG:32633"),
        ("[1, 2]", "is not GeoJSON: something in it has no type"),
        ({"type": "FeatureCollection", "features": None}, "holds no polygon"),
        ({"type": "FeatureCollection", "features": [3]}, "something in it has no type"),
        ({"type": "Polygon", "coordinates": []}, "holds no polygon"),
        ({"type": "Polygon", "coordinates": [[1]]}, "has a broken polygon"),
        ({"type": "Polygon"}, "has a broken polygon"),
        (polygon([(0, 0), (float("nan"), 0), (1, 1)]), "has a broken polygon: a coordinate is no"),
        ("[" * 100_000, "is not GeoJSON"),
        (
            polygon([(0, 0), (1, 0), (1, 1)], crs="nonsense"),
            "the CRS nonsense, which is no code, ",
        ),
        (
            polygon([(9, 1000), (9, 1001), (10, 1001)]),
            "such as 9, 1000, which are no longitude and",
        ),
        (
            polygon([(9.0, 1.0), (9.1, 1.0), (9.1, 1.1)]),
            "misses .*; the file states no CRS, so",
        ),
    ],
)
def test_what_is_no_area_is_refused(write, place, document, message):
    with pytest.raises(OptionError, match=message):
        read_area(write(document), *place)


def test_a_folder_is_no_area(tmp_path):
    with pytest.raises(OptionError, match="is a folder: name a file in it"):
        read_area(tmp_path, (9, 9))


def test_pixels_are_where_rasterio_would_burn_them(write, place):
    size, where = place
    shape = polygon(in_crs([(10, 20), (290, 120), (150, 190)]), crs="EPSG:32632")
    area = read_area(write(shape), size, where)
    burnt = rasterio.features.geometry_mask([shape], size, where.transform, invert=True)
    rows, cols = np.mgrid[: size[0], : size[1]] + 0.5
    assert (shapely.contains_xy(area, rows, cols) == burnt).mean() > 0.999


@pytest.mark.parametrize("crossings", ["few", "many"])
def test_an_outline_that_crosses_itself_is_mended_or_refused(write, crossings):
    count = 25 if crossings == "few" else 400
    corners = np.random.default_rng(0).integers(0, 60, (count, 2)).tolist()
    path = write(polygon([(x, y) for x, y in [*corners, corners[0]]]))
    if crossings == "many":
        with pytest.raises(OptionError, match=r"crosses itself more than 1000 times: repair it"):
            read_area(path, (60, 60))
        return
    expected = shapely.make_valid(shapely.Polygon(corners))
    found = shapely.transform(read_area(path, (60, 60)), lambda own: own[:, ::-1])
    assert found.symmetric_difference(expected).area < 1e-9 * expected.area


@pytest.mark.parametrize("number", ["1" * 400, "1e400", '"x"', "[[]]", "null", "NaN"])
def test_what_is_no_coordinate_is_refused(write, tmp_path, number):
    text = json.dumps(polygon([(1, 1), (9, 1), (9, 9), (1, 1)])).replace("9", number, 1)
    path = tmp_path / "area.geojson"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"area .*area\.geojson"):
        read_area(path, (20, 20))
