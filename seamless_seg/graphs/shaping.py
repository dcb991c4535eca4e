"""Rules of what moves values, or cuts and joins tensors, and computes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from .call import Call, Noted, rule
from .image_axis import Taps
from .pointwise import broadcast
from .sizes import is_sized
from .tensors import (
    Axis,
    BoundError,
    Tensor,
    Uniform,
    as_repeated,
    constant,
    fused,
    has_image,
    regrouped,
)

ENDLESS = 2**31 - 1
"""The least number that exporters write for the end of an axis, however long."""


@rule("Shape", "Size")
def shape(call: Call) -> list[Tensor]:
    """Known here, since the size of the image is."""
    image = call.tensor()
    lengths = np.array(image.shape, np.int64)
    sized = np.array([not all(isinstance(part, int) for part in axis) for axis in image.axes])
    sized &= not call.trace.is_fixed
    least = np.where(sized, 1, lengths)
    if call.kind == "Size":
        found = constant(lengths.prod(keepdims=False), bool(sized.any()))
        return [replace(found, least=least.prod(keepdims=False))]
    start, end = call.integer("start", 0), call.integer("end", image.rank)
    shown = slice(*slice(start, end).indices(image.rank))
    found = constant(lengths[shown], bool(sized[shown].any()))
    return [replace(found, sized=sized[shown], least=least[shown])]


@rule("Reshape")
def reshape(call: Call) -> list[Tensor]:
    """To a shape in which 0 stands for the old length and -1 for what is left."""
    image = call.tensor()
    wanted = list(call.integers("shape", 1) or ())
    if not call.integer("allowzero", 0):
        wanted = [image.shape[n] if length == 0 else length for n, length in enumerate(wanted)]
    if -1 in wanted:
        known = int(np.prod([length for length in wanted if length != -1]))
        wanted[wanted.index(-1)] = int(np.prod(image.shape)) // max(known, 1)
    return call.out(regrouped(image.axes, wanted), image)


@rule("Flatten")
def flatten(call: Call) -> list[Tensor]:
    """To two axes."""
    image = call.tensor()
    first = call.integer("axis", 1)
    first += image.rank if first < 0 else 0
    both = image.axes[:first], image.axes[first:]
    return call.out([tuple(part for axis in axes for part in axis) for axes in both])


@rule("Transpose")
def transpose(call: Call) -> list[Tensor]:
    """To another order of axes."""
    image = call.tensor()
    order = call.integers("perm") or tuple(range(image.rank))[::-1]
    return call.out([image.axes[axis] for axis in order])


@rule("Squeeze", "Unsqueeze")
def squeeze(call: Call) -> list[Tensor]:
    """Without some axes of length 1, or with more of them."""
    image = call.tensor()
    named = call.integers("axes", 1)
    if call.kind == "Squeeze":
        dropped = named or tuple(n for n, length in enumerate(image.shape) if length == 1)
        numbers = {axis % image.rank for axis in dropped}
        if any(image.axes[axis] for axis in numbers):
            raise BoundError("position", "it drops an axis of the image")
        return call.out([axis for n, axis in enumerate(image.axes) if n not in numbers], image)
    rank = image.rank + len(named or ())
    added = {axis % rank for axis in named or ()}
    if len(added) < rank - image.rank:
        raise BoundError("unknown", "it adds an axis twice")
    rest = iter(image.axes)
    return call.out([() if n in added else next(rest) for n in range(rank)], image)


@rule("Expand")
def expand(call: Call) -> list[Tensor]:
    """Repeated along axes of length 1."""
    image = call.tensor()
    wanted = call.tensor(1).integers()
    repeated = Tensor(tuple(() if length == 1 else (Uniform(length),) for length in wanted))
    (found,) = call.out(broadcast([image, repeated]), image)
    return [replace(found, once=as_repeated(image, found.axes))]


@rule("ConstantOfShape")
def constant_of_shape(call: Call) -> list[Tensor]:
    """One value everywhere."""
    lengths = call.tensor().integers()
    axes: list[Axis] = [() if length == 1 else (Uniform(length),) for length in lengths]
    stored = call.attributes.get("value")
    value = np.zeros(1, np.float32) if stored is None else numpy_helper.to_array(stored)
    return [Tensor(tuple(axes), once=value.reshape([1] * len(axes)))]


@rule("Constant")
def large_constant(call: Call) -> list[Tensor]:
    """More values than are kept: their shape, and whether all are the same, is enough."""
    stored = call.attributes.get("value")
    if not isinstance(stored, onnx.TensorProto):
        raise BoundError("unknown", "there is no rule for this operator")
    values = numpy_helper.to_array(stored)
    is_same = bool((values == values.flat[0]).all())
    axes = (Uniform(length) if is_same else length for length in values.shape)
    return [Tensor(tuple(() if part in (1, Uniform(1)) else (part,) for part in axes))]


@rule("Tile")
def tile(call: Call) -> list[Tensor]:
    """Repeated as a whole along some axes."""
    image = call.tensor()
    axes: list[Axis] = []
    for axis, repeats in zip(image.axes, call.tensor(1).integers(), strict=True):
        if repeats != 1 and has_image(axis):
            raise BoundError("position", "it repeats the image")
        axes.append(fused((Uniform(repeats), *axis)) if repeats != 1 else axis)
    return call.out(axes, image)


@rule("Concat", "QLinearConcat")
def concat(call: Call) -> list[Tensor]:
    """One tensor after the other, along an axis that is none of the image."""
    first, every = (2, 3) if call.kind == "QLinearConcat" else (0, 1)
    tensors = call.given(*range(first, len(call.inputs), every))
    number = call.integer("axis", 1) % tensors[0].rank
    if any(has_image(tensor.axes[number]) for tensor in tensors):
        raise BoundError("position", "it joins pieces along the image")
    call.note_repeats(*(tensor.axes[number] for tensor in tensors))
    rest = [_without(tensor, number) for tensor in tensors]
    axes = broadcast(rest)
    axes[number] = _of(sum(tensor.shape[number] for tensor in tensors))
    return call.out(axes, *tensors)


@rule("Split")
def split(call: Call) -> list[Tensor]:
    """Pieces along an axis that is none of the image."""
    image = call.tensor()
    number = call.integer("axis", 0) % image.rank
    if has_image(image.axes[number]):
        raise BoundError("position", "it cuts the image into pieces")
    count = len(call.outputs)
    length = image.shape[number]
    equal = -(-length // count)
    lengths = call.integers("split", 1) or (*(equal,) * (count - 1), length - equal * (count - 1))
    return [call.out(_with(image, number, _of(own)), image)[0] for own in lengths]


@rule("Slice")
def slice_(call: Call) -> list[Tensor]:
    """Every so many indices from one to another, along some axes."""
    image = call.tensor()
    starts, ends = call.integers("starts", 1) or (), call.integers("ends", 2) or ()
    numbers = call.integers("axes", 3) or tuple(range(len(starts)))
    steps = call.integers("steps", 4) or (1,) * len(starts)
    axes = list(image.axes)
    by_size = [_follow_size(call.optional(index), len(starts)) for index in (1, 2)]
    for n, (start, end, number, step) in enumerate(zip(starts, ends, numbers, steps, strict=True)):
        number %= image.rank
        if any(own[n] for own in by_size) and not has_image(axes[number]):
            raise BoundError("size", "which channels it takes follows from the size of the image")
        _note_clamped(call, axes[number], image.shape[number], (start, end))
        taken = range(image.shape[number])[start:end:step]
        axes[number] = _taken(call, axes[number], taken)
    return call.out(axes, image)


@rule("Gather")
def gather(call: Call) -> list[Tensor]:
    """The values at some indices of an axis."""
    image, indices = call.tensor(), call.tensor(1)
    number = call.integer("axis", 0) % image.rank
    if not has_image(image.axes[number]):
        return call.out([*image.axes[:number], *indices.axes, *image.axes[number + 1 :]])
    if indices.value is None or indices.rank != 1 or len(indices.value) < 2:
        raise BoundError("position", "it takes pixels by their place")
    places = [place % image.shape[number] for place in indices.integers()]
    taken = range(places[0], places[-1] + 1, max(1, places[1] - places[0]))
    if list(taken) != places:
        raise BoundError("position", "it takes pixels by their place")
    return call.out(_with(image, number, _taken(call, image.axes[number], taken)), image)


@rule("Pad")
def pad(call: Call) -> list[Tensor]:
    """More values on both sides, or fewer where a number is negative."""
    image = call.tensor()
    pads = call.integers("pads", 1) or call.integers("paddings") or ()
    named = call.optional(3)
    numbers = named.integers() if named is not None else tuple(range(image.rank))
    mode, count = call.text("mode", "constant"), len(numbers)
    axes = list(image.axes)
    for n, number in enumerate(numbers):
        number %= image.rank
        before, after = pads[n], pads[n + count]
        if mode == "wrap" and (before > 0 or after > 0) and has_image(axes[number]):
            raise BoundError("global", "it pads with the other side of the image")
        length = image.shape[number] + before + after
        axes[number] = call.taken(axes[number], Taps(1, ((-before, -before),)), length)
    return call.out(axes, image, call.optional(2))


@rule("DepthToSpace")
def depth_to_space(call: Call) -> list[Tensor]:
    """Channels become pixels."""
    image, size = call.tensor(), call.integer("blocksize", 1)
    taps = Taps(1, ((0, 0),) * size)
    channels = _of(image.shape[1] // size**2)
    rows, cols = (call.taken(image.axes[n], taps, image.shape[n] * size) for n in (2, 3))
    return call.out([image.axes[0], channels, rows, cols])


@rule("SpaceToDepth")
def space_to_depth(call: Call) -> list[Tensor]:
    """Pixels become channels."""
    image, size = call.tensor(), call.integer("blocksize", 1)
    taps = Taps(size, ((0, size - 1),))
    channels = _of(image.shape[1] * size**2)
    rows, cols = (call.taken(image.axes[n], taps, image.shape[n] // size) for n in (2, 3))
    return call.out([image.axes[0], channels, rows, cols])


def _note_clamped(call: Call, axis: Axis, length: int, places: tuple[int, int]) -> None:
    """Note places beyond an image, which in a larger one may lie within it."""
    if not has_image(axis):
        return
    beyond = tuple(abs(own) - length for own in places if length < abs(own) < ENDLESS)
    if beyond:
        call.trace.signature.append(Noted(call.label, "remainder", beyond))


def _follow_size(places: Tensor | None, count: int) -> list[bool]:
    return [False] * count if places is None else list(is_sized(places).reshape(-1))


def _taken(call: Call, axis: Axis, taken: range) -> Axis:
    """Return an axis of which every so many indices are taken."""
    if not has_image(axis):
        return (Uniform(len(taken)),) if _is_uniform(axis) else _of(len(taken))
    if taken.step < 0:
        raise BoundError("position", "it flips the image")
    return call.taken(axis, Taps(taken.step, ((taken.start, taken.start),)), len(taken))


def _is_uniform(axis: Axis) -> bool:
    return bool(axis) and all(isinstance(part, Uniform) for part in axis)


def _of(length: int) -> Axis:
    return () if length == 1 else (length,)


def _with(tensor: Tensor, number: int, axis: Axis) -> list[Axis]:
    return [*tensor.axes[:number], axis, *tensor.axes[number + 1 :]]


def _without(tensor: Tensor, number: int) -> Tensor:
    """Return a tensor without the lengths along an axis, of which all values are still checked."""
    return replace(tensor, axes=tuple(_with(tensor, number, ())))
