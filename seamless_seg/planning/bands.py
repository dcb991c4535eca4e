"""Decide which bands of a raster a model's input has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..decisions import OPTION, SIDECAR, Decision, decide
from ..errors import OptionError
from ..models.base import Model
from ..raster.band_names import BandNames, find
from .options import Options

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


class RasterBands(NamedTuple):
    """The bands of a raster."""

    total: int
    has_alpha: bool = False
    """Whether the last one is an alpha band."""
    names: tuple[BandNames, ...] = ()
    """Names of each; the model's metadata may choose bands by them."""
    mask_band: int | None = None
    """The one, from 1, that is a mask, which no model gets."""

    @classmethod
    def of(cls, reader: RasterReader) -> RasterBands:
        """Return the bands of an open raster."""
        return cls(reader.count, reader.has_trailing_alpha, reader.names, reader.mask_band)

    @property
    def available(self) -> tuple[int, ...]:
        """Numbers of the bands that a model can get."""
        return tuple(band for band in range(1, self.total + 1) if band != self.mask_band)


def decide_bands(options: Options, model: Model, raster: RasterBands) -> Decision[tuple[int, ...]]:
    """Decide which bands of a raster the model's input has.

    Parameters
    ----------
    options, model, raster
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
    takes, available = model.spec.channels, raster.available
    has_alpha = raster.has_alpha and raster.mask_band != raster.total
    given = None if options.bands is None else tuple(int(band) for band in options.bands)
    without_alpha = available[:-1] if has_alpha and takes == len(available) - 1 else None
    all_of_them = "all" if raster.mask_band is None else "all but the mask band"
    bands = decide(
        (given, OPTION),
        (bands_by_name(options, model, raster.names), f"{SIDECAR}, by name"),
        (without_alpha, "all but the alpha band"),
        (available, all_of_them),
    )
    if takes not in (None, len(bands.value)):
        raise OptionError(
            f"the model takes {_bands(takes)}, not {len(bands.value)} "
            f"({listed(bands.value)}): {_advice(takes, len(available), has_alpha)}"
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


def bands_by_name(
    options: Options, model: Model, names: Sequence[BandNames]
) -> tuple[int, ...] | None:
    """Find the bands that the model's metadata name.

    Parameters
    ----------
    options : Options
        The user's options; with ``bands``, names do not matter.
    model : Model
        The model.
    names : sequence of BandNames
        Names of the raster's bands.

    Returns
    -------
    tuple of int or None
        Numbers of the bands, counted from 1; None unless each name is that of exactly one band.
    """
    stated = model.spec.metadata.bands
    if options.bands is not None or not stated or model.spec.channels not in (None, len(stated)):
        return None
    found = [find(name, names) for name in stated]
    if any(len(numbers) != 1 for numbers in found):
        return None
    return tuple(number for (number,) in found)


def count_bands(options: Options, model: Model, reader: RasterReader) -> int:
    """Return how many bands of a raster a model gets that takes any number."""
    bands = options.bands
    if bands is None:
        bands = bands_by_name(options, model, reader.names)
    return len(RasterBands.of(reader).available if bands is None else bands)


def listed(values: Sequence[Any]) -> str:
    """Format numbers as options take them, separated by commas."""
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
