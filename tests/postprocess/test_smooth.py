import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from builders import made
from builders.classes import Whole, classes, cleaned
from seamless_seg.errors import OptionError, RasterError
from seamless_seg.postprocess.class_raster import ClassBand
from seamless_seg.postprocess.smooth import SmoothedRaster, smooth

AWKWARD = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 5), (511, 3), (3, 513), (1025, 2)]


def patches(size, classes=5, dtype="uint8"):
    random = np.random.default_rng(0)
    pixels = random.integers(0, classes, size)
    return ndimage.median_filter(pixels, 3).astype(dtype)


def mirrored(pixels, radius):
    """With a border, from which scipy needs none of its own.

    Its "reflect" is this, but reads beyond arrays of two dimensions where the radius is four times
    their lesser side or more.
    """
    return np.pad(pixels, radius, mode="symmetric")


def filtered(pixels, radius, rule, nodata=None):
    """A rule for the votes of a square, at each pixel of the whole array; slow and obvious."""

    def at_pixel(square):
        own, votes = square[len(square) // 2], square.astype(int)
        return own if own == nodata else rule(votes[votes != nodata])

    squares = np.lib.stride_tricks.sliding_window_view(
        mirrored(pixels, radius), (2 * radius + 1, 2 * radius + 1)
    )
    flat = squares.reshape(*pixels.shape, -1)
    return np.apply_along_axis(at_pixel, 2, flat).astype(pixels.dtype)


def majority(votes):
    return np.bincount(votes).argmax()


def lower_median(votes):
    return np.sort(votes)[(len(votes) - 1) // 2]


@settings(max_examples=40)
@given(classes(16), st.integers(1, 9), st.none() | st.integers(0, 2))
def test_majority_is_that_of_the_whole_array(pixels, radius, nodata):
    expected = filtered(pixels, radius, majority, nodata)
    np.testing.assert_array_equal(cleaned(smooth, pixels, radius, nodata=nodata), expected)


@settings(max_examples=40)
@given(classes(16), st.integers(1, 9), st.none() | st.integers(0, 2))
def test_median_is_that_of_the_whole_array(pixels, radius, nodata):
    expected = filtered(pixels, radius, lower_median, nodata)
    found = cleaned(smooth, pixels, radius, "median", nodata)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", AWKWARD)
@pytest.mark.parametrize("radius", [1, 4, 30])
def test_median_is_scipy_s(size, radius):
    pixels = patches(size)
    wide = ndimage.median_filter(mirrored(pixels, radius), 2 * radius + 1)
    found = cleaned(smooth, pixels, radius, "median")
    np.testing.assert_array_equal(found, wide[radius:-radius, radius:-radius])


@pytest.mark.parametrize(("size", "radius"), [((300, 270), 2), ((520, 260), 5), ((40, 600), 9)])
def test_the_border_is_scipy_s_reflect(size, radius):
    pixels = patches(size)
    expected = ndimage.median_filter(pixels, 2 * radius + 1, mode="reflect")
    np.testing.assert_array_equal(cleaned(smooth, pixels, radius, "median"), expected)


@pytest.mark.parametrize("radius", [127, 128, 200])
def test_squares_of_more_pixels_than_small_integers_count(radius):
    pixels = np.zeros((600, 40), np.uint8)
    pixels[300:] = 1
    expected = ndimage.median_filter(pixels[:, :1], (2 * radius + 1, 1), mode="reflect")
    for by in ("median", "majority"):
        found = cleaned(smooth, pixels, radius, by)
        np.testing.assert_array_equal(found, np.broadcast_to(expected, pixels.shape))


@given(classes(40), st.integers(1, 50), st.sampled_from(["majority", "median"]), st.data())
def test_a_window_is_what_the_whole_would_be_there(pixels, radius, by, data):
    source = Whole(pixels)
    rows, cols = (data.draw(spans(length)) for length in source.size)
    found = SmoothedRaster(source, radius, by).read(rows, cols)
    np.testing.assert_array_equal(found, cleaned(smooth, pixels, radius, by)[rows, cols])


def spans(length):
    ends = st.tuples(st.integers(0, length - 1), st.integers(1, length))
    return ends.filter(lambda span: span[0] < span[1]).map(lambda span: slice(*span))


def test_of_equally_frequent_classes_the_lowest_number_wins():
    found = cleaned(smooth, np.array([[9, 7, 4]], np.uint8), 1)
    np.testing.assert_array_equal(found, [[9, 4, 4]])


@pytest.mark.parametrize("by", ["majority", "median"])
def test_nodata_neither_changes_nor_votes(by):
    pixels = np.full((9, 9), 255, np.uint8)
    pixels[4, 4] = 3  # alone among nodata
    np.testing.assert_array_equal(cleaned(smooth, pixels, 2, by, 255), pixels)
    pixels[4, 5:7] = 1  # outvoted neither by nodata nor by the raster's border
    expected = pixels.copy()
    expected[4, 4] = 1
    np.testing.assert_array_equal(cleaned(smooth, pixels, 2, by, 255), expected)


def test_a_raster_is_read_from_a_file(tmp_path):
    pixels = patches((300, 270), dtype="uint16")
    path = made.raster(tmp_path / "in.tif", pixels[None])
    whole = Whole(pixels)
    with rasterio.open(path) as dataset:
        smooth(ClassBand(dataset), whole.write, 2, rule="median")
    np.testing.assert_array_equal(whole.result, ndimage.median_filter(pixels, 5))


def test_a_broken_file_is_reported(tmp_path):
    path = made.raster(tmp_path / "in.tif", patches((300, 270))[None])
    path.write_bytes(path.read_bytes()[:5000])
    with rasterio.open(path) as dataset, pytest.raises(RasterError, match=r"cannot read .*in\.tif"):
        smooth(ClassBand(dataset), Whole(patches((300, 270))).write, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "the smoothing radius must be at least 1 pixel, not 0"),
        (
            {"radius": 2, "rule": "mean"},
            "the smoothing rule must be majority or median, not 'mean'",
        ),
    ],
)
def test_what_cannot_be_smoothed_by_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        cleaned(smooth, patches((3, 3)), **options)
