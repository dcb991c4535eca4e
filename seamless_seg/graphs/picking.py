"""Rules of what picks, sorts, counts or scatters values: along the image they have no bound."""

from __future__ import annotations

from dataclasses import replace

import onnx

from .call import Call, rule
from .pointwise import broadcast
from .tensors import Axis, BoundError, Obstacle, Tensor, Uniform, has_image

RANDOM = (
    *("Bernoulli", "Multinomial"),
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
)
"""Types of nodes that are never the same."""

OVER_ALL = {
    "NonZero": "it counts and lists values of the whole image",
    "Unique": "it searches the whole image",
    "NonMaxSuppression": "it compares boxes of the whole image",
    "RoiAlign": "it takes boxes of the whole image",
    "MaxRoiPool": "it takes boxes of the whole image",
    "CropAndResize": "it takes boxes of the whole image",
    "Det": "it takes determinants over the image",
    "Inverse": "it takes inverses over the image",
    "DFT": "it transforms the whole image",
    "STFT": "it transforms the whole image",
}
"""Types of nodes to which any value of the image matters, and why; none has a rule else."""


@rule(*RANDOM)
def random(call: Call) -> list[Tensor]:
    """Another value each time."""
    raise BoundError("position", "it draws values at random")


@rule("Dropout")
def dropout(call: Call) -> list[Tensor]:
    """Nothing, but in training."""
    training = call.optional(2)
    if training is not None and training.integers() != (0,):
        raise BoundError("position", "it drops values at random")
    image = call.tensor()
    (found,) = call.out(image.axes, image)
    return [replace(found, value=image.value, once=image.once)]


@rule(*OVER_ALL)
def over_all(call: Call) -> list[Tensor]:
    """Any value of the image matters."""
    _refuse_along_image(call, "global", OVER_ALL[call.kind])
    raise BoundError("unknown", "there is no rule for this operator")


@rule("LSTM", "GRU", "RNN")
def recurrent(call: Call) -> list[Tensor]:
    """Along the first axis, or along the second."""
    if _is_along_image(call.tensor().axes[call.integer("layout", 0)]):
        raise BoundError("global", "it runs along the whole image")
    raise BoundError("unknown", "there is no rule for this operator")


@rule("EyeLike")
def identity_matrix(call: Call) -> list[Tensor]:
    """Ones on a diagonal."""
    reason = "it makes a map with a value for each place"
    _refuse_along_image(call, "position", reason)
    raise BoundError("unknown", "there is no rule for this operator")


@rule("GridSample", "AffineGrid")
def sampled_on_a_grid(call: Call) -> list[Tensor]:
    """At places that are shares of the image's size."""
    raise BoundError("position", "the places that it takes are shares of the image's size")


@rule("Trilu")
def triangle(call: Call) -> list[Tensor]:
    """Zeros above or below a diagonal of the last two axes."""
    image, diagonal = call.tensor(), call.optional(1)
    if any(_is_along_image(axis) for axis in image.axes[-2:]):
        raise BoundError("position", "it keeps pixels by where they lie in the image")
    return call.out(image.axes, image, diagonal)


@rule("TopK")
def largest(call: Call) -> list[Tensor]:
    """The largest values along an axis, and their indices."""
    image = call.tensor()
    axis = call.integer("axis", -1) % image.rank
    if _is_along_image(image.axes[axis]):
        raise BoundError("global", "it searches the whole image")
    (count,) = call.integers("k", 1) or (1,)
    return call.out(_with(image, axis, () if count == 1 else (count,)), image) * 2


@rule("GatherElements")
def gathered(call: Call) -> list[Tensor]:
    """One value along an axis for each index."""
    image, indices = call.tensor(), call.tensor(1)
    axis = call.integer("axis", 0) % image.rank
    if _is_along_image(image.axes[axis]) or _is_along_image(indices.axes[axis]):
        raise BoundError(*_by_place(indices))
    axes = _placewise([image, indices], axis)
    axes[axis] = indices.axes[axis]
    return call.out(axes)


@rule("ScatterElements", "Scatter")
def scattered(call: Call) -> list[Tensor]:
    """Some values along an axis replaced by others."""
    image, indices = call.tensor(), call.tensor(1)
    axis = call.integer("axis", 0) % image.rank
    if _is_along_image(image.axes[axis]) or _is_along_image(indices.axes[axis]):
        raise BoundError(*_by_place(indices))
    axes = _placewise(call.given(), axis)
    axes[axis] = image.axes[axis]
    return call.out(axes)


@rule("GatherND", "ScatterND")
def by_coordinates(call: Call) -> list[Tensor]:
    """Values at coordinates."""
    if any(_is_along_image(axis) for own in call.given() for axis in own.axes):
        raise BoundError(*_by_place(call.tensor(1)))
    raise BoundError("unknown", "there is no rule for this operator")


@rule("Compress")
def compressed(call: Call) -> list[Tensor]:
    """Those values of which a condition is true."""
    image = call.tensor()
    axis = call.attributes.get("axis")
    cut = image.axes if axis is None else (image.axes[int(axis)],)
    if any(map(_is_along_image, cut)):
        raise BoundError(*_by_place(call.tensor(1)))
    raise BoundError("unknown", "there is no rule for this operator")


@rule("ReverseSequence")
def reversed_sequence(call: Call) -> list[Tensor]:
    """Values in reverse order along an axis."""
    image = call.tensor()
    numbers = call.integer("time_axis", 0), call.integer("batch_axis", 1)
    if any(_is_along_image(image.axes[number]) for number in numbers):
        raise BoundError("position", "it flips the image")
    raise BoundError("unknown", "there is no rule for this operator")


@rule("OneHot")
def one_hot(call: Call) -> list[Tensor]:
    """A new axis along which one value is unlike the others."""
    indices, depth, values = call.tensor(), call.tensor(1), call.tensor(2)
    if depth.by_size:
        raise BoundError("position", "it makes a map with a value for each place")
    (length,) = depth.integers()
    axis = call.integer("axis", -1) % (indices.rank + 1)
    axes = [*indices.axes[:axis], () if length == 1 else (length,), *indices.axes[axis:]]
    return call.out(axes, indices, values)


@rule("Scan")
def scanned(call: Call) -> list[Tensor]:
    """A graph that runs along axes of some inputs."""
    count = int(call.attributes["num_scan_inputs"])
    images = call.inputs[len(call.inputs) - count :]
    numbers = call.integers("scan_input_axes") or (0,) * count
    for image, number in zip(images, numbers, strict=True):
        if image is not None and _is_along_image(image.axes[number]):
            raise BoundError("global", "it runs along the whole image")
    raise BoundError("unknown", "there is no rule for this operator")


@rule("Loop")
def loop(call: Call) -> list[Tensor]:
    """A graph that runs as often as is said beforehand, or until a condition is false."""
    for own in call.given(0, 1):
        if own.varies:
            raise BoundError("global", "pixels decide how often it runs")
        if own.by_size:
            raise BoundError("position", "the size of the image decides how often it runs")
    body: onnx.GraphProto = call.attributes["body"]
    if _may_end_early(body):
        raise BoundError("global", "what it computes may decide how often it runs")
    raise BoundError("unknown", "there is no rule for this operator")


def _may_end_early(body: onnx.GraphProto) -> bool:
    """Tell whether the condition of a loop's body is other than a constant or the one before."""
    name = body.output[0].name
    made_by = {output: node for node in body.node for output in node.output}
    while (node := made_by.get(name)) is not None:
        if node.op_type not in ("Identity", "Cast"):
            return bool(node.op_type != "Constant")
        name = node.input[0]
    return False  # an input of the body, an initializer, or a tensor from outside


def _refuse_along_image(call: Call, kind: Obstacle, reason: str) -> None:
    if any(_is_along_image(axis) for own in call.given() for axis in own.axes):
        raise BoundError(kind, reason)


def _is_along_image(axis: Axis) -> bool:
    """Tell whether an axis runs along the image, or repeats a value as often as it is long."""
    return has_image(axis) or any(isinstance(part, Uniform) for part in axis)


def _by_place(indices: Tensor) -> tuple[Obstacle, str]:
    """Return the obstacle of values that are taken or put by their place in the image."""
    if indices.varies:
        return "global", "pixels decide which places of the image it takes"
    return "position", "it takes pixels by their place"


def _placewise(tensors: list[Tensor], axis: int) -> list[Axis]:
    """Return the axes of tensors that are combined place by place, but along one axis.

    Raises
    ------
    BoundError
        If one is shorter, so that only some places of the others are taken.
    """
    rest = [replace(own, axes=tuple(_with(own, axis, ()))) for own in tensors]
    if len({own.shape for own in rest}) > 1:
        raise BoundError(*_by_place(tensors[1]))
    return broadcast(rest)


def _with(tensor: Tensor, number: int, axis: Axis) -> list[Axis]:
    return [*tensor.axes[:number], axis, *tensor.axes[number + 1 :]]
