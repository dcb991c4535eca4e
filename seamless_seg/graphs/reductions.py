"""Rules of what reduces the whole image to a few numbers, and of what normalizes by them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .call import Call, Reduction, rule
from .tensors import Axis, BoundError, Tensor, constant, has_image, is_repeated, regrouped

STATISTICS = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare"),
)
"""Reductions that can be taken over an image tile by tile."""

UNAFFECTED = ("ReduceMean", "ReduceMax", "ReduceMin", "GlobalAveragePool", "GlobalMaxPool")
"""Reductions that give the same however often all values are repeated."""

OF_REPEATED: dict[str, Callable[..., Any]] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
}
"""Functions of numpy that reduce a constant which is repeated over the image, as a map of ones."""

WHOLE = ("QLinearGlobalAveragePool", "GlobalLpPool", "QLinearReduceMean")
"""Types of nodes over the whole image that have no such rule."""

ATTENTION = (
    *("Attention", "MultiHeadAttention", "PackedAttention", "PackedMultiHeadAttention"),
    *("GroupQueryAttention", "QAttention", "RotaryEmbedding"),
)
"""Types of nodes in which each pixel looks at all others."""


@rule("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")
@rule("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare")
def reduce(call: Call) -> list[Tensor]:
    """Over some axes; over all where none is named."""
    image = call.tensor()
    named = call.integers("axes", 1)
    if not named:
        if call.integer("noop_with_empty_axes", 0):
            return call.out(image.axes, image)
        named = tuple(range(image.rank))
    axes = tuple(sorted(axis % image.rank for axis in named))
    if image.once is not None and call.kind in OF_REPEATED:
        return [_of_repeated(call, image, axes)]
    return reduced(call, image, axes, keep=bool(call.integer("keepdims", 1)))


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pooling(call: Call) -> list[Tensor]:
    """Over all axes but batch and channels."""
    image = call.tensor()
    return reduced(call, image, tuple(range(2, image.rank)), keep=True)


@rule("InstanceNormalization")
def instance_normalization(call: Call) -> list[Tensor]:
    """By mean and variance over all axes but batch and channels."""
    image = call.tensor()
    if has_image(image.axes[1]):
        raise BoundError("position", "it scales pixels by where they lie in the image")
    return reduced(call, image, tuple(range(2, image.rank)), keep=None)


@rule("GroupNormalization")
def group_normalization(call: Call) -> list[Tensor]:
    """By mean and variance over the image and groups of channels."""
    image = call.tensor()
    if has_image(image.axes[1]):
        raise BoundError("position", "it scales pixels by where they lie in the image")
    groups = call.integer("num_groups", 1)
    shape = (image.shape[0], groups, image.shape[1] // groups, *image.shape[2:])
    grouped = replace(image, axes=regrouped(image.axes, shape))
    noted = reduced(call, grouped, tuple(range(2, grouped.rank)), keep=None)[0]
    return [replace(noted, axes=image.axes)]


@rule("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> list[Tensor]:
    """By mean and variance over some axes."""
    image = call.tensor()
    axes = call.integers("axes") or (0, 2, 3)
    return reduced(call, image, tuple(axis % image.rank for axis in axes), keep=None)


@rule("DynamicQuantizeLinear")
def dynamic_quantization(call: Call) -> list[Tensor]:
    """By the range of all values."""
    raise BoundError(
        "global", "it quantizes by the range of the whole tile, as a static quantization does not"
    )


@rule(*WHOLE, *ATTENTION, "GroupNorm", "SkipGroupNorm")
def whole(call: Call) -> list[Tensor]:
    """Over the whole image."""
    raise BoundError("global", "each value depends on the whole tile")


def _of_repeated(call: Call, image: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return what a repeated constant is reduced to: a sum of ones is the number of pixels."""
    assert image.once is not None
    keep = bool(call.integer("keepdims", 1))
    value = OF_REPEATED[call.kind](image.once.astype(np.float64), axis=axes, keepdims=keep)
    by_size = image.by_size
    if call.kind == "ReduceSum":
        value *= math.prod(image.shape[n] for n in axes if is_repeated(image.axes[n]))
        by_size = True
    value = np.asarray(value, image.once.dtype)
    if by_size:
        call.note_value(value)
    rest = [() if n in axes else own for n, own in enumerate(image.axes) if keep or n not in axes]
    if all(not own or not is_repeated(own) for own in rest):
        return constant(value, by_size)
    return Tensor(tuple(rest), once=value, by_size=by_size)


def reduced(call: Call, image: Tensor, axes: tuple[int, ...], keep: bool | None) -> list[Tensor]:
    """Return a tensor reduced over some axes, and note it where these are the image's.

    Parameters
    ----------
    call : Call
        The node.
    image : Tensor
        Its input.
    axes : tuple of int
        Axes to reduce.
    keep : bool or None
        Whether they are left with a length of 1, or dropped; None where the tensor is normalized
        by what was reduced, and keeps its shape.

    Raises
    ------
    BoundError
        If only one axis of the image is reduced, or the reduction cannot be taken by tiles.
    """
    if call.kind not in UNAFFECTED:
        call.note_repeats(*(image.axes[axis] for axis in axes))
    whole_image = any(has_image(image.axes[axis]) for axis in axes)
    level = image.level
    if whole_image:
        _refuse_parts(call, image, axes, normalizes=keep is None)
        level += 1
        reduction = Reduction(call.outputs[0], call.kind, level, image, axes)
        call.trace.reductions.append(reduction)
    shape: list[Axis] = []
    for n, axis in enumerate(image.axes):
        if n not in axes or keep is None:
            shape.append(axis)
        elif keep:
            shape.append(())
    return [replace(own, level=max(level, own.level)) for own in call.out(shape)]


def _refuse_parts(call: Call, image: Tensor, axes: tuple[int, ...], normalizes: bool) -> None:
    if {part.axis for part in Tensor(tuple(image.axes[axis] for axis in axes)).image_axes} != {
        0,
        1,
    }:
        raise BoundError("global", "it reduces the image along one of its axes only")
    pools = ("GlobalAveragePool", "GlobalMaxPool", "MaxPool", "AveragePool")
    if not normalizes and call.kind not in (*STATISTICS, *pools):
        raise BoundError("global", "it reduces the whole image, and cannot be taken tile by tile")
