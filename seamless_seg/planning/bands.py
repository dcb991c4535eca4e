"""Preprocessing: which bands a model gets, and what is done to their pixels before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..decisions import DEFAULT, METADATA, OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..models.metadata import ModelMetadata
from ..normalization import Normalization, Scaling, parse_scaling
from ..validation import format_size, number_of, numbers_of
from .options import Options
from .settings import LINEAR, Pixels, Tiling


def decide_pixels(
    options: Options,
    model: Model,
    count: int,
    has_alpha: bool,
    dtype: np.dtype[Any],
    names: Sequence[str | None] = (),
) -> Pixels:
    """Decide which of ``count`` bands of ``dtype`` the model gets, and normalized how.

    Bands that have ``names`` may be chosen by them.

    Raises
    ------
    OptionError
        Where bands, mean or std do not fit the model or each other, or are no good numbers; where
        integers other than uint8 have no scale.
    """
    bands = decide_bands(options, model, count, has_alpha, names)
    metadata, given = model.spec.metadata, len(bands.value)
    if scaling := _scaling(options, metadata, given):
        return Pixels.scaled(bands, scaling)
    described = metadata.mean is not None or metadata.std is not None
    takes_integers = model.spec.dtype.kind in "iu"
    takes_them = takes_integers and np.can_cast(dtype, model.spec.dtype)
    if options.scale is None and not (described or takes_them):
        _check_range(dtype, model.spec.dtype)
    scale = decide(
        (number_of("scale", options.scale), OPTION),
        (1 / 255 if described else None, METADATA),
        (1.0 if takes_them else None, f"the model takes {model.spec.dtype}"),
        (1 / 255 if dtype == np.uint8 else None, f"{DEFAULT} for uint8, 1/255"),
        (1.0, f"{DEFAULT} for {dtype}"),
    )
    mean = decide(
        (numbers_of("mean", options.mean, given), OPTION),
        (numbers_of("the model's standardization_mean", metadata.mean, given), METADATA),
        ((0.0,), DEFAULT),
    )
    std = decide(
        (numbers_of("std", options.std, given), OPTION),
        (numbers_of("the model's standardization_std", metadata.std, given), METADATA),
        ((1.0,), DEFAULT),
    )
    if any(np.float32(number) <= 0 for number in std.value):
        raise OptionError(
            f"std must be above 0, pixels are divided by it, not {_listed(std.value)} "
            f"({std.origin})"
        )
    if np.float32(scale.value) == 0:
        raise OptionError("scale must not be 0: it would make all pixels the same")
    return Pixels(bands, scale, mean, std)


def _scaling(options: Options, metadata: ModelMetadata, count: int) -> Decision[Scaling] | None:
    linear = _given(options)
    if options.value_scaling is None:
        stated = None if linear else metadata.value_scaling
        return None if stated is None else Decision(stated.for_bands(count), SIDECAR)
    if linear:
        raise OptionError(f"value_scaling takes the place of {linear}: give one or the other")
    try:
        scaling = parse_scaling(options.value_scaling)
    except (LookupError, TypeError, ValueError):
        raise OptionError(
            f"value_scaling must be a list of operations as STAC MLM has them, such as "
            f"{{'type': 'scale', 'value': 10000}}, not {options.value_scaling!s:.100}"
        ) from None
    return Decision(scaling.for_bands(count), OPTION)


def _given(options: Options) -> str:
    """Options that win over a value scaling of the model's."""
    return ", ".join(name for name in (*LINEAR, "normalize") if getattr(options, name) is not None)


def bands_by_name(
    options: Options, model: Model, names: Sequence[str | None]
) -> tuple[int, ...] | None:
    """The bands that the model asks for by name, counted from 1; None unless all are there, once.

    Explicit bands win.
    """
    wanted = model.spec.metadata.bands
    if options.bands is not None or not wanted or model.spec.channels not in (None, len(wanted)):
        return None
    if any(list(names).count(name) != 1 for name in wanted):
        return None
    return tuple(list(names).index(name) + 1 for name in wanted)


def _check_range(dtype: np.dtype[Any], taken: np.dtype[Any]) -> None:
    """Refuse pixels that nobody could guess the scale of."""
    advice = "say with --scale what to multiply them by (1 leaves them as they are)"
    if taken.kind in "iu" and dtype != taken:
        raise OptionError(f"the model takes {taken} and pixels are {dtype}: {advice}")
    if dtype.kind in "iu" and dtype != np.uint8:
        raise OptionError(f"pixels of {dtype} have no usual range: {advice}")


def decide_bands(
    options: Options,
    model: Model,
    count: int,
    has_alpha: bool,
    names: Sequence[str | None] = (),
) -> Decision[tuple[int, ...]]:
    """Decide which of ``count`` bands the model gets.

    Raises
    ------
    OptionError
        Where it takes another number of them.
    """
    takes = model.spec.channels
    asked = None if options.bands is None else tuple(options.bands)
    without_alpha = tuple(range(1, count)) if has_alpha and takes == count - 1 else None
    bands = decide(
        (asked, OPTION),
        (bands_by_name(options, model, names), f"{SIDECAR}, by name"),
        (without_alpha, "all but the alpha band"),
        (tuple(range(1, count + 1)), "all"),
    )
    if takes not in (None, len(bands.value)):
        raise OptionError(
            f"the model takes {_bands(takes)} and would get {len(bands.value)} "
            f"({_listed(bands.value)}): {_advice(takes, count, has_alpha)}"
        )
    return bands


def _advice(takes: int, count: int, has_alpha: bool) -> str:
    """How a model gets as many of ``count`` bands as it takes."""
    if count >= takes:
        return f"choose {takes} with --bands"
    own = count - has_alpha
    has = f"the raster has only {own}" + " beside an alpha band" * has_alpha
    if own == 1:
        return f"{has}, which --bands {_listed([1] * takes)} repeats"
    return f"{has}, of which --bands may repeat some, where that makes sense to the model"


def _bands(count: int) -> str:
    return f"{count} band{'s' if count > 1 else ''}"


def notes(
    options: Options, model: Model, decided: Tiling, pixels: Pixels, dtype: np.dtype[Any]
) -> list[str]:
    """Sentences about what was decided for the user and may surprise them."""
    metadata = model.spec.metadata
    found = list(metadata.notes)
    if (
        None not in (metadata.channels, model.spec.channels)
        and metadata.channels != model.spec.channels
    ):
        found.append(
            f"{SIDECAR} has {metadata.channels} bands, and the model takes {model.spec.channels}"
        )
    if options.overlap is None and options.margin is not None:
        found.append(f"tiles overlap by {format_size(decided.overlap.value)}, given the margin")
    if metadata.value_scaling is not None and (given := _given(options)):
        found.append(f"the value_scaling of {SIDECAR} is left out, given {given}")
    if model.spec.dtype.kind in "iu" and pixels.normalization != Normalization():
        limits = np.iinfo(model.spec.dtype)
        found.append(
            f"the model takes {model.spec.dtype}: values are rounded, and clipped to {limits.min} "
            f"to {limits.max}"
        )
    if (options.scale, options.value_scaling, options.normalize) == (None, None, None):
        origin = pixels.scale.origin
        found.append(f"pixels are normalized as {pixels.normalization} ({origin})")
        if origin == METADATA and dtype != np.uint8:
            found.append(
                f"the model's metadata is meant for 8-bit pixels, and these are {dtype}: "
                f"check that, or give a --scale"
            )
    return found


def _listed(values: Sequence[Any]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
