"""Probing files: an ONNX model, on noise or on pixels of a raster, its answer remembered."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from ..errors import ModelError, OptionError
from ..models.base import Model
from ..models.files import has_functions
from ..models.load import LazyModel
from ..models.receptive_field import (
    USUAL_CHANNELS,
    Image,
    Probe,
    Side,
    Source,
    noise,
    show_border,
)
from ..models.receptive_field import probe as probe_model
from ..raster.source import gaps_extended, read_extended
from .bands import choose_pixels
from .cache import recall, remember
from .open_raster import open_raster
from .options import Options, ReadingChoices

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

NOISE = 0.1
"""White noise on real pixels, as a share of their standard deviation."""

VERSION = 1
"""Of what is remembered: raise it when a probe finds out more, or otherwise."""


def probe(
    model: Any,
    channels: int | None = None,
    source: Source = noise,
    *,
    raster: Any = None,
    tta: str | None = None,
    model_output: str | int | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    cached: bool = False,
    again: bool = False,
    **reading: Unpack[ReadingChoices],
) -> Probe:
    """Measure a model's receptive field and total stride.

    The model is run a few dozen times, on long and narrow images where its size is free: seconds
    on a CPU.

    Parameters
    ----------
    model : str, path-like, callable or list of these
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits. Of
        several, logits are averaged.
    channels : int, optional
        Bands that the model takes, where it does not say so; else 3.
    source : callable, optional
        Makes images; white noise by default.
    raster : str or path-like, optional
        Measure with windows of this raster, normalized as a run would, in place of ``source``.
    tta : str, optional
        ``"flips"`` or ``"d4"``: measure the mean of turned tiles.
    model_output : str or int, optional
        Which output of the graph to take, by name or counted from 0.
    provider, threads
        Of onnxruntime.
    cached : bool
        Take what an earlier probe of the same file found on noise, and keep what this one finds.
    again : bool
        Measure anew, whatever was kept.
    **reading : Unpack[ReadingChoices]
        How the raster is read: fields of ``Options``.

    Returns
    -------
    Probe

    Raises
    ------
    ModelError
        Where the model fails at every size that it was tried at.
    OptionError
        Where options contradict each other, or say how to read a raster that is not given.
    """
    options = Options(tta=tta, **reading)
    lazy = LazyModel(model, provider, threads, tta, model_output)
    if raster is None:
        options.refuse_reading()
        if cached:
            return probe_file(model, lazy.opened, channels=channels, again=again)
        return probe_model(lazy.opened, channels, source)
    with open_raster(raster, options, lazy) as reader:
        return probe_file(model, lazy.opened, reader)


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
        return probe_model(model, len(reader.bands), source)
    variant = model.variant + ("" if model.channels or not channels else f"-{channels}")
    if not again:
        with suppress(ValueError, KeyError, TypeError):  # else it is asked anew
            return from_json(recall("probes", path, variant))
    found = probe_model(model, channels)
    remember("probes", path, to_json(found), variant)
    return found


class Probed(NamedTuple):
    """What a probe found, and what the user should know of it."""

    found: Probe | None = None
    """None where no probe was needed, or where it failed."""
    notes: tuple[str, ...] = ()


def probe_for(path: Any, model: Model, options: Options, channels: int | None = None) -> Probed:
    """Probe a model where ``is_wanted``.

    A model that cannot be probed is run as if nobody had asked, with a note. Whatever is
    remembered, a border is seen here where the tile depends on it.
    """
    if model.metadata.tile is not None and options.pair("tile") is None:
        show_border(model, model.channels or channels or USUAL_CHANNELS)
    if not is_wanted(path, options):
        return Probed()
    return probe_anyway(path, model, channels)


def is_wanted(path: Any, options: Options) -> bool:
    """Whether a model's margin or alignment is left open; for a function, left to be measured."""

    def is_open(choice: object) -> bool:
        return choice == "auto" if isinstance(choice, str) else choice is None

    if has_functions(path):
        return "auto" in (options.margin, options.align)
    return is_open(options.margin) or is_open(options.align)


def probe_anyway(path: Any, model: Model, channels: int | None = None) -> Probed:
    """Probe a model, whatever the options leave open; return a note where that fails."""
    try:
        if has_functions(path):
            return Probed(probe_model(model, channels))
        return Probed(probe_file(path, model, channels=channels))
    except ModelError as error:
        return Probed(None, (f"how far the model sees could not be measured: {error}",))


def raster_source(reader: RasterReader, model: Model) -> Source:
    """Random windows of a raster, normalized; reflected where it is smaller than asked for.

    A little white noise is added: windows of a small or empty raster may be the same, and
    replacing pixels by the same pixels shows nothing.
    """
    normalize = choose_pixels(reader, model, Options())[0].normalization.apply

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
