"""The signature of a graph: which input takes the image, and which output gives the logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError, OptionError
from ..windows import Pair
from .class_outputs import Content, OutputContent
from .instance_outputs import refuse_instances
from .layout import ImageLayout, LogitsLayout, is_channels_last, possible_layouts
from .metadata import ModelMetadata

INPUT_DTYPES = {
    "float": "f4",
    "float16": "f2",
    "double": "f8",
    "uint8": "u1",
    "int8": "i1",
    "uint16": "u2",
    "int16": "i2",
    "int32": "i4",
}
"""numpy's names of the types that an image may have, by onnxruntime's."""

LOGITS_DTYPES = ("float", "float16", "double")
"""onnxruntime's names of the types that logits may have."""

CLASS_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")
"""onnxruntime's names of the types that class numbers may have beside those of logits."""

LOGITS_EXPECTED = (
    "the model's output must be logits for each pixel, [N, K, H, W], [N, H, W, K] or [N, H, W]"
)
"""First half of a refusal."""

NO_BATCH_AXIS = "pixels of one tile without the axis of the batch"
"""Second half of a refusal."""

EXPORT_WITH_IT = "export the model with it"
RETURN_WITH_IT = "return them with it, [N, K, H, W]"
"""Advice at the end of a refusal: for a file, and for a function."""

EXPORT_PADDED = "export the model with padded convolutions"
USE_PADDED = "use padded convolutions"
"""Advice at the end of a refusal: for a file, and for a function."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; lengths that are None are free."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    """onnxruntime's name of its type."""
    axes: tuple[str, ...] = ()
    """The graph's names of its free axes; empty for the others."""

    def __str__(self) -> str:
        """``image: float [N, 3, H, W]``, free lengths as question marks."""
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"{self.name}: {self.dtype} [{lengths}]"


def to_tensor(node: Any) -> Tensor:
    """Return the tensor of an input or output as onnxruntime describes it."""
    lengths = tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape)
    axes = tuple(axis if isinstance(axis, str) else "" for axis in node.shape)
    return Tensor(node.name, lengths, node.type.removeprefix("tensor(").removesuffix(")"), axes)


@dataclass(frozen=True)
class Signature:
    """The input and output of a graph with which it segments images."""

    image: Tensor
    image_layout: ImageLayout
    logits: Tensor
    index: int
    """Position of the logits among the graph's outputs."""
    logits_layout: LogitsLayout | None
    """Layout that the graph declares by lengths or names; None where it declares none."""
    metadata: ModelMetadata
    """The model's, with notes on what of the signature is ambiguous."""
    gives_classes: bool = False
    """Whether the output holds class numbers, and its graph no logits that could be used."""

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width of the image; None where they are free."""
        _, _, height, width = self.image_layout.in_nchw_order(self.image.shape)
        return height, width

    @property
    def declared_size(self) -> Pair | None:
        """Height and width of the logits; None where one is free, or more than two are given."""
        lengths = self.logits.shape[1:] if len(self.logits.shape) == 3 else self.logits.shape[2:]
        known = [length for length in lengths if length is not None]
        return (known[0], known[1]) if len(lengths) == len(known) == 2 else None

    @property
    def batch(self) -> int | None:
        """Images of a batch; None for any number, and 1 for logits ``[1, H, W]``."""
        if len(self.logits.shape) == 3 and self.logits.shape[0] == 1:
            return 1
        length: int | None = self.image_layout.in_nchw_order(self.image.shape)[0]
        return length

    @property
    def channels(self) -> int | None:
        """Bands of the image; None for any number."""
        length: int | None = self.image_layout.in_nchw_order(self.image.shape)[1]
        return length

    @property
    def is_certain(self) -> bool:
        """Whether lengths settle the layout: names of axes may be alike and their lengths not."""
        is_fixed = _fixed_shapes(self.image, self.image_layout, self.logits) is not None
        return is_fixed and self.logits_layout is not None


def read_signature(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    metadata: ModelMetadata,
    output: str | int | None = None,
    content: OutputContent | None = None,
    inner: Tensor | None = None,
) -> Signature:
    """Find the image and the logits among a graph's inputs and outputs.

    Parameters
    ----------
    inputs, outputs : sequence of Tensor
        All of the graph's.
    metadata : ModelMetadata
        May state the layout of the image and the name of the output.
    output : str or int, optional
        Output that is wanted, by name or counted from 0; that of the metadata or the first if None.
    content : OutputContent, optional
        What that output holds, as far as the nodes of the graph show.
    inner : Tensor, optional
        Tensor of logits from which that output is made; it is used in its place.

    Raises
    ------
    ModelError
        Where the graph does not map images to logits.
    OptionError
        Where it has no such output.
    """
    metadata = metadata.with_output_among([tensor.name for tensor in outputs], output)
    if output is None and metadata.output is None and len(outputs) > 1:
        names = ", ".join(tensor.name for tensor in outputs)
        metadata = metadata.with_note(
            f"the model has outputs {names}: the first is used, model_output= chooses another"
        )
    image = _only_input(inputs)
    refuse_instances([(tensor.name, tensor.shape) for tensor in outputs], image.shape)
    declared = chosen_output(outputs, metadata.output if output is None else output)
    content, logits = content or OutputContent(), declared if inner is None else inner
    gives_classes = inner is None and _has_class_numbers(declared, content)
    if inner is not None:
        metadata = metadata.with_note(_on_inner(declared, content, inner))
    elif not gives_classes:
        _check_logits(declared, outputs, image)
    image_layout, contradiction = _image_layout(image, metadata.layout, metadata.channels)
    ambiguity = _ambiguity(image, image_layout, logits)
    for note in (contradiction, ambiguity):
        metadata = metadata.with_note(note) if note else metadata
    layout = _declared_layout(image, image_layout, logits)
    index = outputs.index(declared) if inner is None else len(outputs)
    return Signature(image, image_layout, logits, index, layout, metadata, gives_classes)


def _only_input(inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1:
        names = "; ".join(map(str, inputs))
        raise ModelError(
            f"the model has {len(inputs)} inputs, and only one image can be given: {names}"
        )
    return inputs[0]


def chosen_output(outputs: Sequence[Tensor], wanted: str | int | None) -> Tensor:
    """Return the output that is wanted, by name or counted from 0; the first where None.

    Raises
    ------
    OptionError
        Where there is no such output.
    """
    at: Any = 0 if wanted is None else wanted
    names = [tensor.name for tensor in outputs]
    if at in names:
        at = names.index(at)
    try:
        found = outputs[int(at)] if int(at) >= 0 else None
    except (ValueError, IndexError):
        found = None
    if found is None:
        listed = ", ".join(f"{n} {name}" for n, name in enumerate(names))
        raise OptionError(f"the model has no output {wanted}: choose one of {listed}")
    return found


def _has_class_numbers(tensor: Tensor, content: OutputContent) -> bool:
    """Tell whether an output is one class number for each pixel."""
    shape = tensor.shape
    if len(shape) != 3 and not (len(shape) == 4 and 1 in (shape[1], shape[3])):
        return False
    if content.content is Content.QUANTIZED:
        return False
    return tensor.dtype in CLASS_DTYPES or content.content is Content.CLASS_NUMBERS


def _on_inner(declared: Tensor, content: OutputContent, inner: Tensor) -> str:
    return (
        f"the model's output {declared.name} holds {content.content.value}: the logits that they "
        f"are made from, {inner.name}, are used in its place, so that tiles can be blended"
    )


def _check_logits(tensor: Tensor, outputs: Sequence[Tensor], image: Tensor) -> None:
    """Raise where an output is of a type or a number of axes that logits do not have."""
    others = other_outputs((one.name for one in outputs), tensor.name)
    if tensor.dtype not in LOGITS_DTYPES:
        raise ModelError(
            f"the model's output {tensor} is of integers in several channels, quantized logits "
            f"most likely, whose scale is unknown: export the model with an output of float32, as "
            f"by a DequantizeLinear at its end{others}"
        )
    if len(tensor.shape) not in (0, 3, 4):
        raise ModelError(f"{_refused_tensor(tensor, image)}{others}")


def _image_layout(
    image: Tensor, stated: str | None, channels: int | None
) -> tuple[ImageLayout, str | None]:
    """Return the layout of the image, and a note where the stated one contradicts the graph."""
    if image.dtype not in INPUT_DTYPES or len(image.shape) != 4:
        raise ModelError(
            f"the model's input is no image, [N, C, H, W] or [N, H, W, C] of numbers: {image}"
        )
    channels_last, note = is_channels_last(image.shape, image.axes), None
    if stated is not None:
        length = image.shape[stated.index("C")]
        if None in (length, channels) or length == channels:
            channels_last = stated == "NHWC"
        else:
            note = (
                f"the layout {stated} of {channels} bands contradicts the model's input {image}: "
                f"the stated layout is ignored"
            )
    return ImageLayout(channels_last, np.dtype(INPUT_DTYPES[image.dtype])), note


def _fixed_shapes(
    image: Tensor, layout: ImageLayout, logits: Tensor
) -> tuple[tuple[int, ...], Pair] | None:
    """Return the shape of the logits of one image, and its size; None where a length is free."""
    _, _, height, width = layout.in_nchw_order(image.shape)
    lengths = [length for length in logits.shape[1:] if length is not None]
    if not height or not width or not lengths or len(lengths) != len(logits.shape) - 1:
        return None
    return (1, *lengths), (height, width)


def _declared_layout(image: Tensor, layout: ImageLayout, logits: Tensor) -> LogitsLayout | None:
    """Return the layout of the logits that lengths or names of axes declare."""
    if fixed := _fixed_shapes(image, layout, logits):
        shape, size = fixed
        return next(possible_layouts(shape, 1, size, layout.channels_last), None)
    names = layout.in_nchw_order(image.axes)[2:]
    for channels_last, axes in ((False, logits.axes[2:]), (True, logits.axes[1:3])):
        if len(logits.shape) == 4 and all(names) and axes == names:
            return LogitsLayout(channels_last)
    return None


def _ambiguity(image: Tensor, layout: ImageLayout, logits: Tensor) -> str | None:
    """Return a note on logits of fixed size that have two layouts; None where they have one."""
    fixed = _fixed_shapes(image, layout, logits)
    if fixed is None:
        return None
    found = list(possible_layouts(fixed[0], 1, fixed[1], layout.channels_last))
    borders = [way.border for way in found if way.border]
    strides = [way.output_stride for way in found if way.output_stride > 1]
    if not borders or not strides or (found[0].border, found[0].output_stride) == (0, 1):
        return None
    ways = (
        f"cropped by a border of {borders[0]} px",
        f"downsampled by a factor of {strides[0]}",
    )
    taken, other = ways if found[0].border else ways[::-1]
    return f"the model's output {logits} is ambiguous: taken as {taken}, it may also be {other}"


def _refused_tensor(logits: Tensor, image: Tensor) -> str:
    """Return the refusal of an output that has the wrong number of axes for any image."""
    is_one_tile = any(
        logits.shape == image.shape[at : at + 2] and logits.axes == image.axes[at : at + 2]
        for at in (1, 2)
    )
    without_batch = f"{NO_BATCH_AXIS}: {EXPORT_WITH_IT}"
    reason = without_batch if is_one_tile else _guess(len(logits.shape))
    return f"{LOGITS_EXPECTED}, not {logits}: {reason}"


def refused_shape(shape: Sequence[int], batch: Sequence[int], is_function: bool = False) -> str:
    """Return the refusal of an output that is no logits of its batch, ``(B, C, H, W)``.

    A function, unlike a file, is not exported.
    """
    count, _, *image = batch
    if len(shape) in (2, 3) and image in (list(shape[:2]), list(shape[-2:])):
        reason = f"{NO_BATCH_AXIS}: {RETURN_WITH_IT if is_function else EXPORT_WITH_IT}"
    elif len(shape) == 4 and shape[0] != count:
        reason = f"it has {shape[0]} tiles for a batch of {count}"
    else:
        padded = USE_PADDED if is_function else EXPORT_PADDED
        reason = (len(shape) == 4 and _missing_pixels(shape, image, padded)) or _guess(len(shape))
    return f"{LOGITS_EXPECTED}, and it maps {list(batch)} to {list(shape)}: {reason}"


def other_outputs(names: Iterable[str], chosen: str) -> str:
    """Return the end of a refusal, which names the outputs that may be chosen instead."""
    others = ", ".join(name for name in names if name != chosen)
    return f", or choose another output ({others}) with model_output=" if others else ""


def _missing_pixels(shape: Sequence[int], image: Sequence[int], padded: str) -> str | None:
    """Return why an output of four axes that is smaller than its image cannot be laid out."""
    sizes = [size for size in (shape[2:], shape[1:3]) if _is_within(size, image)]
    if not sizes:
        return None
    height, width = size = max(sizes, key=sum)
    lost = image[0] - height, image[1] - width
    pairs = list(zip(size, image, strict=True))
    if all(2 * part < whole and whole % part for part, whole in pairs):
        return (
            "it is less than half as high and wide as its input, and no whole fraction of it, as "
            "where a border is cropped and the rest is downsampled: only one of the two is "
            "supported"
        )
    if lost[0] != lost[1]:
        return (
            f"it lacks {lost[0]} px of its input's height and {lost[1]} px of its width, and only "
            f"a border that is equal on all sides is supported: {padded}"
        )
    if lost[0] % 2 == 0:
        return None
    return (
        f"it lacks {lost[0]} px of its input's height and width, an odd number, so that its border "
        f"cannot be equal on both sides: {padded}"
    )


def _is_within(size: Sequence[int], image: Sequence[int]) -> bool:
    return all(0 < part <= whole for part, whole in zip(size, image, strict=True))


def _guess(axes: int) -> str:
    """Return what an output with so many axes may be instead of logits."""
    if axes == 2:
        return "one vector for a whole tile, as of a classifier"
    if axes == 3:
        return "a list for each tile, as the boxes of a detector"
    return "it is neither of its input's height and width, nor cropped by a border, nor downsampled"
