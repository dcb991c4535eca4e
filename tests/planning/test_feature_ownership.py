from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seamless_seg.graphs.image_axis import ImageAxis, sliding_taps
from seamless_seg.planning.feature_ownership import FeatureAxis, counted_features
from seamless_seg.tiling.axis import Axis


def pooled(length, step):
    """Features of an image, one for each ``step`` pixels."""
    return ImageAxis.of_image(0, length).taken(sliding_taps(step, step, 1, 0), length // step)


@given(
    step=st.sampled_from([1, 2, 4, 8]),
    steps=st.integers(4, 9),
    count=st.integers(1, 60),
    overlap=st.integers(0, 2),
)
def test_each_feature_of_the_image_belongs_to_one_tile(step, steps, count, overlap):
    tile, size = steps * step, count * step
    tiles = Axis(max(size, tile), tile, overlap * step, step)
    axis = FeatureAxis(tiles, pooled(tile, step), tile, 0)
    owned = [
        tiles.start(k) // step + own for k in range(tiles.count) for own in range(*axis.owned(k))
    ]
    assert owned == list(range((tiles.start(tiles.count - 1) + tile) // step))


def test_with_a_border_it_is_the_middle_of_the_overlap_all_the_same():
    tiles = Axis(100, 40, 10, 1)
    features = replace(ImageAxis.of_image(0, 50), start=2, stop=48)
    axis = FeatureAxis(tiles, features, 50, 5)
    for k in range(1, tiles.count):
        middle = (tiles.start(k) + tiles.stop(k - 1)) / 2
        first, before = axis.owned(k)[0], axis.owned(k - 1)[1]
        assert tiles.start(k) - 5 + first == tiles.start(k - 1) - 5 + before
        assert abs(tiles.start(k) - 5 + first - middle) <= 1


@given(
    step=st.sampled_from([1, 2, 4]),
    start=st.integers(0, 3),
    after=st.integers(0, 3),
    overlap=st.integers(0, 30),
)
def test_the_overlap_that_is_needed_is_the_least_that_will_do(step, start, after, overlap):
    features = replace(pooled(64, step), start=start, stop=64 // step - after)
    tiles = Axis(64 + 64 - overlap, 64, overlap, 1)
    axis = FeatureAxis(tiles, features, 64, 0)
    is_clean = axis.owned(1)[0] >= start and axis.owned(0)[1] <= features.stop
    assert is_clean == (overlap >= axis.needed_overlap)


@given(seed=st.integers(0, 100), step=st.sampled_from([1, 2, 4]))
def test_a_feature_counts_if_a_pixel_of_its_step_is_valid(seed, step):
    valid = np.random.default_rng(seed).random((16, 16)) < 0.1
    tiles = Axis(16, 16)
    axis = FeatureAxis(tiles, pooled(16, step), 16, 0)
    expected = valid.reshape(16 // step, step, 16 // step, step).any((1, 3))
    np.testing.assert_array_equal(counted_features(axis, axis, (0, 0), valid), expected)
