"""The user's options, and what is validated of them before a raster or a model is opened."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, TypedDict, TypeVar

import numpy as np

from ..errors import OptionError
from ..models.load import LazyModel
from ..models.tta import symmetries_of
from ..system import cores
from ..tiling.trust import Profile, profile
from ..validation import bands_of, nodata_of, number_of, pair, whole_number
from ..windows import Pair, Size
from .settings import LINEAR, Pixels

AUTO = "auto"
"""Value of an option that is to be measured."""

MEASURED: Literal["measured"] = "measured"
"""Value of the margin that is the measured radius, also where the graph allows a larger one."""

WORDS = {"margin": (AUTO, MEASURED)}
"""Words that an option about the geometry of tiles takes; the others take ``AUTO`` alone."""

SMALLEST_LENGTHS = {"tile": 1, "overlap": 0, "margin": 0, "align": 1}
"""Smallest value in pixels of each option about the geometry of tiles."""

LEAST_BYTES = 1_000_000
"""Bytes of the smallest memory limit: a smaller number was meant in another unit."""

OTHER_KEYWORDS = {
    "device": "provider",
    "tile_size": "tile",
    "patch_size": "tile",
    "batch": "batch_size",
    "force": "overwrite",
    "mask": "area",
    "bounds": "bbox",
    "channels": "bands",
    "memory": "max_memory",
    "workers": "threads",
}
"""Keywords of other libraries, and what stands for them here."""

READING_OPTIONS = (
    *("nodata", "level", "resolution", "match_resolution", "unscale", "mask_band"),
    "network",
)
"""Names of the options about how a raster is read."""


@dataclass(frozen=True)
class Options:
    """How a raster is read, normalized and tiled; None, or "auto" in the first four, if left open.

    Raises
    ------
    OptionError
        If a value is unknown, out of range, or contradicts another one.
    GeometryError
        If a number of pixels is out of range.
    """

    tile: Size | Literal["auto"] | None = None
    """Tile size in pixels, (height, width) or one number for both."""
    overlap: Size | Literal["auto"] | None = None
    """Minimum overlap of neighboring tiles in pixels."""
    margin: Size | Literal["auto", "measured"] | None = None
    """Pixels at a tile's cut sides that are discarded. ``"measured"``: the measured radius, also
    where the graph allows a larger one."""
    align: Size | Literal["auto"] | None = None
    """Tiles start at multiples of this: the model's total stride in pixels."""
    trust: str | Profile | None = None
    """Blending weights: name of a profile, or a profile."""
    batch_size: int | None = None
    """Tiles of a batch."""
    bands: Sequence[int | str] | str | None = None
    """Bands of the raster for the model's input, in this order: numbers, counted from 1, or
    names; or a string of these, separated by commas."""
    tolerance: float | None = None
    """Accepted change of logits near tile edges, in standard deviations of the logits."""
    exact: Literal["global"] | None = None
    """``"global"``: measure what the model reduces of the whole image in passes of its own."""
    statistics: str | PathLike[str] | None = None
    """File of such statistics that an earlier run has written, or its output: they are used
    instead, and ``exact`` is ``"global"``."""
    statistics_sample: float | None = None
    """Share of the tiles on which statistics are measured that depend on others."""
    scale: float | None = None
    """Factor for pixel values."""
    mean: Sequence[float] | float | None = None
    """Subtracted after scaling: one number, or one for each band."""
    std: Sequence[float] | float | None = None
    """Divisor after that: one number, or one for each band."""
    value_scaling: Sequence[Any] | None = None
    """List of operations of STAC MLM that replace scale, mean and std."""
    normalize: str | None = None
    """``percentile:LOW,HIGH`` or ``zscore``: mean and std are measured in the raster."""
    tta: str | None = None
    """Test-time augmentation: ``none``, ``flips`` or ``d4``."""
    model_output: str | int | None = None
    """Output of the graph to use, by name or counted from 0."""
    fill: float | None = None
    """Pixel value for the model in place of nodata; the mean if None."""
    nodata: float | None = None
    """Nodata value that replaces the file's own."""
    level: int | None = None
    """Overview to read, counted from 1; 0 is the full resolution."""
    resolution: Sequence[float] | float | None = None
    """Pixel size to resample to, height and width, in units of the CRS."""
    match_resolution: bool | None = None
    """Whether to resample to the resolution that the model's metadata state."""
    unscale: bool | None = None
    """Whether to apply the scales and offsets of the file's bands."""
    mask_band: int | None = None
    """Band, counted from 1, that is zero where pixels are not valid; the model does not get it."""
    network: bool | None = None
    """False: read local files alone, and let nothing in this process connect to another machine
    while the raster is open."""

    def __post_init__(self) -> None:
        for name, least in SMALLEST_LENGTHS.items():
            value = getattr(self, name)
            if value is not None and not _is_word(name, value):
                object.__setattr__(self, name, pair(name, value, least))
        if isinstance(self.bands, str):
            object.__setattr__(self, "bands", bands_of(self.bands))
        if self.trust is not None:
            profile(self.trust)
        if self.batch_size is not None:
            whole_number("batch size", self.batch_size, 1)
        object.__setattr__(self, "tolerance", number_of("tolerance", self.tolerance))
        if self.tolerance is not None and self.tolerance <= 0:
            raise OptionError(f"tolerance must be above 0, not {self.tolerance}")
        self._check_exact()
        number_of("scale", self.scale)
        number_of("fill", self.fill)
        symmetries_of(self.tta)
        self._check_reading()
        if self.normalize is not None:
            self._check_normalize(self.normalize)

    def pair(self, name: Literal["tile", "overlap", "margin", "align"]) -> Pair | None:
        """Return (height, width) in pixels of one of the first four; None if it is left open."""
        value = getattr(self, name)
        return None if value is None or _is_word(name, value) else value

    def given(self) -> dict[str, Any]:
        """Return the options that have a value."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def measured(self, pixels: Pixels | None) -> Options:
        """Return the options with ``normalize`` replaced by the measured scale, mean and std."""
        if self.normalize is None or pixels is None:
            return self
        numbers = {name: getattr(pixels, name).value for name in LINEAR}
        return replace(self, normalize=None, **numbers)

    def lengths(self) -> tuple[float, float] | None:
        """Return height and width of ``resolution``, in units of the CRS."""
        if self.resolution is None:
            return None
        listed = _listed(self.resolution)
        return float(listed[0]), float(listed[-1])

    def refuse_reading(self) -> None:
        """Raise ``OptionError`` if an option is about how a raster is read: there is none."""
        for name in READING_OPTIONS:
            if name != "network" and getattr(self, name) is not None:
                raise OptionError(f"{name}= is about how the raster is read: give a raster, too")

    def _check_exact(self) -> None:
        """Check the options about statistics; given statistics are of the whole image."""
        if self.exact not in (None, "global"):
            raise OptionError(f'exact= takes "global" alone, not {self.exact!r}')
        if self.statistics is not None:
            object.__setattr__(self, "exact", "global")
        share = self.statistics_sample
        if share is None:
            return
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share <= 1:
            raise OptionError(
                f"statistics_sample= takes a share of the tiles, above 0 and at most 1, not "
                f"{str(share).removesuffix('.0')}"
            )
        if self.statistics is not None:
            raise OptionError(
                "statistics= replaces measuring, and statistics_sample= is about measuring: leave "
                "one of them out"
            )
        if self.exact is None:
            raise OptionError('statistics_sample= needs exact="global": give it, too')

    def _check_reading(self) -> None:
        chosen = {
            "level": self.level,
            "resolution": self.resolution,
            "match_resolution": self.match_resolution or None,
        }
        given = [name for name, value in chosen.items() if value is not None]
        if len(given) > 1:
            raise OptionError(f"{_named(given)} exclude each other: give only one of them")
        if self.nodata is not None:
            nodata_of(self.nodata)
        if self.mask_band is not None:
            whole_number("mask band", self.mask_band, 1)
        if self.network not in (None, True, False):
            raise OptionError(f"network must be True or False, not {self.network!r}")
        level = self.level
        is_whole = isinstance(level, int | np.integer) and not isinstance(level, bool)
        if level is not None and not (is_whole and level >= 0):
            raise OptionError(
                f"level must be 0 for the full resolution, or an overview from 1, not {level}"
            )
        if self.resolution is not None:
            _check_lengths(_listed(self.resolution))

    def _check_normalize(self, normalize: str) -> None:
        from .raster_statistics import stretch_of

        stretch_of(normalize)
        given = [name for name in (*LINEAR, "value_scaling") if getattr(self, name) is not None]
        if given:
            raise OptionError(
                f"normalize= measures scale, mean and std: leave out {_named(given)}, or normalize="
            )


class ReadingChoices(TypedDict, total=False):
    """The fields of ``Options`` about how a raster is read, as keywords."""

    nodata: float | None
    level: int | None
    resolution: Sequence[float] | float | None
    match_resolution: bool | None
    unscale: bool | None
    mask_band: int | None
    network: bool | None


class OptionChoices(ReadingChoices, total=False):
    """The fields of ``Options`` as keywords."""

    tile: Size | Literal["auto"] | None
    overlap: Size | Literal["auto"] | None
    margin: Size | Literal["auto", "measured"] | None
    align: Size | Literal["auto"] | None
    trust: str | Profile | None
    batch_size: int | None
    bands: Sequence[int | str] | str | None
    tolerance: float | None
    exact: Literal["global"] | None
    statistics: str | PathLike[str] | None
    statistics_sample: float | None
    scale: float | None
    mean: Sequence[float] | float | None
    std: Sequence[float] | float | None
    value_scaling: Sequence[Any] | None
    normalize: str | None
    tta: str | None
    model_output: str | int | None
    fill: float | None


T = TypeVar("T")


def pop_options(kind: type[T], choices: dict[str, Any]) -> T:
    """Make options of a kind from the keywords that are its fields, and remove these."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: choices.pop(name) for name in names & set(choices)})


def merged(
    function: Callable[..., Any], options: Options | None, choices: Mapping[str, Any]
) -> Options:
    """Return the options, or make them of the keywords.

    Parameters
    ----------
    function : callable
        The function that was given the keywords; it names all of them in its signature.
    options : Options, optional
        The options.
    choices : mapping
        The keywords.

    Raises
    ------
    TypeError
        If both are given, or a keyword is unknown.
    """
    known = list(inspect.signature(function).parameters)
    for name in choices:
        if name not in known:
            meant = OTHER_KEYWORDS.get(name) or next(iter(get_close_matches(name, known)), None)
            advice = f": use {meant}=" if meant in known else ""
            raise TypeError(f"{function.__name__}() has no keyword {name!r}{advice}")
    if options is not None and choices:
        raise TypeError("give either options or their fields as keywords, not both")
    return options or Options(**choices)


@dataclass(frozen=True)
class Execution:
    """Where a model runs: execution provider, threads and memory.

    Raises
    ------
    OptionError
        If ``max_memory`` is not a number of bytes, or less than ``LEAST_BYTES``.
    """

    provider: str = "cpu"
    """Execution provider of onnxruntime, such as ``cpu``, ``cuda`` or ``tensorrt``."""
    threads: int | None = None
    """Threads of onnxruntime; as many as there are processors if None."""
    max_memory: int | None = None
    """Bytes that the process may use."""

    def __post_init__(self) -> None:
        limit = self.max_memory
        if limit is not None and (not isinstance(limit, Integral) or limit < 1):
            raise OptionError(f"max_memory must be a whole number of bytes, not {limit!r}")
        if limit is not None and limit < LEAST_BYTES:
            raise OptionError(
                f"max_memory={limit} is {limit} bytes, less than any run needs: give bytes, such "
                f"as 2_000_000_000 for 2 GB"
            )

    @property
    def variant(self) -> str:
        """Suffix for cached timings: what they depend on beside the model and its bands."""
        return f"-{self.provider.lower()}-{self.threads or cores()}"

    def model(self, source: Any, options: Options) -> LazyModel:
        """Return the model as the options describe it, not yet opened."""
        return LazyModel(
            source,
            self.provider,
            self.threads,
            options.tta,
            options.model_output,
            options.pair("tile"),
        )


def _is_word(name: str, value: object) -> bool:
    """Whether a value of an option stands for pixels that are chosen later."""
    return isinstance(value, str) and value in WORDS.get(name, (AUTO,))


def _named(options: Sequence[str]) -> str:
    """Name options in a message."""
    return " and ".join(f"{name}=" for name in options)


def _listed(value: Any) -> list[Any]:
    is_list = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    return list(value) if is_list else [value]


def _check_lengths(lengths: list[Any]) -> None:
    are_numbers = all(isinstance(length, Real) for length in lengths)
    if len(lengths) in (1, 2) and are_numbers and all(0 < x < np.inf for x in lengths):
        return
    raise OptionError(
        f"resolution must be the height and width of a pixel, or one length for both, above 0, not "
        f"{','.join(map(str, lengths))}"
    )
