import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import features
from scipy import ndimage

from builders import made
from builders.classes import Whole, classes, cleaned
from seamless_seg.errors import OptionError
from seamless_seg.postprocess.class_raster import ClassBand
from seamless_seg.postprocess.regions import connected_components, follow_links
from seamless_seg.postprocess.sieve import sieve


def by_gdal(pixels, least, connectivity=4, nodata=None):
    """GDAL's sieve of the whole array; rasterio refuses more pixels than there are."""
    mask = None if nodata is None else pixels != nodata
    least = min(least, pixels.size)
    return features.sieve(pixels, least, mask=mask, connectivity=connectivity)


def assert_is_gdal_s(pixels, least, connectivity=4, nodata=None, window_size=7):
    found = cleaned(sieve, pixels, least, connectivity, nodata, window_size)
    np.testing.assert_array_equal(found, by_gdal(pixels, least, connectivity, nodata))


@settings(max_examples=100)
@given(
    classes(),
    st.integers(1, 50) | st.integers(2, 6),
    st.sampled_from([4, 8]),
    st.none() | st.integers(0, 2),
    st.sampled_from([1, 2, 3, 5, 8, 16, 100]),
)
@pytest.mark.slow
def test_the_answer_is_gdal_s_of_the_whole(pixels, least, connectivity, nodata, window_size):
    assert_is_gdal_s(pixels, min(least, pixels.size), connectivity, nodata, window_size)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (15, 16), (16, 17), (33, 31)])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_of_awkward_sizes_too(size, connectivity):
    pixels = np.random.default_rng(0).integers(0, 3, size).astype(np.uint8)
    for least in {1, min(4, pixels.size), min(20, pixels.size)}:
        assert_is_gdal_s(pixels, least, connectivity, window_size=16)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_of_larger_rasters_in_windows_as_they_are(connectivity):
    random = np.random.default_rng(0)
    pixels = ndimage.median_filter(random.integers(0, 6, (1100, 1300)), 4).astype(np.uint8)
    pixels[200:900, 100:400] = 255
    found = cleaned(sieve, pixels, 30, connectivity, 255)
    np.testing.assert_array_equal(found, by_gdal(pixels, 30, connectivity, 255))
    assert (found != pixels).mean() > 0.1


def spiral(length):
    """Two arms of one pixel's width, wound around each other."""
    rows, cols = np.mgrid[:length, :length]
    rings = np.minimum(np.minimum(rows, cols), length - 1 - np.maximum(rows, cols))
    crossing = (rows == cols + 1) & (rows < length // 2)  # from each ring into the one after next
    return ((rings + crossing) % 2).astype(np.uint8)


def comb(length):
    """Teeth that are one region by a bar at the bottom, and as many single ones between them."""
    pixels = np.tile(np.array([0, 1], np.uint8), (length, length // 2))
    pixels[-1] = 0
    return pixels


def stairs(length):
    """Diagonal lines: single pixels, or regions where corners connect."""
    rows, cols = np.ogrid[:length, :length]
    return ((rows + cols) % 3).astype(np.uint8)


@pytest.mark.parametrize("shape", [spiral, comb, stairs])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("least", [2, 30, 65])
def test_of_regions_that_wind_through_many_windows(shape, connectivity, least):
    assert_is_gdal_s(shape(64), least, connectivity)


def test_small_regions_go_where_their_neighbors_go():
    #  2 is largest to 1, 3 to 2, and 3 is large enough
    pixels = np.repeat(np.array([[1, 2, 3]], np.uint8), [1, 2, 5], axis=1)
    np.testing.assert_array_equal(cleaned(sieve, pixels, 4, window_size=2), np.full((1, 8), 3))
    assert_is_gdal_s(pixels, 4)


@pytest.mark.parametrize("window_size", [1, 2, 4])
def test_of_equally_large_neighbors_the_one_on_the_left_comes_last(window_size):
    pixels = np.array([[5, 6, 1, 1], [2, 3, 7, 8], [2, 9, 4, 0]], np.uint8)
    assert cleaned(sieve, pixels, 2, connectivity=8, window_size=window_size)[1, 1] == 1
    assert_is_gdal_s(pixels, 2, connectivity=8, window_size=window_size)


@pytest.mark.parametrize("least", [9, 10, 1000])
def test_where_all_regions_are_small_nothing_happens(least):
    pixels = np.repeat(np.array([[1, 2, 3]], np.uint8), 3, axis=0)
    np.testing.assert_array_equal(cleaned(sieve, pixels, least, window_size=2), pixels)


def test_nodata_stays_and_parts_what_is_on_either_side():
    pixels = np.array([[1, 1, 1, 255, 2, 3, 3, 3, 3]], np.uint8)
    found = cleaned(sieve, pixels, 3, nodata=255, window_size=2)
    np.testing.assert_array_equal(found, [[1, 1, 1, 255, 3, 3, 3, 3, 3]])
    alone = np.array([[1, 1, 1, 255, 2, 255]], np.uint8)
    np.testing.assert_array_equal(cleaned(sieve, alone, 3, nodata=255, window_size=2), alone)


def test_classes_beyond_254(tmp_path):
    pixels = np.random.default_rng(0).choice([0, 300, 65535, 65534], (50, 60)).astype(np.uint16)
    path = made.raster(tmp_path / "in.tif", pixels[None])
    whole = Whole(pixels)
    with rasterio.open(path) as dataset:
        sieve(ClassBand(dataset), whole.write, 5, nodata=65535)
    np.testing.assert_array_equal(whole.result, by_gdal(pixels, 5, nodata=65535))


class Patterned:
    """A raster that lies nowhere: the same pattern again and again."""

    def __init__(self, *size):
        self.size = size

    def read(self, rows, cols):
        rows, cols = np.ogrid[rows, cols]
        return ((rows // 50 + cols // 50) % 3 * (rows % 7 + cols % 5 > 0)).astype(np.uint8)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_raster():
    def peak(height):
        tracemalloc.start()
        sieve(Patterned(height, 400), lambda *_: None, 20, window_size=100)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    small, large = peak(400), peak(2500)
    assert large - small < 0.15 * 2100 * 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_pixels": 0}, "the smallest region to keep must be at least 1 pixel, not 0"),
        ({"min_pixels": 2, "connectivity": 6}, "connectivity must be 4 or 8, not 6"),
    ],
)
def test_what_cannot_be_sieved_by_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        cleaned(sieve, np.zeros((3, 3), np.uint8), **options)


@given(st.integers(1, 60), st.integers(0, 90), st.integers(0, 2**32))
def test_what_pairs_connect_has_one_number(count, pairs, seed):
    one, other = np.random.default_rng(seed).integers(0, count, (2, pairs))
    numbers, total = connected_components(count, one, other)
    expected = {n: {n} for n in range(count)}
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        joined = expected[a] | expected[b]
        expected |= dict.fromkeys(joined, joined)
    in_order = list(dict.fromkeys(frozenset(expected[n]) for n in range(count)))
    assert numbers.tolist() == [in_order.index(frozenset(expected[n])) for n in range(count)]
    assert total == len(in_order)


@given(st.lists(st.integers(0, 19), min_size=20, max_size=20))
def test_ends_are_where_one_stays_and_circles_have_none(after):
    def walk(place):
        for _ in after:
            place = after[place]
        return place if after[place] == place else -1

    assert follow_links(np.array(after)).tolist() == [walk(place) for place in range(20)]
