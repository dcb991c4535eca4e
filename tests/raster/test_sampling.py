import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless_seg.raster.blocks import BlockLayout
from seamless_seg.raster.sampling import MAX_PART_PIXELS, MIN_WINDOW_PIXELS, StratifiedSample

lengths = st.sampled_from([1, 7, 128, 300, 1023, 1500]) | st.integers(1, 1500)


@st.composite
def samples(draw):
    """A sample of a raster stored in tiles, in strips, or all in one block; and its size."""
    size = draw(lengths), draw(lengths)
    block = draw(st.sampled_from([16, 100, 128, 256, 1024]))
    layout = draw(st.sampled_from([(block, block), (block, size[1]), (1, size[1]), size]))
    pixels = draw(st.sampled_from([2**14, 2**17, 2**19, 2**22]))
    return StratifiedSample(size, BlockLayout(*layout, 1), pixels), size, pixels


def times_read(sample, size):
    counts = np.zeros(size, np.uint8)
    for rows, cols in sample:
        assert 0 <= rows.start < rows.stop <= size[0]
        assert 0 <= cols.start < cols.stop <= size[1]
        counts[rows, cols] += 1
    return counts


@given(samples())
def test_every_pixel_is_read_once_where_they_are_few(drawn):
    sample, size, pixels = drawn
    counts = times_read(sample, size)
    if counts.size <= pixels:
        assert sample.is_complete
    if sample.is_complete:
        assert counts.min() == counts.max() == 1
    assert 1 <= counts.max() <= 4


@given(samples())
def test_it_is_no_larger_than_it_may_be_and_not_much_smaller(drawn):
    sample, (_, width), pixels = drawn
    windows = list(sample)
    if not sample.is_complete:
        total = sum(window.shape[0] * window.shape[1] for window in windows)
        largest = max(window.shape[0] * window.shape[1] for window in windows)
        assert largest <= max(MAX_PART_PIXELS, width)
        assert total <= max(pixels, largest)


@given(samples())
def test_it_is_the_same_every_time(drawn):
    sample, _, _ = drawn
    assert list(sample) == list(sample)


@pytest.mark.parametrize("layout", [(16, 16), (256, 256), (512, 512), (1, 40_000), (37, 40_000)])
def test_every_part_of_a_large_raster_is_looked_at(layout):
    size = 40_000, 40_000
    sample = StratifiedSample(size, BlockLayout(*layout, 1))
    windows = list(sample)
    total = sum(window.shape[0] * window.shape[1] for window in windows)
    assert 0.8 * 2**24 < total <= 2**24
    across = 1 if layout[1] == size[1] else 8
    seen = {(rows.start * 8 // size[0], cols.start * across // size[1]) for rows, cols in windows}
    assert len(seen) == 8 * across


@given(samples())
def test_windows_lie_along_blocks_where_they_are_not_parts_of_large_ones(drawn):
    sample, size, _ = drawn
    layout = sample._blocks
    if layout.height * layout.width <= MIN_WINDOW_PIXELS:
        assert all(rows.start % min(layout.height, size[0]) == 0 for rows, _ in sample)
        assert all(cols.start % min(layout.width, size[1]) == 0 for _, cols in sample)


def test_light_that_falls_off_to_one_side_is_seen_as_it_is():
    size = 40_000, 50_000
    centers = [
        [(part.start + part.stop) / 2 / length for part, length in zip(window, size, strict=True)]
        for window in StratifiedSample(size, BlockLayout(256, 256, 1))
    ]
    for along in np.sort(np.transpose(centers)):
        evenly = (np.arange(len(along)) + 0.5) / len(along)
        assert np.abs(along - evenly).max() < 0.01


def test_every_window_is_as_likely_as_any_other():
    size = 128 * 13, 128 * 17
    counts = np.zeros((13, 17))
    for seed in range(2000):
        sample = StratifiedSample(size, BlockLayout(128, 128, 1), 2**14 * 30)
        for rows, cols in sample.windows(seed):
            counts[rows.start // 128, cols.start // 128] += 1
    assert abs(counts / counts.mean() - 1).max() < 0.3
