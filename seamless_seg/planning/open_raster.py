"""Open a raster as the options say that it is to be read."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..decisions import METADATA, OPTION, Decision
from ..errors import OptionError, RasterError
from ..foreign_files import IMAGE, MODEL, ORDER, identify
from ..models.load import LazyModel
from ..raster.source import Reading
from ..validation import nodata_of
from .options import Options

if TYPE_CHECKING:
    from ..raster.reader import RasterReader


def open_raster(path: Any, options: Options, model: LazyModel | None = None) -> RasterReader:
    """Open a raster, at the resolution at which a model is going to run on it.

    Parameters
    ----------
    path : str or path-like
        Anything that rasterio opens.
    options : Options
        Of these, ``nodata``, ``level``, ``resolution``, ``match_resolution``, ``unscale``,
        ``mask_band`` and ``network``.
    model : LazyModel, optional
        The model. It is opened only if its resolution is needed or the raster has a color table.

    Returns
    -------
    RasterReader
        The open raster, to be closed by the caller.

    Raises
    ------
    RasterError
        If the raster cannot be opened.
    OptionError
        If the options contradict the raster, the model or each other.
    """
    from ..raster.reader import RasterReader

    if not isinstance(path, str | PathLike):
        raise OptionError(
            f"the raster must be the path of a file, not {type(path).__name__}: write it with "
            f"rasterio first, or blend arrays with run_plan"
        )
    if path == "":
        raise OptionError("the raster's name is empty: give a file (a shell variable is empty?)")
    try:
        reader = RasterReader(path, _reading(options, path, model), options.network is not False)
    except RasterError as error:
        if (reason := _not_a_raster(path, model)) is None:
            raise
        raise RasterError(reason) from error
    try:
        if reader.has_palette and model is not None:
            reader.expand(model.opened.spec.channels or _channels(options))
    except BaseException:
        reader.close()
        raise
    return reader


def with_band_numbers(options: Options, reader: RasterReader) -> Options:
    """Return the options with bands by number, where they are given by name.

    Raises
    ------
    OptionError
        If a name is that of no band, or of several; it lists the names.
    """
    if options.bands is None or isinstance(options.bands, str):
        return options
    return replace(options, bands=reader.numbers_of(options.bands))


def _channels(options: Options) -> int:
    """Colors of a table that the bands need; 1 for its indices."""
    bands = options.bands or [1]
    if any(isinstance(band, str) for band in bands):
        return 4 if "alpha" in bands else 3
    return max(int(band) for band in bands)


def _not_a_raster(path: Any, model: LazyModel | None) -> str | None:
    """Say what a file is that cannot be opened, and is no image; None where that is unknown."""
    if Path(path).is_dir():
        return f"{path} is a folder: name a raster in it"
    found = identify(Path(path))
    if found is None or found.kind == IMAGE:
        return None
    if found.kind != MODEL:
        return f"{path} is {found.what}, not a raster: {found.advice}"
    given = None if model is None else model.source
    other = identify(Path(given)) if isinstance(given, str | PathLike) else None
    also = f", and {given} is {other.what}" if other is not None and other.kind == IMAGE else ""
    return f"{path} is {found.what}, not a raster{also}: {ORDER}"


def _reading(options: Options, path: Any, model: LazyModel | None) -> Reading:
    resolution = None
    if (lengths := options.lengths()) is not None:
        resolution = Decision(lengths, OPTION)
    elif options.match_resolution:
        resolution = Decision(
            _stated_resolution(path, model, options.network is not False), METADATA
        )
    return Reading(
        nodata=None if options.nodata is None else Decision(nodata_of(options.nodata), OPTION),
        level=None if options.level is None else Decision(int(options.level), OPTION),
        resolution=resolution,
        unscale=Decision(True, OPTION) if options.unscale else None,
        mask_band=None if options.mask_band is None else Decision(int(options.mask_band), OPTION),
    )


def _stated_resolution(
    path: Any, model: LazyModel | None, allows_network: bool
) -> tuple[float, float]:
    """The pixel size that the model states, height and width in units of the raster's CRS."""
    from ..raster.reader import RasterReader

    if model is None:
        raise OptionError(
            "match_resolution=True takes the resolution from the model: give a model, too"
        )
    network = model.opened
    centimeters = network.spec.metadata.resolution
    if centimeters is None:
        raise OptionError(
            f"match_resolution=True: the metadata of {network.spec.name} states no resolution: "
            f"give the pixel size with resolution="
        )
    with RasterReader(path, network=allows_network) as reader:
        return reader.resolution_for_pixel_size(centimeters)
