"""Validation: options checked one value at a time, with errors that name value and rule."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from .errors import GeometryError, OptionError

LARGEST_INTEGER = 2**31 - 1
"""Pixels along an axis at most, as in GDAL."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
"""Models see float32: what lies beyond is infinite to them."""


def whole_number(name: str, value: object, least: int) -> int:
    """Return ``value`` as an int of at least ``least``, or say what is wrong with it."""
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
    """Raise ``OptionError`` where a value is none of some names."""
    if value not in among:
        raise OptionError(f"{name} {value!r} is unknown: choose one of {', '.join(among)}")


def number_of(name: str, value: Any) -> float | None:
    """A finite number, or None for none."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) < LARGEST_FLOAT32:
        raise OptionError(f"{name} must be a finite number, not {value}")
    return number


def numbers_of(name: str, values: Any, count: int) -> tuple[float, ...] | None:
    """One finite number a band, or one for all; a bare number counts as one."""
    if values is None:
        return None
    listed = list(values) if isinstance(values, Sequence | np.ndarray) else [values]
    if len(listed) not in (1, count):
        raise OptionError(f"{name} has {len(listed)} numbers for {count} bands: give {count}, or 1")
    numbers = (number_of(name, value) for value in listed)
    return tuple(number for number in numbers if number is not None)


def nodata_of(value: Any) -> float:
    """A nodata value: any real number, infinities and NaN included."""
    if not isinstance(value, Real):
        raise OptionError(f"nodata must be a number or nan, not {value!r}")
    # Not all integers of 64 bits are floats.
    return int(value) if isinstance(value, int | np.integer) else float(value)


def format_size(lengths: Any) -> str:
    """``512x256``; lengths that are None are any."""
    return "x".join("any" if length is None else str(length) for length in lengths)


def pair(name: str, value: object, least: int = 0) -> tuple[int, int]:
    """Return ``value`` as (height, width), or raise a ``GeometryError`` that calls it ``name``."""
    try:
        height, width = value  # type: ignore[misc]  # its TypeError is the check
    except TypeError:
        height = width = value
    except ValueError:
        raise GeometryError(
            f"{name} must be one number or (height, width), not {value!r}"
        ) from None
    return whole_number(name, height, least), whole_number(name, width, least)
