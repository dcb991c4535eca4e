"""The raster that statistics were measured on, and how its pixels were made for the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..normalization import Scaling
from ..windows import Pair
from .settings import LINEAR, Settings

if TYPE_CHECKING:
    from ..raster.reader import RasterReader

SAME_NUMBER = 1e-4
"""Relative difference up to which two numbers of a normalization are the same."""

SAME_PIXEL_SIZE = 0.01
"""Relative difference up to which two rasters have the same pixel size."""

METER = 100
"""Centimeters."""


@dataclass(frozen=True)
class StatisticsOrigin:
    """The raster that statistics were measured on, and how its pixels were made."""

    raster: str
    """Name of its file, without folders."""
    size: Pair
    """Height and width in px."""
    is_masked: bool
    """Whether pixels can be invalid, which statistics leave out."""
    pixel_size: tuple[float, float] | None
    """Height and width of a pixel in m; None where it has no CRS or no transform."""
    normalize: str | None
    """The option of that name: mean and std were measured on the raster, too."""
    pixels: Mapping[str, Any]
    """Bands, and scale, mean and std, or the value scaling in their place."""

    @property
    def whose(self) -> str:
        """Whose statistics they are, in words."""
        return f"the statistics of {'the valid pixels of ' * self.is_masked}{self.raster}"

    def document(self) -> dict[str, Any]:
        """Return a document that JSON can represent."""
        return {
            "name": self.raster,
            "size": list(self.size),
            "has_nodata": self.is_masked,
            "pixel_size": None if self.pixel_size is None else list(self.pixel_size),
            "normalize": self.normalize,
            "pixels": dict(self.pixels),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StatisticsOrigin:
        """Read a document that ``document`` has returned."""
        height, width = document["size"]
        length = document["pixel_size"]
        return cls(
            str(document["name"]),
            (int(height), int(width)),
            bool(document["has_nodata"]),
            None if length is None else (float(length[0]), float(length[1])),
            document["normalize"],
            dict(document["pixels"]),
        )

    def warnings_for(self, other: StatisticsOrigin) -> Iterator[str]:
        """Yield a warning for each difference from a raster that the statistics are used for."""
        for name in self._compared(other):
            was, now = self._value(name), other._value(name)
            if not _is_same(was, now):
                yield self._warning(f"{name} {_text(was)}", f"{name} {_text(now)}")
        lengths = self.pixel_size, other.pixel_size
        if None not in lengths and not _is_same(*lengths, SAME_PIXEL_SIZE):
            was, now = (f"pixels of {_meters(own)}" for own in lengths)
            yield self._warning(was, now)

    def _compared(self, other: StatisticsOrigin) -> Sequence[str]:
        """Names of what has to be the same; measured numbers may differ."""
        if self.normalize is not None and other.normalize is not None:
            return "bands", "normalize"
        if "value_scaling" in {*self.pixels, *other.pixels}:
            return "bands", "value_scaling"
        return "bands", *LINEAR

    def _value(self, name: str) -> Any:
        return self.normalize if name == "normalize" else self.pixels.get(name)

    def _warning(self, was: str, now: str) -> str:
        return (
            f"the statistics of {self.raster} were measured with {was}, and this run has {now}: "
            f"make pixels as there, or leave statistics= out"
        )


def origin_of(reader: RasterReader, settings: Settings, normalize: str | None) -> StatisticsOrigin:
    """Return what statistics of a run are measured on.

    Parameters
    ----------
    reader : RasterReader
        The raster, set to the bands of the model's input.
    settings : Settings
        The decisions of the run.
    normalize : str or None
        The option of that name.
    """
    pixels = {} if settings.pixels is None else dict(settings.pixels.decisions())
    return StatisticsOrigin(
        _file_name(str(reader.path)),
        reader.size,
        reader.may_have_nodata,
        reader.times_pixel_size(METER),
        normalize,
        {name: _plain(decision.value) for name, decision in pixels.items()},
    )


def _file_name(path: str) -> str:
    """Return the name of a file without its folders, and without the signature of an address."""
    return re.split(r"[/\\]", path.partition("?")[0])[-1].strip('"')


def _plain(value: Any) -> Any:
    """Return a value as it is when it has been read from JSON."""
    if isinstance(value, Scaling):
        return value.document()
    if isinstance(value, tuple):
        return [_plain(own) for own in value]
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _is_same(was: Any, now: Any, tolerance: float = SAME_NUMBER) -> bool:
    """Whether two values are the same; one number may stand for all bands."""
    if not (_are_numbers(was) and _are_numbers(now)):
        return bool(was == now)
    try:
        return np.allclose(was, now, tolerance, atol=0)
    except ValueError:  # numbers for other bands
        return False


def _are_numbers(value: Any) -> bool:
    listed = value if isinstance(value, list | tuple) else [value]
    return bool(listed) and all(isinstance(own, int | float) for own in listed)


def _text(value: Any) -> str:
    if value is None:
        return "left out"
    if isinstance(value, list) and _are_numbers(value):
        return ",".join(f"{own:g}" for own in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meters(length: tuple[float, float] | None) -> str:
    height, width = (f"{own:.4g}" for own in length or ())
    return f"{height} m" if height == width else f"{height} x {width} m"
