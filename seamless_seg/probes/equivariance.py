"""Total stride: by which shifts, and at which sizes, a model's output is the same, shifted.

A model on a grid of ``s`` px gives the shifted output for an input that is shifted by a multiple
of ``s``, and for no other. A shift by 384 px stands for all its divisors: where the output is
another, so it is for each of them, and where it is the same, the divisors tell which is the least.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.layout import SIZE_MULTIPLES, SIZE_PERIOD
from .agreement import Agreement, agreement, has_steps, largest_differences, spread, tolerance
from .probed_model import LENGTHS, ProbedModel, rounded_up

COMMON_MULTIPLES = (384, 640, 720, 672, 700, 756, 660, 572, 646, 667, 496, 736, 783)
"""Shifts in px, of which each stands for its divisors: together for all of ``SIZE_MULTIPLES``."""

SHIFTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Shifts in px that are compared for a model with global context, which reproduces none."""

SAME = 1e-3
"""Share below which outputs count as the same for a model with global context."""

MIN_SHOWN = 64
"""Outputs in px along an axis that show whether two are the same."""

FACTORS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)
"""Multiples of the stride that may have to divide a length for its output not to depend on it."""

FAR, NARROW = 16384, 32
"""Length and breadth in px of an image that shows how far coordinates are rounded."""

FAR_ROUNDING = 1e-2
"""Share of the logits' standard deviation that the rounding of coordinates may change there: as
much as a thousandth of a pixel does."""

LARGEST_STRIDE = 256
"""Pixels: no stride beyond is worth tiles on its grid."""


class Reproduced(NamedTuple):
    """What was found along one axis."""

    stride: int
    """Total stride, px; 1 where no shift reproduces the output."""
    by_shifts: bool
    """Whether a shift did reproduce the output."""
    at_sizes: bool = True
    """Whether the same pixels in a longer image give the same output."""
    rounding: float = 0.0
    """By how much outputs that count as the same differ, in standard deviations of the logits."""


def measure_stride(probed: ProbedModel, axis: int, radii: tuple[int, int]) -> Reproduced:
    """Find the least shift of the input that shifts the output and changes nothing else.

    Parameters
    ----------
    probed : ProbedModel
        The model.
    axis : int
        0 for down, 1 for across.
    radii : (int, int)
        Receptive-field radius towards the start and the end of the axis, px.
    """
    shifted = _Shifted(probed, axis, radii)
    # What has to divide the lengths of images mostly divides the stride, too.
    likely_first = sorted(COMMON_MULTIPLES, key=lambda shift: shift % probed.multiple > 0)
    for shift in (*likely_first, *SIZE_MULTIPLES[::-1]):
        if shifted.reproduces(shift):
            found = Reproduced(_least(shifted, shift), True)
            if probed.spec.tile[axis] is None:
                found = _grid_of_sizes(probed, axis, radii, found.stride)
            return found._replace(rounding=max(found.rounding, shifted.rounding))
    return Reproduced(1, False)


def confirm_stride(
    probed: ProbedModel, axis: int, radii: tuple[int, int], stride: int
) -> Reproduced:
    """Check that a stride which the graph proves shifts the output, at sizes that it divides.

    Parameters
    ----------
    probed, axis, radii
        As for ``measure_stride``.
    stride : int
        Total stride by the graph, px.
    """
    shifted = _Shifted(probed, axis, radii, shortest=True)
    if not shifted.reproduces(stride):
        return Reproduced(stride, False)
    found = Reproduced(stride, True)
    if probed.spec.tile[axis] is None:
        found = _grid_of_sizes(probed, axis, radii, stride)
    return found._replace(rounding=max(found.rounding, shifted.rounding))


def nearest_stride(probed: ProbedModel, axis: int, length: int, radii: tuple[int, int]) -> int:
    """Return the stride of a model with global context, by the shift that changes least.

    No shift gives quite the same: it is the first that is clearly nearer to the least difference
    than to that of a shift by 1.

    Parameters
    ----------
    probed, axis, radii
        As for ``measure_stride``.
    length : int
        Length of the images that the radii were measured with, px.
    """
    if probed.spec.tile[axis] is None:
        length = max(length, min(LENGTHS[-1], 2 * length))
        length -= (length - probed.spec.remainder[axis]) % math.lcm(SIZE_PERIOD, probed.multiple)
    shifted = _Shifted(probed, axis, radii)
    differences: dict[int, float] = {}
    for shift in SHIFTS:
        try:
            apart = shifted.apart(shift, length, SHIFTS[-1])
        except ModelError:  # it takes no image of that length
            break
        if apart is None:
            break
        differences[shift] = apart
        if apart < SAME:
            return shift
    least, first = min(differences.values(), default=0.0), differences.get(1, 0.0)
    near = math.sqrt(least * first) if first > 3 * least else first
    return next((shift for shift, share in differences.items() if share <= near), 1)


class _Shifted:
    """A model's outputs for inputs that are shifted along an axis.

    Attributes
    ----------
    rounding : float
        By how much outputs so far differed that were reproduced, in standard deviations.
    """

    def __init__(
        self, probed: ProbedModel, axis: int, radii: tuple[int, int], shortest: bool = False
    ) -> None:
        self._probed, self._axis, self._shortest = probed, axis, shortest
        self._radii = tuple(radius + probed.spec.border for radius in radii)
        self._known: dict[int, bool] = {}
        self.rounding = 0.0
        self._length, self._image, self._logits = 0, np.empty(0, np.float32), np.empty(0)

    def reproduces(self, shift: int) -> bool:
        """Tell whether the output for an input shifted so far is the output, shifted."""
        if any(not found and other % shift == 0 for other, found in self._known.items()):
            return False
        if shift not in self._known:
            length = self._probed.spec.tile[self._axis] or self._length_for(shift)
            with suppress(ModelError):  # it may not take that length
                pair = self._outputs(shift, length, length)
                if pair is None:
                    return False
                found = agreement(*pair)
                self._known[shift] = found.same
                if found.same:
                    self.rounding = max(self.rounding, found.rounding)
        return self._known.get(shift, False)

    def apart(self, shift: int, length: int, longest: int) -> float | None:
        """Return the largest difference, as a share of the logits' standard deviation.

        Parameters
        ----------
        shift : int
            Pixels by which the input is shifted.
        length : int
            Length of the images, px.
        longest : int
            Longest of the shifts with images of that length, px.

        Returns
        -------
        float or None
            None where an image of that length is too short to show it.
        """
        pair = self._outputs(shift, length, longest)
        if pair is None:
            return None
        return float(largest_differences(*pair).max()) / spread(pair[0])

    def _outputs(
        self, shift: int, length: int, longest: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
        """Return the inner output, and that for the shifted input, of the same pixels."""
        low, high = self._inner(shift, length)
        if high - low < 1:
            return None
        if length != self._length:
            shape = self._probed.channels, self._probed.breadth(self._axis), length + longest
            self._image = self._probed.source(np.random.default_rng([7, self._axis]), shape)
            self._logits = self._probed.logits(self._axis, self._image[..., :length])
            self._length = length
        shifted = self._probed.logits(self._axis, self._image[..., shift : shift + length])
        return self._logits[..., low + shift : high + shift], shifted[..., low:high]

    def _inner(self, shift: int, length: int) -> tuple[int, int]:
        """Return the first and one past the last output that no side of either image changes."""
        # Of a receptive field that covers the image, the middle third is looked at.
        before, after = (min(radius, length // 3) for radius in self._radii)
        low, high = before, length - shift - after
        # The radii may be those of a cut off the stride: less than a stride smaller than others.
        room = high - low
        spare = (room - MIN_SHOWN) // 2 if room > 2 * MIN_SHOWN else room // 4
        more = max(0, min(shift - 1, SIZE_MULTIPLES[-1] - 1, spare))
        return low + more, high - more

    def _length_for(self, shift: int) -> int:
        """Return a length that is a multiple of the shift, and shows it."""
        groups = () if self._shortest else COMMON_MULTIPLES
        group = next((each for each in groups if each % shift == 0), shift)
        remainder = self._probed.spec.remainder[self._axis]
        step = SIZE_PERIOD if remainder else math.lcm(group, self._probed.multiple)
        shown = group + sum(self._radii) + MIN_SHOWN
        needed = max(2 * group, shown, 3 * max(self._radii))  # or the middle third is looked at
        return rounded_up(needed, step) + remainder


def _least(shifted: _Shifted, shift: int) -> int:
    """Return the least divisor of a shift by which the output is reproduced, too."""
    if shifted.reproduces(1):
        return 1
    for prime in _prime_factors(shift):
        powers = [power for n in range(10) if shift % (power := prime**n) == 0]
        rest = shift // powers[-1]
        shift = rest * powers[bisect_left(powers, True, key=lambda n: shifted.reproduces(rest * n))]
    return shift


def _prime_factors(number: int) -> list[int]:
    """Return the primes that divide a number, the largest first."""
    primes, rest = [], number
    for n in range(2, number + 1):
        if rest % n == 0:
            primes.append(n)
            while rest % n == 0:
                rest //= n
    return primes[::-1]


def _grid_of_sizes(
    probed: ProbedModel, axis: int, radii: tuple[int, int], stride: int
) -> Reproduced:
    """Find the multiple of the stride that has to divide a length, so that the length is no matter.

    A model may pad its input to a multiple of 32 at both sides, say, and has a stride of 8: pixels
    come to lie elsewhere on its grid in an image that is longer by 8 px.
    """
    for factor in FACTORS:
        multiple = math.lcm(stride * factor, probed.multiple)
        if multiple > LARGEST_STRIDE and factor > 1:
            break
        found = _agreement_at_sizes(probed, axis, radii, multiple)
        if found.same:
            stride = multiple if factor > 1 else stride
            return Reproduced(stride, True, rounding=found.rounding)
    return Reproduced(stride, True, at_sizes=False)


def _agreement_at_sizes(
    probed: ProbedModel, axis: int, radii: tuple[int, int], multiple: int
) -> Agreement:
    """Compare the outputs for the same pixels in images of two lengths."""
    remainder, border = probed.spec.remainder[axis], probed.spec.border
    step = math.lcm(multiple, SIZE_PERIOD) if remainder else multiple
    needed = max(LENGTHS[0], sum(radii) + 2 * border + multiple + MIN_SHOWN)
    length = rounded_up(needed, 2 * step)
    longer = length + step * (2 * (length // (4 * step)) + 1)
    shape = probed.channels, probed.breadth(axis), longer + remainder
    image = probed.source(np.random.default_rng([8, axis]), shape)
    # The radius may be that of a cut off the stride: less than a stride smaller than another.
    shown = length + remainder - radii[1] - border - (multiple - 1)
    try:
        one = probed.logits(axis, image[..., : length + remainder])[..., :shown]
        other = probed.logits(axis, image)[..., :shown]
    except ModelError:
        return Agreement(False, 0.0)
    return agreement(one, other)


def agreement_in_a_small_tile(probed: ProbedModel, radius: int, stride: int) -> Agreement:
    """Compare a small square with the same pixels in a larger one.

    Some runtimes choose by the size of an image how they compute, and so how they round. What
    differs by more depends on the size.

    Parameters
    ----------
    probed : ProbedModel
        The model.
    radius : int
        Receptive-field radius, across any cut, px.
    stride : int
        Total stride, px.
    """
    if probed.spec.tile != (None, None) or probed.spec.remainder != (0, 0):
        return Agreement(True, 0.0)
    step, shown = math.lcm(stride, probed.multiple), MIN_SHOWN
    small, large = (
        rounded_up(radius + probed.spec.border + length, step) for length in (shown, LENGTHS[0])
    )
    # Narrow: as a square, it would take the most memory of all.
    narrow = max(small, rounded_up(probed.breadth(1), step))
    image = probed.source(np.random.default_rng(9), (probed.channels, narrow, large))
    try:
        own, other = (
            probed.logits(1, image[:, :height, :width])[:, :shown, :shown].copy()
            for height, width in ((small, small), (narrow, large))
        )
    except ModelError:  # it takes no image as small as that
        return Agreement(True, 0.0)
    return agreement(own, other)


def agreement_far_away(probed: ProbedModel, axis: int, radius: int, stride: int) -> Agreement:
    """Compare pixels at the end of a long image with the same in a short one.

    Coordinates of float32 have fewer digits behind the point, the farther they are from the start:
    so a resizing rounds more there. What differs by more depends on the size.

    Parameters
    ----------
    probed, radius, stride
        As for ``agreement_in_a_small_tile``.
    axis : int
        0 for down, 1 for across.
    """
    if probed.spec.tile != (None, None) or probed.spec.remainder != (0, 0):
        return Agreement(True, 0.0)
    step, around = math.lcm(stride, probed.multiple), radius + probed.spec.border
    breadth = rounded_up(NARROW, step)
    short, length = (rounded_up(own, step) for own in (around + LENGTHS[0], FAR))
    if length <= short:
        return Agreement(True, 0.0)
    image = probed.source(np.random.default_rng([10, axis]), (probed.channels, breadth, length))
    try:
        own, other = probed.logits(axis, image[..., -short:]), probed.logits(axis, image)
    except ModelError:  # it takes no image as narrow or as long as that
        return Agreement(True, 0.0)
    own, other = own[..., around:], other[..., around - short :]
    share = agreement(own, other).rounding
    return Agreement(has_steps(own) or share <= max(FAR_ROUNDING, tolerance(own)), share)
