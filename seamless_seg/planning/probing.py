"""Probing files: an ONNX model, on noise or on pixels of a raster, its answer remembered."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, OptionError
from ..models.base import Model
from ..models.files import has_functions
from ..models.receptive_field import Image, Probe, Side, Source, noise, probe
from ..raster.source import gaps_extended, read_extended
from .cache import recall, remember
from .forecast import forecast_raster
from .options import Options

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

NOISE = 0.1
"""White noise on real pixels, as a share of their standard deviation."""

VERSION = 1
"""Of what is remembered: raise it when a probe finds out more, or otherwise."""


def probe_file(
    path: Any,
    model: Model,
    reader: RasterReader | None = None,
    channels: int | None = None,
    *,
    again: bool = False,
) -> Probe:
    """Probe a model that was opened from a file, or remember what a probe found.

    Parameters
    ----------
    path : str, path-like or list of these
        The model's file, or its files.
    model : Model
        The same, opened.
    reader : RasterReader, optional
        Ask with windows of this raster, normalized as ``run`` would; with white noise without.
        Only what was found on noise is remembered.
    channels : int, optional
        Bands that it is given, where it takes any number.
    again : bool
        Ask again, whatever is remembered.

    Returns
    -------
    Probe
    """
    if reader is not None:
        source = raster_source(reader, model)
        return probe(model, len(reader.bands), source)
    variant = model.spec.variant + ("" if model.spec.channels or not channels else f"-{channels}")
    if not again:
        with suppress(ValueError, KeyError, TypeError):  # else it is asked anew
            return from_json(recall("probes", path, variant))
    found = probe(model, channels)
    remember("probes", path, to_json(found), variant)
    return found


def probe_for(
    path: Any, model: Model, options: Options, notes: list[str], channels: int | None = None
) -> Probe | None:
    """Probe a model where ``is_wanted``.

    A model that cannot be probed is run as if nobody had asked, with a note.
    """
    if not is_wanted(path, options):
        return None
    return probe_anyway(path, model, notes, channels)


def is_wanted(path: Any, options: Options) -> bool:
    """Whether a model's margin or alignment is left open; for a function, left to be measured."""

    def is_open(choice: object) -> bool:
        return choice == "auto" if isinstance(choice, str) else choice is None

    if has_functions(path):
        return "auto" in (options.margin, options.align)
    return is_open(options.margin) or is_open(options.align)


def probe_anyway(
    path: Any,
    model: Model,
    notes: list[str],
    channels: int | None = None,
) -> Probe | None:
    """The same, whatever has been left open."""
    try:
        if has_functions(path):
            return probe(model, channels)
        return probe_file(path, model, channels=channels)
    except ModelError as error:
        notes.append(f"how far the model sees could not be measured: {error}")
        return None


def raster_source(reader: RasterReader, model: Model) -> Source:
    """Random windows of a raster, normalized; reflected where it is smaller than asked for.

    A little white noise is added: windows of a small or empty raster may be the same, and
    replacing pixels by the same pixels shows nothing.
    """
    normalize = forecast_raster(reader, model, Options()).settings.normalization.apply

    def source(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
        bands, *wanted = shape
        if bands != len(reader.bands):
            raise OptionError(f"the raster has {len(reader.bands)} bands, the model takes {bands}")
        slices = []
        for length, whole in zip(wanted, reader.size, strict=True):
            start = int(random.integers(0, max(1, whole - length + 1)))
            slices.append(slice(start, start + length))
        image = np.empty(shape, np.float32)
        normalize(read_extended(reader, slices[0], slices[1]), out=image)
        gaps = gaps_extended(reader, slices[0], slices[1])
        if gaps is not None:
            np.copyto(image, 0, where=gaps)
        spread = float(image.std()) * NOISE or 1.0
        return image + noise(random, shape) * np.float32(spread)

    return source


def to_json(found: Probe) -> dict[str, Any]:
    """A probe as JSON can hold it."""
    names = ("top", "bottom", "left", "right")
    return {
        "version": VERSION,
        "radius": list(found.radius),
        "stride": list(found.stride),
        "size": list(found.size),
        "tile_wide": found.tile_wide,
        "depends_on_batch": found.depends_on_batch,
        "deterministic": found.deterministic,
        "sides": {
            name: {
                "radius": side.radius,
                "reaches_across": side.reaches_across,
                "curve": [float(f"{change:.4g}") for change in side.curve],
            }
            for name, side in zip(names, found.sides, strict=True)
        },
    }


def from_json(document: dict[str, Any]) -> Probe:
    """The probe that ``to_json`` made a document of; ``ValueError`` for one of another version."""
    if document["version"] != VERSION:
        raise ValueError(f"a probe of version {document['version']}")
    sides = {
        name: Side(np.array(side["curve"], np.float64), side["reaches_across"])
        for name, side in document["sides"].items()
    }
    return Probe(
        **sides,
        stride=(document["stride"][0], document["stride"][1]),
        size=(document["size"][0], document["size"][1]),
        depends_on_batch=document["depends_on_batch"],
        deterministic=document["deterministic"],
    )
