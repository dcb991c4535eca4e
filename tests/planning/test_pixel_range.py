"""Pixels whose range does not fit the normalization that is left open."""

import re
import shlex

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders import made
from builders.command import RUN, refused
from seamless_seg import OptionError, check, forecast, probe, segment

FOR_BYTES = {"standardization_mean": [0.4, 0.5, 0.6], "standardization_std": [0.2, 0.25, 0.3]}
MEAN, STD = (np.array(numbers)[:, None, None] for numbers in FOR_BYTES.values())


def scene(dtype="uint16", low=300, high=9000, size=(60, 80)):
    """Pixels of one band after another, each from low to high."""
    values = np.linspace(low, high, size[0] * size[1] * 3)
    return np.random.default_rng(0).permutation(values).reshape(3, *size).astype(dtype)


@pytest.fixture
def described(folder):
    """A 16-bit raster, and a model whose metadata is for 8-bit pixels."""
    image = scene()
    made.raster("in.tif", image)
    _, answer = made.pointwise("model.onnx", 3, 2, metadata=FOR_BYTES)
    return image, answer


class TestWideIntegers:
    @pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "int64"])
    @pytest.mark.parametrize("metadata", [FOR_BYTES, {}])
    def test_they_are_refused_with_options_that_fit(self, folder, cli, dtype, metadata):
        image = scene(dtype)
        made.raster("in.tif", image)
        made.pointwise("model.onnx", 3, 2, metadata=metadata)
        for command in (RUN, ("plan", *RUN[1:3]), ("check", *RUN[1:3])):
            result = cli(*command)
            by = "zscore" if metadata else "percentile:2,98"
            refused(result, 2, f"give --normalize {by}, .* or --scale 0.000")
            assert f"{dtype} from 300 to 9000" in result[2] or not metadata
        p98 = max(np.percentile(band, 98) for band in image)
        scale = float(re.search(r"--scale ([\d.]+),", result[2])[1])
        assert scale == pytest.approx(1 / p98, rel=5e-3)

    @pytest.mark.parametrize("advised", [r"--normalize zscore", r"--scale [\d.]+"])
    def test_what_is_advised_works(self, described, cli, advised):
        image, answer = described
        option = re.search(advised, cli(*RUN)[2])[0]
        status, _, err = cli(*RUN, *shlex.split(option))
        assert status == 0, err
        if "scale" in option:
            expected = answer((image * float(option.split()[1]) - MEAN) / STD)
        else:
            mean, std = (band.reshape(3, 1, 1) for band in (image.mean((1, 2)), image.std((1, 2))))
            expected = answer((image - mean) / std)
        np.testing.assert_allclose(made.read("out/out.tif"), expected, rtol=1e-4, atol=1e-3)

    @pytest.mark.parametrize(
        "options", [{"scale": 1 / 255}, {"scale": 1e-4, "mean": 0}, {"value_scaling": [None]}]
    )
    def test_explicit_options_win(self, described, options):
        assert segment("in.tif", "model.onnx", "out/out.tif", **options).warnings == ()

    def test_a_mean_and_a_std_without_a_scale_are_a_warning(self, described):
        image, answer = described
        summary = segment("in.tif", "model.onnx", "out/out.tif", mean=20, std=4)
        np.testing.assert_allclose(
            made.read("out/out.tif"), answer((image / 255 - 20) / 4), atol=1e-4
        )
        (warning,) = summary.warnings
        assert warning.endswith("these are uint16 from 300 to 9000: give scale=, too")

    def test_the_range_is_that_of_valid_pixels(self, described):
        image = scene(high=250, low=0)
        image[:, :9] = 65535
        made.raster("in.tif", image, nodata=65535)
        summary = segment("in.tif", "model.onnx", "out/out.tif")
        assert any("none is above 255" in note for note in summary.notes)

    @pytest.mark.parametrize("metadata", [FOR_BYTES, {}])
    def test_those_that_hold_bytes_are_bytes(self, folder, metadata):
        image = scene(low=0, high=255)
        made.pointwise("model.onnx", 3, 2, metadata=metadata)
        outputs = []
        for dtype in ("uint8", "int32"):
            made.raster("in.tif", image.astype(dtype))
            segment("in.tif", "model.onnx", "out/out.tif", overwrite=True)
            outputs.append(made.read("out/out.tif"))
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)

    def test_no_scale_is_advised_for_negative_values(self, described, cli):
        made.raster("in.tif", scene("int16", -3000, 0))
        status, _, err = cli(*RUN)
        assert status == 2
        assert "from -3000 to 0: give --normalize zscore, which standardizes" in err
        assert "--scale" not in err

    def test_a_check_of_the_output_needs_no_options_again(self, described):
        segment("in.tif", "model.onnx", "out/out.tif", normalize="zscore")
        report = check("in.tif", "model.onnx", "out/out.tif")
        assert report.judged.identical == 1

    def test_a_probe_needs_none(self, described):
        assert probe("model.onnx", raster="in.tif").radius == (0, 0)


class TestFloats:
    @pytest.mark.parametrize(
        ("low", "high", "advice"),
        [
            (0, 0.9, r"float32 from 0 to 0\.9: give scale=1 if they are of 0 to 1 already"),
            (200, 9000, r"float32 from 200 to 9000: give normalize=.*, or scale=0\.000\d+"),
            (-30, 2, r"float32 from -30 to 2: give normalize="),
        ],
    )
    def test_values_that_are_hardly_bytes_are_a_warning(self, paths, low, high, advice):
        raster, model, _ = paths
        made.raster(raster, scene("float32", low, high))
        made.pointwise(model, 3, 2, metadata=FOR_BYTES)
        (warning,) = forecast(raster, model).warnings
        assert re.search(advice, warning)

    def test_values_of_bytes_are_none(self, paths):
        raster, model, _ = paths
        made.raster(raster, scene("float32", 0, 255))
        made.pointwise(model, 3, 2, metadata=FOR_BYTES)
        assert forecast(raster, model).warnings == ()

    def test_a_model_that_states_nothing_takes_them_as_they_are(self, paths):
        raster, model, _ = paths
        made.raster(raster, scene("float32", 0, 9000))
        made.pointwise(model, 3, 2)
        assert forecast(raster, model).warnings == ()

    def test_values_of_bytes_are_one_for_a_model_that_states_nothing(self, paths):
        raster, model, output = paths
        image = made.raster(raster, scene("float32", 0, 255)) and made.read(raster)
        _, answer = made.pointwise(model, 3, 2)
        (warning,) = forecast(raster, model).warnings
        assert "float32 from 0 to 255, and most models take 0 to 1: give scale=0.00392" in warning
        for options in ({"scale": 1 / 255}, {"scale": 1}, {"mean": 100, "std": 50}):
            assert forecast(raster, model, **options).warnings == ()
        segment(raster, model, output, scale=float(re.search(r"scale=([\d.]+)", warning)[1]))
        np.testing.assert_allclose(made.read(output), answer(image / 255), atol=1e-4)


class TestFloat16:
    def half(self, path):
        weights = {"weight": np.full((2, 3, 1, 1), 1e-3, np.float16)}
        node = helper.make_node("Conv", ["image", "weight"], ["logits"])
        half = TensorProto.FLOAT16
        made.model(path, [node], weights, 3, 2, dtype=half, out_dtype=half)

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_pixels_that_overflow_are_refused(self, paths, dtype):
        raster, model, output = paths
        self.half(model)
        image = scene(dtype, 0, 65_535)
        made.raster(raster, image)
        options = {"scale": 1} if dtype == "uint16" else {}
        with pytest.raises(OptionError, match=r"is float16, .* 65504, and pixels reach 65535 "):
            segment(raster, model, output, **options)
        segment(raster, model, output, scale=0.5)
        expected = (image * 0.5e-3).sum(axis=0)
        np.testing.assert_allclose(made.read(output)[0], expected, rtol=5e-3)

    def test_pixels_below_the_limit_are_not(self, paths):
        raster, model, output = paths
        self.half(model)
        image = scene("uint16", 0, 65_000)
        made.raster(raster, image)
        segment(raster, model, output, scale=1)
        expected = (image * 1e-3).sum(axis=0)
        np.testing.assert_allclose(made.read(output)[0], expected, rtol=5e-3)
