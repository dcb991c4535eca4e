import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from seamless_seg.planning.streaming import Moments, Thinned, ranks

PERCENTS = (0, 0.5, 2, 50, 98, 100)


def fed(statistic, values, parts=7):
    """The statistic of values that came in parts of different lengths, some of them empty."""
    for part in np.split(values, np.sort(np.arange(1, parts) ** 3 % (len(values) + 1))):
        statistic.add(part)
    return statistic


@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]).flatmap(
        lambda dtype: of_numpy.arrays(dtype, st.integers(1, 60), elements=numbers(dtype))
    )
)
def test_percentiles_are_numpy_s(values):
    found = fed(ranks(values.dtype, 1000), values)
    assert found.count == len(values)
    for percent in PERCENTS:
        expected = np.percentile(values.astype(np.float64), percent)
        np.testing.assert_allclose(found.percentile(percent), expected, rtol=1e-12, atol=1e-9)


def numbers(dtype):
    if np.dtype(dtype).kind == "f":
        return st.floats(-1e6, 1e6, width=32)
    return st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


@given(st.integers(1, 60), st.sampled_from([0, -5e3, 1e9]), st.sampled_from([1, 1e6]))
def test_moments_are_numpy_s_far_from_zero_too(count, mean, std):
    values = np.random.default_rng(count).standard_normal(count) * std + mean
    found = fed(Moments(), values)
    assert found.count == count
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-12, atol=1e-9 * std)
    np.testing.assert_allclose(found.std, values.std(), rtol=1e-6)


@pytest.mark.parametrize("value", [0, 0.1, 1e30, -7])
def test_what_does_not_vary_has_no_deviation_at_all(value):
    found = fed(Moments(), np.full(1001, value, np.float32))
    assert found.std == 0
    np.testing.assert_allclose(found.mean, np.float32(value), rtol=1e-7)


class TestThinned:
    values = np.random.default_rng(1).lognormal(size=1_000_003).astype(np.float32)

    def thinned(self, values, most=2**17):
        found = Thinned(most)
        for part in np.array_split(values, 61):
            found.add(part)
            assert sum(map(len, found._parts)) <= most
        return found

    @pytest.mark.parametrize("order", [np.asarray, np.sort])
    def test_percentiles_of_a_share_are_near(self, order):
        found = self.thinned(order(self.values))
        for percent in PERCENTS:
            rank = (self.values < found.percentile(percent)).mean() * 100
            assert abs(rank - percent) < 0.5 * np.sqrt(0.0004 + percent * (100 - percent) / 2500)

    def test_the_lowest_and_the_highest_value_are_right(self):
        found = self.thinned(self.values)
        assert found.percentile(0) == self.values.min()
        assert found.percentile(100) == self.values.max()

    def test_it_is_the_same_every_time(self):
        assert self.thinned(self.values).percentile(2) == self.thinned(self.values).percentile(2)
