"""Misfits: outputs that are no logits of an image, and in a sentence what they seem to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .layout import Tensor

NO_SEGMENTATION = (
    "the model's output must be logits for each pixel, [N, K, H, W], [N, H, W, K] or [N, H, W]"
)

NO_BATCH = "pixels of one tile without the axis of the batch: export the model with it"

PADDED = "export the model with padded convolutions"


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
