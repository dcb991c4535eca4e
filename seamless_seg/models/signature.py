"""The signature of a graph: its image, its logits, and why a model cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, OptionError
from .layout import ImageLayout, LogitsLayout, Tensor, is_channels_last, readings

TAKEN = {
    "float": "f4",
    "float16": "f2",
    "double": "f8",
    "uint8": "u1",
    "int8": "i1",
    "uint16": "u2",
    "int16": "i2",
    "int32": "i4",
}
"""Types of inputs, as onnxruntime calls them."""

GIVEN = ("float", "float16", "double")
"""Types of outputs that can be logits."""

NO_SEGMENTATION = (
    "the model's output must be logits for each pixel, [N, K, H, W], [N, H, W, K] or [N, H, W]"
)

NO_BATCH = "pixels of one tile without the axis of the batch: export the model with it"

PADDED = "export the model with padded convolutions"


def the_image(inputs: Sequence[Tensor]) -> Tensor:
    """The one input; a ``ModelError`` where there are more."""
    if len(inputs) != 1:
        names = "; ".join(map(str, inputs))
        raise ModelError(f"the model has {len(inputs)} inputs, not the one image: {names}")
    return inputs[0]


def image_layout(
    image: Tensor, stated: str | None = None, channels: int | None = None
) -> ImageLayout:
    """How images are to be given; a ``ModelError`` where it is no input for images.

    A layout that is stated, ``NCHW`` or ``NHWC``, counts unless ``contradiction`` finds one.
    """
    if image.dtype not in TAKEN or len(image.shape) != 4:
        raise ModelError(
            f"the model's input is no image, [N, C, H, W] or [N, H, W, C] of numbers: {image}"
        )
    channels_last = is_channels_last(image.shape, image.axes)
    if stated is not None and contradiction(image, stated, channels) is None:
        channels_last = stated == "NHWC"
    return ImageLayout(channels_last, np.dtype(TAKEN[image.dtype]))


def contradiction(image: Tensor, stated: str | None, channels: int | None) -> str | None:
    """A sentence on a layout that the graph cannot have for so many bands; None where it can."""
    length = None if stated is None else image.shape[stated.index("C")]
    if None in (length, channels) or length == channels:
        return None
    return f"the layout {stated} is stated for {channels} bands, which {image} is not, and ignored"


def choose_output(outputs: Sequence[Tensor], wanted: str | int | None, image: Tensor) -> Tensor:
    """The output that is wanted, by name or counted from 0; the first where that is left open.

    Raises
    ------
    OptionError
        Where there is none such.
    ModelError
        Where it cannot be logits.
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
    another = choose_another(names, found.name)
    if found.dtype not in GIVEN:
        raise ModelError(
            f"the model's output {found.name} is of {found.dtype}, class numbers most likely, "
            f"which cannot be blended: export the model without its argmax{another}"
        )
    if len(found.shape) not in (0, 3, 4):
        raise ModelError(f"{cannot_be_logits(found, image)}{another}")
    return found


def several_outputs(outputs: Sequence[Tensor]) -> str:
    """A sentence on what is done where nobody has chosen one."""
    names = ", ".join(tensor.name for tensor in outputs)
    return f"the model has outputs {names}: the first is used, --model-output chooses another"


def declared(image: Tensor, takes: ImageLayout, logits: Tensor) -> LogitsLayout | None:
    """How logits are to be read, where lengths or names of axes say so."""
    _, _, *size = takes.to_nchw(image.shape)
    names = takes.to_nchw(image.axes)[2:]
    lengths = [length for length in logits.shape[1:] if length is not None]
    height, width = size
    if height and width and lengths and len(lengths) == len(logits.shape) - 1:
        # Whatever the batch is: it is the first axis of both.
        return next(readings((1, *lengths), 1, (height, width), takes.channels_last), None)
    for channels_last, axes in ((False, logits.axes[2:]), (True, logits.axes[1:3])):
        if len(logits.shape) == 4 and all(names) and axes == names:
            return LogitsLayout(channels_last)
    return None


def doubt(image: Tensor, takes: ImageLayout, logits: Tensor) -> str | None:
    """A sentence on an output of fixed size that can be read in two ways; None where it cannot."""
    height, width = takes.to_nchw(image.shape)[2:]
    lengths = [length for length in logits.shape[1:] if length is not None]
    if not height or not width or len(lengths) != len(logits.shape) - 1:
        return None
    found = list(readings((1, *lengths), 1, (height, width), takes.channels_last))
    borders = [way.border for way in found if way.border]
    times = [way.times for way in found if way.times > 1]
    if not borders or not times or (found[0].border, found[0].times) == (0, 1):
        return None
    said = (f"a border of {borders[0]} px missing", f"an answer for every {times[0]} px")
    taken, other = said if found[0].border else said[::-1]
    return f"the model's output {logits} is read as one with {taken}, and could be one with {other}"


def takes_one_at_a_time(logits: Tensor) -> bool:
    """Whether it is ``[1, H, W]`` whatever the batch."""
    return len(logits.shape) == 3 and logits.shape[0] == 1


def cannot_be_logits(found: Tensor, image: Tensor) -> str:
    """A sentence on an output that has too few axes or too many, whatever it is given."""
    is_one_tile = any(
        found.shape == image.shape[at : at + 2] and found.axes == image.axes[at : at + 2]
        for at in (1, 2)
    )
    seems = NO_BATCH if is_one_tile else _seems(len(found.shape))
    return f"{NO_SEGMENTATION}, not {found}: {seems}"


def cannot_be_read(shape: Sequence[int], batch: Sequence[int]) -> str:
    """A sentence on an output that is no logits of the batch, ``(B, C, H, W)``."""
    count, _, *image = batch
    if len(shape) in (2, 3) and image in (list(shape[:2]), list(shape[-2:])):
        seems = NO_BATCH
    elif len(shape) == 4 and shape[0] != count:
        seems = f"answers for {shape[0]} tiles where it was given {count}"
    else:
        seems = (len(shape) == 4 and _lacks(shape, image)) or _seems(len(shape))
    return f"{NO_SEGMENTATION}, and it maps {list(batch)} to {list(shape)}: {seems}"


def choose_another(names: Iterable[str], found: str) -> str:
    """The end of a refusal, where the model has more outputs than the one that was found."""
    others = ", ".join(name for name in names if name != found)
    return f", or choose another output ({others}) with --model-output" if others else ""


def _lacks(shape: Sequence[int], image: Sequence[int]) -> str | None:
    """What an output of four axes lacks of its input, where that makes it no logits."""
    sizes = [size for size in (shape[2:], shape[1:3]) if _is_within(size, image)]
    if not sizes:
        return None
    height, width = size = max(sizes, key=sum)
    lost = image[0] - height, image[1] - width
    pairs = list(zip(size, image, strict=True))
    if all(2 * part < whole and whole % part for part, whole in pairs):
        return (
            "less than half of its input's height and width and no whole fraction of them, as "
            "where a border is missing and the rest is at a fraction: only one of the two can be "
            "read"
        )
    if lost[0] != lost[1]:
        return (
            f"it lacks {lost[0]} px of its input's height and {lost[1]} px of its width, and only "
            f"a border that is equal on all sides can be read around tiles: {PADDED}"
        )
    if lost[0] % 2 == 0:
        return None
    return (
        f"it lacks {lost[0]} px of its input's height and width, an odd number, so that nobody "
        f"knows which side lacks more: {PADDED}"
    )


def _is_within(size: Sequence[int], image: Sequence[int]) -> bool:
    return all(0 < part <= whole for part, whole in zip(size, image, strict=True))


def _seems(axes: int) -> str:
    if axes == 2:
        return "one answer for a whole tile, as of a classifier"
    if axes == 3:
        return "a list for each tile, as the boxes of a detector"
    return (
        "neither of its input's height and width, nor with a border missing, nor a fraction of it"
    )
