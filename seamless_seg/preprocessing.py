"""Preprocessing: which bands a model gets, and what is done to their pixels before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import OptionError
from .model import Model
from .options import Options, by, number_of, numbers_of
from .settings import DEFAULT, METADATA, OPTION, Decision, Pixels, Tiling, decide


def decide_pixels(
    options: Options, model: Model, count: int, has_alpha: bool, dtype: np.dtype[Any]
) -> Pixels:
    """Decide which of ``count`` bands of ``dtype`` the model gets, and normalised how.

    Raises
    ------
    OptionError
        Where bands, mean or std do not fit the model or each other, or are no good numbers; where
        integers other than uint8 have no scale.
    """
    bands = decide_bands(options, model, count, has_alpha)
    metadata, given = model.metadata, len(bands.value)
    described = metadata.mean is not None or metadata.std is not None
    if options.scale is None and not described and dtype.kind in "iu" and dtype != np.uint8:
        raise OptionError(
            f"pixels of {dtype} have no usual range: say with --scale what to multiply them by "
            f"(1 leaves them as they are)"
        )
    scale = decide(
        (number_of("scale", options.scale), OPTION),
        (1 / 255 if described else None, METADATA),
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


def decide_bands(
    options: Options, model: Model, count: int, has_alpha: bool
) -> Decision[tuple[int, ...]]:
    """Decide which of ``count`` bands the model gets.

    Raises
    ------
    OptionError
        Where it takes another number of them.
    """
    takes = model.channels
    asked = None if options.bands is None else tuple(options.bands)
    without_alpha = tuple(range(1, count)) if has_alpha and takes == count - 1 else None
    bands = decide(
        (asked, OPTION),
        (without_alpha, "all but the alpha band"),
        (tuple(range(1, count + 1)), "all"),
    )
    if takes not in (None, len(bands.value)):
        raise OptionError(
            f"the model takes {takes} bands and would get {len(bands.value)} "
            f"({_listed(bands.value)}): choose {takes} with --bands"
        )
    return bands


def notes(
    options: Options, model: Model, decided: Tiling, pixels: Pixels, dtype: np.dtype[Any]
) -> list[str]:
    """Sentences about what was decided for the user and may surprise them."""
    found = list(model.metadata.notes)
    if options.overlap is None and options.margin is not None:
        found.append(f"tiles overlap by {by(decided.overlap.value)}, given the margin")
    if options.scale is None and options.normalize is None:
        origin = pixels.scale.origin
        found.append(f"pixels are normalised as {pixels.normalisation} ({origin})")
        if origin == METADATA and dtype != np.uint8:
            found.append(
                f"the model's metadata is meant for 8-bit pixels, and these are {dtype}: "
                f"check that, or give a --scale"
            )
    return found


def _listed(values: Sequence[Any]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
