import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders import oracle
from builders.strategies import axes
from seamless_seg import PROFILES, OptionError, plan_run_grid
from seamless_seg.tiling.axis import Axis
from seamless_seg.tiling.weights import weights

trusts = st.sampled_from(sorted(PROFILES))


def on_the_axis(axis, trust):
    """Weight of every tile at every pixel of the axis, shape (tiles, size)."""
    full = np.zeros((axis.count, axis.size))
    for k, weight in enumerate(weights(axis, trust)):
        start, stop = axis.start(k), min(axis.stop(k), axis.size)
        full[k, start:stop] = weight[: stop - start]
    return full


def largest_step(axis, trust):
    """Largest change of a tile's weight between neighboring pixels, over the ideal one."""
    steps = np.abs(np.diff(on_the_axis(axis, trust), axis=1))
    return steps.max(initial=0) * (axis.overlap - 2 * axis.margin + 1)


@given(axes(), trusts)
@example(Axis(860, 256, 64), "linear")
@example(Axis(1000, 256, 160), "linear")
@example(Axis(257, 256, 64), "gaussian")
def test_weights_sum_to_one_at_every_pixel(axis, trust):
    np.testing.assert_allclose(on_the_axis(axis, trust).sum(axis=0), 1, atol=1e-6)


@given(axes(aligns=(1,)))
@example(Axis(860, 256, 64))
@example(Axis(257, 256, 64))
def test_linear_weights_are_the_pyramid_s_share(axis):
    trust = np.zeros((axis.count, axis.size))
    for k in range(axis.count):
        profile = oracle.pyramid(axis.length, k > 0, k < axis.count - 1, axis.margin)
        trust[k, axis.start(k) : axis.stop(k)] = profile
    np.testing.assert_allclose(on_the_axis(axis, "linear"), trust / trust.sum(axis=0), atol=1e-12)


@given(axes(largest_tile=300, largest_size=1500, deepest=0.5, aligns=(1,)))
@example(Axis(860, 256, 64))
@example(Axis(1024, 256, 64))
@example(Axis(257, 256, 64))
@example(Axis(200, 256, 64))
@example(Axis(7, 4, 2))  # the worst there is
def test_linear_steps_stay_under_a_quarter_more_than_the_ideal(axis):
    assert largest_step(axis, "linear") <= 1.25 + 1e-9


@given(axes(largest_tile=300, largest_size=1500, deepest=0.5))
@example(Axis(25, 16, 8, align=4))
def test_linear_steps_stay_under_half_more_than_the_ideal_where_starts_are_aligned(axis):
    assert largest_step(axis, "linear") <= 1.5


@given(axes(largest_tile=300, largest_size=1500, deepest=0.75, aligns=(1,)))
@example(Axis(1000, 256, 160))
def test_linear_steps_stay_under_twice_the_ideal_up_to_three_quarters_overlap(axis):
    assert largest_step(axis, "linear") <= 2.0


@given(axes(largest_tile=300, largest_size=1500, deepest=0.5))
def test_hann_steps_stay_under_two_and_a_half_times_the_ideal(axis):
    assert largest_step(axis, "hann") <= 2.5


@given(axes(largest_tile=300, largest_size=1500, deepest=0.75))
@example(Axis(584, 292, 146, margin=5))
def test_bell_steps_stay_about_four_times_the_ideal(axis):
    assert largest_step(axis, "bell") <= 4.02


@given(st.integers(8, 300), st.integers(2, 300))
def test_bell_begins_at_nothing_however_small_the_overlap(tile, overlap):
    axis = Axis(2 * tile - min(overlap, tile // 2), tile, min(overlap, tile // 2))
    first, second = weights(axis, "bell")
    assert second[0] == pytest.approx(1 - first[axis.start(1)])
    assert second[0] < 1.5 / (axis.overlap + 1)


@given(axes(), trusts)
def test_no_tile_is_trusted_within_the_margin_of_a_cut_side(axis, trust):
    full = on_the_axis(axis, trust)
    for k in range(axis.count):
        if k > 0:
            assert not full[k, : axis.start(k) + axis.margin].any()
        if k < axis.count - 1:
            assert not full[k, axis.stop(k) - axis.margin :].any()


@given(axes())
def test_crop_gives_every_pixel_to_one_tile(axis):
    full = on_the_axis(axis, "crop")
    assert set(np.unique(full)) <= {0.0, 1.0}


def test_an_unknown_profile_is_refused_with_those_that_exist():
    with pytest.raises(OptionError, match="'blind' is unknown: choose one of linear, hann"):
        plan_run_grid(100, 50, 10, trust="blind")


@given(axes())
def test_a_profile_of_one_s_own_counts_like_one_by_name(axis):
    named, own = weights(axis, "hann"), weights(axis, PROFILES["hann"])
    for one, other in zip(named, own, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("profile", "margin", "message"),
    [
        (lambda length, *_: [1] * (length - 1), 0, r"trust <lambda> of .* has shape \(49,\)"),
        (lambda length, *_: np.hanning(length), 0, "is 0 at pixel 0: outside of the margin of 0"),
        (lambda length, *_: np.linspace(-1, 1, length), 0, "is -1 at pixel 0"),
        (lambda length, *_: np.full(length, np.nan), 0, "is nan at pixel 0"),
        (lambda length, *_: np.ones(length), 3, "is 1 at pixel 47: within the margin of 3 it must"),
    ],
)
def test_a_profile_that_makes_no_weights_is_refused(profile, margin, message):
    with pytest.raises(OptionError, match=message):
        weights(Axis(100, 50, 10, margin=margin), profile)
