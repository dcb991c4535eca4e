import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import rasterio.features
import shapely
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine, from_origin

from builders import made
from builders.command import refused
from seamless_seg import OptionError, RasterError, class_stats, polygonize
from seamless_seg.polygons import trace as tracing

NAMES = ["land", "", "water & ice"]
ENDINGS = ["geojson", "gpkg", "fgb", "parquet"]
LONLAT = {"crs": "EPSG:4326", "transform": from_origin(9, 51, 0.01, 0.005)}
TURNED = {"crs": "EPSG:32632", "transform": Affine(2, 1, 500_000, 1, -2, 5_600_000)}
NOWHERE = {"crs": None, "transform": None}


def pixels(shape=(50, 70), classes=4, size=6, seed=0):
    """Patches of classes, the last being nodata."""
    random = np.random.default_rng(seed)
    rows, cols = np.indices(shape) + random.integers(-1, 2, (2, *shape))
    patches = random.integers(0, classes, (shape[0] // size + 2, shape[1] // size + 2))
    found = patches[(rows + 1) // size, (cols + 1) // size].astype(np.uint8)
    found[found == classes - 1] = 255
    return found


@pytest.fixture
def classes(tmp_path, monkeypatch):
    """Write a raster of classes, 0 to 2 and nodata, that is read in windows of a few rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracing, "MAX_POLYGONIZED_PIXELS", 70 * 7)

    def write(array=None, **profile):
        array = pixels() if array is None else array
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            made.raster("classes.tif", array[None], **{"nodata": 255} | profile)
        return array

    return write


def whole(array, transform=None):
    """GDAL's polygons of a whole raster of uint8: (class, polygon), normalized and sorted."""
    options = {} if transform is None else {"transform": transform}
    shapes = rasterio.features.shapes(array, mask=array != 255, **options)
    found = [(int(value), shapely.geometry.shape(shape)) for shape, value in shapes]
    return by_place([value for value, _ in found], [polygon for _, polygon in found])


def by_place(values, polygons):
    found = zip(values, shapely.normalize(polygons), strict=True)
    return sorted(found, key=lambda pair: (pair[0], pair[1].wkb))


def read(path):
    """Columns of a vector file, the geometries among them; all of them are valid."""
    if str(path).endswith(".parquet"):
        columns = pyarrow.parquet.read_table(path).to_pydict()
    else:
        meta, table = pyogrio.read_arrow(path)
        columns = table.to_pydict()
        columns["geometry"] = columns.pop(meta["geometry_name"] or "wkb_geometry", [])
    columns["geometry"] = shapely.from_wkb(np.array(columns["geometry"], object))
    assert shapely.is_valid(columns["geometry"]).all()
    return columns


@pytest.mark.parametrize("ending", ENDINGS[1:])
@pytest.mark.parametrize("place", [made.UTM, LONLAT, TURNED])
def test_the_file_holds_the_polygons_of_the_whole_raster(classes, ending, place):
    array = classes(**place)
    made.name_classes("classes.tif", NAMES)
    summary = polygonize("classes.tif", f"out.{ending}")
    found, expected = read(f"out.{ending}"), whole(array, place["transform"])
    assert summary.polygons == len(found["class"]) == len(expected)
    assert (summary.dropped, summary.notes) == (0, ())
    got = by_place(found["class"], found["geometry"])
    assert [value for value, _ in got] == [value for value, _ in expected]
    for (_, one), (_, other) in zip(got, expected, strict=True):
        assert one.equals_exact(other, 1e-9)
    assert found["name"] == [NAMES[value] or None for value in found["class"]]
    assert sum(found["pixels"]) == np.count_nonzero(array != 255)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_says_its_crs(classes, ending):
    classes()
    polygonize("classes.tif", f"out.{ending}")
    expected = "EPSG:4326" if ending == "geojson" else "EPSG:32632"
    if ending == "parquet":
        said = pyarrow.parquet.read_metadata("out.parquet").metadata[b"geo"]
        assert pyarrow.parquet.read_schema("out.parquet").metadata[b"geo"] == said
        geo = json.loads(said)
        column = geo["columns"][geo["primary_column"]]
        assert geo["version"] == "1.1.0"
        assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
        assert column["crs"]["id"] == {"authority": "EPSG", "code": 32632}
    else:
        assert pyogrio.read_info("out." + ending)["crs"] == expected


def test_geojson_is_as_its_standard_has_it(classes):
    array = classes()
    polygonize("classes.tif", "out.geojson")
    found, document = read("out.geojson"), json.loads(Path("out.geojson").read_text())
    assert "crs" not in document
    assert all(shapely.is_ccw(polygon.exterior) for polygon in found["geometry"])
    corners = shapely.get_coordinates(found["geometry"])
    assert np.array_equal(corners, corners.round(8))  # pixels of half a meter
    polygonize("classes.tif", "out.gpkg")
    for got, polygon in zip(found["geometry"], read("out.gpkg")["geometry"], strict=True):
        shape = rasterio.warp.transform_geom("EPSG:32632", "OGC:CRS84", polygon.__geo_interface__)
        assert got.hausdorff_distance(shapely.geometry.shape(shape)) < 2e-8
    assert sum(found["pixels"]) == np.count_nonzero(array != 255)


def test_long_edges_bend_alike_on_both_sides_in_geojson(classes, monkeypatch):
    monkeypatch.setattr(tracing, "MAX_POLYGONIZED_PIXELS", 1024 * 1024)
    # Of one polygon an edge of 100 km; of those below it, edges of 10 km.
    array = np.zeros((200, 1000), np.uint8)
    array[100:] = np.arange(1000) // 100 % 2 + 1
    classes(array, transform=from_origin(300_000, 5_600_000, 100, 100))
    polygonize("classes.tif", "out.geojson")
    found = read("out.geojson")["geometry"]
    gaps = shapely.union_all(found).interiors
    overlaps = sum(shapely.area(found)) - shapely.union_all(found).area
    pixel = (100 / 111_000) ** 2
    assert sum(shapely.Polygon(gap).area for gap in gaps) < 5 * pixel
    assert overlaps < 5 * pixel


def test_a_raster_without_a_place_gives_pixels(classes):
    array = classes(**NOWHERE)
    polygonize("classes.tif", "out.geojson")
    found = read("out.geojson")
    assert found["area"] == found["pixels"]
    assert by_place(found["class"], found["geometry"]) == whole(array)


class TestAreas:
    def test_on_the_ellipsoid_of_a_geographic_crs(self, classes):
        classes(
            np.zeros((180, 360), np.uint8), crs="EPSG:4326", transform=from_origin(-180, 90, 1, 1)
        )
        polygonize("classes.tif", "all.gpkg")
        assert read("all.gpkg")["area"] == pytest.approx([510_065_621.724e6], rel=1e-12)

    def test_of_each_polygon_of_a_geographic_crs(self, classes):
        array = classes(**LONLAT)
        polygonize("classes.tif", "out.fgb")
        found = read("out.fgb")
        inverse = ~LONLAT["transform"]
        # Of each pixel, by radii of curvature at its middle latitude.
        middles = np.radians(51 - 0.005 * (np.arange(50) + 0.5))
        a, e2 = 6_378_137.0, 1 - (1 - 1 / 298.257223563) ** 2
        shrunk = 1 - e2 * np.sin(middles) ** 2
        height = a * (1 - e2) / shrunk**1.5 * np.radians(0.005)
        row_areas = height * a / np.sqrt(shrunk) * np.cos(middles) * np.radians(0.01)
        for polygon, area in zip(found["geometry"], found["area"], strict=True):
            in_pixels = shapely.transform(polygon, lambda xy: np.stack(inverse @ xy.T, axis=1))
            inside = rasterio.features.geometry_mask(
                [in_pixels], array.shape, Affine.identity(), invert=True
            )
            assert area == pytest.approx((inside.sum(axis=1) * row_areas).sum(), rel=1e-7)

    @pytest.mark.parametrize(
        ("profile", "pixel"),
        [
            (made.UTM, 0.25),
            (TURNED, 5.0),
            ({"crs": "EPSG:2263"}, 0.25 * (1200 / 3937) ** 2),
            ({"crs": None}, 1),
        ],
    )
    def test_in_the_plane_of_others(self, classes, profile, pixel):
        classes(**profile)
        polygonize("classes.tif", "out.gpkg")
        found = read("out.gpkg")
        assert found["area"] == pytest.approx(pixel * np.array(found["pixels"]))

    @pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "EPSG:3832"])
    def test_mercator_maps_are_warned_of_as_in_statistics(self, classes, crs):
        classes(crs=crs)
        (note,) = polygonize("classes.tif", "out.gpkg").notes
        assert note.startswith("areas are measured on a Mercator map, which enlarges them")
        assert class_stats("classes.tif").notes == (note,)

    def test_areas_in_pixels_are_those_of_no_map(self, classes):
        classes(crs="EPSG:3857", transform=None)
        assert polygonize("classes.tif", "out.gpkg").notes == ()


def test_small_polygons_are_dropped_and_counted(classes, cli):
    array = classes()
    areas = sorted(polygon.area for _, polygon in whole(array, made.UTM["transform"]))
    least = areas[len(areas) * 4 // 5]
    small = areas.index(least)
    assert small > 0
    status, out, err = cli("polygonize", "classes.tif", "out.gpkg", "--min-area", least)
    assert (status, out) == (0, "")
    assert sorted(read("out.gpkg")["area"]) == areas[small:]
    assert f"note: {small} polygons of less than {least:g} m² are not written" in err
    assert f"{len(areas) - small} polygons in " in err


@pytest.mark.parametrize("wanted", ["2,0", "water & ice, land", "0,water & ice"])
def test_some_classes_alone(classes, cli, wanted):
    array = classes()
    made.name_classes("classes.tif", NAMES)
    assert cli("polygonize", "classes.tif", "out.fgb", "--classes", wanted, "-q") == (0, "", "")
    found = read("out.fgb")
    expected = [pair for pair in whole(array, made.UTM["transform"]) if pair[0] in (0, 2)]
    assert by_place(found["class"], found["geometry"]) == expected


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_polygons_the_file_is_empty(classes, ending):
    classes(np.full((20, 20), 255, np.uint8))
    summary = polygonize("classes.tif", f"out.{ending}")
    assert summary.notes == ("there are no polygons: the file is empty",)
    assert len(read(f"out.{ending}")["geometry"]) == 0


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("tolerance", [0.6, 3])
def test_simplified_neighbors_share_their_edges(classes, ending, tolerance):
    array = classes()
    summary = polygonize("classes.tif", f"out.{ending}", simplify=tolerance)
    found, expected = read(f"out.{ending}"), whole(array, made.UTM["transform"])
    polygons = found["geometry"]
    assert summary.polygons == len(expected)
    if ending != "geojson":  # coordinates are rounded there
        assert shapely.coverage_is_valid(polygons)
        assert sum(shapely.area(polygons)) == pytest.approx(shapely.union_all(polygons).area)
    before = sum(shapely.get_num_coordinates([polygon for _, polygon in expected]))
    assert sum(shapely.get_num_coordinates(polygons)) < 0.8 * before
    assert sorted(found["area"]) == sorted(polygon.area for _, polygon in expected)


def test_simplified_outlines_stay_near(classes):
    array = np.zeros((60, 60), np.uint8)
    array[np.add.outer(np.arange(60), np.arange(60)) > 60] = 1
    classes(array, transform=from_origin(0, 60, 1, 1))
    polygonize("classes.tif", "out.gpkg", simplify=1)
    upper, lower = sorted(read("out.gpkg")["geometry"], key=lambda polygon: polygon.bounds)
    assert len(upper.exterior.coords) < 12  # a diagonal of 60 steps
    assert len(lower.exterior.coords) < 12
    assert upper.hausdorff_distance(shapely.Polygon([(0, 0), (0, 60), (60, 60)])) < 2


REFUSALS = [
    ({}, ["out.shp"], 2, r"output out.shp must end in .geojson, .gpkg, .fgb, .parquet"),
    ({}, ["no/out.gpkg"], 2, "there is no folder"),
    ({}, ["old.gpkg"], 2, "exists already: --overwrite replaces it"),
    ({}, ["out.gpkg", "--min-area", "-1"], 2, "min-area must be an area, 0 or more, not -1"),
    ({}, ["out.gpkg", "--simplify", "0"], 2, "simplify must be a length .* above 0, not 0"),
    ({}, ["out.gpkg", "--classes", "7,moon"], 2, "no class 'moon'; it names land, water & ice"),
    ({}, ["out.gpkg", "--classes", "1,"], 2, "no class ''; it names land, water & ice"),
    (
        {"dtype": "float32"},
        ["out.gpkg"],
        1,
        "1 band of float32, .*a run with --kind classes writes it",
    ),
    (
        {"count": 3},
        ["out.gpkg"],
        1,
        "classes.tif has 3 bands of uint8, but polygons need one of int",
    ),
    ({"gcps": True}, ["out.gpkg"], 1, "ground control points only, no transform: gdalwarp"),
]


@pytest.mark.parametrize(("look", "arguments", "status", "message"), REFUSALS)
def test_refusals(classes, cli, tmp_path, look, arguments, status, message):
    array = np.stack([pixels()] * look.get("count", 1)).astype(look.get("dtype", "uint8"))
    profile = {}
    if "gcps" in look:
        points = [GroundControlPoint(row, col, col, -row) for row, col in [(0, 0), (0, 9), (9, 0)]]
        profile = {"transform": None, "gcps": points}
    made.raster("classes.tif", array, **profile)
    made.name_classes("classes.tif", NAMES)
    (tmp_path / "old.gpkg").write_bytes(b"old")
    before = made.names(tmp_path)
    refused(cli("polygonize", "classes.tif", *arguments), status, message)
    assert made.names(tmp_path) == before


def test_the_raster_is_no_output(classes, tmp_path):
    classes()
    (tmp_path / "link.gpkg").hardlink_to(tmp_path / "classes.tif")
    with pytest.raises(OptionError, match="is one of the inputs"):
        polygonize("classes.tif", "link.gpkg", overwrite=True)
    assert made.read("classes.tif").shape == (1, 50, 70)


@pytest.mark.parametrize("ending", ENDINGS)
def test_overwrite_replaces_what_is_there(classes, tmp_path, ending):
    classes()
    (tmp_path / f"out.{ending}").write_bytes(b"old")
    polygonize("classes.tif", f"out.{ending}", overwrite=True)
    assert len(read(f"out.{ending}")["class"]) > 10
    assert made.names(tmp_path) == ["classes.tif", f"out.{ending}"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("mine")])
def test_an_error_on_the_way_is_raised_and_leaves_nothing(classes, tmp_path, ending, error):
    classes()

    def fail(progress):
        assert len(made.names(tmp_path)) == 2
        if progress.done == 3:
            raise error

    with pytest.raises(type(error)) as caught:
        polygonize("classes.tif", f"out.{ending}", on_progress=fail)
    assert caught.value is error
    assert made.names(tmp_path) == ["classes.tif"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interruption_leaves_nothing(classes, tmp_path, number):
    classes(np.random.default_rng(0).integers(0, 3, (3000, 3000)).astype(np.uint8))
    command = [sys.executable, "-m", "seamless_seg", "polygonize", "classes.tif", "out.gpkg"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(made.names(tmp_path)) == 1:
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "seamless-seg: error: interrupted, nothing was written"
    assert made.names(tmp_path) == ["classes.tif"]


@pytest.mark.parametrize(("ending", "short"), [*((ending, 5) for ending in ENDINGS), ("fgb", 9000)])
@pytest.mark.slow
def test_a_disk_that_is_full_is_told_of(classes, tmp_path, monkeypatch, ending, short):
    monkeypatch.setattr(tracing, "MAX_POLYGONIZED_PIXELS", 1024 * 1024)  # as in another process
    classes(pixels((200, 200), size=4))
    polygonize("classes.tif", f"out.{ending}")
    limit = (tmp_path / f"out.{ending}").stat().st_size - short
    (tmp_path / f"out.{ending}").unlink()
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2);"
        "from seamless_seg_cli import main; main()"
    )
    arguments = ["polygonize", "classes.tif", f"out.{ending}", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("seamless-seg: error: cannot write")
    assert len(done.stderr.splitlines()) == 1
    assert made.names(tmp_path) == ["classes.tif"]


@pytest.mark.parametrize("missing", ["pyogrio", "pyarrow"])
def test_without_its_extra_it_says_what_to_install(classes, missing):
    classes()
    hidden = (
        f"import sys; sys.modules[{missing!r}] = None; from seamless_seg_cli import main; main()"
    )
    arguments = ["polygonize", "classes.tif", "out.gpkg"]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *arguments], capture_output=True, text=True
    )
    message = f"seamless-seg: error: polygons need {missing}: pip install 'seamless-seg[vector]'\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_progress_comes_to_its_end(classes):
    classes()
    seen = []
    summary = polygonize("classes.tif", "out.parquet", on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(1, seen[0].total + 1))
    assert (seen[-1].unit, seen[-1].pixels) == ("windows", 50 * 70)
    assert summary.pixels == 50 * 70


def test_a_raster_that_is_not_there(classes):
    with pytest.raises(RasterError, match=r"cannot open missing\.tif"):
        polygonize("missing.tif", "out.gpkg")


def test_classes_that_the_raster_does_not_have_are_said(classes):
    classes(np.array([[1, 1], [2, 2]], np.uint8))
    notes = polygonize("classes.tif", "out.gpkg", classes=[1, 9, 7]).notes
    assert notes == ("classes.tif has no pixel of the classes 7, 9",)
    notes = polygonize("classes.tif", "out.gpkg", classes=[9], overwrite=True).notes
    assert notes[0] == "classes.tif has no pixel of the class 9"


def test_a_large_area_is_not_in_scientific_notation(classes):
    classes(np.array([[1, 1], [2, 2]], np.uint8))
    notes = polygonize("classes.tif", "out.gpkg", min_area=1e12).notes
    assert notes[0].startswith("2 polygons of less than 1000000000000 ")
