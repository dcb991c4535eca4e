"""Scaling: the ``value_scaling`` of STAC MLM, operations on the pixels of each band in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .options import MOST

Plane: TypeAlias = npt.NDArray[np.floating[Any]]

LEAST = float(np.finfo(np.float32).smallest_subnormal)
"""Pixels are not divided by less: it would be 0 in float32."""


def _min_max(plane: Plane, minimum: float, maximum: float) -> None:
    plane -= minimum
    plane /= maximum - minimum


def _z_score(plane: Plane, mean: float, stddev: float) -> None:
    plane -= mean
    plane /= stddev


def _clip(plane: Plane, minimum: float, maximum: float) -> None:
    np.clip(plane, minimum, maximum, out=plane)


def _clip_min(plane: Plane, minimum: float) -> None:
    np.maximum(plane, minimum, out=plane)


def _clip_max(plane: Plane, maximum: float) -> None:
    np.minimum(plane, maximum, out=plane)


def _offset(plane: Plane, value: float) -> None:
    plane -= value


def _scale(plane: Plane, value: float) -> None:
    plane /= value


class Kind(NamedTuple):
    """What an operation takes, what it does to a plane in place, and whether its numbers are good.

    As MLM has it, an offset is subtracted and a scale divided by.
    """

    takes: tuple[str, ...]
    apply: Callable[..., None]
    is_good: Callable[..., bool] = lambda *numbers: True


KINDS: dict[str, Kind] = {
    "min-max": Kind(("minimum", "maximum"), _min_max, lambda low, high: LEAST <= high - low < MOST),
    "z-score": Kind(("mean", "stddev"), _z_score, lambda mean, stddev: stddev >= LEAST),
    "clip": Kind(("minimum", "maximum"), _clip, lambda low, high: low <= high),
    "clip-min": Kind(("minimum",), _clip_min),
    "clip-max": Kind(("maximum",), _clip_max),
    "offset": Kind(("value",), _offset),
    "scale": Kind(("value",), _scale, lambda value: abs(value) >= LEAST),
}


class Operation(NamedTuple):
    """One operation: its name in ``KINDS`` and the numbers that it takes, in that order."""

    kind: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        """``clip(0, 10000)``."""
        return f"{self.kind}({', '.join(f'{number:g}' for number in self.numbers)})"


@dataclass(frozen=True)
class Scaling:
    """Operations on the pixels of each band, one after the other; one tuple may stand for all."""

    bands: tuple[tuple[Operation, ...], ...]

    def __str__(self) -> str:
        """Bands are separated by semicolons."""
        each = (" then ".join(map(str, steps)) or "pixel" for steps in self.bands)
        return "; ".join(each)

    def for_bands(self, count: int) -> Scaling:
        """The same with one tuple of operations, or ``count``.

        A list of single operations that is neither one nor ``count`` long, and names different
        ones, is a sequence for all bands.

        Raises
        ------
        OptionError
            Where it is for another number of bands.
        """
        if len(self.bands) in (1, count):
            return self
        kinds = [steps[0].kind for steps in self.bands if len(steps) == 1]
        if len(kinds) == len(self.bands) and len(set(kinds)) > 1:
            return Scaling((tuple(steps[0] for steps in self.bands),))
        raise OptionError(
            f"value_scaling is for {len(self.bands)} bands and the model gets {count}: choose as "
            f"many with --bands, or say how to normalise with --scale, --mean and --std"
        )

    def apply(self, values: npt.NDArray[np.floating[Any]]) -> None:
        """Scale values of shape ``(bands, height, width)`` in place."""
        each = self.bands if len(self.bands) > 1 else self.bands * len(values)
        for plane, steps in zip(values, each, strict=True):
            for kind, numbers in steps:
                KINDS[kind].apply(plane, *numbers)

    def document(self) -> list[Any]:
        """MLM's own form, as JSON can hold it; several operations on a band are a list."""
        each = ([_document(step) for step in steps] for steps in self.bands)
        return [steps if len(steps) > 1 else next(iter(steps), None) for steps in each]


def parse_scaling(document: Any) -> Scaling:
    """Read MLM's ``value_scaling``: null, or a list of one operation or null for all or each band.

    In place of an operation, a list of them is taken, too.

    Raises
    ------
    ValueError, TypeError
        Where it is anything else.
    """
    if document is None:
        return Scaling(((),))
    if not isinstance(document, list | tuple) or not document:
        raise TypeError(document)
    return Scaling(tuple(_steps(entry) for entry in document))


def _steps(entry: Any) -> tuple[Operation, ...]:
    if entry is None or (isinstance(entry, Mapping) and entry["type"] is None):
        return ()
    if isinstance(entry, list | tuple):
        return tuple(step for part in entry for step in _steps(part))
    if not isinstance(entry, Mapping) or entry.get("type") not in KINDS:
        raise ValueError(entry)
    kind = KINDS[entry["type"]]
    numbers = tuple(_number(entry.get(name)) for name in kind.takes)
    if not kind.is_good(*numbers):
        raise ValueError(entry)
    return (Operation(entry["type"], numbers),)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST:
        raise ValueError(value)
    return float(value)


def _document(step: Operation) -> dict[str, Any]:
    return {"type": step.kind, **dict(zip(KINDS[step.kind].takes, step.numbers, strict=True))}
