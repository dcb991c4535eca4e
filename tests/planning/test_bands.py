"""Bands by name, and bands that are masks."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from builders import made
from builders.command import RUN, refused
from seamless_seg import OptionError, check, forecast, segment

RED, GREEN, BLUE, NIR = (getattr(ColorInterp, name) for name in ("red", "green", "blue", "nir"))


def as_it_is(batch):
    """A model whose logits are what it is given."""
    return batch.copy()


def named(path, names=(), colors=(), tags=()):
    """Describe bands, interpret them as colors and tag them."""
    with rasterio.open(path, "r+") as dataset:
        for band, name in enumerate(names, 1):
            dataset.set_band_description(band, name)
        if colors:
            dataset.colorinterp = colors
        for band, own in enumerate(tags, 1):
            dataset.update_tags(band, **own)


class TestByName:
    @pytest.fixture
    def image(self, folder):
        image = made.pixels(4, 100, 120, "float32")
        made.raster("in.tif", image, photometric="minisblack")
        return image

    @pytest.mark.parametrize(
        ("described", "bands", "numbers"),
        [
            ({"names": ["red", "green", "blue", "nir"]}, ["nir", "red", "green"], [4, 1, 2]),
            ({"names": ["B2", "B3", "B4", "B8A"]}, ["b8a", "B04", "B03"], [4, 3, 2]),
            ({"names": ["Red Edge", "x", "Near-Infrared", "y"]}, ["NIR", "rededge"], [3, 1]),
            ({"names": ["B4, central wavelength 665 nm", "B3 (Green)"]}, ["green", "B4"], [2, 1]),
            ({"colors": [BLUE, GREEN, RED, NIR]}, ["red", "Nir", "BLUE"], [3, 4, 1]),
            ({"tags": [{"BANDNAME": "B12"}, {"common_name": "swir16"}]}, ["swir16", "B12"], [2, 1]),
            # A description is what somebody wrote; color interpretations are often defaults.
            ({"names": ["blue", "green", "red"], "colors": [RED, GREEN, BLUE, NIR]}, ["red"], [3]),
            ({"names": ["red", "green", "blue", "nir"]}, [4, "red", 4], [4, 1, 4]),
        ],
    )
    def test_a_name_is_that_of_a_band(self, image, described, bands, numbers):
        named("in.tif", **described)
        segment("in.tif", as_it_is, "out/out.tif", bands=bands)
        np.testing.assert_array_equal(
            made.read("out/out.tif"), image[[number - 1 for number in numbers]]
        )

    @pytest.mark.parametrize(("bands", "numbers"), [("4,1, 2", [4, 1, 2]), ("nir,2", [4, 2])])
    def test_a_string_is_a_list_as_on_the_command_line(self, image, bands, numbers):
        named("in.tif", ["red", "green", "blue", "nir"])
        segment("in.tif", as_it_is, "out/out.tif", bands=bands)
        np.testing.assert_array_equal(
            made.read("out/out.tif"), image[[number - 1 for number in numbers]]
        )
        with pytest.raises(OptionError, match="is not a list of bands separated by commas"):
            segment("in.tif", as_it_is, "out/out.tif", bands="1,,2")

    def test_on_the_command_line_and_in_a_check(self, image, cli):
        named("in.tif", ["red", "green", "blue", "nir"])
        _, answer = made.pointwise("model.onnx", 3, 2)
        status, _, err = cli(*RUN, "--bands", "nir,2,blue")
        assert status == 0, err
        expected = answer(image[[3, 1, 2]])
        np.testing.assert_allclose(made.read("out/out.tif"), expected, atol=1e-5)
        _, out, _ = cli("plan", *RUN[1:3], "--bands", "nir,2,blue")
        assert "bands       4, 2, 3  (option)" in out
        report = check("in.tif", "model.onnx", "out/out.tif", bands=["nir", "green", "blue"])
        assert report.judged.identical == 1
        assert not any("was made with" in note for note in report.forecast.settings.notes)

    @pytest.mark.parametrize(
        ("names", "bands", "message"),
        [
            (["red", "green", "blue"], "nir", "no band 'nir': its bands are 1 red, 2 green, 3 bl"),
            ([], "nir", "no band 'nir': its bands have no names; give their numbers, 1 to 4"),
            (["red", "RED", "blue", "x"], "red", r"2 bands 'red' \(1, 2\): its bands are 1 red, "),
            (["red"], "B4", "no band 'B4': its bands are 1 red"),
            (["red"], "1,9", "bands 1,9: in.tif has bands 1 to 4, no 9"),
        ],
    )
    def test_a_name_of_no_band_or_of_several_is_refused(self, image, cli, names, bands, message):
        named("in.tif", names)
        refused(cli(*RUN, "--bands", bands), 2, message)

    def test_colors_of_a_table(self, paths):
        raster, _, output = paths
        made.raster(raster, np.full((1, 50, 60), 7, np.uint8))
        with rasterio.open(raster, "r+") as dataset:
            dataset.write_colormap(1, {7: (10, 20, 30)})
        segment(raster, as_it_is, output, bands=["blue", "alpha"], scale=1)
        assert made.read(output)[:, 0, 0].tolist() == [30, 255]


class TestMaskBand:
    VALID = np.random.default_rng(0).random((100, 120)) > 0.3
    VALID[:64, :64] = False

    @pytest.fixture
    def image(self, folder):
        """Three bands and, as the second of four, their mask, which nothing declares."""
        image = made.pixels(3, 100, 120)
        bands = np.insert(image, 1, self.VALID * np.uint8(255), axis=0)
        made.raster("in.tif", bands, photometric="minisblack")
        return image

    def test_its_zeros_are_not_valid_and_the_model_does_not_get_it(self, image, cli):
        _, answer = made.pointwise("model.onnx", 3, 2)
        status, _, err = cli(*RUN, "--mask-band", 2, "--tile", 64, "--overlap", 0)
        assert status == 0, err
        assert "1 skipped" in err
        expected = np.where(self.VALID, answer(image / 255), np.nan)
        np.testing.assert_allclose(made.read("out/out.tif"), expected, atol=1e-5)

    def test_it_goes_with_bands_that_are_chosen_and_with_functions(self, image):
        segment("in.tif", as_it_is, "out/out.tif", mask_band=2, bands=[4, 1], scale=1)
        expected = np.where(self.VALID, image[[2, 0]].astype("f4"), np.nan)
        np.testing.assert_array_equal(made.read("out/out.tif"), expected)
        segment("in.tif", as_it_is, "out/out.tif", mask_band=2, scale=1, overwrite=True)
        np.testing.assert_array_equal(
            made.read("out/out.tif"), np.where(self.VALID, image.astype("f4"), np.nan)
        )

    def test_plan_and_check_know_it(self, image, cli):
        _, out, _ = cli("plan", *RUN[1:3], "--mask-band", 2)
        assert "bands       1, 3, 4  (all but the mask band)" in out
        assert "mask band   2  (option)" in out
        assert cli(*RUN, "--mask-band", 2)[0] == 0
        report = check("in.tif", "model.onnx", "out/out.tif")  # by its tags
        assert report.judged.identical == 1
        assert report.pixels == self.VALID.sum()

    def test_statistics_leave_out_what_it_masks(self, image):
        summary = segment(
            "in.tif", as_it_is, "out/out.tif", mask_band=2, bands=[1], normalize="zscore"
        )
        values = image[0][self.VALID].astype(float)
        pixels = summary.settings.pixels
        np.testing.assert_allclose(pixels.mean.value, values.mean(), rtol=1e-5)
        np.testing.assert_allclose(pixels.std.value, values.std(), rtol=1e-5)

    def test_it_counts_beside_an_alpha_band(self, paths):
        raster, _, output = paths
        alpha = np.full((100, 120), 255, np.uint8)
        alpha[:, 90:] = 0
        image = np.stack([*made.pixels(2, 100, 120), self.VALID.astype(np.uint8), alpha])
        made.raster(raster, image, photometric="minisblack")
        named(raster, colors=[RED, GREEN, BLUE, ColorInterp.alpha])
        segment(raster, as_it_is, output, mask_band=3, bands=[1], scale=1)
        valid = ~np.isnan(made.read(output)[0])
        np.testing.assert_array_equal(valid, self.VALID & (alpha > 0))

    @pytest.mark.parametrize("one", [1, 255])
    @pytest.mark.parametrize("band", [2, 4])
    def test_resampling_leaves_out_what_it_masks(self, paths, one, band):
        raster, _, output = paths
        image = np.full((4, 100, 120), 100, np.uint8)
        image[:, :, 60:] = 0
        image[band - 1] = one
        image[band - 1, :, 60:] = 0
        made.raster(raster, image, photometric="minisblack")
        segment(raster, as_it_is, output, mask_band=band, scale=1, resolution=0.7)
        values = made.read(output)
        assert values.shape[0] == 3
        valid = ~np.isnan(values)
        np.testing.assert_allclose(values[valid], 100)
        assert valid[:, :, :42].all()
        assert not valid[:, :, 44:].any()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mask_band": 5}, "mask_band=5: .* has bands 1 to 4"),
            ({"mask_band": 2, "bands": [1, 2, 3]}, "band 2 is the mask band"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, image, options, message):
        with pytest.raises(OptionError, match=message):
            forecast("in.tif", "model.onnx", **options)
