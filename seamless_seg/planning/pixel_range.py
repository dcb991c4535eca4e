"""The range of pixel values: whether the normalization that is left open can fit them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import OptionError
from ..normalization import Normalization
from ..raster.source import Source
from .options import Options
from .raster_statistics import ValueRange, measure_range
from .undeclared_nodata import UndeclaredNodata

BYTE = 255.0
"""Largest value of 8-bit pixels."""

MAX_FRACTION = 1.5
"""Pixels whose 98th percentile is no larger are fractions, not values of 0 to 255."""

MAX_FLOAT16 = float(np.finfo(np.float16).max)
"""Largest finite number of a model whose input is float16."""

STRETCH = 'normalize="percentile:2,98", which stretches each band'
"""Advice for a model of pixels from 0 to 1."""

ZSCORE = 'normalize="zscore", which standardizes each band'
"""Advice for a model with a mean and a std of its own."""


class RangeCheck(NamedTuple):
    """What is found of the range of a raster's values, where its scale is left open."""

    is_byte: bool = False
    """Whether integers wider than 8 bits hold no values but those of 8 bits."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_range(
    source: Source,
    bands: int,
    options: Options,
    input_dtype: np.dtype[Any],
    is_for_bytes: bool,
    undeclared: UndeclaredNodata | None = None,
) -> RangeCheck:
    """Check whether a scale that is left open fits the values of a raster.

    Parameters
    ----------
    source : Source
        The raster, set to the bands.
    bands : int
        Number of bands.
    options : Options
        The user's options, which give no scale.
    input_dtype : dtype
        Type of the model's input.
    is_for_bytes : bool
        Whether the model's metadata state a mean or a std for 8-bit pixels.
    undeclared : UndeclaredNodata, optional
        A value that counts as no pixel.

    Raises
    ------
    OptionError
        If the pixels are integers wider than 8 bits that hold larger values; it names options
        that fit.
    """
    dtype = source.dtype
    if dtype == np.uint8:
        return RangeCheck()
    values = measure_range(source, bands, undeclared and undeclared.value)
    if values is None:
        return RangeCheck(is_byte=True)
    if dtype.kind == "f" and input_dtype.kind == "f":
        if is_for_bytes:
            return RangeCheck(warnings=_doubts_on_floats(dtype, values))
        is_given = options.mean is not None or options.std is not None
        return RangeCheck(warnings=() if is_given else _doubts_on_byte_like(dtype, values))
    if undeclared is None and dtype.kind in "iu" and values.low >= 0 and values.high <= BYTE:
        return RangeCheck(
            is_byte=True,
            notes=(f"pixels are {dtype}, but none is above 255: they are taken as 8-bit pixels",),
        )
    if is_for_bytes and (options.mean is not None or options.std is not None):
        return RangeCheck(warnings=(f"{_for_bytes(dtype, values)}: give scale=, too",))
    error = _unfit(dtype, input_dtype, values, is_for_bytes)
    raise error if undeclared is None else OptionError(f"{undeclared}; {error}")


def check_float16(
    source: Source, bands: int, normalization: Normalization, input_dtype: np.dtype[Any]
) -> None:
    """Raise if normalized pixels overflow a model's float16.

    Parameters
    ----------
    source : Source
        The raster, set to the bands.
    bands : int
        Number of bands.
    normalization : Normalization
        Applied to the pixels.
    input_dtype : dtype
        Type of the model's input.

    Raises
    ------
    OptionError
        If a pixel is above 65504 after normalization.
    """
    if input_dtype != np.float16:
        return
    dtype = source.dtype
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if _largest(normalization, bands, limits.min, limits.max) <= MAX_FLOAT16:
            return
    values = measure_range(source, bands)
    if values is None:
        return
    reached = _largest(normalization, bands, values.low, values.high)
    if reached > MAX_FLOAT16:
        options = ", or ".join([*_scales(values, 1.0), STRETCH])
        raise OptionError(
            f"the model's input is float16, whose largest number is {MAX_FLOAT16:.0f}, and pixels "
            f"reach {_number(reached)} after normalization: give {options}"
        )


def _largest(normalization: Normalization, bands: int, low: float, high: float) -> float:
    """Return the largest magnitude of values from low to high after normalization."""
    ends = np.empty((bands, 1, 2), np.float64)
    ends[:] = low, high
    normalized = np.empty(ends.shape, np.float32)
    normalization.apply(ends, normalized)
    return float(np.abs(normalized).max())


def _doubts_on_floats(dtype: np.dtype[Any], values: ValueRange) -> tuple[str, ...]:
    """Return a warning if floats are hardly pixels of 0 to 255."""
    if values.low >= 0 and values.p98 > MAX_FRACTION and values.high <= BYTE + 1:
        return ()
    if values.low >= 0 and values.p98 <= MAX_FRACTION:
        return (f"{_for_bytes(dtype, values)}: give scale=1 if they are of 0 to 1 already",)
    return (f"{_for_bytes(dtype, values)}: give {_options(values, ZSCORE)}",)


def _doubts_on_byte_like(dtype: np.dtype[Any], values: ValueRange) -> tuple[str, ...]:
    """Return a warning if floats span 0 to 255, for a model that states no range."""
    if values.low < 0 or not BYTE / 2 < values.high <= BYTE + 1:
        return ()
    return (
        f"pixels are {dtype} from {_number(values.low)} to {_number(values.high)}, and most models "
        f"take 0 to 1: give scale={_number(1 / BYTE)} if these are values of 0 to 255, or scale=1, "
        f"which leaves pixels unchanged",
    )


def _for_bytes(dtype: np.dtype[Any], values: ValueRange) -> str:
    span = f"{_number(values.low)} to {_number(values.high)}"
    return f"the model's metadata is for 8-bit pixels, 0 to 255, and these are {dtype} from {span}"


def _unfit(
    dtype: np.dtype[Any], input_dtype: np.dtype[Any], values: ValueRange, is_for_bytes: bool
) -> OptionError:
    if input_dtype.kind in "iu":
        most = float(np.iinfo(input_dtype).max)
        options = ", or ".join([*_scales(values, most), "scale=1, which leaves pixels unchanged"])
        return OptionError(
            f"the model's input is {input_dtype} and pixels are {dtype}: give the factor for pixel "
            f"values, such as {options}"
        )
    if is_for_bytes:
        return OptionError(f"{_for_bytes(dtype, values)}: give {_options(values, ZSCORE)}")
    return OptionError(
        f"the range of {dtype} pixels is unknown: give {_options(values, STRETCH)}, or scale=1, "
        f"which leaves pixels unchanged"
    )


def _options(values: ValueRange, normalize: str) -> str:
    return ", or ".join([normalize, *_scales(values, 1.0)])


def _scales(values: ValueRange, most: float) -> list[str]:
    """Return the scale that maps the 98th percentile to ``most``, if there is one."""
    if values.low < 0 or values.p98 <= 0:
        return []
    scale = f"scale={_number(most / values.p98, 3)}"
    return [f"{scale}, which maps {_number(values.p98)}, their 98th percentile, to {most:g}"]


def _number(value: float, digits: int = 6) -> str:
    """A number without an exponent."""
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")
