import pytest
from hypothesis import given

from builders.strategies import axes
from seamless_seg import GeometryError
from seamless_seg.tiling.axis import Axis


@given(axes())
def test_neighbors_overlap_enough_and_evenly(axis):
    overlaps = [axis.overlap_before(k) for k in range(1, axis.count)]
    assert all(overlap >= axis.overlap for overlap in overlaps)
    assert max(overlaps, default=0) - min(overlaps, default=0) <= axis.align


@given(axes())
def test_no_fewer_tiles_would_do(axis):
    stride = (axis.tile - axis.overlap) // axis.align * axis.align
    assert axis.tile + (axis.count - 2) * stride < axis.size or axis.count == 1


@given(axes())
def test_tiles_start_aligned_and_stay_inside_but_for_less_than_a_step(axis):
    assert all(axis.start(k) % axis.align == 0 for k in range(axis.count))
    assert all(axis.stop(k) <= axis.size for k in range(axis.count - 1))
    assert axis.size <= axis.stop(axis.count - 1) < axis.size + axis.align


@given(axes())
def test_windows_tile_the_axis_once_and_each_lies_in_its_tile(axis):
    windows = [axis.window(k) for k in range(axis.count)]
    assert [start for start, _ in windows] == [0] + [stop for _, stop in windows[:-1]]
    assert windows[-1][1] == axis.size
    for k, (start, stop) in enumerate(windows):
        assert axis.start(k) == start < stop <= axis.stop(k)


@given(axes())
def test_window_at_finds_the_window_of_every_pixel(axis):
    for k in range(axis.count):
        start, stop = axis.window(k)
        assert axis.window_at(start) == axis.window_at(stop - 1) == k


@given(axes())
def test_tiles_over_finds_exactly_the_tiles_that_cover_an_interval(axis):
    for low, high in [(0, 1), (axis.size // 2, axis.size // 2 + 3), (-5, axis.size + 5), (3, 3)]:
        pixels = range(max(0, low), min(axis.size, high))
        covering = [
            k
            for k in range(axis.count)
            if any(axis.start(k) <= pixel < axis.stop(k) for pixel in pixels)
        ]
        assert list(axis.tiles_over(low, high)) == covering


@given(axes())
def test_carried_is_the_most_that_successors_share_of_a_tile(axis):
    shared = [axis.stop(k) - axis.margin - axis.start(k + 1) for k in range(axis.count - 1)]
    assert axis.carried == max(shared, default=0)


def test_an_image_no_larger_than_a_tile_is_one_tile_of_its_own_size():
    axis = Axis(200, 256, 64, align=8)
    assert (axis.count, axis.start(0), axis.stop(0), axis.window(0)) == (1, 0, 200, (0, 200))


def test_one_pixel_more_than_a_tile_makes_two():
    axis = Axis(257, 256, 64)
    assert [(axis.start(k), axis.stop(k)) for k in range(axis.count)] == [(0, 256), (1, 257)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 256, 64), "size must be at least 1, not 0"),
        ((100, 0, 0), "tile must be at least 1, not 0"),
        ((100, 64, -1), "overlap must be at least 0, not -1"),
        ((100, 64, 64), "overlap 64 must be smaller than the tile, 64 px"),
        ((100, 64.5, 0), "tile must be a whole number, not 64.5"),
        ((100, 64, 16, 0), "align must be at least 1, not 0"),
        ((2**31, 64, 0), "size must be at most 2147483647"),
        ((100, 64, 0, 65), "align 65 is more than the tile, 64 px"),
        ((100, 64, 40, 1, 32), "margin 32 leaves nothing of a tile of 64 px"),
        ((100, 64, 60, 8), "tile 64 minus overlap 60 is less than align 8"),
        (
            (100, 64, 16, 1, 8),
            "overlap 16 must be more than twice the margin, 8 px: give at least 17",
        ),
    ],
)
def test_a_bad_axis_is_refused_with_its_reason(arguments, message):
    with pytest.raises(GeometryError, match=message):
        Axis(*arguments)
