"""Rules of what normalizes, scales or searches along an axis, usually that of channels."""

from __future__ import annotations

from dataclasses import replace

from .call import Call, rule
from .pointwise import broadcast
from .reductions import reduced
from .tensors import BoundError, Tensor, Uniform, has_image


@rule("QuantizeLinear", "DequantizeLinear")
def quantized(call: Call) -> list[Tensor]:
    """By one scale, by one for each channel, or by one for each block of channels."""
    image, scale, zero_point = call.tensor(), call.tensor(1), call.optional(2)
    axis = call.integer("axis", 1) % max(image.rank, 1)
    scales = [_along_channels(own, image, axis) for own in (scale, zero_point) if own is not None]
    found = call.out(broadcast([image, *scales]), *call.given(0, 1, 2))
    return [replace(own, axes=own.axes if own.varies else image.axes) for own in found]


def _along_channels(own: Tensor, image: Tensor, axis: int) -> Tensor:
    """Return scales as they are broadcast to an image, but for its axis of channels."""
    if own.shape in ((), (1,)):
        return replace(own, axes=())
    of_channels = own.axes[0 if own.rank == 1 else axis]
    if has_image(of_channels) or (image.varies and has_image(image.axes[axis])):
        raise BoundError("position", "its scales differ along the image")
    if own.rank == 1:
        return replace(own, axes=())
    return replace(own, axes=(*own.axes[:axis], (), *own.axes[axis + 1 :]))


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


@rule("Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax")
def softmax(call: Call) -> list[Tensor]:
    """Over an axis; before version 13, over all axes from one on."""
    image = call.tensor()
    if call.integer("opset", call.opset) >= 13:
        return _along(call, call.integer("axis", -1))
    first = call.integer("axis", 1) % image.rank
    return _along(call, *range(first, image.rank))


@rule("LpNormalization")
def norm(call: Call) -> list[Tensor]:
    """Over one axis."""
    return _along(call, call.integer("axis", -1))


@rule("CumSum")
def cumulative_sum(call: Call) -> list[Tensor]:
    """Over one axis."""
    image, numbers = call.tensor(), call.tensor(1).integers()
    if any(isinstance(part, Uniform) for n in numbers for part in image.axes[n]):
        raise BoundError("position", "it counts places of the image")
    return _along(call, *numbers, used=image)


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
    """Over all axes from one on, scaled and shifted by tensors that are broadcast."""
    image = call.tensor()
    axes = tuple(range(call.integer("axis", -1) % image.rank, image.rank))
    scaled = broadcast(call.given())
    if not any(has_image(image.axes[axis]) for axis in axes):
        return call.out(scaled)
    return [replace(own, axes=tuple(scaled)) for own in reduced(call, image, axes, keep=None)]


@rule("RMSNormalization", "SimplifiedLayerNormalization")
def root_mean_square_normalization(call: Call) -> list[Tensor]:
    """Over all axes from one on, as by ``LayerNormalization``."""
    image = call.tensor()
    found = _along(call, *range(call.integer("axis", -1) % image.rank, image.rank))
    return [replace(own, axes=tuple(broadcast(call.given()))) for own in found]


@rule("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def normalized_sum(call: Call) -> list[Tensor]:
    """Over the last axis, of the sum of two tensors and a bias."""
    found = _along(call, -1)
    return [replace(own, axes=tuple(broadcast(call.given()))) for own in found]


def _along(call: Call, *axes: int, used: Tensor | None = None) -> list[Tensor]:
    image = call.tensor()
    if any(has_image(image.axes[axis % image.rank]) for axis in axes):
        raise BoundError("global", f"it is over the whole image ({call.kind})")
    call.note_repeats(*(image.axes[axis % image.rank] for axis in axes))
    return call.out(image.axes, *([used] if used is not None else []))
