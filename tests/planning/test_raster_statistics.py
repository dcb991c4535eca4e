import re
import shlex

import numpy as np
import pytest
import rasterio

from builders import made
from builders.command import RUN, refused
from seamless_seg import OptionError, check, segment
from seamless_seg.decisions import Decision
from seamless_seg.planning import raster_statistics as measuring
from seamless_seg.planning.raster_statistics import as_keywords, measure_pixels
from seamless_seg.raster.blocks import BlockLayout
from seamless_seg.raster.reader import RasterReader

HOW = ["percentile:2,98", "percentile:0,100", "percentile:0.5,60", "zscore"]


def line(values, how):
    """Numpy's mean and std for all values of a band at once."""
    wide = values.astype(np.float64)
    if how == "zscore":
        return wide.mean(), wide.std()
    low, high = np.percentile(wide, [float(p) for p in how.partition(":")[2].split(",")])
    return low, high - low


def stretched(image, how, valid=None):
    """An image with every band normalized by its own valid pixels."""
    bands = []
    for band in image.astype(np.float64):
        counts = np.isfinite(band) & (True if valid is None else valid)
        mean, std = line(band[counts], how)
        bands.append((band - mean) / std)
    return np.stack(bands)


def as_it_is(batch):
    """A model whose logits are what it is given."""
    return batch.copy()


def varied(bands, height, width, dtype):
    """Noise that is the brighter the farther right, each band in a range of its own."""
    noise = made.pixels(bands, height, width, dtype).astype(np.float64)
    spread = 20 if np.dtype(dtype) == np.uint8 else 1000
    image = noise % spread + np.linspace(0, 9 * spread, width) + np.arange(bands)[:, None, None]
    if np.dtype(dtype).kind != "u":
        image -= 3 * spread
    return image.astype(dtype)


class TestAgainstNumpy:
    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize("size", [(1, 200), (37, 41), (130, 203)])
    @pytest.mark.parametrize("bands", [1, 5])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
    def test_a_raster_is_stretched_as_a_whole(self, paths, how, size, bands, dtype):
        raster, _, output = paths
        image = varied(bands, *size, dtype)
        made.raster(raster, image)
        segment(raster, as_it_is, output, margin=0, tile=64, overlap=16, normalize=how)
        np.testing.assert_allclose(made.read(output), stretched(image, how), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("how", HOW)
    def test_pixels_that_are_not_finite_do_not_count(self, paths, how):
        raster, _, output = paths
        image = varied(3, 90, 100, "float32")
        image[0, 5:20, 7:30] = np.nan
        image[1, 50:] = np.inf
        made.raster(raster, image)
        segment(raster, as_it_is, output, margin=0, tile=64, overlap=0, trust="crop", normalize=how)
        expected = stretched(image, how)
        np.testing.assert_allclose(made.read(output), expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("how", HOW)
    def test_nodata_does_not_count(self, paths, how):
        raster, _, _ = paths
        image = varied(2, 90, 100, "uint16") + 1
        valid = np.ones((90, 100), bool)
        valid[:40, 30:] = False
        image[:, ~valid] = 0
        made.raster(raster, image, nodata=0)
        with RasterReader(raster) as reader:
            pixels, _ = measure_pixels(reader, Decision((1, 2), "all"), how)
        mean, std = zip(*(line(band[valid], how) for band in image), strict=True)
        np.testing.assert_allclose(pixels.mean.value, mean, rtol=1e-6)
        np.testing.assert_allclose(pixels.std.value, std, rtol=1e-6)

    def test_bands_that_are_chosen_count_alone(self, paths):
        raster, _, output = paths
        image = varied(4, 60, 70, "uint8")
        image[3] //= 3
        made.raster(raster, image)
        segment(raster, as_it_is, output, margin=0, bands=[4, 2], normalize="zscore")
        expected = stretched(image[[3, 1]], "zscore")
        np.testing.assert_allclose(made.read(output), expected, rtol=1e-4, atol=1e-5)


class TestAsOptions:
    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
    def test_the_line_that_is_printed_gives_the_same_bits(self, folder, cli, how, dtype):
        image = varied(3, 100, 120, dtype)
        made.raster("in.tif", image / image.dtype.type(3) if image.dtype.kind == "f" else image)
        _, _, err = cli(*RUN, "--normalize", how)
        (options,) = re.findall(
            r"^note: pixels are .* of the raster, equivalent to (.*)$", err, re.M
        )
        names = [word for word in shlex.split(options) if word.startswith("--")]
        assert names == ["--scale", "--mean", "--std"]
        status, _, err = cli("run", "in.tif", "model.onnx", "out/again.tif", *options.split())
        assert status == 0, err
        np.testing.assert_array_equal(made.read("out/again.tif"), made.read("out/out.tif"))

    def test_numbers_are_as_short_as_they_can_be(self, paths):
        raster, _, _ = paths
        image = np.linspace(0.1, 0.8, 101, dtype=np.float32).reshape(1, 1, 101)
        made.raster(raster, image)
        with RasterReader(raster) as reader:
            pixels, _ = measure_pixels(reader, Decision((1,), "all"), "percentile:0,50")
        assert as_keywords(pixels) == "scale=1, mean=[0.1], std=[0.35]"

    def test_python_gets_keywords_that_give_the_same_bits(self, paths):
        raster, model, output = paths
        made.raster(raster, varied(3, 60, 80, "uint16"))
        made.pointwise(model, 3, 2)
        summary = segment(raster, model, output, normalize="zscore")
        (said,) = (note for note in summary.notes if "equivalent to" in note)
        once = made.read(output)
        keywords = eval(f"dict({said.partition('equivalent to ')[2]})")
        segment(raster, model, output, overwrite=True, **keywords)
        np.testing.assert_array_equal(made.read(output), once)

    def test_a_check_of_the_output_needs_no_statistics_again(self, paths, monkeypatch):
        raster, model, output = paths
        made.raster(raster, varied(3, 100, 120, "uint16"))
        made.convolutions(model, 3, 2)
        summary = segment(raster, model, output, tile=64, normalize="percentile:2,98")
        monkeypatch.setattr(measuring, "measure", None)
        report = check(raster, model, output)
        assert report.judged.identical == 1
        assert report.forecast.settings.normalization == summary.settings.normalization
        assert report.forecast.settings.pixels.mean.origin == "option"

    def test_a_check_says_where_the_output_was_made_otherwise(self, folder, cli):
        assert cli(*RUN, "--normalize", "zscore")[0] == 0
        arguments = ("check", "in.tif", "model.onnx", RUN[3], "--normalize")
        status, _, err = cli(*arguments, "zscore", "--fail-above", "not-identical=0")
        assert status == 0, err
        assert "says that" not in err
        _, _, err = cli(*arguments, "percentile:2,98")
        assert re.search(r"out.tif was made with mean 12\d.*, and is checked with mean \d", err)
        assert "its scale" not in err


class TestWhatIsSaid:
    def forecast(self, paths, image, **options):
        raster, _, output = paths
        made.raster(raster, image, **options.pop("profile", {}))
        seen = []
        segment(raster, as_it_is, output, margin=0, on_start=seen.append, **options)
        return seen[0].settings

    @pytest.mark.parametrize("how", HOW)
    def test_a_band_that_is_nodata_alone_counts_without(self, paths, how):
        image = made.pixels(2, 40, 50, "float32")
        expected = self.forecast(paths, image[1:, 20:], normalize=how).pixels
        image[1, :20] = -9999
        pixels = self.forecast(paths, image, normalize=how, nodata=-9999, overwrite=True).pixels
        assert pixels.mean.value[1] == pytest.approx(expected.mean.value[0])
        assert pixels.std.value[1] == pytest.approx(expected.std.value[0])

    def test_where_the_numbers_come_from(self, paths):
        settings = self.forecast(paths, made.pixels(1, 30, 40), normalize="percentile:2,98")
        decisions = dict(settings.decisions())
        for name in ("scale", "mean", "std"):
            assert decisions[name].origin == "percentile 2 to 98 of the raster"
        assert len(settings.notes) == 1

    def test_the_mean_and_standard_deviation(self, paths):
        settings = self.forecast(paths, made.pixels(1, 30, 40), normalize="zscore")
        assert settings.pixels.std.origin == "mean and standard deviation of the raster"

    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize(("dtype", "value"), [("uint8", 17), ("float32", 0.1)])
    def test_a_band_that_does_not_vary_is_divided_by_1(self, paths, how, dtype, value):
        image = made.pixels(3, 30, 40, dtype)
        image[1] = value
        settings = self.forecast(paths, image, normalize=how)
        assert settings.pixels.std.value[1] == 1
        assert f"all values of band 2 are {value}: its std is taken as 1" in settings.notes
        np.testing.assert_array_equal(made.read(paths[2])[1], 0)

    def test_a_band_that_is_the_same_at_both_percentiles(self, paths):
        image = np.zeros((1, 30, 40), np.uint8)
        image[0, 3, 4] = 200
        settings = self.forecast(paths, image, normalize="percentile:2,98")
        assert "all values of band 1 are 0: its std is taken as 1" in settings.notes

    def test_a_raster_of_nothing_is_left_as_it_is(self, paths):
        image = np.full((2, 30, 40), 7, np.uint16)
        settings = self.forecast(paths, image, normalize="zscore", profile={"nodata": 7})
        assert "no pixel of bands 1, 2 is valid: the values are not normalized" in settings.notes
        pixels = settings.pixels
        assert (pixels.scale.value, pixels.mean.value, pixels.std.value) == (1, (0, 0), (1, 1))

    def test_a_band_of_nothing_is_left_as_it_is(self, paths):
        image = made.pixels(2, 30, 40, "float32")
        image[1] = np.nan
        settings = self.forecast(paths, image, normalize="percentile:2,98")
        assert "no pixel of band 2 is valid: the values are not normalized" in settings.notes

    @pytest.mark.parametrize(("means", "stds"), [([0.4, 0.5, 0.6], [0.1, 0.2, 0.3]), ([2], [5])])
    @pytest.mark.parametrize("is_scaling", [False, True])
    def test_the_model_s_mean_and_std_follow_on_percentiles(self, paths, means, stds, is_scaling):
        raster, model, output = paths
        image = varied(3, 40, 50, "uint16")
        made.raster(raster, image)
        metadata = {"standardization_mean": means, "standardization_std": stds}
        _, answer = made.pointwise(model, 3, 2, metadata={} if is_scaling else metadata)
        if is_scaling:
            by_255 = {"type": "scale", "value": 255}
            bands = [
                [by_255, {"type": "z-score", "mean": mean, "stddev": std}]
                for mean, std in zip(means, stds, strict=True)
            ]
            made.sidecar(model.with_name("model.json"), value_scaling=bands)
        summary = segment(raster, model, output, normalize="percentile:1,99")
        mean, std = (np.array(numbers)[:, None, None] for numbers in (means, stds))
        expected = answer((stretched(image, "percentile:1,99") - mean) / std)
        np.testing.assert_allclose(made.read(output), expected, rtol=1e-4, atol=1e-4)
        said = (
            "percentile 1 to 99 of the raster in place of 1/255, then by the model's mean and std"
        )
        assert any(said in note for note in summary.notes)

    def test_zscore_replaces_the_model_s_mean_and_std(self, paths):
        raster, model, output = paths
        image = varied(3, 40, 50, "uint16")
        made.raster(raster, image)
        metadata = {"standardization_mean": [1, 2, 3, 4], "standardization_std": [5] * 4}
        _, answer = made.pointwise(model, 3, 2, metadata=metadata)
        summary = segment(raster, model, output, normalize="zscore")
        expected = answer(stretched(image, "zscore"))
        np.testing.assert_allclose(made.read(output), expected, rtol=1e-4, atol=1e-4)
        assert any("of the raster in place of the model's" in note for note in summary.notes)

    def test_percentiles_are_refused_for_a_model_that_standardizes_raw_pixels(self, paths):
        raster, model, output = paths
        made.raster(raster, varied(3, 40, 50, "uint16"))
        made.pointwise(model, 3, 2)
        scaling = [{"type": "z-score", "mean": 4000, "stddev": 900}]
        made.sidecar(model.with_name("model.json"), value_scaling=scaling)
        with pytest.raises(OptionError, match=r'z-score\(4000, 900\).*: give normalize="zscore"'):
            segment(raster, model, output, normalize="percentile:2,98")

    def test_plan_says_it_too(self, folder, cli):
        _, out, planned = cli("plan", "in.tif", "model.onnx", "--normalize", "zscore")
        _, _, said = cli(*RUN, "--normalize", "zscore")
        (note,) = [text for text in planned.splitlines() if text.startswith("note: pixels are")]
        assert note in said.splitlines()
        assert re.search(r"^mean +12\d\.\d+, .*\(mean and standard deviation of the ras", out, re.M)

    @pytest.mark.parametrize("of", [("in.tif",), ("--size", 100), ("--size", 100, "model.onnx")])
    def test_a_plan_without_pixels_says_that_it_does_not_know(self, folder, cli, of):
        status, _, err = cli("plan", *of, "--normalize", "zscore")
        assert status == 0
        assert (
            "note: the effect of --normalize depends on the raster and the model: give both" in err
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("minmax",), "normalize must be zscore or percentile:LOW,HIGH, .* not 'minmax'"),
        (("",), "normalize must be zscore or percentile:LOW,HIGH"),
        (("zscore:3",), "normalize must be zscore or percentile:LOW,HIGH"),
        (("percentile",), "normalize percentile: give two percentiles, such as percentile:2,98"),
        (("percentile:2",), "normalize percentile:2: give two percentiles"),
        (("percentile:2,50,98",), "give two percentiles"),
        (("percentile:low,high",), "give two percentiles"),
        (
            ("percentile:98,2",),
            "percentile:98,2: percentiles must be from 0 to 100, the lower one first",
        ),
        (("percentile:2,2",), "percentiles must be from 0 to 100, the lower one first"),
        (("percentile:-1,98",), "percentiles must be from 0 to 100"),
        (("percentile:2,101",), "percentiles must be from 0 to 100"),
        (("percentile:nan,98",), "percentiles must be from 0 to 100"),
        (("zscore", "--scale", "1"), "measures scale, mean and std: leave out --scale, or --norm"),
        (("zscore", "--mean", "1", "--std", "2"), "leave out --mean and --std, or --normalize"),
        (("zscore", "--bands", "1,2"), "takes 3 bands, not 2"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, cli, options, message):
    refused(cli(*RUN, "-q", "--normalize", *options), 2, message)
    assert made.names("out") == []


def test_a_span_that_float32_cannot_hold_is_refused(paths):
    raster, _, output = paths
    image = made.pixels(1, 30, 40, "float32")
    image[0, :10], image[0, 20:] = -3e38, 3e38
    made.raster(raster, image)
    with pytest.raises(OptionError, match=r"span more than float32 can represent; .*, declare"):
        segment(raster, as_it_is, output, margin=0, normalize="percentile:2,98")


class Fake:
    """An array as a raster that counts how often each pixel is read."""

    def __init__(self, image, valid=None, block=32):
        self.image, self.mask = image, valid
        self.size, self.dtype = image.shape[1:], image.dtype
        self.blocks = BlockLayout(block, block, image.dtype.itemsize)
        self.reads = np.zeros(self.size, int)

    def read(self, rows, cols):
        self.reads[rows, cols] += 1
        return self.image[:, rows, cols]

    def valid_values(self, rows, cols):
        return None if self.mask is None else self.mask[None, rows, cols]

    def measured(self, how):
        bands = Decision(tuple(range(1, len(self.image) + 1)), "all")
        return measure_pixels(self, bands, how)


class TestReading:
    @pytest.fixture(autouse=True)
    def _large_is_small(self, monkeypatch):
        """A raster beyond a million pixels is a large one."""
        monkeypatch.setattr(measuring, "SAMPLE_PIXELS", 2**20)

    def test_a_raster_is_read_once(self):
        source = Fake(varied(2, 500, 611, "uint8"))
        _, notes = source.measured("zscore")
        assert source.reads.min() == source.reads.max() == 1
        assert "of the raster, equivalent to" in notes[0]

    def test_of_a_large_one_a_sample_is_read_and_the_same_one_every_time(self):
        source = Fake(varied(1, 3000, 3100, "float32"))
        first, notes = source.measured("percentile:2,98")
        once = source.reads.copy()
        assert 0.8 * 2**20 < once.sum() <= 2**20
        assert "of a sample of the raster, equivalent to" in notes[0]
        assert first.mean.origin == "percentile 2 to 98 of a sample of the raster"
        again, _ = source.measured("percentile:2,98")
        assert again == first
        np.testing.assert_array_equal(source.reads, 2 * once)

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
    @pytest.mark.parametrize("block", [32, 256, 1000])
    def test_a_sample_is_near_the_truth(self, dtype, block):
        image = varied(1, 3000, 3100, dtype)
        source = Fake(image, block=block)
        pixels, _ = source.measured("percentile:2,98")
        low = pixels.mean.value[0]
        for percent, value in [(2, low), (98, low + pixels.std.value[0])]:
            below, up_to = (image < value).mean() * 100, (image <= value).mean() * 100
            assert below - 0.5 <= percent <= up_to + 0.5
        pixels, _ = source.measured("zscore")
        assert abs(pixels.mean.value[0] - image.mean(dtype="f8")) < 0.02 * image.std(dtype="f8")
        assert abs(pixels.std.value[0] / image.std(dtype="f8") - 1) < 0.02

    def test_where_next_to_nothing_is_valid_more_is_read(self):
        image = varied(1, 3000, 3100, "uint16")
        valid = np.zeros(image.shape[1:], bool)
        valid[2000:2090, 40:150] = True
        pixels, _ = Fake(image, valid).measured("zscore")
        mean, std = line(image[0][valid], "zscore")
        np.testing.assert_allclose(pixels.mean.value[0], mean, rtol=1e-6)
        np.testing.assert_allclose(pixels.std.value[0], std, rtol=1e-6)


def test_a_large_file_is_sampled_within_half_a_percentile(folder, cli):
    random = np.random.default_rng(0)
    image = random.integers(0, 40, (1, 6000, 6000), dtype=np.uint8)
    image += np.linspace(0, 200, 6000).astype(np.uint8)
    made.raster("in.tif", image, tiled=True, blockxsize=256, blockysize=256)
    made.pointwise("model.onnx", 1, 2)
    _, _, err = cli("plan", "in.tif", "model.onnx", "--tile", 512, "--normalize", "percentile:2,98")
    low, std = map(float, re.search(r"a sample of .*--mean (\S+) --std (\S+)$", err, re.M).groups())
    for percent, value in [(2, low), (98, low + std)]:
        assert (image < value).mean() * 100 - 0.5 <= percent
        assert percent <= (image <= value).mean() * 100 + 0.5


def test_tiles_batches_and_threads_change_nothing(paths):
    raster, model, output = paths
    made.raster(raster, varied(3, 150, 170, "float32"))
    made.pointwise(model, 3, 2)
    found = []
    for tile, batch_size, threads in [(64, 1, 1), (100, 3, 2), (170, 8, None)]:
        choices = {"tile": tile, "batch_size": batch_size, "threads": threads}
        summary = segment(
            raster, model, output, normalize="percentile:2,98", overwrite=True, **choices
        )
        found.append(summary.settings.normalization)
    assert found[0] == found[1] == found[2]


def test_the_cache_that_reading_needs_is_not_kept(paths):
    raster, _, _ = paths
    made.raster(raster, varied(1, 100, 120, "uint8"))
    with rasterio.Env() as env, RasterReader(raster) as reader:
        measure_pixels(reader, Decision((1,), "all"), "zscore")
        assert "GDAL_CACHEMAX" not in env.options
