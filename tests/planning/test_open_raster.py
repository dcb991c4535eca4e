import itertools
import math

import numpy as np
import onnxruntime
import pytest
import rasterio
import rasterio.warp
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin

from builders import made
from builders.command import RUN
from builders.nodata import masked, stacked
from seamless_seg import OptionError, segment
from seamless_seg.models.load import LazyModel
from seamless_seg.planning.open_raster import open_raster
from seamless_seg.planning.options import Options

EVERYTHING = slice(None), slice(None)
HALF = from_origin(500_000, 5_600_000, 0.5, 0.5)


def whole(reader):
    """All pixels of a raster, read in windows that fit nothing."""
    height, width = reader.size
    rows = []
    for top in range(0, height, 37):
        bottom = min(top + 37, height)
        parts = [
            reader.read(slice(top, bottom), slice(left, min(left + 53, width)))
            for left in range(0, width, 53)
        ]
        rows.append(np.concatenate(parts, axis=2))
    return np.concatenate(rows, axis=1)


def validity(reader):
    valid = reader.valid(slice(0, reader.size[0]), slice(0, reader.size[1]))
    return np.ones(reader.size, bool) if valid is None else valid


def with_overviews(path, pixels, factors, **profile):
    made.raster(path, pixels, **profile)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors, Resampling.average)
    return path


class TestLevel:
    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_an_overview_is_read_on_its_own_grid(self, tmp_path, level):
        path = with_overviews(tmp_path / "in.tif", made.pixels(3, 203, 301), [2, 4])
        open_level = {} if level == 0 else {"overview_level": level - 1}
        with rasterio.open(path, **open_level) as dataset:
            expected, transform = dataset.read(), dataset.transform
        with open_raster(path, Options(level=level)) as reader:
            np.testing.assert_array_equal(whole(reader), expected)
            assert reader.georeference.transform == transform
        assert expected.shape == (3, -(-203 // 2**level), -(-301 // 2**level))

    @pytest.mark.parametrize(
        ("factors", "level", "message"),
        [
            ([2, 4, 8], 4, r"level 4: .*in.tif has overviews 1 to 3 \(1/2, 1/4, 1/8\)"),
            ([2], 2, r"level 2: .*in.tif has overview 1 \(1/2\)"),
            ([], 1, r"level 1: .*in.tif has no overviews: gdaladdo makes them"),
            ([2], -1, "level must be 0 for the full resolution, or an overview from 1, not -1"),
            ([2], 1.5, "level must be .* not 1.5"),
            ([2], True, "level must be .* not True"),
        ],
    )
    def test_one_that_is_not_there_is_refused(self, tmp_path, factors, level, message):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, 100, 100))
        if factors:
            with_overviews(path, made.pixels(1, 100, 100), factors)
        with pytest.raises(OptionError, match=message):
            open_raster(path, Options(level=level))


def ramp(height, width):
    """A plane, which linear interpolation keeps."""
    rows, cols = np.mgrid[:height, :width].astype("float32")
    return np.stack([rows + 0.5, 2 * cols + 1])


class TestResolution:
    @pytest.mark.parametrize("resolution", [0.25, 1, 0.7, (2, 0.3)])
    @pytest.mark.parametrize("size", [(60, 90), (101, 57)])
    def test_a_plane_stays_a_plane_at_any_resolution(self, tmp_path, resolution, size):
        path = made.raster(tmp_path / "in.tif", ramp(*size))
        with open_raster(path, Options(resolution=resolution)) as reader:
            pixels, place = whole(reader), reader.georeference
        down, across = np.broadcast_to(resolution, 2)
        assert place.transform == from_origin(500_000, 5_600_000, across, down)
        assert pixels.shape[1] == pytest.approx(size[0] * 0.5 / down, abs=0.5)
        assert pixels.shape[2] == pytest.approx(size[1] * 0.5 / across, abs=0.5)
        rows = (np.arange(pixels.shape[1]) + 0.5) * down / 0.5
        cols = (np.arange(pixels.shape[2]) + 0.5) * across / 0.5
        expected = np.stack(np.broadcast_arrays(rows[:, None], 2 * cols[None, :]))
        inner = (slice(None), slice(8, -8), slice(8, -8))  # at the border half of it is missing
        # Where pixels become larger, GDAL's weights are right to a tenth of a pixel only.
        tolerance = 1e-3 if max(down, across) <= 0.5 else 0.2
        np.testing.assert_allclose(pixels[inner], expected[inner], atol=tolerance)

    @pytest.mark.parametrize("resolution", [0.25, 0.4, 1, 1.1])
    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    @pytest.mark.parametrize("shape", [(3, 700, 600), (1, 400, 1300), (2, 100, 40)])
    def test_windows_are_the_whole_to_the_last_bit(self, tmp_path, resolution, dtype, shape):
        path = made.raster(tmp_path / "in.tif", made.pixels(*shape, dtype))
        with open_raster(path, Options(resolution=resolution)) as reader:
            at_once = reader.read(slice(0, reader.size[0]), slice(0, reader.size[1]))
        with open_raster(path, Options(resolution=resolution)) as reader:
            np.testing.assert_array_equal(whole(reader), at_once)

    def test_its_own_resolution_changes_no_bit(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(3, 100, 90, "float32"))
        with open_raster(path, Options(resolution=0.5)) as reader:
            np.testing.assert_array_equal(whole(reader), made.read(path))
            assert not reader.notes

    def test_pixels_that_become_larger_are_averaged(self, tmp_path):
        chequered = (np.indices((80, 80)).sum(axis=0, keepdims=True) % 2).astype("float32")
        path = made.raster(tmp_path / "in.tif", chequered)
        with open_raster(path, Options(resolution=2)) as reader:
            np.testing.assert_allclose(whole(reader)[:, 1:-1, 1:-1], 0.5)

    @pytest.mark.parametrize(
        ("dtype", "value"),
        [
            *itertools.product(
                ["uint8", "int16", "uint16", "float32", "float64", "int64"], ["file's", "user's"]
            ),
            ("float32", "nan"),
            ("float64", "nan"),
        ],
    )
    def test_nodata_stays_nodata_and_takes_no_part(self, tmp_path, dtype, value):
        nodata = np.nan if value == "nan" else 0
        pixels = np.full((2, 80, 80), 100, dtype)
        pixels[:, :40, :40] = nodata
        pixels[0, 60:, 60:] = nodata
        path = tmp_path / "in.tif"
        made.raster(path, pixels, nodata=None if value == "user's" else nodata)
        options = Options(resolution=1, nodata=0 if value == "user's" else None)
        with open_raster(path, options) as reader:
            found, valid = whole(reader), validity(reader)
            reader.select([1])
            first = validity(reader)
        expected = np.ones((40, 40), bool)
        expected[:20, :20] = False
        np.testing.assert_array_equal(valid, expected)
        # Where another band has data, a band ends with the last pixel that it has a part in.
        expected[30:, 30:] = False
        assert first[expected].all()
        assert not first[32:, 32:].any()
        assert (found[1][valid] == 100).all()
        assert (found[0][first] == 100).all()

    def test_nodata_of_a_single_band(self, tmp_path):
        pixels = np.full((1, 80, 80), 100, "uint8")
        pixels[:, :40, :40] = 0
        with open_raster(
            made.raster(tmp_path / "in.tif", pixels, nodata=0), Options(resolution=1)
        ) as reader:
            expected = np.full((40, 40), 100)
            expected[:20, :20] = 0
            np.testing.assert_array_equal(whole(reader)[0], expected)
            np.testing.assert_array_equal(validity(reader), expected != 0)

    @pytest.mark.parametrize("kind", ["alpha", "internal mask", "external mask"])
    def test_masks_and_alpha_bands_go_along(self, tmp_path, kind):
        pixels = np.full((3, 80, 80), 100, "uint8")
        pixels[:, :40, :40] = 7
        there = np.full((80, 80), 255, "uint8")
        there[:40, :40] = 0
        path = tmp_path / "in.tif"
        if kind == "alpha":
            made.raster(path, np.stack([*pixels, there]), photometric="rgb", alpha="yes")
        else:
            masked(path, pixels, there, kind == "internal mask")
        with open_raster(path, Options(resolution=1)) as reader:
            assert reader.count == (4 if kind == "alpha" else 3)
            assert reader.has_trailing_alpha == (kind == "alpha")
            reader.select([1, 3])
            found, valid = whole(reader), validity(reader)
        expected = np.ones((40, 40), bool)
        expected[:20, :20] = False
        np.testing.assert_array_equal(valid, expected)
        assert (found[:, valid] == 100).all()

    def test_a_nodata_value_counts_beside_an_alpha_band(self, tmp_path):
        pixels = np.full((3, 80, 80), 100, "uint8")
        pixels[:, 60:, 60:] = 3
        there = np.full((80, 80), 255, "uint8")
        there[:40, :40] = 0
        rgba = np.stack([*pixels, there])
        path = made.raster(tmp_path / "in.tif", rgba, photometric="rgb", alpha="yes")
        with open_raster(path, Options(resolution=1, nodata=3)) as reader:
            reader.select([1, 2, 3])
            found, valid = whole(reader), validity(reader)
        expected = np.ones((40, 40), bool)
        expected[:20, :20] = expected[30:, 30:] = False
        edge = np.zeros((40, 40), bool)  # of pixels that have a part in data
        edge[30, 30:] = edge[30:, 30] = True
        np.testing.assert_array_equal(valid[~edge], expected[~edge])
        assert (found[:, valid] == 100).all()

    def test_a_nodata_value_beside_a_mask_is_refused(self, tmp_path):
        there = np.full((80, 80), 255, "uint8")
        path = masked(tmp_path / "in.tif", made.pixels(3, 80, 80), there, True)
        with pytest.raises(OptionError, match=r"in.tif has a mask, beside which no nodata= can"):
            open_raster(path, Options(resolution=1, nodata=3))

    def test_a_rotated_raster_comes_to_lie_upright_and_its_corners_are_empty(self, tmp_path):
        path = tmp_path / "in.tif"
        made.raster(path, np.full((1, 100, 100), 9, "uint8"), transform=HALF * Affine.rotation(45))
        with open_raster(path, Options(resolution=0.5)) as reader:
            found, valid = whole(reader), validity(reader)
            place = reader.georeference.transform
        assert place.b == place.d == 0
        assert reader.size == (141, 141)
        assert not valid[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        assert valid.mean() == pytest.approx(0.5, abs=0.01)
        assert (found[0][valid] == 9).all()

    def test_without_a_crs_its_own_units_do(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", ramp(80, 80), crs=None)
        with open_raster(path, Options(resolution=1)) as reader:
            assert reader.size == (40, 40)
            assert not reader.georeference.crs
            np.testing.assert_allclose(whole(reader)[1][5, 5:-5], np.arange(5, 35) * 4 + 2)

    def test_indices_into_colors_are_the_nearest(self, tmp_path):
        path = paletted(tmp_path / "in.tif", [3, 9])
        with open_raster(path, Options(resolution=0.3)) as reader:
            assert set(np.unique(whole(reader))) == {3, 9}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"resolution": 0},
                "resolution must be the height and width of a pixel, or one .* above 0, not 0",
            ),
            (
                {"resolution": (1, 2, 3)},
                "resolution must be the height and width of a pixel, .*, not 1,2,3",
            ),
            ({"resolution": math.nan}, "resolution must be .*, not nan"),
            ({"resolution": "1m"}, "resolution must be .*, not 1m"),
            ({"resolution": 150}, "pixels of 150 x 150 are larger than all of .*in.tif, 50 x 50"),
            (
                {"resolution": 1, "level": 0},
                "level= and resolution= exclude each other: give only one",
            ),
            ({"level": 1, "match_resolution": True}, "level= and match_resolution= exclude"),
            ({"resolution": 1, "match_resolution": True}, "resolution= and match_resolution= excl"),
        ],
    )
    def test_what_cannot_be_is_refused(self, tmp_path, options, message):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, 100, 100))
        with pytest.raises(OptionError, match=message):
            open_raster(path, Options(**options))

    def test_one_that_needs_too_much_memory_is_refused(self, tmp_path):
        profile = {"height": 40_000, "width": 40_000, "count": 3, "dtype": "uint8"}
        path = tmp_path / "in.tif"
        with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, **profile, **made.UTM):
            pass
        message = (
            "pixels of 40 x 40 are so much .* than .*in.tif.*, 0.5 x 0.5, that .* need 1258 MB"
        )
        with pytest.raises(OptionError, match=message):
            open_raster(path, Options(resolution=40))
        with open_raster(path, Options(resolution=20)) as reader:
            assert reader.size == (1000, 1000)

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_pixels_without_a_size_are_refused(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, 100, 100), transform=None)
        with pytest.raises(OptionError, match=r"in.tif has no geotransform, so its pixel size is"):
            open_raster(path, Options(resolution=1))
        with rasterio.open(path, "r+") as dataset:
            points = [(0, 0, 1, 2), (0, 100, 2, 2), (100, 0, 1, 1)]
            dataset.gcps = [rasterio.control.GroundControlPoint(*p) for p in points], "EPSG:4326"
        with pytest.raises(OptionError, match=r"in.tif has only ground control points, so its"):
            open_raster(path, Options(resolution=1))

    def test_nodata_that_differs_from_band_to_band_is_refused(self, tmp_path):
        parts = [made.raster(tmp_path / f"{n}.tif", made.pixels(1, 70, 90)) for n in range(2)]
        path = stacked(tmp_path / "in.vrt", parts, ["Byte", "Byte"], (70, 90))
        text = path.read_text()
        for n in (1, 2):
            start = f'band="{n}">'
            text = text.replace(start, f"{start}<NoDataValue>{n}</NoDataValue>")
        text = text.replace(
            'rasterYSize="70">',
            'rasterYSize="70"><GeoTransform>0, 1, 0, 70, 0, -1</GeoTransform>',
        )
        path.write_text(text)
        with pytest.raises(OptionError, match=r"differs from band to band: give one .* nodata="):
            open_raster(path, Options(resolution=2))
        with open_raster(path, Options(resolution=2, nodata=1)) as reader:
            assert reader.size == (35, 45)


class TestMatchResolution:
    def model(self, path, centimeters):
        metadata = {} if centimeters is None else {"resolution": centimeters}
        return made.pointwise(path, 3, 2, metadata=metadata)[0]

    @pytest.mark.parametrize(
        ("crs", "unit"), [("EPSG:32632", 1), ("EPSG:2263", 0.3048006096), ("EPSG:2222", 0.3048)]
    )
    def test_centimeters_become_units_of_the_crs(self, paths, crs, unit):
        raster, model, _ = paths
        made.raster(raster, made.pixels(3, 100, 80), crs=crs)
        options = Options(match_resolution=True)
        with open_raster(raster, options, LazyModel(self.model(model, 100))) as reader:
            transform = reader.georeference.transform
            assert transform.a == -transform.e == pytest.approx(1 / unit)
            assert reader.size == (round(50 * unit), round(40 * unit))
            assert any("the model's metadata" in note for note in reader.notes)

    @pytest.mark.parametrize("latitude", [0, 47, -80])
    def test_degrees_are_those_at_the_center(self, paths, latitude):
        raster, model, _ = paths
        place = from_origin(8, latitude + 0.005, 0.0001, 0.0001)
        made.raster(raster, made.pixels(3, 100, 120), crs="EPSG:4326", transform=place)
        options = Options(match_resolution=True)
        with open_raster(raster, options, LazyModel(self.model(model, 3000))) as reader:
            transform = reader.georeference.transform
        # A transverse Mercator around the raster's center is true to scale there.
        there = f"+proj=tmerc +lat_0={latitude} +lon_0=8 +ellps=WGS84 +units=m"
        corners = [8, 8 + transform.a, 8], [latitude, latitude, latitude - transform.e]
        xs, ys = rasterio.warp.transform("EPSG:4326", there, *corners)
        assert xs[1] - xs[0] == pytest.approx(30, rel=1e-5)
        assert ys[2] - ys[0] == pytest.approx(30, rel=1e-5)

    def test_what_is_not_known_is_refused(self, paths):
        raster, model, _ = paths
        options = Options(match_resolution=True)
        made.raster(raster, made.pixels(3, 50, 60))
        with pytest.raises(OptionError, match=r"takes the resolution from the model: give a model"):
            open_raster(raster, options)
        with pytest.raises(
            OptionError, match=r"metadata of .*model.onnx states no resolution: give the pixel size"
        ):
            open_raster(raster, options, LazyModel(self.model(model, None)))
        made.raster(raster, made.pixels(3, 50, 60), crs=None)
        with pytest.raises(OptionError, match=r"in.tif has no CRS .*: give resolution="):
            open_raster(raster, options, LazyModel(self.model(model, 100)))


class TestModelIsOpenedOnce:
    @pytest.fixture
    def sessions(self, monkeypatch):
        """Files of which onnxruntime has made a session, as often as it has."""
        made_of, session = [], onnxruntime.InferenceSession

        def start(graph, *arguments, **options):
            made_of.append(graph)
            return session(graph, *arguments, **options)

        monkeypatch.setattr(onnxruntime, "InferenceSession", start)
        return made_of

    @pytest.mark.parametrize("is_paletted", [False, True])
    @pytest.mark.parametrize("is_matched", [False, True])
    def test_whatever_is_asked_of_it(self, folder, cli, sessions, is_paletted, is_matched):
        if is_paletted:
            paletted("in.tif", range(16))
        made.pointwise("model.onnx", 3, 2, metadata={"resolution": 100})
        asked = ["--match-resolution"] * is_matched
        settled = ["--tile", 32, "--margin", 0, "--align", 1, "--threads", 1]
        for command in (["run"], ["plan"], ["check"], ["probe", "--again"]):
            before = len(sessions)
            names = {"run": RUN[1:], "plan": RUN[1:3], "check": RUN[1:]}
            given = names.get(command[0], ("model.onnx", "in.tif"))
            more = [*settled, *asked] if command[0] in ("run", "plan") else asked
            status, _, err = cli(*command, *given, *more)
            assert status == 0, err
            assert len(sessions) - before == 1, command


def scaled(path, pixels, scales, offsets):
    made.raster(path, pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = scales, offsets
    return path


class TestUnscale:
    @pytest.mark.parametrize(
        ("stored", "values"), [("uint16", "float32"), ("int32", "float64"), ("float32", "float32")]
    )
    def test_values_are_pixels_times_scale_and_offset(self, tmp_path, stored, values):
        pixels = made.pixels(3, 50, 60, stored)
        path = scaled(tmp_path / "in.tif", pixels, [0.5, 2e-5, 1], [10, -0.1, 0])
        with open_raster(path, Options(unscale=True)) as reader:
            reader.select([3, 2, 1])
            found = whole(reader)
        factors, offsets = np.array([1, 2e-5, 0.5]), np.array([0, -0.1, 10])
        expected = pixels[::-1] * factors[:, None, None] + offsets[:, None, None]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
        assert found.dtype == reader.dtype == values

    def test_a_model_gets_values_and_needs_no_scale(self, paths):
        raster, model, output = paths
        pixels = made.pixels(2, 50, 60, "uint16")
        scaled(raster, pixels, [2e-4, 2e-4], [-0.1, -0.1])
        _, answer = made.pointwise(model, 2, 2)
        segment(raster, model, output, unscale=True, tile=32)
        np.testing.assert_allclose(made.read(output), answer(pixels * 2e-4 - 0.1), atol=1e-5)

    def test_a_file_that_states_none_is_read_as_it_is_and_that_is_said(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(2, 50, 60))
        with open_raster(path, Options(unscale=True)) as reader:
            assert reader.dtype == "uint8"
            assert reader.notes == [f"{path} states no scale or offset: unscale changes nothing"]

    def test_it_goes_with_another_resolution(self, tmp_path):
        path = scaled(tmp_path / "in.tif", np.full((1, 50, 60), 7, "uint16"), [0.5], [1])
        with open_raster(path, Options(unscale=True, resolution=1)) as reader:
            np.testing.assert_array_equal(whole(reader), np.full((1, 25, 30), 4.5))


def paletted(path, indices, dtype="uint8"):
    """A raster of some indices into a table of colors."""
    drawn = np.random.default_rng(0).choice(np.array(indices, dtype), (1, 50, 60))
    height, width = drawn.shape[1:]
    profile = {"driver": "GTiff", "dtype": dtype, "count": 1} | made.UTM
    with rasterio.open(path, "w", height=height, width=width, **profile) as dataset:
        dataset.write(drawn)
        dataset.write_colormap(1, {n: color(n) for n in range(16)})
    return path


def color(index):
    return 10 * index, 255 - index, index**2, 255  # GeoTIFFs keep no more than that of an alpha


class TestPalette:
    def expected(self, path, channels):
        table = np.array([color(n)[:channels] for n in range(16)])
        return table[made.read(path)[0]].transpose(2, 0, 1)

    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_it_is_expanded_to_the_bands_that_the_model_takes(self, paths, channels, dtype):
        raster, model, output = paths
        paletted(raster, range(16), dtype)
        _, answer = made.pointwise(model, channels, 2)
        notes = []
        segment(
            raster,
            model,
            output,
            tile=32,
            on_start=lambda forecast: notes.extend(forecast.settings.notes),
        )
        np.testing.assert_allclose(
            made.read(output), answer(self.expected(raster, channels) / 255), atol=1e-5
        )
        assert f"{raster} has a color table: it is expanded to {'RGBA'[:channels]}" in notes

    def test_a_model_of_one_band_gets_the_indices(self, paths):
        raster, model, output = paths
        paletted(raster, range(16))
        _, answer = made.pointwise(model, 1, 2)
        segment(raster, model, output, tile=32, scale=1)
        np.testing.assert_allclose(made.read(output), answer(made.read(raster)), rtol=1e-5)

    def test_bands_are_chosen_among_its_colors(self, paths):
        raster, model, output = paths
        paletted(raster, range(16))
        _, answer = made.pointwise(model, 3, 2)
        segment(raster, model, output, tile=32, bands=[3, 2, 1])
        colors = self.expected(raster, 3)[::-1] / 255
        np.testing.assert_allclose(made.read(output), answer(colors), atol=1e-5)

    def test_a_function_that_is_given_three_bands_gets_colors(self, paths):
        raster, _, output = paths
        paletted(raster, range(16))
        segment(raster, lambda batch: batch, output, margin=0, bands=[1, 2, 3], scale=1, tile=32)
        np.testing.assert_array_equal(made.read(output), self.expected(raster, 3))

    def test_indices_that_the_table_lacks_are_black(self, tmp_path):
        made.raster(tmp_path / "in.tif", np.eye(70, 90, dtype="uint8")[None])
        path = stacked(tmp_path / "in.vrt", [tmp_path / "in.tif"], ["Byte"], (70, 90))
        table = (
            "<ColorInterp>Palette</ColorInterp><ColorTable>"
            '<Entry c1="9" c2="8" c3="7" c4="6"/></ColorTable>'
        )
        path.write_text(path.read_text().replace('band="1">', f'band="1">{table}'))
        with open_raster(path, Options(), LazyModel(lambda batch: batch)) as reader:
            reader.expand(4)
            pixels = whole(reader)
        for band, value in zip(pixels, (9, 8, 7, 6), strict=True):
            np.testing.assert_array_equal(band, value * (1 - np.eye(70, 90)))

    def test_its_nodata_is_that_of_the_indices(self, tmp_path):
        path = paletted(tmp_path / "in.tif", range(16))
        model = made.pointwise(tmp_path / "model.onnx", 3, 2)[0]
        with open_raster(path, Options(nodata=5), LazyModel(model)) as reader:
            np.testing.assert_array_equal(validity(reader), made.read(path)[0] != 5)
