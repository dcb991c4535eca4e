"""Decide on the pixels of a model's input: its bands and their normalization."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..decisions import DEFAULT, METADATA, OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.metadata import ModelMetadata
from ..normalization import Normalization, Operation, Scaling, parse_scaling
from ..validation import format_size, number_of, numbers_of
from .bands import RasterBands, decide_bands, listed
from .options import Options
from .pixel_checks import (
    notes_on_collar,
    notes_on_colors,
    warnings_on_resolution,
    warnings_on_scale,
)
from .pixel_range import RangeCheck, check_float16, check_range
from .raster_statistics import Standardization, measure_pixels
from .settings import LINEAR, Pixels, Tiling
from .undeclared_nodata import UndeclaredNodata, find_undeclared_nodata, refuse_nan

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

BYTE_STEPS = (Operation("scale", (255.0,)), Operation("min-max", (0.0, 255.0)))
"""Operations that divide by 255."""


class ChosenPixels(NamedTuple):
    """Bands and normalization for a raster, and what there is to say about them."""

    pixels: Pixels
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def decide_pixels(
    options: Options,
    model: Model,
    raster: RasterBands,
    dtype: np.dtype[Any],
    is_byte: bool = False,
) -> Pixels:
    """Decide which bands of a raster the model's input has, and how they are normalized.

    Parameters
    ----------
    options : Options
        The user's options.
    model : Model
        The model.
    raster : RasterBands
        Bands of the raster.
    dtype : dtype
        Type of the raster's pixels.
    is_byte : bool
        Whether they hold no values but those of uint8.

    Returns
    -------
    Pixels

    Raises
    ------
    OptionError
        If bands, scale, mean or std do not fit the model or each other.
    """
    bands = decide_bands(options, model, raster)
    metadata, used = model.spec.metadata, len(bands.value)
    if scaling := _scaling(options, metadata, used):
        return Pixels.scaled(bands, scaling)
    scale = _scale(options, model, dtype, is_byte)
    mean = decide(
        (numbers_of("mean", options.mean, used), OPTION),
        (numbers_of("the model's standardization_mean", metadata.mean, used), METADATA),
        ((0.0,), DEFAULT),
    )
    std = decide(
        (numbers_of("std", options.std, used), OPTION),
        (numbers_of("the model's standardization_std", metadata.std, used), METADATA),
        ((1.0,), DEFAULT),
    )
    _check_std(std)
    if np.float32(scale.value) == 0:
        raise OptionError("scale must not be 0: all pixels would become equal")
    return Pixels(bands, scale, mean, std)


def choose_pixels(reader: RasterReader, model: Model, options: Options) -> ChosenPixels:
    """Decide on bands and normalization for a raster, and set the reader to these bands.

    Parameters
    ----------
    reader : RasterReader
        The raster.
    model : Model
        The model.
    options : Options
        The user's options. With ``normalize``, statistics of the raster are measured.

    Returns
    -------
    ChosenPixels

    Raises
    ------
    OptionError
        If the options do not fit the raster, the model or each other, or the pixels have a range
        that needs an option.
    """
    if options.bands is not None:
        reader.select(options.bands)
    raster = RasterBands.of(reader)
    bands = decide_bands(options, model, raster)
    reader.select(bands.value)
    undeclared = None
    if options.scale is None and options.value_scaling is None:
        undeclared = find_undeclared_nodata(reader, len(reader.bands), reader.nodata)
    measures_statistics = options.exact is not None and options.statistics is None
    if measures_statistics and undeclared is not None and math.isnan(undeclared.value):
        refuse_nan(undeclared.declared)
    if options.normalize is not None:
        chosen = _measured(reader, model, bands, options.normalize, undeclared)
    else:
        chosen = _stated(reader, model, raster, options, undeclared)
    advice = () if undeclared is None else (_advice(undeclared, options),)
    pixels, metadata = chosen.pixels, model.spec.metadata
    check_float16(reader, len(reader.bands), pixels.normalization, model.spec.dtype)
    return ChosenPixels(
        pixels,
        (
            *chosen.notes,
            *notes_on_colors(raster.names, bands.value, options, metadata),
            *notes_on_collar(reader),
        ),
        (
            *advice,
            *chosen.warnings,
            *warnings_on_scale(reader.dtype, options, metadata),
            *warnings_on_resolution(reader, options, metadata),
        ),
    )


def _advice(undeclared: UndeclaredNodata, options: Options) -> str:
    is_left_out = "" if options.normalize is None else "; the statistics leave it out"
    return f"{undeclared}{is_left_out}"


def _measured(
    reader: RasterReader,
    model: Model,
    bands: Decision[tuple[int, ...]],
    normalize: str,
    undeclared: UndeclaredNodata | None,
) -> ChosenPixels:
    """Measure the normalization that the user asks for; the reader is set to the bands."""
    if model.spec.dtype.kind in "iu":
        raise OptionError(
            f"normalize= gives fractions, and the model's input is {model.spec.dtype}: leave it "
            f"out, or give a scale="
        )
    standardization = _standardization(model.spec.metadata, len(bands.value), normalize)
    without = undeclared and undeclared.value
    pixels, notes = measure_pixels(reader, bands, normalize, standardization, without)
    return ChosenPixels(pixels, tuple(notes))


def _stated(
    reader: RasterReader,
    model: Model,
    raster: RasterBands,
    options: Options,
    undeclared: UndeclaredNodata | None,
) -> ChosenPixels:
    """Decide on the normalization; the reader is set to the bands."""
    metadata, dtype = model.spec.metadata, model.spec.dtype
    found = RangeCheck()
    if (
        options.scale is None
        and _scaling(options, metadata, len(reader.bands)) is None
        and not (dtype.kind in "iu" and np.can_cast(reader.dtype, dtype))
    ):
        is_for_bytes = metadata.is_for_bytes
        found = check_range(reader, len(reader.bands), options, dtype, is_for_bytes, undeclared)
    pixels = decide_pixels(options, model, raster, reader.dtype, found.is_byte)
    return ChosenPixels(pixels, found.notes, found.warnings)


def _standardization(metadata: ModelMetadata, count: int, normalize: str) -> Standardization | None:
    """Return the mean and std that a model states for pixels divided by 255, if it does.

    Raises
    ------
    OptionError
        If it states them for pixels of another range, which percentiles cannot replace.
    """
    if metadata.value_scaling is not None:
        return _standardization_of(metadata.value_scaling.for_bands(count), normalize)
    if not metadata.is_for_bytes:
        return None
    if normalize == "zscore":
        return Standardization()
    mean = numbers_of("the model's standardization_mean", metadata.mean, count)
    std = numbers_of("the model's standardization_std", metadata.std, count)
    _check_std(Decision(std or (1.0,), METADATA))
    return Standardization(mean or (0.0,), std or (1.0,))


def _standardization_of(scaling: Scaling, normalize: str) -> Standardization | None:
    if not any(kind == "z-score" for steps in scaling.bands for kind, _ in steps):
        return None
    if all(len(steps) == 2 and steps[0] in BYTE_STEPS for steps in scaling.bands):
        last = [steps[-1] for steps in scaling.bands]
        if all(kind == "z-score" for kind, _ in last):
            means, stds = zip(*(numbers for _, numbers in last), strict=True)
            return Standardization(means, stds)
    if normalize != "zscore":
        raise OptionError(
            f"{SIDECAR} standardizes pixels ({scaling}), and {normalize} would give the model "
            f'values of 0 to 1: give normalize="zscore"'
        )
    return None


def _check_std(std: Decision[tuple[float, ...]]) -> None:
    if any(np.float32(number) <= 0 for number in std.value):
        origin = "" if std.origin == OPTION else f" ({std.origin})"
        raise OptionError(
            f"std must be above 0, as it is a divisor, not {listed(std.value)}{origin}"
        )


def _scale(options: Options, model: Model, dtype: np.dtype[Any], is_byte: bool) -> Decision[float]:
    """Decide on the factor for pixels of that type."""
    is_described = model.spec.metadata.is_for_bytes
    is_unscaled = model.spec.dtype.kind in "iu" and (
        np.can_cast(dtype, model.spec.dtype) or (is_byte and model.spec.dtype == np.uint8)
    )
    is_open = options.scale is None and not (is_described or is_unscaled or is_byte)
    if is_open and model.spec.dtype.kind in "iu":
        raise OptionError(
            f"the model's input is {model.spec.dtype} and pixels are {dtype}: give the factor for "
            f"pixel values with scale= (1 leaves them unchanged)"
        )
    return decide(
        (number_of("scale", options.scale), OPTION),
        (1 / 255 if is_described else None, METADATA),
        (1.0 if is_unscaled else None, f"the model's input is {model.spec.dtype}"),
        (1 / 255 if dtype == np.uint8 else None, f"{DEFAULT} for uint8, 1/255"),
        (1 / 255 if is_byte else None, f"{DEFAULT} for values of 0 to 255, 1/255"),
        (1.0, f"{DEFAULT} for {dtype}"),
    )


def _scaling(options: Options, metadata: ModelMetadata, count: int) -> Decision[Scaling] | None:
    """Decide on the operations that replace scale, mean and std; None if there are none."""
    replaced = _given_instead(options)
    if options.value_scaling is None:
        stated = None if replaced else metadata.value_scaling
        return None if stated is None else Decision(stated.for_bands(count), SIDECAR)
    if replaced:
        raise OptionError(f"value_scaling replaces {replaced}: give one or the other")
    try:
        scaling = parse_scaling(options.value_scaling)
    except (LookupError, TypeError, ValueError):
        raise OptionError(
            f"value_scaling must be a list of operations of STAC MLM, such as "
            f"{{'type': 'scale', 'value': 10000}}, not {options.value_scaling!s:.100}"
        ) from None
    return Decision(scaling.for_bands(count), OPTION)


def _given_instead(options: Options) -> str:
    """List the options that are given and win over a value scaling of the model's metadata."""
    return ", ".join(name for name in (*LINEAR, "normalize") if getattr(options, name) is not None)


def notes_on(options: Options, model: Model, tiling: Tiling, pixels: Pixels) -> list[str]:
    """List the decisions that may surprise the user, as sentences.

    Parameters
    ----------
    options : Options
        The user's options.
    model : Model
        The model.
    tiling : Tiling
        The tiling that was decided on.
    pixels : Pixels
        Bands and normalization that were decided on.
    """
    metadata = model.spec.metadata
    notes = list(metadata.notes)
    if (
        None not in (metadata.channels, model.spec.channels)
        and metadata.channels != model.spec.channels
    ):
        notes.append(
            f"{SIDECAR} has {metadata.channels} bands, and the model takes {model.spec.channels}"
        )
    if options.overlap is None and options.pair("margin") not in (None, (0, 0)):
        overlap = format_size(tiling.overlap.value)
        notes.append(f"tiles overlap by {overlap} px, as the margin requires")
    if metadata.value_scaling is not None and (given := _given_instead(options)):
        notes.append(f"the value_scaling of {SIDECAR} is ignored, because of {given}")
    if model.spec.dtype.kind in "iu" and pixels.normalization != Normalization():
        limits = np.iinfo(model.spec.dtype)
        notes.append(
            f"the model's input is {model.spec.dtype}: values are rounded, and clipped to "
            f"{limits.min} to {limits.max}"
        )
    if (options.scale, options.value_scaling, options.normalize) == (None, None, None):
        origin = pixels.scale.origin
        notes.append(f"pixels are normalized as {pixels.normalization} ({origin})")
    return notes
