"""Rules of what computes each value from those at its own place, channels aside."""

from __future__ import annotations

import math

import numpy as np

from .call import Call, rule
from .image_axis import ImageAxis
from .tensors import Axis, BoundError, Part, Tensor, Uniform, has_image, is_uniform, length_of

EACH = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast"),
    *("Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu"),
    *("HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish"),
    *("Neg", "Not", "QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid"),
    *("Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh"),
    *("ThresholdedRelu", "QLinearSigmoid", "QLinearLeakyRelu"),
)
"""Types of nodes that map each value for itself; further inputs are parameters."""

BROADCAST = (
    *("Add", "And", "BiasGelu", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div"),
    *("Equal", "FastGelu", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean"),
    *("Min", "Mod", "Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where", "Xor"),
)
"""Types of nodes that combine tensors value by value."""


@rule(*EACH)
def each(call: Call) -> list[Tensor]:
    """One value each."""
    return call.out(call.tensor().axes)


@rule(*BROADCAST)
def combined(call: Call) -> list[Tensor]:
    """Value by value, each input repeated where its length is 1."""
    return call.out(broadcast(call.given()), broadcasts=True)


@rule("QLinearAdd", "QLinearMul")
def combined_quantized(call: Call) -> list[Tensor]:
    """The same for 8-bit numbers, each followed by its scale and zero point."""
    return call.out(broadcast([call.tensor(0), call.tensor(3)]), call.tensor(0), call.tensor(3))


def broadcast(tensors: list[Tensor]) -> list[Axis]:
    """Return the axes of tensors combined value by value.

    Raises
    ------
    BoundError
        Where a constant differs along the image, or where images lie on other grids.
    """
    rank = max(own.rank for own in tensors)
    padded = [((),) * (rank - own.rank) + own.axes for own in tensors]
    axes: list[Axis] = []
    for n in range(rank):
        axis: Axis = ()
        for each_axes in padded:
            axis = _joined(axis, each_axes[n])
        if has_image(axis):
            for own in tensors:
                _check_constant(axis, own, n - (rank - own.rank))
        axes.append(axis)
    return axes


def _joined(one: Axis, other: Axis) -> Axis:
    """Return what two tensors have in common along an axis."""
    if not one or not other:
        return one or other
    if not has_image(one) and not has_image(other):
        return one if any(isinstance(part, int) for part in one) else other
    if has_image(one) and has_image(other):
        return _same_image(one, other)
    return one if has_image(one) else other  # the other is checked when all are known


def _same_image(one: Axis, other: Axis) -> Axis:
    if len(one) != len(other):
        raise BoundError("unknown", "it joins tensors whose axes hold the image in other orders")
    parts: list[Part] = []
    for own, another in zip(one, other, strict=True):
        if isinstance(own, ImageAxis) and isinstance(another, ImageAxis):
            part = own.joined(another)
            if part is None:
                raise BoundError("position", "it joins images of different scales or directions")
            parts.append(part)
        elif own == another:
            parts.append(own)
        else:
            raise BoundError(
                "unknown", "it joins tensors whose axes hold the image in other orders"
            )
    return tuple(parts)


def _check_constant(axis: Axis, tensor: Tensor, n: int) -> None:
    """Raise unless a tensor is the same all along the image, or is one of the image."""
    if n < 0 or not tensor.axes[n] or has_image(tensor.axes[n]):
        return
    if all(isinstance(part, Uniform) for part in tensor.axes[n]):
        if tensor.shape[n] != math.prod(map(length_of, axis)):
            raise BoundError("position", "it joins the image with a map of another size")
        return
    if tensor.varies:
        raise BoundError("unknown", "it joins the image with numbers computed from all of it")
    lengths = [length_of(part) for part in axis]
    if tensor.value is None or tensor.shape[n] != math.prod(lengths):
        raise BoundError("position", "it adds or multiplies by a map with a value for each place")
    value = np.moveaxis(tensor.value, n, 0)
    value = value.reshape(*lengths, *value.shape[1:])
    for place, part in enumerate(axis):
        if isinstance(part, ImageAxis) and not is_uniform(value, place):
            raise BoundError(
                "position", "it adds or multiplies by a map with a value for each place"
            )
