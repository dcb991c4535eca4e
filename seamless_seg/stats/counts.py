"""Counts: pixels and square meters of each class, window by window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..arrays import Array, Floats, Integers, Mask
from ..errors import RasterError
from ..windows import Slices

MAX_CLASSES = 2**16
"""Different values that a raster of classes may have."""

MAX_COUNTERS = 2**20
"""Counters that are kept for a window where each of its rows has counters of its own."""

FAST_PIXELS = 2**16
"""Pixels of one byte from which on they are counted in faster ways than ``numpy.bincount``."""

FEW_CLASSES = 10
"""Classes up to which each is then compared with all pixels; for more, pairs of pixels count."""

WHOLE_WINDOW: Slices = (slice(None), slice(None))


class ClassCounts:
    """Pixels and square meters of each class, added up over windows; None stands for nodata.

    Parameters
    ----------
    name : str
        The raster's name, for errors.

    Raises
    ------
    RasterError
        By ``add``, where there are more than ``MAX_CLASSES`` classes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.pixels: defaultdict[int | None, int] = defaultdict(int)
        self.areas: defaultdict[int | None, float] = defaultdict(float)
        """Square meters; empty where all pixels are alike."""

    def add(self, classes: Sequence[int], pixels: Integers, areas: Floats | None) -> None:
        """Add what ``CodedWindow.count`` has counted.

        Parameters
        ----------
        classes : sequence of int
            The classes of the window.
        pixels : array of int, shape (classes + 1,)
            Pixels of each class, and of nodata at the end.
        areas : array of float, shape (classes + 1,), optional
            Their square meters, where pixels differ in size.
        """
        for k in np.flatnonzero(pixels).tolist():
            number = classes[k] if k < len(classes) else None
            self.pixels[number] += int(pixels[k])
            if areas is not None:
                self.areas[number] += float(areas[k])
        if len(self.pixels) > MAX_CLASSES:
            raise RasterError(
                f"{self._name} has more than {MAX_CLASSES} different values: these are no classes"
            )


class CodedWindow:
    """A window whose classes are numbered from 0, for counting; nodata has the last number.

    Parameters
    ----------
    values : integers, shape (height, width)
        Classes.
    valid : booleans, shape (height, width), optional
        Which of them are not nodata; all where None.
    areas : floats that broadcast to (height, width), optional
        Square meters of pixels, where they differ.
    """

    def __init__(
        self, values: Array, valid: Mask | None = None, areas: Floats | None = None
    ) -> None:
        by_row = areas is not None and areas.shape[1] == 1
        most = MAX_COUNTERS // len(values) if by_row else MAX_CLASSES
        if valid is not None:  # nodata must not widen the range of values
            values = np.where(valid, values, values.flat[valid.argmax()])
        self.classes, codes = _numbered(values, most)
        if valid is not None:
            codes = np.where(valid, codes, codes.dtype.type(len(self.classes)))
        self._codes = codes
        self._areas = areas

    def count(
        self, part: Slices = WHOLE_WINDOW, mask: Mask | None = None
    ) -> tuple[Integers, Floats | None]:
        """Count the pixels of each class and of nodata in a part of the window.

        Parameters
        ----------
        part : (slice, slice)
            Rows and columns in the window.
        mask : booleans of the part's shape, optional
            Which pixels of the part count; all where None.

        Returns
        -------
        pixels : array of int, shape (classes + 1,)
            Pixels of each class, and of nodata at the end.
        areas : array of float, shape (classes + 1,), or None
            Their square meters, where pixels differ in size.
        """
        codes, bins = self._codes[part], len(self.classes) + 1
        if self._areas is None:
            return _counts(codes if mask is None else codes[mask], bins), None
        if self._areas.shape[1] == 1:  # all pixels of a row are alike
            by_row = _counts_by_row(codes, bins, mask)
            return by_row.sum(axis=0), np.asarray(self._areas[part[0]][:, 0] @ by_row)
        each = np.broadcast_to(self._areas, self._codes.shape)[part]
        found, weights = (codes, each) if mask is None else (codes[mask], each[mask])
        weighed = np.bincount(found.reshape(-1), weights.reshape(-1), bins)
        return _counts(found, bins), weighed.astype(np.float64, copy=False)


def _numbered(values: Array, most: int) -> tuple[Sequence[int], Array]:
    """Return the classes in order, and the index of each pixel's class among them.

    The type of the indices has room for one more. There may be classes without pixels.
    """
    low, high = int(values.min()), int(values.max())
    if high - low < most:
        kind = np.min_scalar_type(high - low + 1)
        # Signed integers are widened first: 8 bits hold no difference of 200.
        wide = values.astype(np.int64) if low and values.dtype.kind == "i" else values
        codes = wide - wide.dtype.type(low) if low else wide
        return range(low, high + 1), codes.astype(kind, copy=False)
    classes, codes = np.unique(values, return_inverse=True)
    return classes.tolist(), codes.reshape(values.shape)


def _counts_by_row(codes: Array, bins: int, mask: Mask | None) -> Integers:
    """Count for each row by itself, shape ``(height, bins)``."""
    if mask is None:
        return np.stack([np.bincount(row, minlength=bins) for row in codes])
    numbered = codes + (np.arange(len(codes)) * bins)[:, None]
    return np.bincount(numbered[mask], minlength=len(codes) * bins).reshape(-1, bins)


def _counts(codes: Array, bins: int) -> Integers:
    """How often each number from 0 up to ``bins`` occurs."""
    flat = codes.reshape(-1)
    if flat.dtype != np.uint8 or flat.size < FAST_PIXELS:
        return np.bincount(flat, minlength=bins)
    if bins <= FEW_CLASSES:
        return np.array([np.count_nonzero(flat == number) for number in range(bins)])
    even = flat.size // 2 * 2
    pairs = np.bincount(flat[:even].view(np.uint16), minlength=2**16).reshape(2**8, 2**8)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1)
    counts[flat[even:]] += 1
    return np.asarray(counts[:bins])
