"""The tally: how many pixels of each class, and how large they are, window by window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Mask
from ..errors import RasterError

Ints = npt.NDArray[Any]

Areas = npt.NDArray[np.float64]

MOST = 2**16
"""Different values at most: more of them are no classes."""

BINS = 2**20
"""Counters that are kept for a window at most: those of each of its rows, where they differ."""

MANY = 2**16
"""Pixels, from which on those of one byte are counted in faster ways than others."""

FEW = 10
"""Numbers at most that are then looked for one by one; for more, two pixels at a time count."""


class Coded:
    """A window's classes, numbered from 0 without large gaps; the number after them is nodata's.

    Parameters
    ----------
    values : integers, shape (height, width)
        Classes.
    valid : booleans, shape (height, width), optional
        Which of them are there; all where None.
    areas : floats that broadcast to (height, width), optional
        Square meters of pixels, where they differ.
    """

    def __init__(self, values: Ints, valid: Mask | None = None, areas: Areas | None = None) -> None:
        by_row = areas is not None and areas.shape[1] == 1
        most = BINS // len(values) if by_row else MOST
        if valid is not None:  # what is not there must not widen the range
            values = np.where(valid, values, values.flat[valid.argmax()])
        self.classes, codes = _numbered(values, most)
        if valid is not None:
            codes = np.where(valid, codes, codes.dtype.type(len(self.classes)))
        self._codes = codes
        self._areas = areas

    def count(
        self, part: tuple[slice, slice] = (slice(None), slice(None)), mask: Mask | None = None
    ) -> tuple[Ints, Areas | None]:
        """Pixels, and square meters where they differ, of each class and of nodata.

        Of a part of the window, and of it those pixels that a mask of its shape has.
        """
        codes, bins = self._codes[part], len(self.classes) + 1
        if self._areas is None:
            return _counts(codes if mask is None else codes[mask], bins), None
        if self._areas.shape[1] == 1:
            areas = self._areas[part[0]]
            if mask is None:
                by_row = np.stack([np.bincount(row, minlength=bins) for row in codes])
            else:
                numbered = codes + (np.arange(len(codes)) * bins)[:, None]
                by_row = np.bincount(numbered[mask], minlength=len(codes) * bins)
                by_row = by_row.reshape(-1, bins)
            return by_row.sum(axis=0), np.asarray(areas[:, 0] @ by_row)
        each = np.broadcast_to(self._areas, self._codes.shape)[part]
        found, weights = (codes, each) if mask is None else (codes[mask], each[mask])
        weighed = np.bincount(found.reshape(-1), weights.reshape(-1), bins)
        return _counts(found, bins), weighed.astype(np.float64, copy=False)


def _numbered(values: Ints, most: int) -> tuple[Sequence[int], Ints]:
    """Classes in order, and which of them each pixel has, in a type with room for one more."""
    low, high = int(values.min()), int(values.max())
    if high - low < most:
        kind = np.min_scalar_type(high - low + 1)
        # Integers with a sign are widened first: 8 bits hold no difference of 200.
        wide = values.astype(np.int64) if low and values.dtype.kind == "i" else values
        codes = wide - wide.dtype.type(low) if low else wide
        return range(low, high + 1), codes.astype(kind, copy=False)
    classes, codes = np.unique(values, return_inverse=True)
    return classes.tolist(), codes.reshape(values.shape)


def _counts(codes: Ints, bins: int) -> Ints:
    """How often each number from 0 up to ``bins`` comes."""
    flat = codes.reshape(-1)
    if flat.dtype != np.uint8 or flat.size < MANY:
        return np.bincount(flat, minlength=bins)
    if bins <= FEW:
        return np.array([np.count_nonzero(flat == number) for number in range(bins)])
    even = flat.size // 2 * 2
    pairs = np.bincount(flat[:even].view(np.uint16), minlength=2**16).reshape(2**8, 2**8)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1)
    counts[flat[even:]] += 1
    return np.asarray(counts[:bins])


class Tally:
    """Pixels and square meters of each class, added up; None stands for nodata.

    Parameters
    ----------
    name : str
        What the classes are those of, for errors.

    Raises
    ------
    RasterError
        By ``add``, where there are more than ``MOST`` classes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.pixels: defaultdict[int | None, int] = defaultdict(int)
        self.areas: defaultdict[int | None, float] = defaultdict(float)
        """Empty where all pixels are alike."""

    def add(self, classes: Sequence[int], pixels: Ints, areas: Areas | None) -> None:
        """Add what ``Coded.count`` has found."""
        for k in np.flatnonzero(pixels).tolist():
            number = classes[k] if k < len(classes) else None
            self.pixels[number] += int(pixels[k])
            if areas is not None:
                self.areas[number] += float(areas[k])
        if len(self.pixels) > MOST:
            raise RasterError(
                f"{self._name} has more than {MOST} different values: those are no classes"
            )
