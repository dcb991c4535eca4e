"""How an axis of a tensor lies on the image: its step, its period, and which of it is clean.

A tile sees no pixel beyond its edges. A value is clean if it depends on the tile's pixels alone:
the whole image at once would give it, too. Each operator takes its output from a range of input
indices, which repeats with a period; so clean ranges, steps and periods follow from operator to
operator in whole numbers, by the arithmetic of receptive fields (Araujo, Norris, Sim: Computing
Receptive Fields of Convolutional Neural Networks, Distill 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

BATCH = 2
"""Number of the axis along the images of a batch, which must not be mixed either."""

MAX_PERIOD = 4096
"""Pixels: no tile is cut on a grid beyond."""


@dataclass(frozen=True)
class Taps:
    """Indices of the input that each output takes, along one axis.

    Output ``k * len(ranges) + n`` takes inputs from ``k * stride + ranges[n][0]`` up to and with
    ``k * stride + ranges[n][1]``; none where ``ranges[n]`` is None.
    """

    stride: int
    ranges: tuple[tuple[int, int] | None, ...]

    @property
    def is_identity(self) -> bool:
        """Whether each output takes the input of its own index."""
        return self == IDENTITY


IDENTITY = Taps(1, ((0, 0),))
"""Taps of whatever computes each output from the input at its place."""


@dataclass(frozen=True)
class ImageAxis:
    """An axis of a tensor that runs down or across the image."""

    axis: int
    """0 for down, 1 for across; or ``BATCH``."""
    length: int
    step: Fraction
    """Pixels of the image from one index to the next."""
    period: int
    """Pixels by which the image may be shifted so that the tensor is shifted and else the same."""
    start: int
    """First clean index: those before depend on pixels before the tile."""
    stop: int
    """One more than the last clean index: those after depend on pixels after the tile."""
    image: int
    """Length of the image itself, px."""

    @classmethod
    def of_image(cls, axis: int, length: int) -> ImageAxis:
        """Return the axis of the image itself."""
        return cls(axis, length, Fraction(1), 1, 0, length, length)

    def taken(self, taps: Taps, length: int) -> ImageAxis | None:
        """Return the axis of an output that takes this one by taps.

        None where its period is beyond ``MAX_PERIOD``.
        """
        outputs = len(taps.ranges)
        indices = int(self.period / self.step)  # a whole number, as the period is chosen
        period = self.period * (taps.stride // math.gcd(indices, taps.stride))
        if period > MAX_PERIOD:
            return None
        start, stop = 0, length
        for phase, taken in enumerate(taps.ranges):
            if taken is None:
                continue
            clean = -((taken[0] - self.start) // taps.stride)  # the first such output of the phase
            start = max(start, (clean - 1) * outputs + phase + 1)
            last = (self.stop - 1 - taken[1]) // taps.stride
            stop = min(stop, (last + 1) * outputs + phase)
        step = self.step * taps.stride / outputs
        stop = max(stop, 0)
        return replace(self, length=length, step=step, period=period, start=start, stop=stop)

    @property
    def excess(self) -> Fraction:
        """Pixels by which it is longer than the image, the same at all sizes of an image."""
        return self.length * self.step - self.image

    def joined(self, other: ImageAxis) -> ImageAxis | None:
        """Return the axis of what is computed from two tensors, index by index; None if unlike."""
        if (self.axis, self.length, self.step) != (other.axis, other.length, other.step):
            return None
        period = math.lcm(self.period, other.period)
        if period > MAX_PERIOD:
            return None
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return replace(self, period=period, start=start, stop=stop)

    def split(self, length: int) -> tuple[ImageAxis, int] | None:
        """Split into a coarser axis of a length and the places within each of its steps."""
        places = self.length // length
        coarse = self.taken(Taps(places, ((0, places - 1),)), length)
        return None if coarse is None else (coarse, places)

    def refined(self, places: int) -> ImageAxis | None:
        """Return the finer axis that this one and the places within each of its steps make."""
        return self.taken(Taps(1, ((0, 0),) * places), self.length * places)


def sliding_taps(kernel: int, stride: int, dilation: int, padding: int) -> Taps:
    """Return the taps of a convolution or pooling, padded at its start."""
    return Taps(stride, ((-padding, (kernel - 1) * dilation - padding),))


def transposed_taps(kernel: int, stride: int, dilation: int, padding: int) -> Taps:
    """Return the taps of a transposed convolution, cropped at its start by the padding."""
    ranges: list[tuple[int, int] | None] = []
    for phase in range(stride):
        places = (phase + padding - place * dilation for place in range(kernel))
        taken = [place // stride for place in places if place % stride == 0]
        ranges.append((min(taken), max(taken)) if taken else None)
    return Taps(1, tuple(ranges))
