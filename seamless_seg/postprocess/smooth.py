"""Smoothing: majority and median filters of class rasters, window by window."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Mask, Pixels
from ..errors import OptionError
from ..raster.blocks import OUTPUT_BLOCK
from ..windows import Window
from .class_raster import ClassRaster, WriteWindow, iterate_windows

Counts: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""Numbers of pixels, in the narrowest integers that hold them."""


def smooth(
    source: ClassRaster,
    write: WriteWindow,
    radius: int,
    rule: str = "majority",
    nodata: int | None = None,
) -> None:
    """Smooth a raster of classes by a majority or median filter, window by window.

    Memory does not depend on the raster's size. Time grows with the number of classes in a window
    and hardly with the radius.

    Parameters
    ----------
    source : ClassRaster
        The raster of classes.
    write : callable
        Called as ``write(rows, cols, window)`` with windows that tile the raster, row by row.
    radius : int
        Half the side of the filter's square in pixels, 1 or more.
    rule : str
        ``"majority"`` or ``"median"``, as for ``SmoothedRaster``.
    nodata : int, optional
        Pixels of this value are left unchanged and not counted.

    Raises
    ------
    OptionError
        If the radius is less than 1, or the rule is unknown.
    """
    smoothed = SmoothedRaster(source, radius, rule, nodata)
    for rows, cols in iterate_windows(source.size, smoothed.window_size):
        write(rows, cols, smoothed.read(rows, cols)[..., None])


def window_size(radius: int) -> int:
    """Return the height and width in pixels of windows that are large compared with their halo."""
    return OUTPUT_BLOCK * max(2, -(-4 * radius // OUTPUT_BLOCK))


class SmoothedRaster:
    """A ``ClassRaster`` whose pixels are the majority or median of the square around each pixel.

    The square has ``2 * radius + 1`` pixels a side. Outside the raster its pixels are mirrored:
    ``d c b a | a b c d | d c b a``, the mode "reflect" of ``scipy.ndimage``. A pixel does not
    depend on the window in which it is read.

    Parameters
    ----------
    source : ClassRaster
        The raster of classes.
    radius : int
        In pixels, 1 or more.
    rule : str
        ``"majority"`` is the most frequent class, the lowest number among equally frequent ones;
        ``"median"`` is the middle one of the sorted classes, the lower one of two.
    nodata : int, optional
        Pixels of this value are left unchanged and not counted.

    Raises
    ------
    OptionError
        If the radius is less than 1, or the rule is unknown.
    """

    def __init__(
        self, source: ClassRaster, radius: int, rule: str = "majority", nodata: int | None = None
    ) -> None:
        if radius < 1:
            raise OptionError(f"the smoothing radius must be at least 1 pixel, not {radius}")
        if rule not in RULES:
            raise OptionError(f"the smoothing rule must be {' or '.join(RULES)}, not {rule!r}")
        self._source = source
        self._radius = radius
        self._rule = RULES[rule]
        self._nodata = nodata
        self.size = source.size

    @property
    def window_size(self) -> int:
        """Height and width in pixels of windows that are large compared with their halo."""
        return window_size(self._radius)

    def read(self, rows: slice, cols: slice) -> Pixels:
        """Return the smoothed pixels of a window, shape ``(height, width)``."""
        padded = self._read_padded(rows, cols)
        unsmoothed = padded[self._radius : -self._radius, self._radius : -self._radius]
        classes = np.flatnonzero(np.bincount(padded.ravel())).astype(padded.dtype)
        if self._nodata is None or self._nodata not in classes:
            return unsmoothed if len(classes) == 1 else self._rule(padded, classes, self._radius)
        classes = classes[classes != self._nodata]
        if len(classes) <= 1:
            return unsmoothed
        smoothed = self._rule(padded, classes, self._radius)
        return np.where(unsmoothed == self._nodata, unsmoothed, smoothed)

    def _read_padded(self, rows: slice, cols: slice) -> Pixels:
        """Return a window with ``radius`` pixels more on each side, mirrored outside the raster."""
        indices = [
            _mirrored_indices(span.start - self._radius, span.stop + self._radius, length)
            for span, length in zip((rows, cols), self.size, strict=True)
        ]
        window = Window(*(slice(int(along.min()), int(along.max()) + 1) for along in indices))
        pixels = self._source.read(*window)
        for axis, (along, span) in enumerate(zip(indices, window, strict=True)):
            if pixels.shape[axis] != len(along):
                pixels = pixels.take(along - span.start, axis=axis)
        return pixels


def _majority(padded: Pixels, classes: Pixels, radius: int) -> Pixels:
    best_count = _count_in_squares(padded == classes[0], radius)
    result = np.full(best_count.shape, classes[0])
    for value in classes[1:]:
        count = _count_in_squares(padded == value, radius)
        # Classes ascend: the maximum is the class that has beaten the others last.
        np.maximum(result, (count > best_count) * value, out=result)
        np.maximum(best_count, count, out=best_count)
    return result


def _median(padded: Pixels, classes: Pixels, radius: int) -> Pixels:
    total = _count_in_squares(np.isin(padded, classes), radius)
    half = total // 2 + total % 2
    up_to_class = np.zeros_like(total)
    result = np.full(total.shape, classes[0])
    for value, following in pairwise(classes):
        up_to_class += _count_in_squares(padded == value, radius)
        np.maximum(result, (up_to_class < half) * following, out=result)
    return result


RULES: dict[str, Callable[[Pixels, Pixels, int], Pixels]] = {
    "majority": _majority,
    "median": _median,
}
"""Filters by name: called with padded pixels, the classes to count, ascending, and the radius."""


def _count_in_squares(mask: Mask, radius: int) -> Counts:
    """Count the selected pixels in the square around each pixel that is ``radius`` from the edge.

    Sums are kept in the narrowest dtype that holds them, which is what makes them fast.
    """
    length = 2 * radius + 1
    selected = mask.astype(np.min_scalar_type(length))
    down = _sliding_sums(selected, length)
    return _sliding_sums(down.astype(np.min_scalar_type(length**2)).T, length).T


def _sliding_sums(values: Counts, length: int) -> Counts:
    """Return ``sums[i] = values[i : i + length].sum(axis=0)`` in the dtype of ``values``.

    They are composed of sums of 1, 2, 4, 8, ... values, so that a long window costs little more
    than a short one.
    """
    count = len(values) - length + 1
    total, summed, width = np.zeros_like(values[:count]), 0, 1
    while True:
        if length & width:
            total += values[summed : summed + count]
            summed += width
        if summed == length:
            return total
        values = values[:-width] + values[width:]
        width *= 2


def _mirrored_indices(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    """Return the index within ``0 .. length - 1`` of each position, mirrored at both ends."""
    position = np.arange(start, stop) % (2 * length)
    return np.minimum(position, 2 * length - 1 - position)
