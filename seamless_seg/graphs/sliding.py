"""Rules of what slides a window over the image: convolutions and poolings."""

from __future__ import annotations

from .call import Call, rule
from .image_axis import sliding_taps, transposed_taps
from .pointwise import broadcast
from .reductions import reduced
from .tensors import Axis, BoundError, Tensor, has_image

WEIGHTS = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}
"""Index of the weights among the inputs."""


@rule("Conv", "FusedConv", "ConvInteger", "QLinearConv")
def convolution(call: Call) -> list[Tensor]:
    """``(N, C, ...)`` and weights ``(K, C / groups, ...)``."""
    image, weights = call.tensor(), _weights(call)
    lengths = weights.shape[2:]
    _refuse_image_in_channels(image)
    axes = [image.axes[0], _channels(weights.shape[0])]
    axes += _slid(call, image, lengths)
    added = call.given(3) if call.kind == "FusedConv" else []
    if any(own.shape != Tensor(tuple(axes)).shape for own in added):
        raise BoundError("unknown", "it adds a tensor of another shape")
    return call.out(broadcast([Tensor(tuple(axes), varies=image.varies), *added]))


@rule("ConvTranspose")
def transposed_convolution(call: Call) -> list[Tensor]:
    """``(N, C, ...)`` and weights ``(C, K / groups, ...)``."""
    image, weights = call.tensor(), _weights(call)
    _refuse_image_in_channels(image)
    kernel = weights.shape[2:]
    count = len(kernel)
    strides = call.integers("strides") or (1,) * count
    dilations = call.integers("dilations") or (1,) * count
    extra = call.integers("output_padding") or (0,) * count
    pads = call.integers("pads") or (0,) * (2 * count)
    wanted = call.integers("output_shape")
    axes = [image.axes[0], _channels(weights.shape[1] * call.integer("group", 1))]
    for n, axis in enumerate(image.axes[2:]):
        length = image.shape[2 + n]
        full = strides[n] * (length - 1) + extra[n] + (kernel[n] - 1) * dilations[n] + 1
        auto = call.text("auto_pad", "NOTSET")
        before, after = pads[n], pads[n + count]
        if wanted is not None or auto.startswith("SAME"):
            own = wanted[-count + n] if wanted is not None else length * strides[n]
            total = max(0, full - own)
            before = total // 2 if auto != "SAME_LOWER" else total - total // 2
            after = total - before
        taps = transposed_taps(kernel[n], strides[n], dilations[n], before)
        axes.append(call.taken(axis, taps, full - before - after))
    return call.out(axes)


@rule("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
def pooling(call: Call) -> list[Tensor]:
    """``(N, C, ...)``, or ``(N, ..., C)`` for onnxruntime's own with ``channels_last``."""
    image = call.tensor()
    if len(call.outputs) > 1 and call.outputs[1]:
        raise BoundError("position", "it gives the places of its maxima")
    if call.integer("channels_last", 0):
        raise BoundError("unknown", "there is no rule for it with channels last")
    kernel = call.integers("kernel_shape") or ()
    pads = call.integers("pads") or ()
    if kernel == image.shape[2:] and not any(pads) and any(map(has_image, image.axes[2:])):
        return reduced(call, image, tuple(range(2, image.rank)), keep=True)
    return call.out([*image.axes[:2], *_slid(call, image, kernel)])


def _weights(call: Call) -> Tensor:
    weights = call.tensor(WEIGHTS[call.kind])
    if weights.varies:
        raise BoundError("unknown", "its weights are computed from pixels")
    return weights


def _channels(count: int) -> Axis:
    return () if count == 1 else (count,)


def _refuse_image_in_channels(image: Tensor) -> None:
    if has_image(image.axes[1]):
        raise BoundError("position", "it weighs pixels by where they lie in the image")


def _slid(call: Call, image: Tensor, kernel: tuple[int, ...]) -> list[Axis]:
    """Return the axes of the image after a window slid along them."""
    count = len(kernel)
    strides = call.integers("strides") or (1,) * count
    dilations = call.integers("dilations") or (1,) * count
    pads = call.integers("pads") or (0,) * (2 * count)
    auto, ceil = call.text("auto_pad", "NOTSET"), call.integer("ceil_mode", 0)
    axes = []
    for n, axis in enumerate(image.axes[2:]):
        length, reach = image.shape[2 + n], (kernel[n] - 1) * dilations[n] + 1
        before, after = pads[n], pads[n + count]
        if auto.startswith("SAME"):
            outputs = -(-length // strides[n])
            total = max(0, (outputs - 1) * strides[n] + reach - length)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        elif auto == "VALID":
            before = after = 0
        room = length + before + after - reach
        outputs = (-(-room // strides[n]) if ceil else room // strides[n]) + 1
        if ceil and (outputs - 1) * strides[n] >= length + before:
            outputs -= 1  # a window that would start beyond the image
        if outputs < 1:
            raise BoundError("unknown", "the image is smaller than its window")
        taps = sliding_taps(kernel[n], strides[n], dilations[n], before)
        axes.append(call.taken(axis, taps, outputs))
    return axes
