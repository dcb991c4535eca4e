"""Layouts: what a graph takes and gives, whatever the order, number and length of its axes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..windows import Pair

MOST_TIMES = 64
"""No model gives one answer for more pixels a side, and still calls it segmentation."""

USUAL_TIMES = (2, 4, 8, 16, 32)
"""Fractions that are likelier than a border that comes to the same."""

FEW_CHANNELS = 16
"""No side of a tile is as short, and few rasters have more bands."""

FAR_SHORTER = 4
"""Times that channels are fewer than rows and columns where that tells them apart."""

CHANNEL_NAMES = frozenset({"c", "ch", "channel", "channels", "band", "bands"})

SIDE_NAMES = frozenset({"h", "height", "row", "rows", "w", "width", "col", "cols", "columns"})
"""Words by which graphs name the axes of images."""

SIDES = (128, 256, 512, 1024)
"""Sides of the images that show what a model loses: the first that leaves something."""

LEAST_LEFT = 16
"""Pixels that are left of an image that shows it."""

PERIOD = 128
"""Poolings halve an image no more than seven times: lengths so far apart lose as much."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph: a length is None where it is free."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    axes: tuple[str, ...] = ()
    """What the graph calls its free axes; empty for the others."""

    def __str__(self) -> str:
        """``image: float [N, 3, H, W]``, free lengths as question marks."""
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"{self.name}: {self.dtype} [{lengths}]"


def to_tensor(node: Any) -> Tensor:
    """What onnxruntime says of an input or output."""
    lengths = tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape)
    axes = tuple(axis if isinstance(axis, str) else "" for axis in node.shape)
    return Tensor(node.name, lengths, node.type.removeprefix("tensor(").removesuffix(")"), axes)


class ImageLayout(NamedTuple):
    """How a graph takes images."""

    channels_last: bool
    dtype: np.dtype[Any]

    def feed(self, batch: Array) -> Array:
        """A batch ``(B, C, H, W)`` as the graph takes it; integers are rounded to, and clipped."""
        if self.dtype.kind in "iu" and batch.dtype != self.dtype:
            limits = np.iinfo(self.dtype)
            batch = np.clip(np.rint(batch), limits.min, limits.max)
        batch = batch.astype(self.dtype, copy=False)
        return np.ascontiguousarray(batch.transpose(0, 2, 3, 1)) if self.channels_last else batch

    def to_nchw(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Lengths of a graph's axes in the order ``(B, C, H, W)``."""
        batch, first, second, third = shape
        return (batch, third, first, second) if self.channels_last else tuple(shape)


def is_channels_last(lengths: Sequence[int | None], names: Sequence[str]) -> bool:
    """Whether the last of four axes is the one of the channels, by its name or its length.

    Names tell most. Then sides that are equal are height and width; then an axis is one of sides
    where it alone is free, and one of channels where it alone is short. Where none of that tells,
    as of 256, 128 and 64, channels are first: that is what exporters are used to.
    """
    _, first, second, third = lengths
    told = [_axis(name) for name in names[1:]]
    says_last = told[0] == "side" or told[2] == "channels"
    if says_last != (told[0] == "channels" or told[2] == "side"):
        return says_last
    if second is not None and (first == second) != (second == third):
        return first == second
    if first is None or third is None:
        return first is None and third is not None
    shorter = min(first, second or first)
    return first > FEW_CHANNELS and (third <= FEW_CHANNELS or third * FAR_SHORTER <= shorter)


def _axis(name: str) -> str | None:
    """What an axis of an image is that is called so, as far as the name says."""
    words = re.findall("[a-z]+", name.lower())
    if not CHANNEL_NAMES.isdisjoint(words):
        return "channels"
    # Words beside x are those of exporters: of an input that is itself called x.
    return "side" if not SIDE_NAMES.isdisjoint(words) or words in (["x"], ["y"]) else None


class LogitsLayout(NamedTuple):
    """How a graph gives logits."""

    channels_last: bool = False
    has_channels: bool = True
    """Whether there is an axis of classes at all."""
    border: int = 0
    """Pixels of the image for which there are none, on each side."""
    times: int = 1
    """Pixels of the image a side for which there is one."""

    def read(self, array: Array) -> npt.NDArray[np.float32]:
        """Logits ``(B, K, H, W)``, the border gone from ``H`` and ``W``."""
        if not self.has_channels:
            array = array[:, None]
        elif self.channels_last:
            array = array.transpose(0, 3, 1, 2)
        logits = array.astype(np.float32, copy=False)
        return logits if self.times == 1 else enlarge(logits, self.times)

    def classes(self, shape: Sequence[int | None]) -> int | None:
        """How many there are in an array of that shape."""
        if not self.has_channels:
            return 1
        return shape[3] if self.channels_last else shape[1]

    def fits(self, shape: Sequence[int], batch: int, image: Pair) -> bool:
        """Whether it could be that of an array of that shape, made from so large an image."""
        return self in readings(shape, batch, image)


def readings(
    shape: Sequence[int], batch: int, image: Pair, last_first: bool = False
) -> Iterator[LogitsLayout]:
    """Every way to read an array of that shape as logits of an image, the likeliest first.

    Where both layouts are as likely, that with the channels last is if ``last_first``.
    """
    ways = {
        4: [(False, True, tuple(shape[2:])), (True, True, tuple(shape[1:3]))],
        3: [(False, False, tuple(shape[1:]))],
    }.get(len(shape), [])
    if not ways or shape[0] != batch:
        return
    if last_first:
        ways.reverse()
    found = [
        LogitsLayout(channels_last, has_channels, **numbers)
        for relation in (_same, _fraction, _border)
        for channels_last, has_channels, size in ways
        if (numbers := relation(image, size)) is not None
    ]
    yield from sorted(found, key=lambda way: way.times not in (1, *USUAL_TIMES))


def _same(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    return {} if tuple(size) == image else None


def _fraction(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    if min(size) < 1 or any(whole % part for whole, part in zip(image, size, strict=True)):
        return None
    times = {whole // part for whole, part in zip(image, size, strict=True)}
    return {"times": times.pop()} if len(times) == 1 and 1 < max(times) <= MOST_TIMES else None


def _border(image: Pair, size: Sequence[int]) -> dict[str, int] | None:
    lost = {whole - part for whole, part in zip(image, size, strict=True)}
    is_even = len(lost) == 1 and min(lost) > 0 and min(lost) % 2 == 0 and min(size) > 0
    return {"border": lost.pop() // 2} if is_even else None


def enlarge(logits: npt.NDArray[np.float32], times: int) -> npt.NDArray[np.float32]:
    """Interpolate bilinearly to so many times the height and width, ``(B, K, H, W)``.

    Values are those of the centers of their pixels, and go on beyond the outermost. Each pixel is
    made by the same operations wherever it is, so that tiles agree to the bit.
    """
    for axis in (2, 3):
        logits = _enlarge_along(logits, times, axis)
    return logits


def _enlarge_along(
    logits: npt.NDArray[np.float32], times: int, axis: int
) -> npt.NDArray[np.float32]:
    beyond = [(0, 0)] * 4
    beyond[axis] = (1, 1)
    values = np.moveaxis(np.pad(logits, beyond, mode="edge"), axis, -1)
    count = logits.shape[axis]
    result = np.empty((*values.shape[:-1], count, times), np.float32)
    for phase in range(times):
        from_center = (phase + 0.5) / times - 0.5
        first = 0 if from_center < 0 else 1
        share = np.float32(from_center % 1)
        low, high = values[..., first : first + count], values[..., first + 1 : first + 1 + count]
        result[..., phase] = low + (high - low) * share
    return np.moveaxis(result.reshape(*values.shape[:-1], count * times), -1, axis)


class Settled(NamedTuple):
    """How to read an output, and which lengths suit the model."""

    layout: LogitsLayout
    remainder: Pair = (0, 0)
    """Heights and widths of logits, but for multiples of ``PERIOD``, where there is a border."""


def settle(
    run: Callable[[Array], Array],
    given: Sequence[int],
    shape: Sequence[int],
    is_free: bool,
    last_first: bool = False,
) -> Settled | None:
    """How to read an output of that shape, and where that leaves doubt, outputs for other sizes.

    None where it is no output of logits.

    Parameters
    ----------
    run : callable
        From an image batch ``(B, C, H, W)`` to the output.
    given : sequence of int
        Shape of the batch.
    shape : sequence of int
        Shape of the output.
    is_free : bool
        Whether the model takes images of any size.
    last_first : bool
        Whether channels are likelier last.
    """
    count, channels, height, width = given
    found = list(readings(shape, count, (height, width), last_first))
    if not is_free or (found and found[0].border == 0 and found[0].times == 1):
        return Settled(found[0]) if found else None
    if len(found) > 1:
        # Thirds stay thirds, too.
        larger = count, channels, height + 3 * PERIOD, width + 3 * PERIOD
        other = _shape(run, larger)
        found = [way for way in found if other and way.fits(other, count, larger[2:])] or found
    if not (found and found[0].times > 1):
        least = _least_border(run, count, channels)
        if least is not None:
            return least
    return Settled(found[0]) if found else None


def _least_border(run: Callable[[Array], Array], count: int, channels: int) -> Settled | None:
    """The border at lengths of which no pooling drops a rest; None where there is none.

    Beside convolutions, a pooling loses the rest of its division: more and more the longer an
    image is, and at the next length nothing again. So the least is lost as many pixels before as
    what is lost goes on becoming less; nothing, by a model that merely needs certain lengths.
    """

    def lost(side: int) -> int | None:
        size = _shape(run, (count, channels, side, side))
        ways = [] if size is None else [size[2:], size[1:3]] if len(size) == 4 else [size[1:]]
        return next(
            (side - way[0] for way in ways if way[0] == way[-1] and 0 < way[0] <= side), None
        )

    for side in SIDES:
        most = lost(side)
        if most is not None and side - most >= LEAST_LEFT:
            return _at_least(run, (count, channels), lost, side, most)
    return None


def _at_least(
    run: Callable[[Array], Array],
    batch: Pair,
    lost: Callable[[int], int | None],
    side: int,
    most: int,
) -> Settled | None:
    fewer = bisect_left(range(1, PERIOD), True, key=lambda n: lost(side - n) != most - n)
    side, most = side - fewer, most - fewer
    size = _shape(run, (*batch, side, side)) or ()
    ways = [way for way in readings(size, batch[0], (side, side)) if way.times == 1]
    remainder = (side - most) % PERIOD
    return Settled(ways[0], (remainder, remainder)) if ways else None


def _shape(run: Callable[[Array], Array], given: Sequence[int]) -> tuple[int, ...] | None:
    """The shape of the output for an empty batch; None where the model does not take it."""
    with suppress(Exception):  # onnxruntime's have no base of their own
        return tuple(run(np.zeros(given, np.float32)).shape)
    return None
