"""Opening: a raster as the options say that it is to be read, for a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ..decisions import METADATA, OPTION, Decision
from ..errors import OptionError
from ..models.load import LazyModel
from ..raster.source import Reading
from ..validation import nodata_of
from .options import Options

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

READING = ("nodata", "level", "resolution", "match_resolution", "unscale")
"""Options that say how a raster is read."""


def open_raster(path: Any, options: Options, model: LazyModel | None = None) -> RasterReader:
    """Open a raster for a model, on the grid on which that is to run.

    Parameters
    ----------
    path : str or path-like
        Anything that rasterio opens.
    options : Options
        Of them ``nodata``, ``level``, ``resolution``, ``match_resolution`` and ``unscale``.
    model : LazyModel, optional
        It is opened where its resolution is wanted or the raster has a color table.

    Raises
    ------
    RasterError
        Where the raster cannot be opened.
    OptionError
        Where the options contradict the raster, the model or each other.
    """
    from ..raster.reader import RasterReader

    reader = RasterReader(path, _reading(options, path, model))
    try:
        if reader.has_palette and model is not None:
            reader.expand(model.opened.spec.channels or max(options.bands or [1]))
    except BaseException:
        reader.close()
        raise
    return reader


def refuse_reading(options: Options) -> None:
    """Raise ``OptionError`` where options say how to read a raster that nobody has given."""
    for name in READING:
        if getattr(options, name) is not None:
            shown = name.replace("_", "-")
            raise OptionError(f"{shown} is about how INPUT is read: give INPUT")


def _reading(options: Options, path: Any, model: LazyModel | None) -> Reading:
    choices = {
        "level": options.level,
        "resolution": options.resolution,
        "match-resolution": options.match_resolution or None,
    }
    given = [name for name, choice in choices.items() if choice is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} exclude each other: give one of them")
    resolution = None
    if options.resolution is not None:
        resolution = Decision(_lengths(options.resolution), OPTION)
    elif options.match_resolution:
        resolution = Decision(_matched(path, model), METADATA)
    return Reading(
        nodata=None if options.nodata is None else Decision(nodata_of(options.nodata), OPTION),
        level=None if options.level is None else Decision(_level(options.level), OPTION),
        resolution=resolution,
        unscale=Decision(True, OPTION) if options.unscale else None,
    )


def _matched(path: Any, model: LazyModel | None) -> tuple[float, float]:
    from ..raster.reader import RasterReader

    if model is None:
        raise OptionError("match-resolution takes the resolution from the model: give one")
    network = model.opened
    centimeters = network.spec.metadata.resolution
    if centimeters is None:
        raise OptionError(
            f"match-resolution: the metadata of {network.spec.name} states no resolution: say with "
            f"--resolution how large a pixel is to be"
        )
    with RasterReader(path) as reader:
        return reader.matched(centimeters)


def _lengths(value: Any) -> tuple[float, float]:
    lengths = list(value) if isinstance(value, Sequence | np.ndarray) else [value]
    are_numbers = all(isinstance(length, Real) for length in lengths)
    if len(lengths) not in (1, 2) or not are_numbers or not all(0 < x < math.inf for x in lengths):
        raise OptionError(
            f"resolution must be one length or two, height and width of a pixel, above 0, not "
            f"{','.join(map(str, lengths))}"
        )
    return float(lengths[0]), float(lengths[-1])


def _level(value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
        raise OptionError(
            f"level must be 0, the full resolution, or an overview from 1, not {value}"
        )
    return int(value)
