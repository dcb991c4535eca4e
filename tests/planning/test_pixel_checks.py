"""What is doubtful about pixels: their size, the order of colors, a collar of zeros."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from builders import made
from builders.command import RUN
from seamless_seg import forecast, segment

RED, GREEN, BLUE = ColorInterp.red, ColorInterp.green, ColorInterp.blue


class TestResolution:
    @pytest.fixture
    def model(self, paths):
        return made.pointwise(paths[1], 3, 2, metadata={"resolution": 50})[0]

    def warnings(self, raster, model, crs, width, height, **options):
        place = from_origin(8, 47.001, width, height)
        made.raster(raster, made.pixels(3, 60, 80), crs=crs, transform=place)
        return forecast(raster, model, **options).warnings

    @pytest.mark.parametrize(
        ("width", "height", "shown"),
        [(2, 2, "2 m"), (0.5, 0.8, "0.8 x 0.5 m"), (0.3, 0.3, "0.3 m"), (10, 10, "10 m")],
    )
    def test_pixels_of_another_size_are_a_warning(self, paths, model, width, height, shown):
        (warning,) = self.warnings(paths[0], model, "EPSG:32632", width, height)
        assert warning == (
            f"the pixel size is {shown}, and the model is for 0.5 m: give match_resolution=True, "
            f"which resamples the raster"
        )

    @pytest.mark.parametrize("times", [0.7, 1, 1.45])
    def test_pixels_of_about_that_size_are_none(self, paths, model, times):
        assert self.warnings(paths[0], model, "EPSG:32632", times / 2, times / 2) == ()

    def test_feet_and_degrees_are_converted(self, paths, model):
        assert self.warnings(paths[0], model, "EPSG:2222", 0.5 / 0.3048, 0.5 / 0.3048) == ()
        # 0.5 m at 47 degrees north.
        degrees = 0.5 / 75_985, 0.5 / 111_170
        assert self.warnings(paths[0], model, "EPSG:4326", *degrees) == ()
        (warning,) = self.warnings(paths[0], model, "EPSG:4326", *(4 * own for own in degrees))
        assert "the pixel size is 2 m," in warning

    def test_what_is_advised_ends_it(self, paths, model):
        options = {"match_resolution": True}
        assert self.warnings(paths[0], model, "EPSG:32632", 0.2, 0.2, **options) == ()

    @pytest.mark.parametrize("crs", [None, "EPSG:32632"])
    def test_nothing_is_said_where_a_size_is_not_known(self, paths, crs):
        model, _ = made.pointwise(paths[1], 3, 2, metadata={} if crs else {"resolution": 50})
        assert self.warnings(paths[0], model, crs, 9, 9) == ()

    def test_commands_print_it_as_a_warning(self, folder, cli):
        made.pointwise("model.onnx", 3, 2, metadata={"resolution": 300})
        said = "warning: the pixel size is 0.5 m, and the model is for 3 m: give --match-resolution"
        for command in (RUN, ("plan", *RUN[1:3]), ("check", *RUN[1:3])):
            status, _, err = cli(*command)
            assert status == 0
            assert said in err
        assert cli(*RUN, "--overwrite")[2].splitlines()[-1].startswith(said)


class TestColors:
    def notes(self, path, names=(), colors=(BLUE, GREEN, RED), model=None, **options):
        made.raster(path, made.pixels(3, 60, 80), photometric="minisblack")
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = colors
            for band, name in enumerate(names, 1):
                dataset.set_band_description(band, name)
        notes = forecast(path, model, **options).settings.notes
        return [note for note in notes if "blue, green, red" in note]

    @pytest.fixture
    def model(self, paths):
        return made.pointwise(paths[1], 3, 2)[0]

    def test_bands_in_reversed_order_are_noted(self, paths, model):
        (note,) = self.notes(paths[0], model=model)
        assert note.endswith("probably takes red, green, blue: bands=[3,2,1] reverses them")
        assert self.notes(paths[0], ["Blue", "Green", "Red"], (RED, GREEN, BLUE), model)

    @pytest.mark.parametrize(
        "names",
        [
            ["B2", "B3", "B4"],
            ["B02", "B03", "B04"],
            ["band 2", "band 3", "band 4"],
            ["B2 (490 nm)", "B3 (560 nm)", "B4 (665 nm)"],
        ],
    )
    def test_bands_that_satellites_number_are_noted_and_what_is_advised_reverses(
        self, paths, model, names
    ):
        gray = [ColorInterp.gray] + [ColorInterp.undefined] * 2
        (note,) = self.notes(paths[0], names, gray, model)
        assert "bands=[3,2,1] reverses them" in note
        assert not self.notes(paths[0], names[::-1], gray, model)
        self.notes(paths[0], names, gray, model)
        segment(paths[0], model, paths[2], bands=[3, 2, 1])
        once = made.read(paths[2])
        made.raster(paths[0], made.read(paths[0])[::-1])
        segment(paths[0], model, paths[2], overwrite=True)
        np.testing.assert_array_equal(made.read(paths[2]), once)

    def test_nothing_is_said_of_others(self, paths, model):
        assert not self.notes(paths[0], colors=(RED, GREEN, BLUE), model=model)
        assert not self.notes(paths[0], ["red", "green", "blue"], model=model)
        assert not self.notes(paths[0], model=model, bands=[1, 2, 3])

    def test_a_model_that_names_its_bands_gets_them(self, paths, model):
        bands = ["red", "green", "blue"]
        made.sidecar(paths[1].with_name("model.json"), bands=bands, value_scaling=None)
        assert not self.notes(paths[0], model=model)
        summary = segment(paths[0], model, paths[2])
        assert summary.settings.pixels.bands.value == (3, 2, 1)


class TestCollar:
    SAID = "corners of the raster are zero in all bands, and no nodata value is declared: give nod"

    def notes(self, path, image, **profile):
        made.raster(path, image, **profile)
        return [note for note in self.forecast(path).settings.notes if note.startswith(self.SAID)]

    @staticmethod
    def forecast(path):
        return forecast(path, lambda batch: batch.copy(), scale=1)

    @pytest.fixture
    def image(self):
        return made.pixels(3, 100, 120) // 2 + 1

    @pytest.mark.parametrize(
        "collar", [np.s_[:, :30], np.s_[:, :, -20:], np.s_[:, 84:, :16], np.s_[:, 80:, 100:]]
    )
    def test_zeros_in_a_corner_are_noted(self, paths, image, collar):
        image[collar] = 0
        assert self.notes(paths[0], image)
        assert not self.notes(paths[0], image, nodata=0)

    def test_zeros_elsewhere_or_in_some_bands_are_not(self, paths, image):
        assert not self.notes(paths[0], image)
        image[:, 20:80, 20:100] = 0
        image[:2, :30] = 0
        assert not self.notes(paths[0], image)


MEAN = {"standardization_mean": [0.4, 0.4, 0.4], "standardization_std": [0.2, 0.2, 0.2]}


class TestScale:
    """A scale that is given, for a model of 8-bit pixels divided by 255."""

    def warnings(self, paths, metadata=MEAN, **options):
        made.raster(paths[0], made.pixels(3, 60, 80))
        made.pointwise(paths[1], 3, 2, metadata=metadata)
        return forecast(paths[0], paths[1], **options).warnings

    @pytest.mark.parametrize("scale", [1, -1, -1 / 255, 1e-4])
    def test_one_that_does_not_fit_the_mean_and_std_is_a_warning(self, paths, scale):
        (warning,) = self.warnings(paths, scale=scale)
        assert warning.startswith(f"scale={scale:g} does not fit the model's mean and std, which")

    @pytest.mark.parametrize(
        "options", [{}, {"scale": 1 / 255}, {"scale": 0.005}, {"scale": 1, "mean": 100, "std": 50}]
    )
    def test_one_that_fits_is_none(self, paths, options):
        assert self.warnings(paths, **options) == ()

    def test_a_model_without_mean_and_std_may_have_any(self, paths):
        assert self.warnings(paths, {}, scale=1) == ()
