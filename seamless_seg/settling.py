"""Settling: how a model's output is to be read, found out by running it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from .layout import Array, LogitsLayout, readings
from .windows import Pair

SIDES = (128, 256, 512, 1024)
"""Sides of the images that show what a model loses: the first that leaves something."""

LEAST = 16
"""Pixels that are left of an image that shows it."""

PERIOD = 128
"""Poolings halve an image no more than seven times: lengths so far apart lose as much."""


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
        if most is not None and side - most >= LEAST:
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
