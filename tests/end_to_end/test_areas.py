"""Parts of a raster: areas from files, bounds, and outputs that are cropped to them."""

import json
import re

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from builders import made
from builders.command import refused
from seamless_seg import BudgetError, OptionError, check, segment
from seamless_seg.areas.geojson import read_bounds
from seamless_seg.raster.georeference import cropped
from seamless_seg.raster.reader import RasterReader
from seamless_seg.windows import Window

SIZE = 700, 600
TO_GROUND = made.UTM["transform"]
RING = [(100.2, 60.7), (420.9, 90.1), (380.4, 500.3), (250.0, 300.0), (90.6, 410.8)]
"""Columns and rows of a polygon that is no box."""


@pytest.fixture
def scene(paths):
    """A raster, a model of a radius of 3, and the whole run's logits."""
    raster, model, output = paths
    made.raster(
        raster, made.pixels(3, *SIZE), tiled=True, blockxsize=128, blockysize=128, compress="zstd"
    )
    made.convolutions(model, 3, 2)
    whole = output.with_name("whole.tif")
    segment(raster, model, whole, tile=96)
    return raster, model, output, made.read(whole)


def write_area(path, ring, holes=()):
    """A polygon given in columns and rows, as GeoJSON on the ground."""
    rings = [[list(TO_GROUND @ corner) for corner in [*part, part[0]]] for part in (ring, *holes)]
    document = {"type": "Polygon", "coordinates": rings, "crs": {"properties": {"name": "x"}}}
    document["crs"]["properties"]["name"] = made.UTM["crs"]
    path.write_text(json.dumps(document))
    return path


def inside(ring, holes=()):
    """Pixels of which the center lies inside."""
    rows, cols = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return shapely.contains_xy(shapely.Polygon(ring, holes), cols, rows)


HOLE = [(200, 150), (330, 150), (330, 380)]


@pytest.mark.parametrize("holes", [(), (HOLE,)])
@pytest.mark.parametrize("compress", ["zstd", "none"])
@pytest.mark.parametrize("is_short", [False, True])
def test_inside_an_area_are_the_bits_of_the_full_run(scene, holes, compress, is_short, steady):
    raster, model, output, whole = scene
    area, wanted = write_area(raster.with_name("a.json"), RING, holes), inside(RING, holes)
    options = {"tile": 96, "area": area, "compress": compress}
    if is_short:
        with pytest.raises(BudgetError) as error:
            segment(raster, model, output, max_memory=1_000_000, **options)
        least = int(re.search(r"needs at least (\d+) MB", str(error.value))[1])
        options["max_memory"] = least * 10**6
    summary = segment(raster, model, output, **options)
    result = made.read(output)
    np.testing.assert_array_equal(result[:, wanted], whole[:, wanted])
    assert np.isnan(result[:, ~wanted]).all()
    assert summary.not_finite == 0
    assert summary.skipped > 10
    with rasterio.open(output) as dataset:
        assert np.isnan(dataset.nodata)
        assert dataset.transform == TO_GROUND


def test_an_area_is_stretched_as_the_whole_raster_is(paths):
    raster, model, output = paths
    image = made.pixels(1, 200, 200)
    image[:, :100, :100] //= 8
    made.raster(raster, image)
    made.pointwise(model, 1, 2)
    options = {"tile": 64, "normalize": "percentile:2,98"}
    segment(raster, model, output, **options)
    whole = made.read(output)
    (west, north), (east, south) = TO_GROUND @ (0, 0), TO_GROUND @ (100, 100)
    segment(raster, model, output, bbox=(west, south, east, north), overwrite=True, **options)
    np.testing.assert_array_equal(made.read(output)[:, :100, :100], whole[:, :100, :100])


@pytest.mark.parametrize("crop", [False, True])
def test_an_output_of_an_area_is_checked_there(scene, crop):
    raster, model, output, _ = scene
    area, wanted = write_area(raster.with_name("a.json"), RING), inside(RING)
    segment(raster, model, output, tile=96, area=area, crop=crop)
    found = check(raster, model, output, windows=1000)
    assert found.judged.identical == 1
    assert found.windows == found.population < 42
    logits = made.read(output)
    row, col = (np.argwhere(wanted)[500] - ([60, 90] if crop else [0, 0])).tolist()
    logits[:, row, col] = logits[::-1, row, col]
    near = ~wanted
    near[:200], near[400:], near[:, :100], near[:, 400:] = (False,) * 4
    outside = (np.argwhere(near)[0] - ([60, 90] if crop else [0, 0])).tolist()
    logits[(slice(None), *outside)] = 5
    with rasterio.open(output, "r+") as dataset:
        dataset.write(logits)
    found = check(raster, model, output, windows=1000)
    assert found.judged.identical < 1
    assert any(
        "has values at 1 pixels that are not valid" in n for n in found.forecast.settings.notes
    )
    logits[:, row, col] = np.nan
    with rasterio.open(output, "r+") as dataset:
        dataset.write(logits)
    assert check(raster, model, output, windows=1000).judged.largest == np.inf


def test_a_crop_covers_the_area_s_bounding_window_on_the_same_ground(scene):
    raster, model, output, whole = scene
    area, wanted = write_area(raster.with_name("a.json"), RING), inside(RING)
    segment(raster, model, output, tile=96, area=area, crop=True)
    rows, cols = slice(60, 501), slice(90, 421)
    expected = np.where(wanted, whole, np.nan)[:, rows, cols]
    np.testing.assert_array_equal(made.read(output), expected)
    with rasterio.open(output) as dataset:
        assert dataset.transform @ (0, 0) == TO_GROUND @ (90, 60)
    assert output.stat().st_size < 0.5 * output.with_name("whole.tif").stat().st_size


@settings(max_examples=25)
@given(st.integers(0, 599), st.integers(0, 699), st.integers(1, 300), st.integers(1, 300))
def test_bounds_are_areas(left, top, width, height):
    right, bottom = min(left + width, SIZE[1]), min(top + height, SIZE[0])
    (west, north), (east, south) = TO_GROUND @ (left, top), TO_GROUND @ (right, bottom)
    place = RasterPlace(TO_GROUND)
    area = read_bounds((west, south, east, north), SIZE, place)
    assert area.equals_exact(shapely.box(top, left, bottom, right), 1e-3, normalize=True)


class RasterPlace:
    gcps = ()

    def __init__(self, transform):
        self.transform = transform


@pytest.mark.parametrize("crop", [False, True])
def test_a_run_within_bounds(scene, crop):
    raster, model, output, whole = scene
    (west, north), (east, south) = TO_GROUND @ (130, 250), TO_GROUND @ (2000, 391)
    segment(raster, model, output, tile=96, bbox=(west, south, east, north), crop=crop)
    result = made.read(output)
    part = whole[:, 250:391, 130:]
    if crop:
        np.testing.assert_array_equal(result, part)
    else:
        np.testing.assert_array_equal(result[:, 250:391, 130:], part)
        assert np.isfinite(result).all(axis=0).sum() == part[0].size


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bounds_of_a_raster_without_a_place_are_pixels(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 90, 80), crs=None, transform=None)
    made.pointwise(model, 3, 2)
    segment(raster, model, output, bbox=(10, 60, 50, 20), crop=True)
    assert made.read(output).shape == (2, 40, 40)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rpcs_move_with_a_crop(tmp_path):
    coefficients = {
        f"{axis}_{part}_coeff": [1.0] + [0.0] * 19
        for axis in ("line", "samp")
        for part in ("num", "den")
    }
    scales = {f"{name}_scale": 100.0 for name in ("height", "lat", "long", "line", "samp")}
    offsets = {"height_off": 0, "lat_off": 50, "long_off": 9, "line_off": 50, "samp_off": 60}
    rpcs = RPC(**coefficients, **scales, **offsets)
    raster = tmp_path / "in.tif"
    made.raster(raster, made.pixels(1, 90, 80), crs=None, transform=None, rpcs=rpcs)
    with RasterReader(raster) as reader:
        place = cropped(reader.georeference, Window(slice(20, 60), slice(7, 30)))
        assert (place.rpcs.line_off, place.rpcs.samp_off) == (30, 53)
        assert reader.georeference.rpcs.line_off == 50


class TestRefusals:
    def test_an_area_that_misses_the_raster(self, folder, cli):
        write_area(folder / "a.json", [(900, 0), (950, 0), (950, 50)])
        result = cli("run", "in.tif", "model.onnx", "out/out.tif", "--area", "a.json", "-q")
        message = (
            r"area a.json misses the raster: it spans 500450, .*, the raster 500000, .*5600000"
        )
        refused(result, 2, message)
        assert made.names(folder / "out") == []

    @pytest.mark.parametrize(
        ("bbox", "message"),
        [
            (
                "0,0,10,10",
                "bbox 0,0,10,10 misses the raster: it spans .*, the raster 500000",
            ),
            ("10,0,0,10", "bbox 10,0,0,10 is empty: give it as west, south, east, north"),
            ("0,10,10,0", "bbox 0,10,10,0 is empty: give it as west, south, east, north"),
            ("0,10,10", "bbox must be four numbers, west, south, east, north, not 0,10,10"),
            ("0,nan,10,10", "bbox must be a finite number, not nan"),
        ],
    )
    def test_bounds(self, folder, cli, bbox, message):
        for command in (("run", "in.tif", "model.onnx", "out/out.tif", "-q"), ("plan", "in.tif")):
            refused(cli(*command, "--bbox", bbox), 2, message)

    def test_both_or_a_crop_of_nothing(self, folder, cli):
        write_area(folder / "a.json", RING)
        run = ("run", "in.tif", "model.onnx", "out/out.tif", "-q")
        result = cli(*run, "--bbox", "0,0,1,1", "--area", "a.json")
        refused(result, 2, "give either --area or --bbox")
        refused(cli(*run, "--crop"), 2, "--crop needs --area or --bbox")

    def test_ground_control_points_alone(self, paths):
        raster, model, output = paths
        points = [GroundControlPoint(9 * n, 9 * n, n, n, 0) for n in range(4)]
        made.raster(raster, made.pixels(3, 90, 80), transform=None, gcps=points)
        made.pointwise(model, 3, 2)
        with pytest.raises(OptionError, match="bbox: the raster has ground control points only"):
            segment(raster, model, output, bbox=(0, 0, 1, 1))
