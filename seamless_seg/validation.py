"""Validation: checks of single option values, with errors that name the value and the rule."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from .errors import GeometryError, OptionError

LARGEST_INTEGER = 2**31 - 1
"""Largest number of pixels along an axis, as in GDAL."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
"""Largest finite number in float32, the dtype of a model's input."""


MAX_DEGREES = 540
"""Largest coordinate that is taken for one in degrees."""


def whole_number(name: str, value: object, least: int) -> int:
    """Return ``value`` as an int of at least ``least``.

    Parameters
    ----------
    name : str
        What the value is called in an error.
    value : object
        Anything that Python takes as an index.
    least : int
        Smallest value.

    Raises
    ------
    GeometryError
        If the value is not a whole number, or too small or too large.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # its TypeError is the check
    except TypeError:
        raise GeometryError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise GeometryError(f"{name} must be at least {least}, not {number}")
    if number > LARGEST_INTEGER:
        raise GeometryError(f"{name} must be at most {LARGEST_INTEGER}, not {number}")
    return number


def check_among(name: str, value: Any, among: Iterable[str]) -> None:
    """Raise ``OptionError`` if a value is not among some names.

    Parameters
    ----------
    name : str
        What the value is called in an error.
    value : object
        The value.
    among : iterable of str
        All names that can be chosen.
    """
    if value not in among:
        raise OptionError(f"{name} {value!r} is unknown: choose one of {', '.join(among)}")


def number_of(name: str, value: Any) -> float | None:
    """Return ``value`` as a float, or None for None; raise ``OptionError`` if it is not finite."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < LARGEST_FLOAT32:
        shown = repr(value) if isinstance(value, str | bytes) else f"{value}"
        raise OptionError(f"{name} must be a finite number, not {shown:.60}")
    return number


def numbers_of(name: str, values: Any, count: int) -> tuple[float, ...] | None:
    """Return finite numbers, one for all bands or ``count``, or None for None.

    Parameters
    ----------
    name : str
        What the values are called in an error.
    values : number, sequence of numbers or None
        A single number is taken as one for all bands.
    count : int
        Number of bands.

    Raises
    ------
    OptionError
        If there are more or fewer values, or one is not a finite number.
    """
    if values is None:
        return None
    if isinstance(values, str | bytes):
        raise OptionError(f"{name} must be a number, or a list of numbers, not the text {values!r}")
    listed = list(values) if isinstance(values, Sequence | np.ndarray) else [values]
    if len(listed) not in (1, count):
        raise OptionError(f"{name} has {len(listed)} numbers for {count} bands: give {count}, or 1")
    numbers = (number_of(name, value) for value in listed)
    return tuple(number for number in numbers if number is not None)


def nodata_of(value: Any) -> float:
    """Return a nodata value: any real number, including infinities and NaN."""
    if not isinstance(value, Real):
        raise OptionError(f"nodata must be a number or nan, not {value!r}")
    # A float cannot hold all integers of 64 bits.
    return int(value) if isinstance(value, int | np.integer) else float(value)


def bands_of(text: str) -> tuple[int | str, ...]:
    """Return numbers, ranges or names of bands: ``4,3,2``, ``1-3`` or ``nir,red,green``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise OptionError(f"bands: {text!r} is not a list of bands separated by commas")
    return tuple(band for part in parts for band in _bands(part))


def _bands(part: str) -> Sequence[int | str]:
    """The bands that a number, a name or a range stands for; both ends belong to a range."""
    if re.fullmatch(r"-?\d+", part):
        return [int(part)]
    ends = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", part)
    if ends is None:
        return [part]
    first, last = map(int, ends.groups())
    step = 1 if first <= last else -1
    return range(first, last + step, step)


def format_size(lengths: Any) -> str:
    """Format lengths as ``512x256``, None as ``any``."""
    return "x".join("any" if length is None else str(length) for length in lengths)


def format_coordinates(values: Iterable[float]) -> str:
    """Format coordinates as ``500000, 5599950.5``: to the centimeter, or 1e-7 degrees.

    No number is in scientific notation.
    """
    listed = [float(value) for value in values]
    decimals = 7 if max(map(abs, listed), default=0) <= MAX_DEGREES else 2
    return ", ".join(
        np.format_float_positional(round(value, decimals) + 0.0, trim="-") for value in listed
    )


def format_length(value: float) -> str:
    """Format a length with six digits, never in scientific notation: ``0.0000898315``."""
    return np.format_float_positional(value, precision=6, fractional=False, trim="-")


def pair(name: str, value: object, least: int = 0) -> tuple[int, int]:
    """Return ``value`` as (height, width).

    Parameters
    ----------
    name : str
        What the value is called in an error.
    value : int or (height, width)
        A single number means both.
    least : int
        Smallest value of each.

    Raises
    ------
    GeometryError
        If the value is anything else.
    """
    if isinstance(value, str | bytes):
        raise GeometryError(f"{name} must be one number or (height, width), not {value!r}")
    try:
        height, width = value  # type: ignore[misc]  # its TypeError is the check
    except TypeError:
        height = width = value
    except ValueError:
        raise GeometryError(
            f"{name} must be one number or (height, width), not {value!r}"
        ) from None
    return whole_number(name, height, least), whole_number(name, width, least)
