"""Smoothing: each pixel becomes the majority, or the median, of the classes around it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..arrays import Pixels
from ..errors import OptionError
from ..raster.blocks import OUTPUT_BLOCK
from ..windows import Window
from .class_raster import Source, WriteWindow, windows

Votes = npt.NDArray[np.unsignedinteger]
"""A count of pixels for each pixel."""


class Smoothed:
    """A source of which each pixel is what the square of pixels around it says.

    The square has ``2 * radius + 1`` pixels a side. Beyond the raster's border its pixels come
    again, mirrored: ``d c b a | a b c d | d c b a``, which is what ``scipy.ndimage`` calls
    "reflect". Whatever windows it is read in, the pixels are the same.

    Parameters
    ----------
    source : Source
        The raster of classes.
    radius : int
        In pixels, 1 or more.
    by : str
        ``"majority"``, the most frequent class, of several the one with the lowest number; or
        ``"median"``, the class in the middle when they are put in order, the lower one of two.
    nodata : int, optional
        Pixels of that value stay as they are, and have no vote.

    Raises
    ------
    OptionError
        Where the radius is less than 1, or ``by`` is something else.
    """

    def __init__(
        self, source: Source, radius: int, by: str = "majority", nodata: int | None = None
    ) -> None:
        if radius < 1:
            raise OptionError(f"the radius to smooth by must be 1 pixel or more, not {radius}")
        if by not in RULES:
            raise OptionError(f"classes are smoothed by {' or '.join(RULES)}, not by {by!r}")
        self._source = source
        self._radius = radius
        self._rule = RULES[by]
        self._nodata = nodata
        self.size = source.size

    @property
    def side(self) -> int:
        """Height and width of windows that are worth the halo which is read around them."""
        return OUTPUT_BLOCK * max(2, -(-4 * self._radius // OUTPUT_BLOCK))

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Smoothed pixels of a window, shape ``(height, width)``."""
        wide = self._with_halo(rows, cols)
        own = wide[self._radius : -self._radius, self._radius : -self._radius]
        classes = np.flatnonzero(np.bincount(wide.ravel())).astype(wide.dtype)
        if self._nodata is None or self._nodata not in classes:
            return own if len(classes) == 1 else self._rule(wide, classes, self._radius)
        classes = classes[classes != self._nodata]
        if len(classes) <= 1:
            return own
        smoothed = self._rule(wide, classes, self._radius)
        return np.where(own == self._nodata, own, smoothed)

    def _with_halo(self, rows: slice, cols: slice) -> Pixels:
        """A window and ``radius`` pixels more on each side, mirrored at the raster's border."""
        places = [
            _mirrored(part.start - self._radius, part.stop + self._radius, length)
            for part, length in zip((rows, cols), self.size, strict=True)
        ]
        there = Window(*(slice(int(p.min()), int(p.max()) + 1) for p in places))
        pixels = self._source.read(*there)
        for axis, (place, part) in enumerate(zip(places, there, strict=True)):
            if pixels.shape[axis] != len(place):
                pixels = pixels.take(place - part.start, axis=axis)
        return pixels


def smooth(
    source: Source,
    write: WriteWindow,
    radius: int,
    by: str = "majority",
    nodata: int | None = None,
) -> None:
    """Smooth a raster of classes, window by window.

    What is held does not depend on the raster's size. A large radius takes little longer than a
    small one; what counts is how many classes there are in a window.

    Parameters
    ----------
    source, radius, by, nodata
        As for ``Smoothed``.
    write : callable
        Called as ``write(rows, cols, window)``, with windows that tile the raster, row by row.

    Raises
    ------
    OptionError
        Where ``Smoothed`` does.
    """
    smoothed = Smoothed(source, radius, by, nodata)
    for rows, cols in windows(source.size, smoothed.side):
        write(rows, cols, smoothed.read(rows, cols)[..., None])


def _majority(pixels: Pixels, classes: Pixels, radius: int) -> Pixels:
    most = _votes(pixels == classes[0], radius)
    chosen = np.full(most.shape, classes[0])
    for value in classes[1:]:
        votes = _votes(pixels == value, radius)
        np.maximum(chosen, (votes > most) * value, out=chosen)  # values rise: the last one stays
        np.maximum(most, votes, out=most)
    return chosen


def _median(pixels: Pixels, classes: Pixels, radius: int) -> Pixels:
    voters = _votes(np.isin(pixels, classes), radius)
    half = voters // 2 + voters % 2
    lower = np.zeros_like(voters)
    chosen = np.full(voters.shape, classes[0])
    for value, following in pairwise(classes):
        lower += _votes(pixels == value, radius)
        np.maximum(chosen, (lower < half) * following, out=chosen)
    return chosen


RULES: dict[str, Callable[[Pixels, Pixels, int], Pixels]] = {
    "majority": _majority,
    "median": _median,
}
"""By name: pixels with their halo, the classes in them that vote, ascending, and the radius."""


def _votes(chosen: npt.NDArray[np.bool_], radius: int) -> Votes:
    """Chosen pixels in the square around each pixel but those of the halo."""
    length = 2 * radius + 1
    columns = chosen.astype(np.min_scalar_type(length))
    down = _sums(columns, length)
    return _sums(down.astype(np.min_scalar_type(length**2)).T, length).T


def _sums(values: Votes, length: int) -> Votes:
    """Sums of ``length`` values one below the other: ``sums[i] = values[i : i + length].sum(0)``.

    They are put together from sums of 1, 2, 4, 8, ... values.
    """
    count = len(values) - length + 1
    total, taken, width = np.zeros_like(values[:count]), 0, 1
    while True:
        if length & width:
            total += values[taken : taken + count]
            taken += width
        if taken == length:
            return total
        values = values[:-width] + values[width:]
        width *= 2


def _mirrored(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    """Where the pixels from ``start`` to ``stop`` lie in a line that is mirrored at its ends."""
    place = np.arange(start, stop) % (2 * length)
    return np.minimum(place, 2 * length - 1 - place)
