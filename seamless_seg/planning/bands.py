"""Decide on the bands of a model's input and on their normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..decisions import DEFAULT, METADATA, OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.metadata import ModelMetadata
from ..normalization import Normalization, Scaling, parse_scaling
from ..validation import format_size, number_of, numbers_of
from .options import Options
from .settings import LINEAR, Pixels, Tiling

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


def decide_pixels(
    options: Options,
    model: Model,
    count: int,
    has_alpha: bool,
    dtype: np.dtype[Any],
    names: Sequence[str | None] = (),
) -> Pixels:
    """Decide which bands of a raster the model's input has, and how they are normalized.

    Parameters
    ----------
    options : Options
        The user's options.
    model : Model
        The model.
    count : int
        Bands of the raster.
    has_alpha : bool
        Whether the last of them is an alpha band.
    dtype : dtype
        Type of the raster's pixels.
    names : sequence of str or None
        Names of the bands; the model's metadata may choose bands by them.

    Returns
    -------
    Pixels

    Raises
    ------
    OptionError
        If bands, scale, mean or std do not fit the model or each other; or if the range of the
        pixels is unknown, which is so for integers other than uint8.
    """
    bands = decide_bands(options, model, count, has_alpha, names)
    metadata, used = model.spec.metadata, len(bands.value)
    if scaling := _scaling(options, metadata, used):
        return Pixels.scaled(bands, scaling)
    scale = _scale(options, model, dtype)
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
    if any(np.float32(number) <= 0 for number in std.value):
        raise OptionError(
            f"std must be above 0, as it is a divisor, not {_listed(std.value)} ({std.origin})"
        )
    if np.float32(scale.value) == 0:
        raise OptionError("scale must not be 0: all pixels would become equal")
    return Pixels(bands, scale, mean, std)


def choose_pixels(reader: RasterReader, model: Model, options: Options) -> tuple[Pixels, list[str]]:
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
    pixels : Pixels
        Bands and normalization.
    notes : list of str
        What was measured in the raster, if anything.

    Raises
    ------
    OptionError
        If the options do not fit the raster, the model or each other.
    """
    if options.bands is not None:
        reader.select(options.bands)
    count, has_alpha = reader.count, reader.has_trailing_alpha
    if options.normalize is None:
        names = reader.descriptions
        pixels = decide_pixels(options, model, count, has_alpha, reader.dtype, names)
        reader.select(pixels.bands.value)
        return pixels, []
    bands = decide_bands(options, model, count, has_alpha, reader.descriptions)
    if model.spec.dtype.kind in "iu":
        raise OptionError(
            f"normalize= gives fractions, and the model's input is {model.spec.dtype}: leave it "
            f"out, or give a scale="
        )
    reader.select(bands.value)
    from .raster_statistics import measure_pixels

    return measure_pixels(reader, bands, options.normalize)


def _scale(options: Options, model: Model, dtype: np.dtype[Any]) -> Decision[float]:
    """Decide on the factor for pixels of that type."""
    metadata = model.spec.metadata
    is_described = metadata.mean is not None or metadata.std is not None
    is_unscaled = model.spec.dtype.kind in "iu" and np.can_cast(dtype, model.spec.dtype)
    if options.scale is None and not (is_described or is_unscaled):
        _check_range(dtype, model.spec.dtype)
    return decide(
        (number_of("scale", options.scale), OPTION),
        (1 / 255 if is_described else None, METADATA),
        (1.0 if is_unscaled else None, f"the model's input is {model.spec.dtype}"),
        (1 / 255 if dtype == np.uint8 else None, f"{DEFAULT} for uint8, 1/255"),
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


def bands_by_name(
    options: Options, model: Model, names: Sequence[str | None]
) -> tuple[int, ...] | None:
    """Find the bands that the model's metadata name.

    Parameters
    ----------
    options : Options
        The user's options; with ``bands``, names do not matter.
    model : Model
        The model.
    names : sequence of str or None
        Names of the raster's bands.

    Returns
    -------
    tuple of int or None
        Numbers of the bands, counted from 1; None unless each name is that of exactly one band.
    """
    stated = model.spec.metadata.bands
    if options.bands is not None or not stated or model.spec.channels not in (None, len(stated)):
        return None
    if any(list(names).count(name) != 1 for name in stated):
        return None
    return tuple(list(names).index(name) + 1 for name in stated)


def _check_range(dtype: np.dtype[Any], input_dtype: np.dtype[Any]) -> None:
    """Raise if the range of pixels is unknown, so that there is no default scale."""
    advice = "give the factor for pixel values with scale= (1 leaves them unchanged)"
    if input_dtype.kind in "iu" and dtype != input_dtype:
        raise OptionError(f"the model's input is {input_dtype} and pixels are {dtype}: {advice}")
    if dtype.kind in "iu" and dtype != np.uint8:
        raise OptionError(f"the range of {dtype} pixels is unknown: {advice}")


def decide_bands(
    options: Options,
    model: Model,
    count: int,
    has_alpha: bool,
    names: Sequence[str | None] = (),
) -> Decision[tuple[int, ...]]:
    """Decide which bands of a raster the model's input has.

    Parameters
    ----------
    options, model, count, has_alpha, names
        As for ``decide_pixels``.

    Returns
    -------
    Decision
        Numbers of the bands, counted from 1.

    Raises
    ------
    OptionError
        If the model takes another number of bands.
    """
    takes = model.spec.channels
    given = None if options.bands is None else tuple(options.bands)
    without_alpha = tuple(range(1, count)) if has_alpha and takes == count - 1 else None
    bands = decide(
        (given, OPTION),
        (bands_by_name(options, model, names), f"{SIDECAR}, by name"),
        (without_alpha, "all but the alpha band"),
        (tuple(range(1, count + 1)), "all"),
    )
    if takes not in (None, len(bands.value)):
        raise OptionError(
            f"the model takes {_bands(takes)}, not {len(bands.value)} "
            f"({_listed(bands.value)}): {_advice(takes, count, has_alpha)}"
        )
    return bands


def _advice(takes: int, count: int, has_alpha: bool) -> str:
    """Advise how to choose as many of ``count`` bands as the model takes."""
    if count >= takes:
        return f"choose {takes} with bands="
    without_alpha = count - has_alpha
    has = f"the raster has only {without_alpha}" + " beside an alpha band" * has_alpha
    if without_alpha == 1:
        return f"{has}; repeat it with bands={tuple([1] * takes)}"
    return f"{has}; bands= may repeat bands, if that makes sense for the model"


def _bands(count: int) -> str:
    return f"{count} band{'s' if count > 1 else ''}"


def notes_on(
    options: Options, model: Model, tiling: Tiling, pixels: Pixels, dtype: np.dtype[Any]
) -> list[str]:
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
    dtype : dtype
        Type of the raster's pixels.
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
    if options.overlap is None and options.margin is not None:
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
        if origin == METADATA and dtype != np.uint8:
            notes.append(
                f"the model's metadata is for 8-bit pixels, and these are {dtype}: check that, or "
                f"give a scale="
            )
    return notes


def _listed(values: Sequence[Any]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
