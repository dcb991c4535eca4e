"""Measure a model's receptive field, on noise or on windows of a raster, and cache the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from ..arrays import Floats
from ..errors import ModelError, OptionError
from ..models.base import Model
from ..models.files import has_functions
from ..models.load import LazyModel
from ..probes.graph_verdict import GraphVerdict
from ..probes.probe_images import Image, Source, noise
from ..probes.receptive_field import Probe, Side
from ..probes.receptive_field import probe as probe_model
from ..raster.source import gaps_extended, read_extended
from ..signatures import showing_fields
from ..validation import pair
from .cache import load_cached, save_cached
from .open_raster import open_raster
from .options import READING_OPTIONS, Options, ReadingChoices
from .pixels import choose_pixels

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

NOISE_SHARE = 0.1
"""White noise that is added to a raster's pixels, as a share of their standard deviation."""

NOT_MEASURED = "the receptive field could not be measured"
"""Start of the note on a probe that failed."""

JSON_VERSION = 6
"""Version of a probe as JSON: to be raised when a probe measures more, or otherwise."""


@showing_fields(Options, only=READING_OPTIONS)
def probe(
    model: str | os.PathLike[str] | Callable[..., Any] | Sequence[Any],
    channels: int | None = None,
    source: Source = noise,
    *,
    raster: str | os.PathLike[str] | None = None,
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
        An ONNX file, or a function from ``(B, C, H, W)`` float32 to ``(B, K, H, W)`` logits. The
        logits of several models are averaged.
    channels : int, optional
        Bands of the input, if the model does not state their number; 3 by default.
    source : callable, optional
        Makes images; white noise by default.
    raster : str or path-like, optional
        Measure with windows of this raster, normalized as in a run, instead of ``source``.
    tta : str, optional
        Test-time augmentation, ``"flips"`` or ``"d4"``: measure the model with it.
    model_output : str or int, optional
        Which output of the graph to take, by name or counted from 0.
    provider : str
        Execution provider of onnxruntime.
    threads : int, optional
        Threads of onnxruntime; as many as there are processors by default.
    cached : bool
        Use the cached result of an earlier probe of the same file on noise; else cache this one.
        Results of functions are never cached.
    again : bool
        Ignore a cached result and measure again.
    **reading : Unpack[ReadingChoices]
        How the raster is read: fields of ``Options``.

    Returns
    -------
    Probe

    Raises
    ------
    ModelError
        If the model fails at every size that was tried.
    OptionError
        If options contradict each other, or say how to read a raster and none is given.
    """
    options = Options(tta=tta, **reading)
    lazy = LazyModel(model, provider, threads, tta, model_output)
    if raster is None:
        options.refuse_reading()
        if cached and not has_functions(model):
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
    """Probe a model that was opened from files, or load the cached result of an earlier probe.

    Only results on white noise are cached.

    Parameters
    ----------
    path : str, path-like or list of these
        The model's files.
    model : Model
        The opened model.
    reader : RasterReader, optional
        Measure with windows of this raster, normalized as in a run; with white noise if None.
    channels : int, optional
        Bands of the input, if the model accepts any number.
    again : bool
        Ignore a cached result and measure again.

    Returns
    -------
    Probe

    Raises
    ------
    ModelError
        If the model fails at every size that was tried.
    """
    if reader is not None:
        source = raster_source(reader, model)  # which sets the reader to the model's bands
        return probe_model(model, len(reader.bands), source)
    variant = model.spec.variant + ("" if model.spec.channels or not channels else f"-{channels}")
    if not again:
        known = load_cached("probes", path, from_json, variant)
        if known is not None:
            return known
    measured = probe_model(model, channels)
    save_cached("probes", path, to_json(measured), variant)
    return measured


class ProbeResult(NamedTuple):
    """A probe, and notes for the user."""

    probe: Probe | None = None
    """None if no probe was needed, or if it failed."""
    notes: tuple[str, ...] = ()


def probe_if_needed(
    path: Any, model: Model, options: Options, channels: int | None = None
) -> ProbeResult:
    """Probe a model if ``needs_probe``; if that fails, return a note and no probe.

    Parameters
    ----------
    path : str, path-like, callable or list of these
        The model's files or functions.
    model : Model
        The opened model.
    options : Options
        The user's options.
    channels : int, optional
        Bands of the input, if the model accepts any number.
    """
    if not needs_probe(path, options):
        return ProbeResult()
    return try_probe(path, model, channels)


def needs_probe(path: Any, options: Options) -> bool:
    """Whether margin or alignment is left open; of a function with a margin of 0, it is not."""
    if has_functions(path) and options.pair("margin") == (0, 0):
        return options.align == "auto"
    return options.pair("margin") is None or options.pair("align") is None


def try_probe(path: Any, model: Model, channels: int | None = None) -> ProbeResult:
    """Probe a model; on failure return a note and no probe.

    Parameters
    ----------
    path, model, channels
        As for ``probe_if_needed``.
    """
    try:
        if has_functions(path):
            return ProbeResult(probe_model(model, channels))
        return ProbeResult(probe_file(path, model, channels=channels))
    except ModelError as error:
        return ProbeResult(None, (f"{NOT_MEASURED}: {error}",))


def raster_source(reader: RasterReader, model: Model) -> Source:
    """Make images for a probe from random windows of a raster, normalized as in a run.

    A raster that is smaller than an image is extended by reflection. A little white noise is
    added: windows of a small or constant raster may be equal, and a probe that replaces pixels by
    equal pixels measures nothing.
    """
    is_unknown = reader.dtype.kind in "iu" and reader.dtype != np.uint8
    normalize_by = "zscore" if is_unknown and model.spec.dtype.kind == "f" else None
    chosen = choose_pixels(reader, model, Options(normalize=normalize_by))
    normalize = chosen.pixels.normalization.apply

    def source(random: np.random.Generator, shape: tuple[int, int, int]) -> Image:
        bands, *lengths = shape
        if bands != len(reader.bands):
            raise OptionError(f"the raster has {len(reader.bands)} bands, the model takes {bands}")
        rows, cols = (
            _random_slice(random, length, size)
            for length, size in zip(lengths, reader.size, strict=True)
        )
        image = np.empty(shape, np.float32)
        normalize(read_extended(reader, rows, cols), out=image)
        gaps = gaps_extended(reader, rows, cols)
        if gaps is not None:
            np.copyto(image, 0, where=gaps)
        spread = float(image.std()) * NOISE_SHARE or 1.0
        noisy: Image = image + noise(random, shape) * np.float32(spread)
        # A logarithm, a root or a power is NaN below 0, where a raster may have no pixels.
        return np.abs(noisy) if image.min() >= 0 else noisy

    return source


def _random_slice(random: np.random.Generator, length: int, size: int) -> slice:
    start = int(random.integers(0, max(1, size - length + 1)))
    return slice(start, start + length)


def to_json(probe: Probe) -> dict[str, Any]:
    """Convert a probe to a document that JSON can represent."""
    names = ("top", "bottom", "left", "right")
    return {
        "version": JSON_VERSION,
        "radius": list(probe.radius),
        "stride": list(probe.stride),
        "size": list(probe.size),
        "tile_wide": probe.tile_wide,
        "equivariant": list(probe.equivariant),
        "depends_on_size": probe.depends_on_size,
        "rounding": probe.rounding,
        "far_rounding": probe.far_rounding,
        "depends_on_batch": probe.depends_on_batch,
        "batch_rounding": probe.batch_rounding,
        "deterministic": probe.deterministic,
        "sides": {
            name: {
                "radius": side.radius,
                "reaches_across": side.reaches_across,
                "curve": [float(f"{change:.4g}") for change in side.curve],
            }
            for name, side in zip(names, probe.sides, strict=True)
        },
        "graph": {"proven": probe.graph.is_proof, **asdict(probe.graph)},
    }


def from_json(document: dict[str, Any]) -> Probe:
    """Convert a document of ``to_json`` to a probe.

    Raises
    ------
    ValueError
        If the document is of another version.
    """
    if document["version"] != JSON_VERSION:
        raise ValueError(f"a probe of version {document['version']}, not {JSON_VERSION}")
    sides = {
        name: Side(_curve(side["curve"]), bool(side["reaches_across"]))
        for name, side in document["sides"].items()
    }
    return Probe(
        **sides,
        stride=pair("stride", tuple(document["stride"]), 1),
        size=pair("size", tuple(document["size"]), 1),
        equivariant=(bool(document["equivariant"][0]), bool(document["equivariant"][1])),
        depends_on_size=bool(document["depends_on_size"]),
        rounding=float(document["rounding"]),
        depends_on_batch=bool(document["depends_on_batch"]),
        batch_rounding=float(document["batch_rounding"]),
        deterministic=bool(document["deterministic"]),
        graph=_graph_from_json(document["graph"]),
        far_rounding=document["far_rounding"],
    )


def _curve(values: Any) -> Floats:
    curve = np.array(values, np.float64)
    if curve.ndim != 1:
        raise ValueError(values)
    return curve


def _graph_from_json(document: dict[str, Any]) -> GraphVerdict:
    top, bottom, left, right = document["radius"]
    down, across = document["stride"]
    return GraphVerdict(
        document["obstacle"],
        document["reason"],
        (down, across),
        (top, bottom, left, right),
        document["reductions"],
        document["levels"],
        tuple(document["rounded"]),
        document["mixes_batch"],
    )
