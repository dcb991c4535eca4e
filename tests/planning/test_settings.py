import numpy as np
import pytest

from builders import made
from seamless_seg import OptionError, segment


class TestNormalization:
    def run(self, paths, image, metadata=None, **options):
        raster, model, output = paths
        made.raster(raster, image)
        _, answer = made.pointwise(model, len(image), 2, metadata=metadata or {})
        notes = []
        segment(
            raster,
            model,
            output,
            on_start=lambda forecast: notes.extend(forecast.settings.notes),
            **options,
        )
        return made.read(output), answer, notes

    def test_bytes_are_divided_by_255_with_a_note(self, paths):
        image = made.pixels(3, 50, 60)
        logits, answer, notes = self.run(paths, image)
        np.testing.assert_allclose(logits, answer(image / 255), atol=1e-5)
        assert any("(pixel * 0.00392157 - 0) / 1 (default for uint8, 1/255)" in n for n in notes)

    def test_floats_are_taken_as_they_are(self, paths):
        image = made.pixels(3, 50, 60, "float64")
        logits, answer, _ = self.run(paths, image)
        np.testing.assert_allclose(logits, answer(image), atol=1e-5)

    @pytest.mark.parametrize("dtype", ["float64", "int32"])
    def test_large_numbers_are_brought_near_zero_before_they_are_rounded(self, paths, dtype):
        image = made.pixels(2, 50, 60, "int32").astype(dtype) + 2**28
        logits, answer, _ = self.run(paths, image, scale=1, mean=2**28, std=1000)
        np.testing.assert_allclose(logits, answer((image - 2**28) / 1000), atol=1e-5)

    def test_metadata_for_bytes_is_used_for_integers_that_are_bytes(self, paths):
        image = made.pixels(2, 50, 60).astype("uint16")
        logits, answer, notes = self.run(paths, image, {"standardization_mean": [0.5, 0.25]})
        mean = np.array([0.5, 0.25])[:, None, None]
        np.testing.assert_allclose(logits, answer(image / 255 - mean), atol=1e-4)
        assert "pixels are uint16, but none is above 255: they are taken as 8-bit pixels" in notes

    def test_options_win_over_metadata_one_by_one(self, paths):
        image = made.pixels(2, 50, 60)
        metadata = {"standardization_mean": [0.5, 0.25], "standardization_std": [0.5, 2.0]}
        logits, answer, _ = self.run(paths, image, metadata)
        mean, std = np.array([0.5, 0.25])[:, None, None], np.array([0.5, 2.0])[:, None, None]
        np.testing.assert_allclose(logits, answer((image / 255 - mean) / std), atol=1e-5)
        logits, answer, _ = self.run(paths, image, metadata, mean=[0.1], overwrite=True)
        np.testing.assert_allclose(logits, answer((image / 255 - 0.1) / std), atol=1e-5)

    def test_other_integers_need_a_scale(self, paths):
        with pytest.raises(
            OptionError, match=r"the range of uint16 pixels is unknown: give .* scale="
        ):
            self.run(paths, made.pixels(3, 50, 60, "uint16"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mean": [1, 2]}, "mean has 2 numbers for 3 bands: give 3, or 1"),
            ({"std": [1, 0, 1]}, "std must be above 0, .* not 1,0,1"),
            ({"std": [float("nan")]}, "std must be a finite number, not nan"),
            ({"scale": float("inf")}, "scale must be a finite number"),
            ({"scale": "much"}, "scale must be a finite number, not 'much'"),
            ({"scale": 0}, "scale must not be 0"),
            ({"std": 1e-50}, "std must be above 0"),
            ({"std": -1}, "std must be above 0, .* not -1"),
            ({"bands": [1.5, 2, 3]}, "bands must be whole numbers, not 1.5,2,3"),
            ({"threads": "x"}, "threads must be a whole number from 1 to 1024, not 'x'"),
            ({"provider": "x"}, "provider 'x' is not available"),
        ],
    )
    def test_bad_numbers_are_refused(self, paths, options, message):
        with pytest.raises(OptionError, match=message):
            self.run(paths, made.pixels(3, 50, 60), **options)


class TestBands:
    def test_bands_are_chosen_and_ordered(self, paths):
        raster, model, output = paths
        image = made.pixels(5, 50, 60, "float32")
        made.raster(raster, image)
        _, answer = made.pointwise(model, 3, 2)
        segment(raster, model, output, bands=[4, 3, 1])
        np.testing.assert_allclose(made.read(output), answer(image[[3, 2, 0]]), atol=1e-5)

    def test_a_trailing_alpha_band_is_dropped_where_the_model_takes_one_fewer(self, paths):
        raster, model, output = paths
        image = made.pixels(4, 50, 60)
        made.raster(raster, image, photometric="rgb", alpha="yes")
        _, answer = made.pointwise(model, 3, 2)
        segment(raster, model, output)
        there = np.where(image[3] == 0, np.nan, 1)
        np.testing.assert_allclose(made.read(output), answer(image[:3] / 255) * there, atol=1e-5)

    def test_a_band_is_repeated_as_a_refusal_says(self, paths):
        raster, model, output = paths
        image = made.pixels(2, 50, 60)
        made.raster(raster, image, alpha="yes")
        _, answer = made.pointwise(model, 3, 2)
        with pytest.raises(
            OptionError, match=r"only 1 beside an alpha band; repeat it with bands=.1, 1, 1."
        ):
            segment(raster, model, output)
        segment(raster, model, output, bands=[1, 1, 1])
        there = np.where(image[1] == 0, np.nan, 1)
        expected = answer(image[[0, 0, 0]] / 255) * there
        np.testing.assert_allclose(made.read(output), expected, atol=1e-5)

    def test_a_model_of_one_band_is_told_of_as_one(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 50, 60))
        made.pointwise(model, 1, 2)
        with pytest.raises(OptionError, match=r"takes 1 band, not 3 .*: choose 1 with b"):
            segment(raster, model, output)

    @pytest.mark.parametrize(
        ("count", "bands", "message"),
        [
            (4, None, "takes 3 bands, not 4 .1,2,3,4.: choose 3 with bands="),
            (1, None, r"not 1 \(1\): the raster has only 1; repeat it with bands=\(1, 1, 1\)$"),
            (2, None, "the raster has only 2; bands= may repeat bands, if that"),
            (2, [1], "takes 3 bands, not 1 .1.: the raster has only 2; bands= may repeat bands"),
            (3, [1, 2, 7], "has bands 1 to 3, no 7"),
            (3, [1, 2, 0], "has bands 1 to 3, no 0"),
            (3, [1, 2], "takes 3 bands, not 2 .1,2.: choose 3 with bands="),
        ],
    )
    def test_bands_that_do_not_fit_are_refused(self, paths, count, bands, message):
        raster, model, output = paths
        made.raster(raster, made.pixels(count, 50, 60, "float32"))
        made.pointwise(model, 3, 2)
        with pytest.raises(OptionError, match=message):
            segment(raster, model, output, bands=bands)
