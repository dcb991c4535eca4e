import warnings

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NodataShadowWarning

from builders import made
from builders.nodata import masked, stacked
from seamless_seg import OptionError
from seamless_seg.planning.open_raster import open_raster
from seamless_seg.planning.options import Options

SIZE = 70, 90


def holes(seed=1):
    """Which pixels are valid: some single ones are not, nor is a corner."""
    valid = np.random.default_rng(seed).random(SIZE) > 0.05
    valid[:20, :30] = False
    valid[40:] |= True
    return valid


def with_holes(array, value, *seeds):
    """Pixels with holes of their own in each band."""
    for band, seed in zip(array, seeds, strict=False):
        band[~holes(seed)] = value
    return array


def in_windows(reader):
    """Valid pixels of the whole raster, read in odd windows."""
    height, width = reader.size
    found = np.ones(reader.size, bool)
    for top in range(0, height, 23):
        for left in range(0, width, 31):
            window = slice(top, min(top + 23, height)), slice(left, min(left + 31, width))
            valid = reader.valid(*window)
            if valid is not None:
                assert valid.dtype == bool
                assert not valid.all()
                found[window] = valid
    return found


def kinds(folder):
    """A raster of each kind of nodata, mask and alpha band."""
    path = folder / "in.tif"
    floats = made.pixels(3, *SIZE, "float32")
    bytes_ = made.pixels(4, *SIZE) | 1
    inside = (holes() * 255).astype("uint8")
    yield made.raster(path, with_holes(floats.copy(), -9999, 1, 2, 3), nodata=-9999)
    yield made.raster(path, with_holes(floats.copy(), np.nan, 1, 2, 3), nodata=np.nan)
    yield made.raster(path, with_holes(floats[:1].copy(), np.nan, 1), nodata=np.nan)
    yield made.raster(path, with_holes(made.pixels(2, *SIZE, "int16") | 1, 0, 4, 4), nodata=0)
    yield masked(path, bytes_[:3], inside, True)
    yield masked(path, bytes_[:3], inside, False)
    (folder / "in.tif.msk").unlink()
    alpha = np.stack([*bytes_[:3], inside])
    yield made.raster(path, alpha, photometric="rgb", alpha="yes")
    yield made.raster(path, alpha[2:], alpha="yes", photometric="minisblack")
    yield made.raster(path, with_holes(alpha, 0, 1, 1, 1), photometric="rgb", alpha="yes", nodata=0)
    yield made.raster(path, bytes_[:3])


def test_every_kind_is_what_rasterio_says_of_the_whole(tmp_path):
    seen = []
    for path in kinds(tmp_path):
        with rasterio.open(path) as dataset, warnings.catch_warnings():
            warnings.simplefilter("ignore", NodataShadowWarning)
            expected = dataset.dataset_mask() != 0
        with open_raster(path, Options()) as reader:
            np.testing.assert_array_equal(in_windows(reader), expected)
            assert reader.may_have_nodata == (not expected.all())
        seen.append(expected.all())
    assert seen == [False] * 9 + [True]


def test_the_bands_that_are_selected_decide(tmp_path):
    pixels = with_holes(made.pixels(3, *SIZE, "float32"), -1, 1, 2, 3)
    with open_raster(made.raster(tmp_path / "in.tif", pixels, nodata=-1), Options()) as reader:
        reader.select([3, 1])
        np.testing.assert_array_equal(in_windows(reader), holes(3) | holes(1))
        reader.select([2])
        np.testing.assert_array_equal(in_windows(reader), holes(2))


@pytest.mark.parametrize("bands", [[1], [2, 3], [1, 2, 3, 4], [4]])
def test_an_alpha_band_speaks_for_every_selection(tmp_path, bands):
    pixels = np.stack([*made.pixels(3, *SIZE), (holes() * 255).astype("uint8")])
    path = made.raster(tmp_path / "in.tif", pixels, photometric="rgb", alpha="yes")
    with open_raster(path, Options()) as reader:
        reader.select(bands)
        np.testing.assert_array_equal(in_windows(reader), holes())


def test_a_mask_speaks_for_every_selection_and_level(tmp_path):
    mask = np.full((64, 96), 255, "uint8")
    mask[:32, :48] = 0
    path = masked(tmp_path / "in.tif", made.pixels(3, 64, 96), mask, True)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    with open_raster(path, Options(level=2)) as reader:
        reader.select([2])
        expected = np.ones(reader.size, bool)
        expected[:8, :12] = False
        np.testing.assert_array_equal(in_windows(reader), expected)


class TestNodataOfTheUser:
    def found(self, path, value, bands=None, **options):
        with open_raster(path, Options(nodata=value, **options)) as reader:
            reader.select(bands or reader.bands)
            return in_windows(reader)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999, 0.1, 0, 3.4028234e38])
    def test_it_replaces_the_file_s(self, tmp_path, value):
        pixels = made.pixels(2, *SIZE, "float32")
        pixels[:, 60:] = 7
        path = made.raster(tmp_path / "in.tif", with_holes(pixels, value, 1, 2), nodata=7)
        np.testing.assert_array_equal(self.found(path, value), holes(1) | holes(2))
        np.testing.assert_array_equal(self.found(path, value, [2]), holes(2))

    @pytest.mark.parametrize(
        ("dtype", "value"), [("int64", -(2**62) - 1), ("uint64", 2**64 - 1), ("int8", -128)]
    )
    def test_integers_are_compared_as_such(self, tmp_path, dtype, value):
        pixels = np.full((1, *SIZE), value, dtype)
        pixels[0, holes()] = value + 1 if value < 0 else value - 1
        path = made.raster(tmp_path / "in.tif", pixels)
        np.testing.assert_array_equal(self.found(path, value), holes())

    def test_it_counts_beside_a_mask_and_an_alpha_band(self, tmp_path):
        pixels = with_holes(made.pixels(3, *SIZE) | 1, 0, 2, 2, 2)
        mask = (holes() * 255).astype("uint8")
        path = masked(tmp_path / "in.tif", pixels, mask, True)
        np.testing.assert_array_equal(self.found(path, 0), holes() & holes(2))
        alpha = made.raster(
            tmp_path / "rgba.tif", np.stack([*pixels, mask]), photometric="rgb", alpha="yes"
        )
        np.testing.assert_array_equal(self.found(alpha, 0), holes() & holes(2))

    def test_a_band_that_cannot_hold_it_has_all_its_pixels(self, tmp_path):
        parts = [made.pixels(1, *SIZE) | 1, with_holes(made.pixels(1, *SIZE, "int16"), -5, 1)]
        paths = [made.raster(tmp_path / f"{n}.tif", part) for n, part in enumerate(parts)]
        path = stacked(tmp_path / "in.vrt", paths, ["Byte", "Int16"], SIZE)
        assert self.found(path, -5).all()
        np.testing.assert_array_equal(self.found(path, -5, [2]), holes())

    @pytest.mark.parametrize(
        ("dtype", "value"),
        [
            ("uint8", -9999),
            ("uint8", 256),
            ("uint8", 0.5),
            ("int16", np.nan),
            ("uint64", -np.inf),
            ("float32", 1e300),
        ],
    )
    def test_a_value_that_no_pixel_can_have_is_refused(self, tmp_path, dtype, value):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, *SIZE, dtype))
        with pytest.raises(OptionError, match=rf"nodata \S+ cannot be .* pixels are {dtype}"):
            open_raster(path, Options(nodata=value))

    def test_what_is_no_number_is_refused(self, tmp_path):
        path = made.raster(tmp_path / "in.tif", made.pixels(1, *SIZE))
        with pytest.raises(OptionError, match="nodata must be a number or nan, not 'none'"):
            open_raster(path, Options(nodata="none"))

    def test_unscaled_pixels_are_judged_by_what_is_stored(self, tmp_path):
        pixels = with_holes(made.pixels(1, *SIZE, "int16") | 1, -2, 1)
        path = made.raster(tmp_path / "in.tif", pixels)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = [0.5], [3]
        np.testing.assert_array_equal(self.found(path, -2, unscale=True), holes())


def test_nothing_is_read_where_all_pixels_are_valid(tmp_path):
    path = made.raster(tmp_path / "in.tif", made.pixels(3, *SIZE), nodata=None)
    with open_raster(path, Options()) as reader:
        path.write_bytes(b"")  # whatever is read from here on is gone
        assert not reader.may_have_nodata
        assert reader.valid(slice(0, 70), slice(0, 90)) is None


@pytest.mark.parametrize("profile", [{"photometric": "rgb", "alpha": "yes"}, {"nodata": 0}])
def test_an_error_while_looking_names_the_window(tmp_path, profile):
    path = made.raster(tmp_path / "in.tif", made.pixels(4, 600, 600), **profile)
    with open_raster(path, Options()) as reader:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(OSError, match=r"cannot read rows 0 to 600, columns 0 to 600 of .*in"):
            reader.valid(slice(0, 600), slice(0, 600))


def test_values_of_nodata_for_each_band_count_together(tmp_path):
    pixels = with_holes(made.pixels(2, *SIZE) | 1, 0, 1, 1)
    path = made.raster(tmp_path / "in.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(NODATA_VALUES="0 0")
    with open_raster(path, Options()) as reader:
        np.testing.assert_array_equal(in_windows(reader), holes())
    with open_raster(path, Options(nodata=5)) as reader:
        assert (in_windows(reader) | (pixels == 5).all(axis=0)).all()


def test_alpha_is_found_wherever_it_stands(tmp_path):
    pixels = np.stack([(holes() * 255).astype("uint8"), *made.pixels(2, *SIZE)])
    path = made.raster(tmp_path / "in.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.alpha, ColorInterp.gray, ColorInterp.undefined]
    with open_raster(path, Options()) as reader:
        np.testing.assert_array_equal(in_windows(reader), holes())
