"""MLM's value scaling, next to the operations written out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import made
from seamless_seg import OptionError, check, segment
from seamless_seg.normalization import Normalization, parse_scaling


def expected(pixels, operations):
    """What the specification says, for one band, in float64."""
    x = pixels.astype(np.float64)
    for own in operations:
        match own:
            case {"type": "min-max", "minimum": low, "maximum": high}:
                x = (x - low) / (high - low)
            case {"type": "z-score", "mean": mean, "stddev": stddev}:
                x = (x - mean) / stddev
            case {"type": "clip", "minimum": low, "maximum": high}:
                x = np.minimum(np.maximum(x, low), high)
            case {"type": "clip-min", "minimum": low}:
                x = np.maximum(x, low)
            case {"type": "clip-max", "maximum": high}:
                x = np.minimum(x, high)
            case {"type": "offset", "value": value}:
                x = x - value
            case {"type": "scale", "value": value}:
                x = x / value
            case {"type": None}:
                pass
    return x


MIN_MAX = {"type": "min-max", "minimum": 100, "maximum": 3000}
Z_SCORE = {"type": "z-score", "mean": 1354.4, "stddev": 245.7}
CLIP = {"type": "clip", "minimum": 500, "maximum": 2500}
CLIP_MIN = {"type": "clip-min", "minimum": 700}
CLIP_MAX = {"type": "clip-max", "maximum": 2100.5}
OFFSET = {"type": "offset", "value": 1000}
SCALE = {"type": "scale", "value": 10000}
NONE = {"type": None}
EACH = [MIN_MAX, Z_SCORE, CLIP, CLIP_MIN, CLIP_MAX, OFFSET, SCALE, NONE]


def scaled(pixels, value_scaling):
    scaling = parse_scaling(value_scaling).for_bands(len(pixels))
    out = np.full(pixels.shape, np.nan, np.float32)
    Normalization(scaling=scaling).apply(pixels, out)
    return out


@pytest.mark.parametrize("operation", EACH, ids=lambda own: str(own["type"]))
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_each_operation_is_the_specification_s(operation, dtype):
    pixels = (made.pixels(3, 20, 30, "uint8") * 20.0).astype(dtype)
    right = np.stack([expected(band, [operation]) for band in pixels])
    np.testing.assert_allclose(scaled(pixels, [operation]), right, rtol=1e-5, atol=1e-6)


@given(st.lists(st.lists(st.sampled_from(EACH), max_size=4), min_size=1, max_size=4))
def test_bands_have_operations_of_their_own_in_their_order(bands):
    pixels = made.pixels(len(bands), 9, 11, "uint16")
    right = np.stack([expected(band, own) for band, own in zip(pixels, bands, strict=True)])
    np.testing.assert_allclose(scaled(pixels, bands), right, rtol=1e-4, atol=1e-4)


@given(st.lists(st.lists(st.sampled_from(EACH), max_size=4), min_size=1, max_size=4))
def test_a_scaling_and_its_document_are_the_same(bands):
    scaling = parse_scaling(bands)
    assert parse_scaling(json.loads(json.dumps(scaling.document()))) == scaling


def test_the_order_matters():
    pixels = made.pixels(1, 20, 30, "uint16")
    assert np.ptp(scaled(pixels, [[CLIP, MIN_MAX]])) < np.ptp(scaled(pixels, [[MIN_MAX, CLIP]])) + 1
    assert scaled(pixels, [[MIN_MAX, CLIP]]).min() == 500
    assert scaled(pixels, [[CLIP, MIN_MAX]]).min() == np.float32(400) / np.float32(2900)


def test_differing_operations_that_are_not_one_a_band_are_a_sequence():
    pixels = made.pixels(3, 20, 30, "uint16")
    np.testing.assert_array_equal(
        scaled(pixels, [CLIP, MIN_MAX]), scaled(pixels, [[CLIP, MIN_MAX]])
    )
    np.testing.assert_array_equal(
        scaled(pixels[:2], [CLIP, MIN_MAX]),
        np.concatenate([scaled(pixels[:1], [CLIP]), scaled(pixels[1:2], [MIN_MAX])]),
    )


def test_wide_integers_are_brought_near_zero_before_they_are_rounded():
    pixels = made.pixels(1, 20, 30, "int32") + 2**28
    out = scaled(pixels, [[{"type": "offset", "value": 2**28}, {"type": "scale", "value": 1000}]])
    np.testing.assert_allclose(out, (pixels - 2**28) / 1000, rtol=1e-6)


def test_nan_stays_nan():
    pixels = made.pixels(1, 20, 30, "float32")
    pixels[0, 3, 4] = np.nan
    for operation in EACH:
        assert np.isnan(scaled(pixels, [operation])).sum() == 1


class TestOption:
    """Through ``segment``, where a scaling is given in MLM's own form."""

    def test_it_takes_the_place_of_scale_mean_and_std(self, paths):
        raster, model, output = paths
        image = made.pixels(2, 50, 60, "uint16")
        made.raster(raster, image)
        _, answer = made.pointwise(model, 2, 2, metadata={"standardization_mean": [0.5, 0.25]})
        segment(raster, model, output, value_scaling=[SCALE, [CLIP, MIN_MAX]])
        right = np.stack([expected(image[0], [SCALE]), expected(image[1], [CLIP, MIN_MAX])])
        np.testing.assert_allclose(made.read(output), answer(right), atol=1e-5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"value_scaling": [SCALE], "mean": 1}, "value_scaling replaces mean: give"),
            ({"value_scaling": [SCALE] * 2}, "is for 2 bands and the model gets 3"),
            ({"value_scaling": [SCALE] * 4}, "is for 4 bands and the model gets 3: choose as many"),
            ({"value_scaling": [[SCALE], [CLIP, SCALE]]}, "is for 2 bands and the model gets 3"),
            ({"value_scaling": []}, "must be a list of operations of STAC MLM, .* not"),
            ({"value_scaling": 5}, "must be a list of operations"),
            ({"value_scaling": [{"type": "log"}]}, "must be a list of operations .*'log'"),
            ({"value_scaling": [{"type": ["clip"]}]}, "must be a list of operations"),
            ({"value_scaling": [{"value": 5}]}, "must be a list of operations"),
            ({"value_scaling": [{"type": "scale"}]}, "must be a list of operations"),
            ({"value_scaling": [{"type": "scale", "value": 0}]}, "must be a list of operations"),
            ({"value_scaling": [{"type": "scale", "value": "2"}]}, "must be a list of operations"),
            ({"value_scaling": [{"type": "scale", "value": True}]}, "must be a list of operations"),
            ({"value_scaling": [{"type": "offset", "value": 1e99}]}, "must be a list"),
            ({"value_scaling": [{"type": "offset", "value": float("nan")}]}, "must be a list"),
            ({"value_scaling": [Z_SCORE | {"stddev": 0}]}, "must be a list of operations"),
            ({"value_scaling": [Z_SCORE | {"stddev": 1e-60}]}, "must be a list of operations"),
            ({"value_scaling": [MIN_MAX | {"maximum": 100}]}, "must be a list of operations"),
            ({"value_scaling": [CLIP | {"maximum": 0}]}, "must be a list of operations"),
        ],
    )
    def test_bad_scalings_are_refused(self, paths, options, message):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 50, 60))
        made.pointwise(model, 3, 2)
        with pytest.raises(OptionError, match=message):
            segment(raster, model, output, **options)

    def test_an_output_says_how_it_was_scaled(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 50, 60))
        made.convolutions(model, 3, 2)
        segment(raster, model, output, value_scaling=[[OFFSET, SCALE]], tile=32)
        assert check(raster, model, output).judged.identical == 1
        assert check(raster, model, output, scale=0.01).judged.identical < 1
        again = check(raster, model, output, value_scaling=[[OFFSET, SCALE]])
        assert again.judged.identical == 1
        assert not [note for note in again.forecast.settings.notes if "is checked with" in note]
        other = check(raster, model, output, value_scaling=[CLIP])
        assert other.judged.identical < 1
        assert any("was made with value_scaling" in note for note in other.forecast.settings.notes)
