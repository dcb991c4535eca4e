import numpy as np
import pytest
import rasterio

from builders import made, networks
from seamless_seg import OptionError, RasterError, check, segment
from seamless_seg.evaluation.seams import seam_lines
from seamless_seg.evaluation.window_sample import Sample
from seamless_seg.tiling.axis import Axis
from seamless_seg.tiling.grid import Grid

CONV, RELU = ("conv", 3, 1), ("relu",)
LAYERS = [CONV, RELU, ("conv", 5, 1), RELU, CONV]
"""Four pixels of reach."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A raster, a model that sees 4 px and one that sees everything."""
    folder = tmp_path_factory.mktemp("check")
    made.raster(folder / "in.tif", made.pixels(3, 301, 258, "float32"))
    networks.save(folder / "near.onnx", LAYERS)
    networks.save(folder / "wide.onnx", [CONV, RELU, ("squeeze_excite",), CONV])
    return folder


def whole(folder, model="near.onnx", **options):
    """Logits of one run over the whole raster, shape (classes, height, width)."""
    segment(folder / "in.tif", folder / model, folder / "whole.tif", tile=512, overwrite=True)
    return made.read(folder / "whole.tif")


def altered(folder, logits, name="altered.tif"):
    """The output of a run in tiles of 64, with other pixels in it."""
    segment(folder / "in.tif", folder / "near.onnx", folder / name, tile=64, overwrite=True)
    with rasterio.open(folder / name, "r+") as dataset:
        dataset.write(logits)
    return folder / name


class TestFidelity:
    def test_an_exact_run_is_found_exact(self, folder):
        report = check(folder / "in.tif", folder / "near.onnx", tile=64)
        assert report.complete
        assert report.judged.name == "bell"
        assert report.judged.identical == 1
        assert report.judged.largest == report.judged.mean == report.judged.other_class == 0
        assert report.judged.seams == 1
        assert report.judged.steps == report.judged.reference_steps
        assert (report.dispute.mean, report.dispute.other_class) == (0, 0)

    @pytest.mark.parametrize("margin", [0, 3])
    def test_what_is_not_exact_is_measured_as_an_oracle_would(self, folder, margin):
        options = {"tile": 64, "overlap": 16, "margin": margin, "align": 1}
        report = check(folder / "in.tif", folder / "near.onnx", **options)
        segment(
            folder / "in.tif", folder / "near.onnx", folder / "o.tif", overwrite=True, **options
        )
        logits, expected = made.read(folder / "o.tif"), whole(folder)
        assert report.pixels == 301 * 258
        apart = np.abs(logits.astype(float) - expected)
        assert report.judged.identical == (logits == expected).all(axis=0).mean() < 1
        assert report.judged.largest == apart.max()
        assert report.judged.mean == pytest.approx(apart.mean())
        other = logits.argmax(axis=0) != expected.argmax(axis=0)
        assert report.judged.other_class == other.mean()

    def test_an_output_is_read_from_its_file(self, folder):
        logits = whole(folder)
        logits[:, 100, 100] = logits[::-1, 100, 100]
        report = check(folder / "in.tif", folder / "near.onnx", altered(folder, logits))
        assert report.judged.name.endswith("altered.tif")
        assert report.judged.identical == 1 - 1 / (301 * 258)
        assert report.judged.other_class == 1 / (301 * 258)

    def test_nan_is_like_nan_and_unlike_all_else(self, folder):
        logits = whole(folder)
        logits[0, 7, 9] = np.nan
        report = check(folder / "in.tif", folder / "near.onnx", altered(folder, logits))
        assert report.judged.largest == np.inf
        image = made.pixels(3, 120, 120, "float32")
        image[:, 50, 50] = np.nan
        made.raster(folder / "nan.tif", image)
        report = check(folder / "nan.tif", folder / "near.onnx", tile=64)
        assert (report.judged.identical, report.judged.largest) == (1, 0)

    @pytest.mark.parametrize("overlap", [None, 16])
    def test_it_holds_for_a_raster_a_pixel_larger_than_a_tile(self, tmp_path, overlap):
        made.raster(tmp_path / "in.tif", made.pixels(3, 65, 80, "float32"))
        networks.save(tmp_path / "wide.onnx", [CONV, ("squeeze_excite",)])
        for windows in (1, None):
            options = {"tile": 64, "overlap": overlap, "align": 1, "windows": windows}
            assert check(tmp_path / "in.tif", tmp_path / "wide.onnx", **options).pixels

    @pytest.mark.parametrize(("tile", "times"), [(16, 4), (32, 4), (48, 5), (64, 5)])
    def test_a_coarse_grid_leaves_pieces_within_their_runs(self, tmp_path, tile, times):
        layers = [("pool", 2)] * times + [("squeeze_excite",)] + [("up", 2)] * times
        made.raster(tmp_path / "in.tif", made.pixels(3, 90, 131, "float32"))
        networks.save(tmp_path / "wide.onnx", layers)
        report = check(tmp_path / "in.tif", tmp_path / "wide.onnx", tile=tile)
        assert min(report.context) >= 0

    @pytest.mark.parametrize("size", [(1, 1), (5, 300), (63, 64), (65, 129), (200, 131)])
    def test_it_holds_for_awkward_sizes_and_strides(self, tmp_path, size):
        made.raster(tmp_path / "in.tif", made.pixels(3, *size, "float32"))
        networks.save(tmp_path / "model.onnx", networks.u_net(2))
        report = check(tmp_path / "in.tif", tmp_path / "model.onnx", tile=64)
        assert report.complete
        assert report.judged.largest == 0
        assert report.pixels == size[0] * size[1]

    def test_a_fixed_size_with_room_for_the_context_gives_the_whole_answer(self, folder):
        networks.save(folder / "fixed.onnx", LAYERS, batch=1, height=48, width=64)
        report = check(folder / "in.tif", folder / "fixed.onnx")
        assert report.complete
        assert report.judged.identical == 1
        assert report.reference_run == (48, 64)

    def test_a_tile_wide_model_is_compared_with_the_middle_of_its_tiles(self, folder):
        report = check(folder / "in.tif", folder / "wide.onnx", tile=64)
        assert not report.complete
        assert report.reference_run == (64, 64)
        assert report.context == (24, 24)
        assert report.judged.name == "bell"
        assert 0 < report.judged.largest < np.inf

    def test_one_class_is_what_is_above_zero(self, tmp_path):
        made.raster(tmp_path / "in.tif", made.pixels(3, 90, 90, "float32"))
        networks.save(tmp_path / "model.onnx", LAYERS, classes=1)
        segment(tmp_path / "in.tif", tmp_path / "model.onnx", tmp_path / "o.tif")
        with rasterio.open(tmp_path / "o.tif", "r+") as dataset:
            logits = dataset.read()
            dataset.write(-logits)
        report = check(tmp_path / "in.tif", tmp_path / "model.onnx", tmp_path / "o.tif")
        assert report.judged.other_class == 1


class TestSeams:
    def test_a_step_at_a_cut_is_seen_and_one_elsewhere_is_not(self, folder):
        options = {"tile": 64, "overlap": 16, "margin": 0, "align": 1, "trust": "crop"}
        segment(
            folder / "in.tif", folder / "near.onnx", folder / "o.tif", overwrite=True, **options
        )
        axis = Axis(258, 64, 16)
        (cut, *_) = seam_lines(axis, "crop", 1, 258)
        scores = []
        for column in (cut, cut + 9):
            logits = whole(folder)
            logits[:, :, column:] += 3
            with rasterio.open(folder / "o.tif", "r+") as dataset:
                dataset.write(logits)
            report = check(folder / "in.tif", folder / "near.onnx", folder / "o.tif")
            scores.append(report.judged.seams)
        assert scores[0] > 1.1 > 1.02 > scores[1]

    @pytest.mark.parametrize("trust", ["linear", "bell", "flat", "crop"])
    def test_lines_are_where_other_tiles_contribute(self, trust):
        from seamless_seg.tiling.weights import weights

        axis = Axis(301, 64, 24, align=4, margin=5)
        contributes = np.zeros((axis.count, axis.size), bool)
        for k, weight in enumerate(weights(axis, trust)):
            start, stop = axis.start(k), min(axis.stop(k), axis.size)
            contributes[k, start:stop] = weight[: stop - start] > 0
        changes = np.flatnonzero((contributes[:, 1:] != contributes[:, :-1]).any(axis=0)) + 1
        assert list(seam_lines(axis, trust, 1, axis.size)) == list(changes)

    def test_there_are_none_in_a_single_tile(self, folder):
        report = check(folder / "in.tif", folder / "near.onnx", tile=512)
        assert report.judged.seams is None
        assert report.dispute is None

    def test_a_constant_has_none(self, tmp_path):
        made.raster(tmp_path / "in.tif", np.zeros((3, 200, 200), np.float32))
        networks.save(tmp_path / "model.onnx", [("conv", 1, 1)])
        for overlap in (0, 16):
            report = check(tmp_path / "in.tif", tmp_path / "model.onnx", tile=64, overlap=overlap)
            assert report.judged.seams == 1

    @pytest.mark.parametrize(
        ("axis", "trust"),
        [
            (Axis(512, 64, 32), "crop"),
            (Axis(1376, 96, 32), "linear"),
            (Axis(301, 64, 48), "crop"),
            (Axis(193, 96, 32, 8, 3), "bell"),
            (Axis(513, 512, 128), "bell"),
        ],
    )
    def test_windows_hold_every_line_once(self, axis, trust):
        grid = Grid(axis, Axis(1, 1))
        seen = []
        for window in Sample(grid, 10**6, seed=0):
            first = window.extended().rows.start + 1
            seen += seam_lines(axis, trust, first, window.rows.stop)
        assert sorted(seen) == list(seam_lines(axis, trust, 1, axis.size))


OPTIONS = {"tile": 64, "overlap": 16, "margin": 2, "align": 1}


class TestDisagreement:
    def oracle(self, folder, model):
        """From all tiles in full: shared pixels, differences of logits, and of classes."""
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / model)
        image = made.read(folder / "in.tif")
        _, height, width = image.shape
        rows, cols = (Axis(length, 64, 16, 1, 2) for length in (height, width))
        values = np.full((rows.count * cols.count, 2, height, width), np.nan, np.float32)
        for i in range(rows.count):
            for j in range(cols.count):
                box = slice(rows.start(i), rows.stop(i)), slice(cols.start(j), cols.stop(j))
                (logits,) = session.run(None, {"image": image[None, :, *box]})
                top, left = 2 * (i > 0), 2 * (j > 0)
                bottom, right = 64 - 2 * (i < rows.count - 1), 64 - 2 * (j < cols.count - 1)
                mine = values[i * cols.count + j][:, *box]
                mine[:, top:bottom, left:right] = logits[0, :, top:bottom, left:right]
        shared = np.isfinite(values[:, 0]).sum(axis=0) > 1
        values = values[:, :, shared]
        apart = (np.nanmax(values, axis=0) - np.nanmin(values, axis=0)).max(axis=0)
        first = np.where(np.isnan(values[:, 0]), np.nan, values.argmax(axis=1))
        return shared, apart, np.nanmin(first, axis=0) != np.nanmax(first, axis=0)

    @pytest.mark.parametrize("model", ["near.onnx", "wide.onnx"])
    def test_it_is_what_an_oracle_finds(self, folder, model):
        shared, apart, other = self.oracle(folder, model)
        found = check(
            folder / "in.tif",
            folder / model,
            disagreement_map=folder / "map.tif",
            overwrite=True,
            **OPTIONS,
        ).dispute
        assert found.pixels == shared.sum()
        assert found.mean == pytest.approx(apart.mean(), rel=1e-4)
        assert found.p95 == pytest.approx(np.percentile(apart, 95), rel=1e-3)
        assert found.p99 == pytest.approx(np.percentile(apart, 99), rel=1e-3)
        assert found.other_class == pytest.approx(other.mean(), abs=1e-5)
        drawn = made.read(folder / "map.tif")[0]
        np.testing.assert_array_equal(np.isnan(drawn), ~shared)
        np.testing.assert_allclose(drawn[shared], apart, atol=1e-5)

    def test_nan_is_infinitely_far_from_all_but_nan(self, tmp_path):
        image = made.pixels(3, 120, 120, "float32")
        image[:, :10, :10] = np.nan
        made.raster(tmp_path / "in.tif", image)
        networks.save(tmp_path / "wide.onnx", [("squeeze_excite",)])
        networks.save(tmp_path / "near.onnx", LAYERS)
        wide = check(tmp_path / "in.tif", tmp_path / "wide.onnx", tile=64).dispute
        assert wide.mean == wide.p99 == np.inf
        made.raster(tmp_path / "in.tif", np.full_like(image, np.nan))
        for model in ("wide.onnx", "near.onnx"):
            found = check(tmp_path / "in.tif", tmp_path / model, tile=64, overlap=16).dispute
            assert (found.pixels > 0, found.mean, found.other_class) == (True, 0, 0)

    def test_the_map_lies_where_the_raster_lies(self, folder):
        check(
            *(folder / "in.tif", folder / "near.onnx"),
            windows=1,
            disagreement_map=folder / "placed.tif",
            **OPTIONS,
        )
        with rasterio.open(folder / "placed.tif") as drawn, rasterio.open(folder / "in.tif") as raw:
            assert (drawn.crs, drawn.transform, drawn.shape) == (raw.crs, raw.transform, raw.shape)
            assert np.isnan(drawn.nodata)
            assert drawn.descriptions == ("disagreement",)

    def test_a_map_is_not_written_over_anything(self, folder):
        for name in ("in.tif", "near.onnx"):
            with pytest.raises(OptionError, match="is one of the inputs"):
                check(folder / "in.tif", folder / "near.onnx", disagreement_map=folder / name)


class TestSample:
    def test_the_same_seed_looks_at_the_same_windows(self, folder):
        def once(seed, windows=3):
            report = check(
                folder / "in.tif", folder / "wide.onnx", tile=64, windows=windows, seed=seed
            )
            assert (report.windows, report.population) == (windows, 49)
            return report.qualities, report.dispute, report.pixels

        assert once(1) == once(1)
        assert once(1) != once(2)

    def test_windows_are_the_image_each_pixel_once(self, folder):
        from seamless_seg import plan_run_grid

        _, grid = plan_run_grid((301, 258), (64, 50), (16, 30), align=2)
        seen = np.zeros((301, 258), int)
        for window in Sample(grid, 10**6, seed=0):
            seen[window] += 1
        assert (seen == 1).all()


class TestComparison:
    def test_profiles_run_in_the_same_tiles(self, folder):
        report = check(
            *(folder / "in.tif", folder / "near.onnx"),
            tile=64,
            overlap=16,
            margin=0,
            align=1,
            compare=["crop", "linear", maximum],
        )
        names = [quality.name for quality in report.qualities]
        assert names == ["bell", "crop", "linear", "maximum"]
        crop = check(
            *(folder / "in.tif", folder / "near.onnx"),
            tile=64,
            overlap=16,
            margin=0,
            align=1,
            trust="crop",
        )
        assert crop.judged == report.qualities[1]

    def test_an_output_says_itself_how_it_was_tiled(self, folder):
        options = {"tile": (64, 50), "overlap": 12, "margin": 1, "align": 2, "trust": "hann"}
        pixels = {"scale": 0.5, "mean": (1.0, 2.0, 3.0), "std": 2.0, "bands": (3, 1, 2)}
        output = folder / "tagged.tif"
        segment(folder / "in.tif", folder / "near.onnx", output, **options, **pixels)
        report = check(folder / "in.tif", folder / "near.onnx", output, compare=["hann"])
        decided = report.forecast.settings
        assert decided.tiling.tile.value == (64, 50)
        assert decided.tiling.trust.value == "hann"
        assert decided.pixels.bands.value == (3, 1, 2)
        own, again = report.qualities
        assert own.identical == again.identical < 1
        assert (own.largest, own.steps) == (again.largest, again.steps)

    def test_an_output_blended_by_a_window_of_scipy_says_so_too(self, folder):
        options = {"tile": (64, 50), "overlap": 12, "margin": 1, "align": 1}
        output = folder / "tukey.tif"
        trust = "tukey:0.5"
        segment(folder / "in.tif", folder / "near.onnx", output, trust=trust, **options)
        with rasterio.open(output) as dataset:
            assert dataset.tags(ns="SEAMLESS_SEG")["trust"] == '"tukey:0.5"'
        report = check(folder / "in.tif", folder / "near.onnx", output, compare=[trust, "cosine"])
        assert report.forecast.settings.tiling.trust.value == trust
        own, again, cosine = report.qualities
        assert again.name == trust
        assert own.identical == again.identical < 1
        assert (own.largest, own.mean, own.steps) == (again.largest, again.mean, again.steps)
        assert own.mean != cosine.mean

    def test_a_function_is_not_taken_for_a_profile_of_its_name(self, folder):
        def cosine(length, before, after, margin):
            return maximum(length, before, after, margin)

        options = {"tile": 64, "overlap": 16, "margin": 0, "align": 1}
        output = folder / "own_cosine.tif"
        segment(folder / "in.tif", folder / "near.onnx", output, trust=cosine, **options)
        report = check(folder / "in.tif", folder / "near.onnx", output)
        assert report.forecast.settings.tiling.trust.value == "bell"


@pytest.mark.parametrize("trust", ["tukey:0.5", "kaiser:8"])
def test_a_constant_stays_that_constant_whatever_window_of_scipy_blends_it(tmp_path, trust):
    made.raster(tmp_path / "in.tif", np.full((3, 150, 131), 0.3, np.float32))
    networks.save(tmp_path / "model.onnx", [("conv", 1, 1)])
    segment(
        *(tmp_path / "in.tif", tmp_path / "model.onnx", tmp_path / "out.tif"),
        tile=64,
        overlap=20,
        margin=3,
        trust=trust,
    )
    logits = made.read(tmp_path / "out.tif")
    np.testing.assert_array_equal(logits, np.broadcast_to(logits[:, :1, :1], logits.shape))


def maximum(length, before, after, margin):
    """A profile of one's own."""
    trust = np.ones(length)
    trust[: before // 2] = 0.5
    trust[length - after // 2 :] = 0.5
    return trust


def test_a_run_may_have_a_profile_of_one_s_own_too(folder):
    output = folder / "own.tif"
    options = {"tile": 64, "overlap": 16, "margin": 0, "align": 1, "bands": tuple(np.arange(1, 4))}
    segment(folder / "in.tif", folder / "near.onnx", output, trust=maximum, **options)
    report = check(folder / "in.tif", folder / "near.onnx", output, compare=[maximum])
    (own, _, again) = report.qualities
    assert own.identical == again.identical
    assert (own.largest, own.mean) == (again.largest, again.mean)


def test_a_function_is_asked_with_as_many_bands_as_there_are(tmp_path):
    made.raster(tmp_path / "in.tif", made.pixels(5, 130, 130, "float32"))
    report = check(tmp_path / "in.tif", lambda batch: batch[:, :2] * batch[:, 4:], tile=64)
    assert report.complete
    assert report.judged.identical == 1


class TestBadInput:
    @pytest.mark.parametrize(
        ("output", "error", "message"),
        [
            ("gone.tif", RasterError, "cannot open .*gone.tif: .*No such file"),
            ("near.onnx", RasterError, "cannot open .*near.onnx: .*not recognized"),
            ("small.tif", OptionError, "small.tif is 300 x 258 px and .*in.tif 301 x 258"),
            ("moved.tif", OptionError, "moved.tif has another geotransform than .*in.tif"),
            ("in.tif", OptionError, "in.tif has 3 bands of float32, and logits of this model"),
            ("classes.tif", OptionError, "classes.tif has 2 bands of uint8, and logits"),
        ],
    )
    def test_an_output_of_something_else_is_refused(self, folder, output, error, message):
        made.raster(folder / "small.tif", made.pixels(2, 300, 258, "float32"))
        made.raster(folder / "classes.tif", made.pixels(2, 301, 258))
        moved = rasterio.transform.from_origin(7, 7, 1, 1)
        made.raster(folder / "moved.tif", made.pixels(2, 301, 258, "float32"), transform=moved)
        with pytest.raises(error, match=message):
            check(folder / "in.tif", folder / "near.onnx", folder / output)

    def test_no_windows_are_refused(self, folder):
        with pytest.raises(ValueError, match="windows must be at least 1, not 0"):
            check(folder / "in.tif", folder / "near.onnx", windows=0)


@pytest.mark.parametrize(
    ("options", "is_described"),
    [({}, True), ({"tile": 512}, True), ({"tile": 64}, False), ({"overlap": 100}, False)],
)
def test_the_exactness_of_an_output_is_not_that_of_other_tiles(folder, options, is_described):
    output = folder / "one.tif"
    segment(folder / "in.tif", folder / "near.onnx", output, tile=512, overwrite=True)
    report = check(folder / "in.tif", folder / "near.onnx", output, **options)
    assert (report.forecast.exactness is not None) == is_described
    assert (report.forecast.exact is not None) == is_described
    assert any("was made with" in note for note in report.forecast.settings.notes) != is_described
