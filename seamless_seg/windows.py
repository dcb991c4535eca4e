"""Windows: rectangular parts of an image in half-open pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

Slices: TypeAlias = tuple[slice, slice]
"""Slices of rows and of columns."""

Size: TypeAlias = "int | tuple[int, int]"
"""Pixels as (height, width); a single number means both."""

Pair: TypeAlias = tuple[int, int]
"""Pixels as (height, width), or another number down and across."""


def common(one: Iterable[slice], other: Iterable[slice]) -> tuple[Slices, Slices]:
    """Return the intersection of two windows, as slices of the one and of the other.

    Slices are empty where the windows do not meet.
    """
    mine, its = [], []
    for own, along in zip(one, other, strict=True):
        start = max(own.start, along.start)
        stop = max(start, min(own.stop, along.stop))
        mine.append(slice(start - own.start, stop - own.start))
        its.append(slice(start - along.start, stop - along.start))
    return (mine[0], mine[1]), (its[0], its[1])


class Window(NamedTuple):
    """A part of an image, in half-open pixels."""

    rows: slice
    cols: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    def within(self, other: Window) -> tuple[slice, slice]:
        """Return the slices of a window that contains this one at which this one lies."""
        rows, cols = (
            slice(own.start - wider.start, own.stop - wider.start)
            for own, wider in zip(self, other, strict=True)
        )
        return rows, cols

    def extended(self) -> Window:
        """Return the window with a row above and a column to the left, where the image has them."""
        rows, cols = self
        return Window(
            slice(max(0, rows.start - 1), rows.stop), slice(max(0, cols.start - 1), cols.stop)
        )


def cut(rows: slice, cols: slice, shape: tuple[int, int]) -> Iterator[Window]:
    """Divide rows and columns into windows of at most ``shape``, row by row.

    Parameters
    ----------
    rows, cols : slice
        The part of the image to divide.
    shape : (int, int)
        Largest height and width of a window in pixels.

    Yields
    ------
    Window
        Together they are the whole part, without overlap.
    """
    for top in range(rows.start, rows.stop, shape[0]):
        for left in range(cols.start, cols.stop, shape[1]):
            bottom, right = min(top + shape[0], rows.stop), min(left + shape[1], cols.stop)
            yield Window(slice(top, bottom), slice(left, right))
