"""Normalization: the arithmetic from stored pixels to a model's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .validation import LARGEST_FLOAT32

Plane: TypeAlias = npt.NDArray[np.floating[Any]]
"""Pixels of one band, shape ``(height, width)``."""

MIN_DIVISOR = float(np.finfo(np.float32).smallest_subnormal)
"""Smallest divisor of pixel values; anything smaller is 0 in float32."""


@dataclass(frozen=True)
class Normalization:
    """``value = (pixel * scale - mean) / std``, in this order, or a ``Scaling`` in place of it.

    The arithmetic is in float32, or in float64 for float64 pixels and integers of 32 bits.

    ``mean`` and ``std`` have one number per band, or one for all bands.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scaling: Scaling | None = None

    def __str__(self) -> str:
        """Format the formula with its numbers."""
        if self.scaling is not None:
            return str(self.scaling)
        mean, std = (",".join(f"{x:g}" for x in values) for values in (self.mean, self.std))
        return f"(pixel * {self.scale:.6g} - {mean}) / {std}"

    def apply(self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None:
        """Normalize pixels of shape ``(bands, height, width)`` into ``out`` of the same shape."""
        # Pixels beyond float32 are normalized in a wider dtype first, and rounded then.
        wide = np.result_type(pixels.dtype, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite logits are counted later
            self._apply(pixels, out, wide)

    def _apply(
        self, pixels: npt.NDArray[Any], out: npt.NDArray[np.float32], wide: np.dtype[Any]
    ) -> None:
        values = out if wide == np.float32 else np.empty(pixels.shape, wide)
        values[:] = pixels
        if self.scaling is not None:
            self.scaling.apply(values)
        else:
            self._apply_linear(values, wide)
        if values is not out:
            out[:] = values

    def _apply_linear(self, values: npt.NDArray[Any], wide: np.dtype[Any]) -> None:
        if self.scale != 1:
            values *= wide.type(self.scale)
        if any(self.mean):
            values -= np.array(self.mean, wide)[:, None, None]
        if any(number != 1 for number in self.std):
            values /= np.array(self.std, wide)[:, None, None]


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


class OperationKind(NamedTuple):
    """A kind of MLM's operations on pixels.

    As MLM defines them, an offset is subtracted and a scale is a divisor.
    """

    parameters: tuple[str, ...]
    """Names of its numbers in MLM."""
    apply: Callable[..., None]
    """Called with a plane, which it changes in place, and with the numbers."""
    is_valid: Callable[..., bool] = lambda *numbers: True
    """Whether the operation is defined for these numbers, in float32."""


OPERATION_KINDS: dict[str, OperationKind] = {
    "min-max": OperationKind(
        ("minimum", "maximum"),
        _min_max,
        lambda low, high: MIN_DIVISOR <= high - low < LARGEST_FLOAT32,
    ),
    "z-score": OperationKind(
        ("mean", "stddev"), _z_score, lambda mean, stddev: stddev >= MIN_DIVISOR
    ),
    "clip": OperationKind(("minimum", "maximum"), _clip, lambda low, high: low <= high),
    "clip-min": OperationKind(("minimum",), _clip_min),
    "clip-max": OperationKind(("maximum",), _clip_max),
    "offset": OperationKind(("value",), _offset),
    "scale": OperationKind(("value",), _scale, lambda value: abs(value) >= MIN_DIVISOR),
}
"""MLM's operations by their ``type`` in ``value_scaling``."""


class Operation(NamedTuple):
    """An operation on pixels, such as ``clip(0, 10000)``."""

    kind: str
    """Name in ``OPERATION_KINDS``."""
    numbers: tuple[float, ...]
    """Numbers in the order of ``OperationKind.parameters``."""

    def __str__(self) -> str:
        """Format the operation, as in ``clip(0, 10000)``."""
        return f"{self.kind}({', '.join(f'{number:g}' for number in self.numbers)})"


@dataclass(frozen=True)
class Scaling:
    """Operations on the pixels of each band, in order; a single tuple is for all bands."""

    bands: tuple[tuple[Operation, ...], ...]

    def __str__(self) -> str:
        """Format all operations, bands separated by semicolons."""
        each = (" then ".join(map(str, steps)) or "pixel" for steps in self.bands)
        return "; ".join(each)

    def for_bands(self, count: int) -> Scaling:
        """Return the scaling of ``count`` bands, with one tuple of operations or ``count``.

        If there is a single operation each for another number of bands, and they differ, they
        are taken as a sequence for all bands.

        Raises
        ------
        OptionError
            If the scaling is for another number of bands.
        """
        if len(self.bands) in (1, count):
            return self
        kinds = [steps[0].kind for steps in self.bands if len(steps) == 1]
        if len(kinds) == len(self.bands) and len(set(kinds)) > 1:
            return Scaling((tuple(steps[0] for steps in self.bands),))
        raise OptionError(
            f"value_scaling is for {len(self.bands)} bands and the model gets {count}: choose as "
            f"many with bands=, or give scale=, mean= and std="
        )

    def apply(self, values: npt.NDArray[np.floating[Any]]) -> None:
        """Scale values of shape ``(bands, height, width)`` in place."""
        each = self.bands if len(self.bands) > 1 else self.bands * len(values)
        for plane, steps in zip(values, each, strict=True):
            for kind, numbers in steps:
                OPERATION_KINDS[kind].apply(plane, *numbers)

    def document(self) -> list[Any]:
        """Return MLM's form in JSON types; several operations on a band are a list."""
        each = ([_document(step) for step in steps] for steps in self.bands)
        return [steps if len(steps) > 1 else next(iter(steps), None) for steps in each]


def parse_scaling(document: Any) -> Scaling:
    """Read MLM's ``value_scaling``: null, or a list of operations or nulls, one or one per band.

    A list of operations in place of an operation is accepted, too.

    Raises
    ------
    ValueError, TypeError
        If the document has any other form.
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
    if not isinstance(entry, Mapping) or entry.get("type") not in OPERATION_KINDS:
        raise ValueError(entry)
    kind = OPERATION_KINDS[entry["type"]]
    numbers = tuple(_number(entry.get(name)) for name in kind.parameters)
    if not kind.is_valid(*numbers):
        raise ValueError(entry)
    return (Operation(entry["type"], numbers),)


def _number(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) < LARGEST_FLOAT32
    ):
        raise ValueError(value)
    return float(value)


def _document(step: Operation) -> dict[str, Any]:
    return {
        "type": step.kind,
        **dict(zip(OPERATION_KINDS[step.kind].parameters, step.numbers, strict=True)),
    }
