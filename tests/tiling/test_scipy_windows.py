import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.signal import windows

from builders.strategies import axes
from seamless_seg import (
    PROFILES,
    OptionError,
    overlap_weights,
    plan_run_grid,
    run_plan,
    shape_to_slices,
)
from seamless_seg.tiling.axis import Axis
from seamless_seg.tiling.scipy_windows import PARAMETERS
from seamless_seg.tiling.trust import depth, is_name, profile
from seamless_seg.tiling.weights import weights

SENSIBLE = {
    "barthann": "",
    "bartlett": "",
    "blackman": "",
    "blackmanharris": "",
    "bohman": "",
    "boxcar": "",
    "chebwin": "60",
    "cosine": "",
    "dpss": "0.4",
    "exponential": "15",
    "gaussian": "20",
    "general_cosine": "0.5,0.4,0.1",
    "general_gaussian": "1.5,30",
    "general_hamming": "0.6",
    "hamming": "",
    "kaiser": "8",
    "kaiser_bessel_derived": "8",
    "lanczos": "",
    "nuttall": "",
    "parzen": "",
    "taylor": "5,35",
    "triang": "",
    "tukey": "0.5",
}
"""Parameters with which a window is above 0 in tiles of every length that is drawn here."""

EVEN_ALONE = "kaiser_bessel_derived"
"""The window that scipy defines for even numbers of points alone."""

trusts = st.sampled_from([f"{name}:{given}".rstrip(":") for name, given in SENSIBLE.items()])


def fits(trust, length):
    return not (trust.startswith(EVEN_ALONE) and length % 2)


def samples(trust, count):
    """What ``scipy.signal.get_window`` has for a symmetric window."""
    name, _, given = trust.partition(":")
    numbers = [float(number) for number in given.split(",") if number]
    if name == "general_cosine":
        return scipy.signal.get_window((name, numbers), count, fftbins=False)
    if name == "taylor":
        return windows.taylor(count, int(numbers[0]), numbers[1])
    if name == "exponential":
        numbers = [None, *numbers]
    return scipy.signal.get_window((name, *numbers) if numbers else name, count, fftbins=False)


def on_the_axis(axis, trust):
    """Weight of every tile at every pixel of the axis, shape (tiles, size)."""
    full = np.zeros((axis.count, axis.size))
    for k, weight in enumerate(weights(axis, trust)):
        start, stop = axis.start(k), min(axis.stop(k), axis.size)
        full[k, start:stop] = weight[: stop - start]
    return full


def run(plan, tiles):
    """What a plan blends from tiles, shape (rows, columns, height, width)."""
    blended = np.full(plan.image_size, np.nan, np.float32)

    def write(index, geom, window):
        blended[shape_to_slices(geom)] = window

    run_plan(plan, 2, None, write, lambda index, geom: tiles[index], read_ahead=False)
    return blended


def test_every_symmetric_window_of_scipy_can_be_named():
    assert set(PARAMETERS) == set(windows.__all__) - {"get_window"}
    # The two that are missing in SENSIBLE are a profile of this package, and never positive.
    assert set(PARAMETERS) == set(SENSIBLE) | {"hann", "flattop"}


class TestTrust:
    @given(trusts, st.integers(1, 200), st.integers(0, 20))
    @example("tukey:0.5", 64, 0)
    @example("tukey:0.5", 65, 0)
    @example("chebwin:60", 41, 3)
    def test_between_two_cuts_it_is_scipy_s_window_less_its_first_and_last_sample(
        self, trust, inner, margin
    ):
        assume(fits(trust, inner))
        length = inner + 2 * margin
        expected = samples(trust, inner + 2)[1:-1]
        found = profile(trust)(length, 1, 1, margin)
        inside = found[margin : length - margin]
        np.testing.assert_allclose(inside, expected / expected.max(), atol=1e-9)
        assert not found[:margin].any()
        assert not found[length - margin :].any()
        assert found.max() == 1
        assert (inside > 0).all()

    @given(trusts, st.integers(1, 200), st.integers(0, 20))
    def test_it_is_symmetric_to_the_last_bit(self, trust, inner, margin):
        assume(fits(trust, inner))
        shape, length = profile(trust), inner + 2 * margin
        both = shape(length, 1, 1, margin)
        np.testing.assert_array_equal(both, both[::-1])
        first, last = shape(length, 0, 1, margin), shape(length, 1, 0, margin)
        np.testing.assert_array_equal(first, last[::-1])

    @given(trusts, st.integers(1, 200), st.integers(0, 20))
    def test_it_falls_towards_cut_sides_alone(self, trust, inner, margin):
        assume(fits(trust, inner))
        shape, length = profile(trust), inner + 2 * margin
        half = (length + 1) // 2
        both, first = shape(length, 1, 1, margin), shape(length, 0, 1, margin)
        np.testing.assert_array_equal(first[half:], both[half:])
        np.testing.assert_array_equal(first[:half], 1)
        np.testing.assert_array_equal(shape(length, 0, 0, margin), 1)

    @given(trusts, st.integers(1, 200))
    def test_it_rises_with_the_depth(self, trust, length):
        assume(fits(trust, length))
        rise = profile(trust)(length, 1, 0, 0)
        assert (np.diff(rise) >= -1e-12).all()

    @given(st.integers(1, 200), st.integers(0, 20))
    def test_bartlett_is_linear(self, inner, margin):
        length = inner + 2 * margin
        deep = depth(length, 1, 1, margin)
        found = profile("bartlett")(length, 1, 1, margin)
        np.testing.assert_allclose(found, deep / deep.max(), atol=1e-12)


class TestWeights:
    @given(axes(), trusts)
    def test_they_sum_to_one_at_every_pixel(self, axis, trust):
        assume(fits(trust, axis.length))
        np.testing.assert_allclose(on_the_axis(axis, trust).sum(axis=0), 1, atol=1e-6)

    @given(axes(), trusts)
    def test_no_tile_is_trusted_within_the_margin_of_a_cut_side(self, axis, trust):
        assume(fits(trust, axis.length))
        full = on_the_axis(axis, trust)
        for k in range(axis.count):
            if k > 0:
                assert not full[k, : axis.start(k) + axis.margin].any()
            if k < axis.count - 1:
                assert not full[k, axis.stop(k) - axis.margin :].any()

    @given(axes(aligns=(1,)), trusts)
    @example(Axis(860, 256, 64), "tukey:0.5")
    def test_they_are_the_trust_s_share(self, axis, trust):
        assume(fits(trust, axis.length))
        full = np.zeros((axis.count, axis.size))
        for k in range(axis.count):
            cuts = axis.overlap_before(k), axis.overlap_after(k)
            own = profile(trust)(axis.length, *cuts, axis.margin)
            full[k, axis.start(k) : axis.stop(k)] = own
        np.testing.assert_allclose(on_the_axis(axis, trust), full / full.sum(axis=0), atol=1e-9)

    @pytest.mark.parametrize("trust", ["tukey:0.5", "kaiser:8", "cosine"])
    def test_a_run_blends_by_them(self, trust):
        tiles = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
        expected = np.zeros((70, 90))
        plan, grid = plan_run_grid((70, 90), 32, (12, 3), margin=(2, 0), trust=trust)
        rows, cols = (on_the_axis(axis, trust) for axis in (grid.rows, grid.cols))
        for i, j in np.ndindex(3, 3):
            box = shape_to_slices(grid[i, j])
            expected[box] += (rows[i][:, None] * cols[j])[box] * tiles[i, j]
        np.testing.assert_allclose(run(plan, tiles), expected, atol=1e-6)

    @given(axes(), trusts, st.floats(-1e6, 1e6, width=32))
    def test_a_run_keeps_a_constant(self, axis, trust, value):
        assume(fits(trust, axis.length))
        plan, grid = plan_run_grid(
            (axis.size, 1),
            (axis.tile, 1),
            (axis.overlap, 0),
            trust=trust,
            margin=(axis.margin, 0),
            align=(axis.align, 1),
        )
        tiles = np.full((axis.count, 1, *grid.tile_shape), value, np.float32)
        assert (run(plan, tiles) == np.float32(value)).all()

    def test_boxes_that_lie_anywhere_take_them_too(self):
        plan, grid = plan_run_grid((70, 32), (32, 32), (10, 0), trust="kaiser:8")
        boxes = [grid[i, 0] for i in range(3)]
        found = overlap_weights(boxes[1], [boxes[0], boxes[2]], trust="kaiser:8")
        expected = weights(plan.grid.rows, "kaiser:8")[1]
        np.testing.assert_allclose(found.central_weights[:, 0], expected, atol=1e-12)
        assert found.central_weights + found.nearby_weights.sum(axis=0) == pytest.approx(1)


class TestNames:
    def test_a_profile_of_this_package_wins_unless_parameters_are_given(self):
        assert profile("gaussian") is PROFILES["gaussian"]
        assert profile("hann") is PROFILES["hann"]
        expected = samples("gaussian:20", 66)[1:-1]
        found = profile("gaussian:20")(64, 1, 1, 0)
        np.testing.assert_allclose(found, expected / expected.max())

    @pytest.mark.parametrize(
        ("trust", "like"), [("tukey", "tukey:0.5"), ("taylor", "taylor:4,30"), ("tukey:1", "hann")]
    )
    def test_what_scipy_has_defaults_for_may_be_left_out(self, trust, like):
        one, other = (profile(name)(64, 1, 1, 3) for name in (trust, like))
        np.testing.assert_allclose(one, other / other.max())

    @pytest.mark.parametrize(
        ("trust", "message"),
        [
            (
                "cosinus",
                "'cosinus' is unknown: choose one of linear, .* barthann, .*kaiser:b",
            ),
            ("", "'' is unknown"),
            (7, "must be a name or a function, not 7"),
            ("kaiser", "'kaiser' has 0 parameters: write it as kaiser:beta"),
            ("kaiser:1,2", "'kaiser:1,2' has 2 parameters: write it as kaiser:beta"),
            ("general_gaussian:1.5", "has 1 parameter: write it as general_gaussian:p,sig"),
            ("tukey:0.5,1", r"has 2 parameters: write it as tukey\[:alpha\]"),
            ("cosine:1", "'cosine:1' has 1 parameter: write it as cosine"),
            ("general_cosine", r"has 0 parameters: write it as general_cosine:a0,a1,\.\.\."),
            ("kaiser:", "'' is not a finite number: write it as kaiser:beta"),
            ("kaiser:eight", "'eight' is not a finite number: write it as kaiser:beta"),
            ("gaussian:nan", "'nan' is not a finite number"),
            ("gaussian:inf", "'inf' is not a finite number"),
            ("taylor:4.5", "nbar must be a whole number, not 4.5"),
            ("bell:2", "'bell:2': bell takes no parameters, not '2'"),
            ("hann:2", "'hann:2' has 1 parameter: write it as hann"),
        ],
    )
    def test_a_wrong_name_or_parameter_is_refused(self, trust, message):
        with pytest.raises(OptionError, match=f"^trust .*{message}"):
            plan_run_grid(100, 50, 10, trust=trust)
        assert not is_name(trust)

    @pytest.mark.parametrize(
        ("trust", "message"),
        [
            ("flattop", "flattop is -0.0.* at pixel 0 of 50 px .*, and must be finite and above 0"),
            ("general_cosine:1e308,1e308", "general_cosine:.* is inf at pixel"),
            ("gaussian:0.5", "gaussian:0.5 is 0 at pixel 0 of 50 px"),
            ("gaussian:0", "gaussian:0 is 0 at pixel 0 of 50 px"),
            ("general_hamming:0.3", "general_hamming:0.3 is -0.3"),
            ("general_hamming:1.2", "general_hamming:1.2 is not largest at the center"),
            ("dpss:40", "dpss:40 cannot be evaluated at 52 points: NW must be less than M/2"),
            ("taylor:0", "taylor:0 cannot be evaluated at 52 points"),
        ],
    )
    def test_a_window_that_makes_no_weights_is_refused_before_anything_is_run(self, trust, message):
        with pytest.raises(OptionError, match=f"^trust {message}"):
            plan_run_grid(100, 50, 10, trust=trust)
        plan_run_grid(50, 50, 10, trust=trust)  # one tile is cut nowhere

    def test_a_window_for_even_lengths_alone_is_refused_for_odd_ones(self):
        plan_run_grid(100, 50, 10, trust="kaiser_bessel_derived:8")
        with pytest.raises(OptionError, match="only defined for even number of points"):
            plan_run_grid(100, 51, 10, trust="kaiser_bessel_derived:8")


@pytest.mark.parametrize(("trust", "is_loaded"), [("bell", False), ("tukey:0.5", True)])
def test_scipy_is_loaded_for_its_own_windows_alone(trust, is_loaded):
    code = (
        "import sys, seamless_seg, numpy as np\n"
        f"plan, _ = seamless_seg.plan_run_grid(40, 16, 4, trust={trust!r})\n"
        "seamless_seg.run_plan(plan, 1, None, lambda *_: None, lambda *_: np.zeros((16, 16)))\n"
        "print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{is_loaded}\n"
