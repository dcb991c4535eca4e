import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from builders import oracle
from builders.strategies import plan_arguments
from seamless_seg import GeometryError, overlap_weights, plan_run_grid

sides = st.tuples(
    st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 40), st.integers(1, 40)
)
boxes = sides.map(lambda s: shapely.box(s[0], s[1], s[0] + s[2], s[1] + s[3]))


@given(boxes, st.lists(boxes, max_size=5), st.sampled_from(["linear", "hann", "gaussian", "flat"]))
def test_weights_sum_to_one_wherever_the_boxes_lie(central, nearby, trust):
    weights = overlap_weights(central, nearby, trust=trust)
    total = weights.central_weights + weights.nearby_weights.sum(axis=0)
    np.testing.assert_allclose(total, 1, atol=1e-9)
    assert weights.nearby_weights.shape == (len(nearby), *weights.central_weights.shape)


@given(boxes, st.lists(boxes, max_size=5))
def test_slice_pairs_lead_to_the_same_pixels(central, nearby):
    weights = overlap_weights(central, nearby)
    coordinates = np.mgrid[-40:80, -40:80]

    def pixels(geom):
        y0, x0, y1, x1 = (int(bound) + 40 for bound in geom.bounds)
        return coordinates[:, y0:y1, x0:x1]

    for box, (to, part) in zip(nearby, weights.slice_pairs, strict=True):
        np.testing.assert_array_equal(pixels(central)[:, *to], pixels(box)[:, *part])
        assert pixels(central)[0][to].size == central.intersection(box).area


@given(plan_arguments(deepest=0.5, aligns=(1,), largest_size=40))
def test_on_a_grid_they_are_the_weights_of_the_grid(arguments):
    arguments["margin"] = 0
    _, grid = plan_run_grid(**arguments)
    expected = oracle.full_weights(grid)
    indices = list(np.ndindex(*grid.shape))
    i, j = indices[len(indices) // 2]
    weights = overlap_weights(grid[i, j], [grid[other] for other in indices if other != (i, j)])
    y0, x0, y1, x1 = (int(bound) for bound in grid[i, j].bounds)
    np.testing.assert_allclose(weights.central_weights, expected[i, j, y0:y1, x0:x1], atol=1e-9)


def test_blending_as_the_docstring_says_keeps_a_value_that_all_share():
    central = shapely.box(200, 300, 500, 800)
    nearby = [shapely.box(150, 150, 450, 650), shapely.box(450, 650, 750, 1150)]
    weights = overlap_weights(central, nearby)
    out = 7.0 * weights.central_weights
    for n, (to, part) in enumerate(weights.slice_pairs):
        tile = np.full((300, 500), 7.0)
        out[to] += tile[part] * weights.nearby_weights[n][to]
    np.testing.assert_allclose(out, 7.0)


def test_trimming_shares_an_overlap_without_doubling_it():
    left, right = shapely.box(0, 0, 100, 100), shapely.box(0, 60, 100, 160)
    whole = overlap_weights(left, [right])[0], overlap_weights(right, [left])[0]
    assert whole[0].intersection(whole[1]).area == 4000
    trimmed = overlap_weights(left, [right], (0, 0, None, -20))
    other = overlap_weights(right, [left], (0, 20, None, None))
    assert trimmed.out_geom.intersection(other.out_geom).area == 0
    assert trimmed.central_weights.shape == (100, 80)
    assert np.zeros((100, 100))[trimmed.central_slices].shape == (100, 80)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlap_weights(shapely.Point(1, 1), []), "must hold at least one pixel"),
        (lambda: overlap_weights(shapely.Polygon(), []), "must not be an empty geometry"),
        (lambda: overlap_weights(shapely.box(0, 0, 9, 9), [], (5, 0, 5, None)), "leave no pixel"),
    ],
)
def test_boxes_without_pixels_are_refused(call, message):
    with pytest.raises(GeometryError, match=message):
        call()
