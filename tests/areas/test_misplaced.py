"""Areas that miss a raster: the message says in which order or unit they seem to be."""

import json
import re
import warnings

import pytest
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from builders import made
from builders.command import RUN, refused

DEGREES = {"crs": "EPSG:4326", "transform": from_origin(9, 50.6, 1e-5, 1e-5)}
RASTER = 500_000, 5_599_950, 500_060, 5_600_000
"""West, south, east and north of in.tif, in EPSG:32632."""


def polygon(west, south, east, north):
    ring = [(west, south), (east, south), (east, north), (west, south)]
    return {"type": "Polygon", "coordinates": [ring]}


def comma(bounds):
    return ",".join(map(str, bounds))


def suggested(err):
    return re.search(r"give (--bbox [-\d.,]+)$", err.strip())[1].split()


def test_bounds_in_another_order_are_given_back_in_the_right_one(folder, cli):
    west, south, east, north = 500_010, 5_599_960, 500_030, 5_599_980
    orders = (
        [west, north, east, south],
        [south, west, north, east],
        [west, east, south, north],  # bounds of everything between, if it were west, south, ...
        [south, north, west, east],
    )
    for given in orders:
        result = cli(*RUN, "--bbox", comma(given))
        refused(result, 2, "its numbers are in the order")
        assert suggested(result[2]) == ["--bbox", comma([west, south, east, north])]


def test_bounds_that_are_larger_than_the_raster_are_taken_as_they_are(folder, cli):
    for beyond in (10, 1000, 400_000):
        given = 500_000 - beyond, 5_599_950 - beyond, 500_060 + beyond, 5_600_000 + beyond
        assert cli(*RUN, "--bbox", comma(given), "--overwrite", "-q") == (0, "", "")


def test_bounds_in_degrees_are_given_back_in_the_crs_of_the_raster(folder, cli):
    west, south, east, north = transform_bounds("EPSG:32632", "EPSG:4326", *RASTER)
    for given in ([west, south, east, north], [south, west, north, east]):
        result = cli(*RUN, "--bbox", comma(given), "--overwrite")
        refused(result, 2, "its numbers are degrees, and the CRS of the raster is EPSG:32632: give")
        numbers = [float(each) for each in suggested(result[2])[1].split(",")]
        assert numbers == pytest.approx(RASTER, abs=1)
        assert cli(*RUN, *suggested(result[2]), "--overwrite", "-q") == (0, "", "")


def test_degrees_elsewhere(folder, cli):
    result = cli(*RUN, "--bbox", "1,2,3,4")
    refused(result, 2, r"may be degrees, in which the raster spans 9, 50.5514827, 9.0008469, 50.55")


def test_meters_for_a_raster_in_degrees(folder, cli):
    made.raster("in.tif", made.pixels(3, 100, 120), **DEGREES)
    refused(cli(*RUN, "--bbox", comma(RASTER)), 2, "raster is EPSG:4326: give bounds in degrees")


def test_no_coordinate_is_in_scientific_notation(folder, cli):
    made.raster("in.tif", made.pixels(3, 100, 120), **DEGREES)
    result = cli(*RUN, "--bbox", "0.00001,0.00002,0.00003,0.00004")
    refused(result, 2, "bbox 0.00001,0.00002,0.00003,0.00004 misses the raster: it spans 0.00001")
    for bounds in ("1e6,1e6,1e7,1e7", "1e15,1,2e16,2"):
        _, _, err = cli(*RUN, "--bbox", bounds)
        assert "misses" in err
        assert not re.search(r"\de[+-]?\d", err)
    _, _, err = cli(*RUN, "--resolution", "0.00002", "-v")
    assert "pixels are resampled to 0.00002 x 0.00002 units" in err


@pytest.mark.parametrize("place", [(9, 50.599, 9.001, 50.6), (151, -33.9, 151.001, -33.899)])
def test_latitude_before_longitude(folder, cli, place):
    west, south, east, north = place
    transform = from_origin(west, north, 1e-5, 1e-5)
    made.raster("in.tif", made.pixels(3, 100, 100), crs="EPSG:4326", transform=transform)
    (folder / "a.json").write_text(json.dumps(polygon(south, west, north, east)))
    refused(cli(*RUN, "--area", "a.json"), 2, "latitude, longitude: in GeoJSON, the longitude com")
    (folder / "a.json").write_text(json.dumps(polygon(*place)))
    assert cli(*RUN, "--area", "a.json", "-q") == (0, "", "")


def test_an_area_of_another_format(folder, cli):
    (folder / "a.gpkg").write_bytes(b"SQLite format 3\0\xff\xfe")
    refused(cli(*RUN, "--area", "a.gpkg"), 2, "a.gpkg is not GeoJSON: convert it .ogr2ogr -t_srs")


@pytest.mark.parametrize("option", ["--area", "--bbox"])
def test_a_raster_without_a_crs(folder, cli, option):
    made.raster("in.tif", made.pixels(3, 100, 120), crs=None)
    (folder / "a.json").write_text(json.dumps(polygon(9, 50, 10, 51)))
    result = cli(*RUN, option, "a.json" if option == "--area" else "9,50,10,51")
    refused(result, 2, "the raster has no CRS, so that coordinates are taken for units of its tran")
    refused(result, 2, "gdal_edit.py -a_srs EPSG:CODE FILE, or rio edit-info --crs")


def test_a_raster_in_pixels(folder, cli):
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        made.raster("in.tif", made.pixels(3, 100, 120), crs=None, transform=None)
    result = cli(*RUN, "--bbox", "10,20,30,40")
    refused(result, 2, "is empty: .* rows grow downwards: give --bbox 10,40,30,20$")
    assert cli(*RUN, *suggested(result[2]), "-q") == (0, "", "")
    (folder / "a.json").write_text(json.dumps(polygon(9.1, 50.1, 9.2, 50.2)))
    result = cli(*RUN, "--area", "a.json", "--overwrite")
    refused(result, 2, "contains no pixel center of the raster: the raster has no CRS, so that coo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "FeatureCollection", "features": []}', "zones z.json holds no polygon"),
        ("", "zones z.json is an empty file"),
        ("<kml/>", "zones z.json is not GeoJSON: convert it"),
        (json.dumps(polygon(1, 2, 3, 4)), "zones z.json misses .* the file states no CRS"),
    ],
)
def test_what_is_wrong_with_zones_is_not_said_of_an_area(folder, cli, text, message):
    cli(*RUN, "--kind", "classes", "-q")
    (folder / "z.json").write_text(text)
    refused(cli("stats", "out/out.tif", "--zones", "z.json"), 2, message)
