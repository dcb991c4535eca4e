"""Rules of what enlarges or reduces the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from .call import Call, rule
from .image_axis import Taps
from .tensors import Axis, BoundError, Tensor, Uniform, has_image

MAX_PHASES = 1024
"""Outputs after which the places between pixels repeat: more is no fixed ratio."""

MAX_NEAREST_PHASES = 16
"""The same where a place is rounded to a pixel, unless it is exact in float32: with more, places
are so close to where rounding changes that in images of 100,000 px an error of float32 decides."""

HALF = Fraction(1, 2)


@rule("Resize", "Upsample")
def resize(call: Call) -> list[Tensor]:
    """By scales or to sizes, in every mode whose result does not depend on the image's size."""
    image = call.tensor()
    if call.text("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        raise BoundError("position", "it resizes a part of the image (tf_crop_and_resize)")
    call.optional(1)  # the part, which no other mode looks at
    ratios, lengths = _ratios(call, image)
    axes = [
        _resized(call, axis, image.shape[n], lengths[n], ratios[n])
        for n, axis in enumerate(image.axes)
    ]
    return call.out(axes, image)


def _ratios(call: Call, image: Tensor) -> tuple[list[Fraction], list[int]]:
    """Return the scales of all axes, and the lengths of the output."""
    sizes = call.optional(3)
    scales = call.optional(1 if call.kind == "Upsample" or len(call.inputs) == 2 else 2)
    named = call.integers("axes") or tuple(range(image.rank))
    axes = [axis % image.rank for axis in named]
    ratios, lengths = [Fraction(1)] * image.rank, list(image.shape)
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise BoundError("position", "it keeps an aspect ratio, which depends on the size")
    if sizes is not None and sizes.shape != (0,):
        for axis, length in zip(axes, sizes.integers(), strict=True):
            ratios[axis], lengths[axis] = Fraction(length, image.shape[axis]), length
        return ratios, lengths
    stated = call.attributes.get("scales")
    if stated is None:
        if scales is None or scales.value is None:
            raise BoundError("unknown", "its scales are computed from pixels")
        stated = scales.value.reshape(-1).tolist()
    for axis, scale in zip(axes, stated, strict=True):
        ratio = Fraction(float(scale)).limit_denominator(MAX_PHASES)
        if np.float32(ratio) != np.float32(scale):
            raise BoundError("position", f"its scale of {scale:.9g} is no simple fraction")
        scaled = np.float32(image.shape[axis]) * np.float32(scale)  # as onnxruntime has it
        ratios[axis], lengths[axis] = ratio, math.floor(scaled)
    return ratios, lengths


def _resized(call: Call, axis: Axis, length: int, wanted: int, ratio: Fraction) -> Axis:
    if ratio == 1 and wanted == length:
        return axis
    if length == 1 and not has_image(axis):
        return (Uniform(wanted),)
    if all(isinstance(part, Uniform) for part in axis):
        return (Uniform(wanted),)
    mode = call.text("mode", "nearest")
    place = _place_of(call, ratio, length, wanted)
    if ratio.numerator > MAX_PHASES or ratio.denominator > MAX_PHASES:
        raise BoundError("position", "it resizes to a size that is no multiple of its input's")
    taken = _taken_by(call, mode, ratio, is_exact=Fraction(float(np.float32(ratio))) == ratio)
    ranges = tuple(taken(place(phase)) for phase in range(ratio.numerator))
    return call.taken(axis, Taps(ratio.denominator, ranges), wanted)


def _place_of(call: Call, ratio: Fraction, length: int, wanted: int) -> Callable[[int], Fraction]:
    """Return the function from an output's index to its place on the input."""
    is_old = call.kind == "Upsample" or len(call.inputs) == 2
    mode = call.text("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    if mode == "align_corners":
        raise BoundError("position", f"it resizes with {mode}, so where it samples depends on size")
    if mode == "asymmetric":
        return lambda index: index / ratio
    if mode == "tf_half_pixel_for_nn":
        return lambda index: (index + HALF) / ratio
    if mode == "half_pixel_symmetric":
        adjusted = Fraction(wanted) / (ratio * length)
        offset = Fraction(length, 2) * (1 - adjusted)
        return lambda index: offset + (index + HALF) / ratio - HALF
    if mode == "pytorch_half_pixel" and wanted == 1:
        return lambda index: Fraction(0)
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return lambda index: (index + HALF) / ratio - HALF
    raise BoundError("unknown", f"there is no rule for its coordinates, {mode}")


def _taken_by(
    call: Call, mode: str, ratio: Fraction, is_exact: bool
) -> Callable[[Fraction], tuple[int, int]]:
    """Return the function from a place on the input to the first and last index taken for it.

    A ratio such as 1/3 is not exact in float32, so a place between two pixels, or just on one, may
    be found on either side of it.
    """
    if mode == "nearest":
        is_dyadic = is_exact and not ratio.numerator & (ratio.numerator - 1)
        if not is_dyadic and ratio.numerator > MAX_NEAREST_PHASES:
            raise BoundError("position", f"its scale of {ratio} is no simple fraction")
        return _nearest(call, is_exact)
    if mode not in ("linear", "cubic"):
        raise BoundError("unknown", f"there is no rule for its mode, {mode}")
    support = 1 if mode == "linear" else 2
    inward = 1 if is_exact else 0
    if call.integer("antialias", 0) and ratio < 1:
        wide = support / ratio
        return lambda place: (math.floor(place - wide) + inward, math.ceil(place + wide) - inward)

    def taken(place: Fraction) -> tuple[int, int]:
        first = math.floor(place)
        if place != first:
            return first - support + 1, first + support
        if is_exact:  # all other weights are 0
            return first, first
        return first - support, first + support

    return taken


def _nearest(call: Call, is_exact: bool) -> Callable[[Fraction], tuple[int, int]]:
    mode = call.text("nearest_mode", _default_rounding(call))
    if mode not in _ROUNDED:
        raise BoundError("unknown", "there is no rule for how it rounds")
    rounded, tie = _ROUNDED[mode]

    def taken(place: Fraction) -> tuple[int, int]:
        if not is_exact and place - math.floor(place) == tie:
            raise BoundError(
                "position", "its scale is not exact, so rounding decides which pixels it takes"
            )
        return rounded(place), rounded(place)

    return taken


def _default_rounding(call: Call) -> str:
    is_old = call.kind == "Upsample" or len(call.inputs) == 2
    return "floor" if is_old else "round_prefer_floor"


_ROUNDED: dict[str, tuple[Callable[[Fraction], int], Fraction]] = {
    "floor": (math.floor, Fraction(0)),
    "ceil": (math.ceil, Fraction(0)),
    "round_prefer_floor": (lambda place: math.ceil(place - HALF), HALF),
    "round_prefer_ceil": (lambda place: math.floor(place + HALF), HALF),
}
"""How a place is rounded, and the fraction of a pixel at which it could go either way."""
