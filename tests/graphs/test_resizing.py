"""Resize in every mode, of every version, against what tiles do."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from builders import layers
from builders.bounds import bound_of
from builders.compared import compared
from seamless_seg.graphs.tensors import BoundError

RATIOS = [Fraction(2), Fraction(3), Fraction(3, 2), Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)]
MODES = [("nearest", {"nearest_mode": rounding}) for rounding in layers.ROUNDINGS] + [
    (mode, {"antialias": antialias}) for mode in ("linear", "cubic") for antialias in (0, 1)
]


def resized(ratio, **attributes):
    net = layers.Network()
    layers.resized(net, ratio, **attributes)
    return net.restored().model()


@pytest.mark.parametrize("coordinates", layers.COORDINATES)
@pytest.mark.parametrize(("mode", "options"), MODES, ids=str)
def test_every_mode_is_bounded_by_the_truth(mode, options, coordinates):
    coordinate_mode = {"coordinate_transformation_mode": coordinates}
    for ratio, by_sizes in product(RATIOS, (False, True)):
        model = resized(ratio, by_sizes=by_sizes, mode=mode, **options, **coordinate_mode)
        assert compared(model)[1], (ratio, by_sizes)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_scales_that_float32_has_not_are_bounded(mode):
    for ratio in (Fraction(1, 3), Fraction(2, 3)):
        compared(resized(ratio, mode=mode))


def test_nearest_where_rounding_decides_depends_on_the_position():
    options = {"nearest_mode": "floor", "coordinate_transformation_mode": "half_pixel"}
    with pytest.raises(BoundError, match="rounding decides") as error:
        bound_of(resized(Fraction(1, 3), mode="nearest", **options))
    assert error.value.kind == "position"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coordinate_transformation_mode": "align_corners"}, "align_corners"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop_and_resize"),
        ({"keep_aspect_ratio_policy": "not_larger"}, "aspect ratio"),
    ],
    ids=str,
)
def test_what_depends_on_the_size_is_refused(options, words):
    with pytest.raises(BoundError, match=words) as error:
        bound_of(resized(Fraction(2), mode="linear", **options))
    assert error.value.kind == "position"
    assert error.value.node.startswith("Resize")


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample_of_version_9(mode):
    net = layers.Network(opset=9)
    net.last = net.add("MaxPool", net.last, kernel_shape=[2, 2], strides=[2, 2])
    net.last = net.add("Upsample", net.last, np.float32([1, 1, 2, 2]), mode=mode)
    weights = layers.positive(np.random.default_rng(0), 2, 2, 3, 3)
    net.last = net.add("Conv", net.last, weights, pads=[1, 1, 1, 1])
    assert compared(net.model())[1]


def test_slices_and_pads_of_version_9():
    net = layers.Network(opset=9)
    net.last = net.add("Pad", net.last, pads=[0, 0, 3, 0, 0, 0, 1, 2], mode="reflect")
    net.last = net.add("Slice", net.last, axes=[2, 3], starts=[1, 2], ends=[-3, 2**31 - 1])
    assert compared(net.model())[1]


@pytest.mark.parametrize("scale", [2.000001, 1.9999999, 3.000001, 1.0000001, 0.3333, 1 / 3 + 1e-7])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_a_scale_near_a_fraction_is_another_scale(scale, mode):
    net = layers.Network()
    net.last = net.add("Resize", net.last, "", np.float32([1, 1, scale, scale]), mode=mode)
    with pytest.raises(BoundError, match="no simple fraction") as error:
        bound_of(net.model())
    assert (error.value.kind, error.value.node) == ("position", "Resize node Resize_0_0")


def test_nearest_of_a_fine_ratio_is_decided_by_rounding_in_wide_images():
    options = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    net = layers.Network()
    scales = np.float32([1, 1, 101, 101])
    net.last = net.add("Resize", net.last, "", scales, **options)
    with pytest.raises(BoundError, match="no simple fraction"):
        bound_of(net.model())
