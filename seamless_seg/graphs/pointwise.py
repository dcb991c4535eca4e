"""Rules of what computes each value from those at its own place, channels aside."""

from __future__ import annotations

import math

import numpy as np

from .call import Call, rule
from .image_axis import ImageAxis
from .reductions import reduced
from .tensors import Axis, BoundError, Part, Tensor, Uniform, has_image, is_uniform, length_of

EACH = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Bernoulli", "BitwiseNot", "Cast"),
    *("Ceil", "Celu", "Clip", "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp", "FastGelu", "Floor"),
    *("Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish"),
    *("Neg", "Not", "QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid"),
    *("Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh"),
    *("ThresholdedRelu", "QLinearSigmoid", "QLinearLeakyRelu"),
)
"""Types of nodes that map each value for itself; further inputs are parameters."""

BROADCAST = (
    *("Add", "And", "BiasGelu", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div"),
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod"),
    *("Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where", "Xor"),
)
"""Types of nodes that combine tensors value by value."""


@rule(*EACH)
def each(call: Call) -> list[Tensor]:
    """One value each."""
    if (
        call.kind == "Dropout"
        and call.optional(2) is not None
        and call.tensor(2).integers() != (0,)
    ):
        raise BoundError("unknown", "it drops values at random")
    if call.kind == "Bernoulli":
        raise BoundError("unknown", "it draws values at random")
    return call.out(call.tensor().axes)


@rule(*BROADCAST)
def combined(call: Call) -> list[Tensor]:
    """Value by value, each input repeated where its length is 1."""
    tensors = [own for own in call.inputs if own is not None]
    return call.out(broadcast(tensors), broadcasts=True)


@rule("QLinearAdd", "QLinearMul")
def combined_quantized(call: Call) -> list[Tensor]:
    """The same for 8-bit numbers, each followed by its scale and zero point."""
    return call.out(broadcast([call.tensor(0), call.tensor(3)]), call.tensor(0), call.tensor(3))


@rule("QuantizeLinear", "DequantizeLinear")
def quantized(call: Call) -> list[Tensor]:
    """By one scale, or by one for each channel."""
    image = call.tensor()
    scale = call.tensor(1)
    axis = call.integer("axis", 1) % max(image.rank, 1)
    if image.varies and scale.shape not in ((), (1,)) and has_image(image.axes[axis]):
        raise BoundError("position", "its scales differ along the image")
    return call.out(image.axes, image, scale)


@rule("BatchNormalization")
def batch_normalization(call: Call) -> list[Tensor]:
    """By the statistics of its training, for each channel."""
    image = call.tensor()
    if call.integer("training_mode", 0):
        raise BoundError("global", "it is in training mode, and normalizes by the batch")
    if has_image(image.axes[1]):
        raise BoundError("position", "it scales pixels by where they lie in the image")
    return call.out(image.axes)


@rule("LRN")
def local_response_normalization(call: Call) -> list[Tensor]:
    """Over neighboring channels."""
    return _along(call, 1)


@rule("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> list[Tensor]:
    """Over an axis; before version 13, over all axes from one on."""
    image = call.tensor()
    if call.opset >= 13:
        return _along(call, call.integer("axis", -1))
    first = call.integer("axis", 1) % image.rank
    return _along(call, *range(first, image.rank))


@rule("QLinearSoftmax", "LpNormalization", "CumSum", "SkipLayerNormalization")
@rule("SkipSimplifiedLayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def along_an_axis(call: Call) -> list[Tensor]:
    """Over one axis, usually that of channels."""
    if call.kind == "CumSum":
        numbers = call.tensor(1).integers()
        if any(isinstance(part, Uniform) for n in numbers for part in call.tensor().axes[n]):
            raise BoundError("position", "it counts places of the image")
        return _along(call, *numbers, used=call.tensor())
    return _along(call, call.integer("axis", -1), used=None)


@rule("ArgMax", "ArgMin")
def argmax(call: Call) -> list[Tensor]:
    """Over one axis, usually that of classes."""
    image = call.tensor()
    axis = call.integer("axis", 0) % image.rank
    if has_image(image.axes[axis]):
        raise BoundError("global", "it searches the whole image")
    axes = list(image.axes)
    axes[axis : axis + 1] = [()] if call.integer("keepdims", 1) else []
    return call.out(axes)


@rule("LayerNormalization")
def layer_normalization(call: Call) -> list[Tensor]:
    """Over the last axes."""
    image = call.tensor()
    first = call.integer("axis", -1) % image.rank
    axes = tuple(range(first, image.rank))
    if not any(has_image(image.axes[axis]) for axis in axes):
        return call.out(image.axes, image)
    for weights in call.inputs[1:]:
        if weights is not None:
            broadcast([image, weights])  # raises where they differ along the image
    return reduced(call, image, axes, keep=None)


def _along(call: Call, *axes: int, used: Tensor | None = None) -> list[Tensor]:
    image = call.tensor()
    if any(has_image(image.axes[axis % image.rank]) for axis in axes):
        raise BoundError("global", f"it is over the whole image ({call.kind})")
    call.note_repeats(*(image.axes[axis % image.rank] for axis in axes))
    return call.out(image.axes, *([used] if used is not None else []))


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
