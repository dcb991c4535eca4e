"""Options: what a user asked for, and what was left open."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .errors import OptionError
from .plan import Size, pair
from .trust import Profile

MOST = float(np.finfo(np.float32).max)
"""Models see float32: what lies beyond is infinite to them."""


@dataclass(frozen=True)
class Options:
    """What the user asked for; None, or "auto" in the first four, where they left it open."""

    tile: Size | Literal["auto"] | None = None
    overlap: Size | Literal["auto"] | None = None
    margin: Size | Literal["auto"] | None = None
    align: Size | Literal["auto"] | None = None
    trust: str | Profile | None = None
    batch_size: int | None = None
    bands: Sequence[int] | None = None
    tolerance: float | None = None
    scale: float | None = None
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    value_scaling: Sequence[Any] | None = None
    """What STAC MLM has under this name, in place of the three above."""
    normalize: str | None = None
    tta: str | None = None
    model_output: str | int | None = None
    fill: float | None = None
    nodata: float | None = None
    level: int | None = None
    resolution: Sequence[float] | float | None = None
    match_resolution: bool | None = None
    unscale: bool | None = None


def merged(options: Options | None, choices: dict[str, Any]) -> Options:
    """Options given as such, or one by one."""
    if options is not None and choices:
        raise TypeError("give either options or their fields as keywords, not both")
    return options or Options(**choices)


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
    if not abs(number) < MOST:
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


def pair_of(name: str, value: Size | Literal["auto"] | None, least: int) -> tuple[int, int] | None:
    """(height, width), or None where that is left open."""
    return None if value is None or value == "auto" else pair(name, value, least)


def by(lengths: Any) -> str:
    """``512x256``; lengths that are None are any."""
    return "x".join("any" if length is None else str(length) for length in lengths)
