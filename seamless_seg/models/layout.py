"""Layouts: the order, number and length of the axes of a graph's input and output.

Where a graph does not declare how its output is laid out, that is inferred from the shapes of the
outputs for a few trial images.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..windows import Pair

MAX_OUTPUT_STRIDE = 64
"""Pixels a side for one logit at most: no model segments more coarsely."""

COMMON_OUTPUT_STRIDES = (2, 4, 8, 16, 32)
"""Output strides that are likelier than a border that leaves an output of the same size."""

MAX_IMAGE_CHANNELS = 16
"""Bands of an image: a longer axis is one of sides, as few rasters have more bands."""

CHANNELS_TO_SIDE = 4
"""Factor by which an axis is shorter than the others where it is taken for the channels."""

CHANNEL_NAMES = frozenset({"c", "ch", "channel", "channels", "band", "bands"})
"""Words by which graphs name the axis of channels."""

SIDE_NAMES = frozenset({"h", "height", "row", "rows", "w", "width", "col", "cols", "columns"})
"""Words by which graphs name the axes of height and width."""

TRIAL_SIDES = (192, 384, 768, 1536)
"""Sides in px of the images that show the layout: the first that a model takes.

Multiples of 3 and of powers of 2, as the strides of most models divide them.
"""

ODD_TRIAL_SIDES = (*range(252, 188, -4), 230)
"""Sides in px that are tried after those.

Models that crop by constants take other remainders; the multiples of others are 5, 7, 9, ...
"""

BORDER_TRIAL_SIDES = (128, 256, 512, 1024)
"""Sides in px of the images that show the border: the first that leaves enough output."""

MIN_BORDER_OUTPUT = 16
"""Pixels a side of an output that shows the border."""

MAX_REFUSED = 4
"""Outputs that can be no logits after which a graph is tried no more."""

SIZE_PERIOD = 128
"""Pixels: no model halves an image more than 7 times, so such sides lose equally many pixels."""

SIZE_MULTIPLES = (*range(1, 33), 36, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224)
"""Numbers that may have to divide a tile's sides, and strides that models have, px."""

JOINT_MULTIPLES = (72, 120, 144, 168, 180, 240, 336, 360, 720)
"""The same for models that join two grids."""


class ImageLayout(NamedTuple):
    """How a graph takes images."""

    channels_last: bool
    dtype: np.dtype[Any]

    def from_nchw(self, batch: Array) -> Array:
        """Return a batch ``(B, C, H, W)`` as the graph takes it; integers are rounded, clipped."""
        if self.dtype.kind in "iu" and batch.dtype != self.dtype:
            limits = np.iinfo(self.dtype)
            batch = np.clip(np.rint(batch), limits.min, limits.max)
        batch = batch.astype(self.dtype, copy=False)
        return np.ascontiguousarray(batch.transpose(0, 2, 3, 1)) if self.channels_last else batch

    def in_nchw_order(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Return what the graph has for each of its axes in the order ``(B, C, H, W)``."""
        batch, first, second, third = shape
        return (batch, third, first, second) if self.channels_last else tuple(shape)


class LogitsLayout(NamedTuple):
    """How a graph gives logits."""

    channels_last: bool = False
    has_class_axis: bool = True
    """Whether there is an axis of classes at all."""
    border: int = 0
    """Pixels at each side of the image that have no logits."""
    output_stride: int = 1
    """Pixels of the image a side for each logit."""

    def to_nchw(self, array: Array, nearest: bool = False) -> npt.NDArray[np.float32]:
        """Return an output as logits ``(B, K, H, W)``, without the border, at full resolution.

        With ``nearest``, as class numbers need it, no values are made between those of pixels.
        """
        if not self.has_class_axis:
            array = array[:, None]
        elif self.channels_last:
            array = array.transpose(0, 3, 1, 2)
        logits = array.astype(np.float32, copy=False)
        if self.output_stride == 1:
            return logits
        if nearest:
            return logits.repeat(self.output_stride, axis=2).repeat(self.output_stride, axis=3)
        return upsample(logits, self.output_stride)

    def classes(self, shape: Sequence[int | None]) -> int | None:
        """Return the number of classes in an output of that shape."""
        if not self.has_class_axis:
            return 1
        return shape[3] if self.channels_last else shape[1]

    def fits(self, shape: Sequence[int], batch: int, image: Pair) -> bool:
        """Tell whether an output can be laid out so.

        Parameters
        ----------
        shape : sequence of int
            Shape of the output.
        batch : int
            Images of the batch that it is for.
        image : (int, int)
            Their height and width, px.
        """
        return self in possible_layouts(shape, batch, image)


@dataclass(frozen=True)
class Trials:
    """Runs of a graph on images of zeros, of which the shape of the output alone is of use."""

    run: Callable[[Array], Array]
    """Maps a batch ``(B, C, H, W)`` to the graph's output."""
    batch: int
    channels: int
    channels_last: bool
    """Whether the graph takes images with the channels last, and so likely gives logits so."""

    def output_shape(self, size: Pair) -> tuple[int, ...] | None:
        """Return the shape of the output for images of a size; None where the graph fails."""
        zeros = np.zeros((self.batch, self.channels, *size), np.float32)
        with suppress(Exception):  # onnxruntime's exceptions have no base class of their own
            return tuple(self.run(zeros).shape)
        return None

    def takes(self, size: Pair) -> bool:
        """Tell whether the graph gives logits for images of a size."""
        shape = self.output_shape(size)
        return shape is not None and bool(self.layouts(shape, size))

    def takes_two(self, size: Pair, layout: LogitsLayout) -> bool:
        """Tell whether two images of a size at a time give logits in that layout."""
        shape = replace(self, batch=2).output_shape(size)
        return shape is not None and layout.fits(shape, 2, size)

    def layouts(self, shape: Sequence[int], size: Pair) -> list[LogitsLayout]:
        """Return the possible layouts of such an output, the likeliest first."""
        return list(possible_layouts(shape, self.batch, size, self.channels_last))


class InferredLayout(NamedTuple):
    """The layout of an output, and the sizes at which it holds."""

    layout: LogitsLayout
    size: Pair
    """Height and width of an image that the graph takes."""
    remainder: Pair = (0, 0)
    """Height and width of logits modulo ``SIZE_PERIOD`` at which the border is no wider."""


def infer_layout(
    trials: Trials, sizes: Iterable[Pair], is_free: bool, declared: LogitsLayout | None = None
) -> InferredLayout | None:
    """Infer the layout of a graph's output from trial runs.

    Parameters
    ----------
    trials : Trials
        The graph.
    sizes : iterable of (int, int)
        Heights and widths of images: the first counts of which the output can be logits.
    is_free : bool
        Whether the graph takes images of any size, so that other sizes can settle a doubt.
    declared : LogitsLayout, optional
        Layout to be confirmed: it holds where the output fits it.

    Returns
    -------
    InferredLayout or None
        None where the graph fails at each of the sizes, or none of its outputs can be logits.
    """
    refused = 0
    for size in sizes:
        shape = trials.output_shape(size) if refused < MAX_REFUSED else None
        if shape is None:
            continue
        if declared is not None and declared.fits(shape, trials.batch, size):
            return InferredLayout(declared, size)
        if inferred := _inferred_at(trials, size, shape, is_free):
            return inferred
        refused += 1
    return None


def _inferred_at(
    trials: Trials, size: Pair, shape: Sequence[int], is_free: bool
) -> InferredLayout | None:
    """Infer the layout of an output of that shape, with more runs where it leaves a doubt."""
    found = trials.layouts(shape, size)
    if not is_free or (found and found[0].border == 0 and found[0].output_stride == 1):
        return InferredLayout(found[0], size) if found else None
    if len(found) > 1:
        # Three periods, so that what was divisible by 3 still is.
        larger = size[0] + 3 * SIZE_PERIOD, size[1] + 3 * SIZE_PERIOD
        other = trials.output_shape(larger)
        found = [way for way in found if other and way.fits(other, trials.batch, larger)] or found
    if not (found and found[0].output_stride > 1):
        smallest = _smallest_border(trials, size[0])
        if smallest is not None:
            return smallest
    return InferredLayout(found[0], size) if found else None


def _smallest_border(trials: Trials, known: int) -> InferredLayout | None:
    """Infer the border at sides of which no pooling drops pixels; None where there is none.

    ``known`` is a side that the graph takes, for one that takes none of ``BORDER_TRIAL_SIDES``.

    Besides convolutions, a pooling loses the remainder of its division: more and more the longer
    a side is, and none again at the next multiple. So the border is what is lost where it stops
    falling with the side; 0 px for a model that merely needs multiples.
    """

    def lost(side: int) -> int | None:
        shape = trials.output_shape((side, side))
        if shape is None:
            return None
        sizes = [shape[2:], shape[1:3]] if len(shape) == 4 else [shape[1:]]
        return next(
            (side - own[0] for own in sizes if own[0] == own[-1] and 0 < own[0] <= side), None
        )

    for side in (*BORDER_TRIAL_SIDES, known):
        both = lost(side)
        if both is not None and side - both >= MIN_BORDER_OUTPUT:
            fewer = bisect_left(
                range(1, SIZE_PERIOD), True, key=lambda n: lost(side - n) != both - n
            )
            return _with_border(trials, side - fewer, both - fewer)
    return None


def _with_border(trials: Trials, side: int, both: int) -> InferredLayout | None:
    """Return the layout at a side of which ``both`` borders together lose so many pixels."""
    shape = trials.output_shape((side, side)) or ()
    found = [way for way in trials.layouts(shape, (side, side)) if way.output_stride == 1]
    remainder = (side - both) % SIZE_PERIOD
    return InferredLayout(found[0], (side, side), (remainder, remainder)) if found else None


def possible_layouts(
    shape: Sequence[int], batch: int, image: Pair, prefer_channels_last: bool = False
) -> Iterator[LogitsLayout]:
    """Yield every layout that an output can have, the likeliest first.

    Parameters
    ----------
    shape : sequence of int
        Shape of the output.
    batch : int
        Images of the batch that it is for.
    image : (int, int)
        Their height and width, px.
    prefer_channels_last : bool
        Which of two layouts comes first that differ in the axis of the classes alone.
    """
    orders = {
        4: [(False, True, tuple(shape[2:])), (True, True, tuple(shape[1:3]))],
        3: [(False, False, tuple(shape[1:]))],
    }.get(len(shape), [])
    if not orders or shape[0] != batch:
        return
    if prefer_channels_last:
        orders.reverse()
    found = [
        LogitsLayout(channels_last, has_class_axis, **lengths)
        for relation in (_same_size, _downsampled, _cropped)
        for channels_last, has_class_axis, size in orders
        if (lengths := relation(image, size)) is not None
    ]
    yield from sorted(found, key=lambda way: way.output_stride not in (1, *COMMON_OUTPUT_STRIDES))


def _same_size(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    return {} if tuple(size) == image else None


def _downsampled(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    if min(size) < 1 or any(whole % part for whole, part in zip(image, size, strict=True)):
        return None
    strides = {whole // part for whole, part in zip(image, size, strict=True)}
    if len(strides) > 1 or not 1 < max(strides) <= MAX_OUTPUT_STRIDE:
        return None
    return {"output_stride": strides.pop()}


def _cropped(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    lost = {whole - part for whole, part in zip(image, size, strict=True)}
    is_even = len(lost) == 1 and min(lost) > 0 and min(lost) % 2 == 0 and min(size) > 0
    return {"border": lost.pop() // 2} if is_even else None


def is_channels_last(lengths: Sequence[int | None], names: Sequence[str]) -> bool:
    """Tell whether the last of an image's four axes is the one of the channels.

    Names come first. Then sides that are equal are height and width; then an axis is one of sides
    where it alone is free, and one of channels where it alone is short. Where none of that
    decides, as of 256, 128 and 64, channels are first, which is what exporters write by default.

    Parameters
    ----------
    lengths : sequence of int or None
        Lengths of the axes, the batch first; None where one is free.
    names : sequence of str
        Names of the axes; empty where one has none.
    """
    _, first, second, third = lengths
    kinds = [_kind_of_axis(name) for name in names[1:]]
    is_last = kinds[0] == "side" or kinds[2] == "channels"
    if is_last != (kinds[0] == "channels" or kinds[2] == "side"):
        return is_last
    if second is not None and (first == second) != (second == third):
        return first == second
    if first is None or third is None:
        return first is None and third is not None
    shorter = min(first, second or first)
    is_short = third <= MAX_IMAGE_CHANNELS or third * CHANNELS_TO_SIDE <= shorter
    return first > MAX_IMAGE_CHANNELS and is_short


def _kind_of_axis(name: str) -> str | None:
    """Return "channels" or "side" for the name of an image's axis; None for any other name."""
    words = re.findall("[a-z]+", name.lower())
    if not CHANNEL_NAMES.isdisjoint(words):
        return "channels"
    # Exporters put x before other words where the input itself is called x.
    return "side" if not SIDE_NAMES.isdisjoint(words) or words in (["x"], ["y"]) else None


def upsample(logits: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Interpolate logits ``(B, K, H, W)`` bilinearly to ``factor`` times the height and width.

    Logits lie at the centers of their pixels, and the outermost extend to the edge, as in torch
    with ``align_corners=False``. Each pixel is computed by the same operations wherever it lies,
    so that overlapping tiles agree to the last bit.
    """
    for axis in (2, 3):
        logits = _upsample_along(logits, factor, axis)
    return logits


def _upsample_along(
    logits: npt.NDArray[np.float32], factor: int, axis: int
) -> npt.NDArray[np.float32]:
    beyond = [(0, 0)] * 4
    beyond[axis] = (1, 1)
    values = np.moveaxis(np.pad(logits, beyond, mode="edge"), axis, -1)
    count = logits.shape[axis]
    result = np.empty((*values.shape[:-1], count, factor), np.float32)
    for phase in range(factor):
        from_center = (phase + 0.5) / factor - 0.5
        first = 0 if from_center < 0 else 1
        share = np.float32(from_center % 1)
        low, high = values[..., first : first + count], values[..., first + 1 : first + 1 + count]
        result[..., phase] = low + (high - low) * share
    return np.moveaxis(result.reshape(*values.shape[:-1], count * factor), -1, axis)
