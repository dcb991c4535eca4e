"""Shares: how much of a raster, or of zones of it, each class has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..areas.rasterize import Piece, Scanlines, Strip
from ..areas.zones import Zones, read_zones
from ..arrays import Mask
from ..decisions import OPTION, Decision
from ..errors import OptionError, RasterError
from ..progress import OnProgress, Progress
from ..raster.blocks import Walk
from ..raster.source import Reading
from ..threads import ReadAhead
from ..validation import nodata_of
from ..windows import Window
from .counts import Coded, Ints, Tally

if TYPE_CHECKING:
    from ..raster.georeference import Ground
    from ..raster.reader import RasterReader

WHOLE = Piece(0, (slice(None), slice(None)), None)
"""All of a window, for the only tally."""

INSTEAD = "write classes with `seamless-seg run --kind classes`"
"""What helps who has none."""


@dataclass(frozen=True)
class ClassShare:
    """What one class has."""

    number: int
    """The value of its pixels."""
    name: str | None
    """As the raster calls it."""
    pixels: int
    area: float | None
    """Square meters; None where the raster does not say how large its pixels are."""
    share: float | None
    """Of the area of all classes, or else of their pixels; None where there are none."""


@dataclass(frozen=True)
class ClassTable:
    """Classes by their numbers, those that have names with or without pixels."""

    classes: tuple[ClassShare, ...]
    pixels: int
    """Of all classes, without nodata."""
    area: float | None
    """Of all classes, without nodata, in square meters."""
    nodata_pixels: int
    nodata_area: float | None
    zone: str | None = None
    """The zone that it is about; None for the whole raster."""


@dataclass(frozen=True)
class ClassStats:
    """What ``class_stats`` found."""

    tables: tuple[ClassTable, ...]
    """One of the whole raster, or one for each zone."""
    notes: tuple[str, ...] = ()
    """Sentences that a user should see."""


def class_stats(
    path: Any,
    zones: Any = None,
    *,
    zone_key: str | None = None,
    nodata: float | None = None,
    on_progress: OnProgress | None = None,
) -> ClassStats:
    """Pixels, area and share of each class of a raster.

    It is read a window at a time; with zones, only windows with a pixel of one. Areas are the
    map's in a projected CRS and the ellipsoid's in a geographic one.

    Parameters
    ----------
    path : str or path-like
        A raster of one band of integers, the classes, with or without an alpha band. What its
        nodata value, mask or alpha band leaves out counts apart.
    zones : str or path-like, optional
        GeoJSON polygons, WGS 84 unless the file names a CRS, each of which gets a table of its own.
        A pixel belongs to a zone if its center lies inside; zones may overlap.
    zone_key : str, optional
        Their property that is the zone's name, by default ``name`` or ``id``.
    nodata : float, optional
        Instead of the file's nodata value.
    on_progress : callable, optional
        Called with a ``Progress`` after each window.

    Raises
    ------
    RasterError
        Where the raster cannot be read, or does not hold classes.
    OptionError
        Where the zones cannot be used.
    """
    from ..raster.gdal import block_cache
    from ..raster.georeference import Ground
    from ..raster.legend import category_names
    from ..raster.reader import RasterReader

    if zone_key is not None and zones is None:
        raise OptionError("zone-key is about zones: give zones, too")
    reading = None
    if nodata is not None:
        reading = Reading(nodata=Decision(nodata_of(nodata), OPTION))
    with RasterReader(path, reading) as reader:
        _refuse_others(reader)
        found = (
            read_zones(zones, reader.size, reader.georeference, zone_key)
            if zones is not None
            else None
        )
        ground, walk = Ground(reader.georeference), Walk(reader.size, reader.blocks)
        tallies = [Tally(str(path)) for _ in (found.names if found else ("",))]
        with block_cache(walk.cache_bytes):
            _count(reader, walk, ground, found, tallies, on_progress)
        wording = _Wording(_named(category_names(path), reader.nodata), ground)
    names = found.names if found else (None,)
    tables = tuple(wording.table(*pair) for pair in zip(tallies, names, strict=True))
    notes = (*(found.notes if found else ()), *([ground.note] if ground.note else ()))
    return ClassStats(tables, notes)


def _refuse_others(reader: RasterReader) -> None:
    count = reader.count - reader.has_trailing_alpha
    if count > 1:
        raise RasterError(f"{reader.path} has {count} bands, and classes are one band: {INSTEAD}")
    reader.select([1])
    if reader.dtype.kind not in "iu":
        raise RasterError(
            f"{reader.path} has pixels of {reader.dtype}, and classes are whole numbers: {INSTEAD}"
        )


class _Read(NamedTuple):
    """A window that has been read, or that no zone wants."""

    window: Window
    values: Ints | None = None
    valid: Mask | None = None
    strip: Strip | None = None
    """Zones on its rows; None where there are no zones at all."""

    @property
    def pieces(self) -> Iterable[Piece]:
        """Of what there are tallies, made one by one: many zones may overlap."""
        return [WHOLE] if self.strip is None else self.strip.pieces(self.window.cols)


def _count(
    reader: RasterReader,
    walk: Walk,
    ground: Ground,
    zones: Zones | None,
    tallies: list[Tally],
    on_progress: OnProgress | None,
) -> None:
    progress = Progress(0, len(walk), 0, "windows")
    differ = ground.is_known and ground.constant is None
    with ReadAhead(_read(reader, walk, zones)) as windows:
        for read in windows:
            window = read.window
            if read.values is not None:
                coded = Coded(read.values, read.valid, ground.areas(window) if differ else None)
                for polygon, part, mask in read.pieces:
                    tallies[polygon].add(coded.classes, *coded.count(part, mask))
            progress = progress.more(window.shape[0] * window.shape[1])
            if on_progress is not None:
                on_progress(progress)


def _read(reader: RasterReader, walk: Walk, zones: Zones | None) -> Iterator[_Read]:
    outlines = None if zones is None else Scanlines(zones.polygons, reader.size)
    strip, rows = None, None
    for window in walk:
        if outlines is not None and window.rows != rows:
            strip, rows = outlines.on(window.rows), window.rows
        if strip is not None and not strip.touches(window.cols):
            yield _Read(window)
        else:
            yield _Read(window, reader.read(*window)[0], reader.valid(*window), strip)


def _named(names: list[str], nodata: float | None) -> dict[int, str]:
    return {number: name for number, name in enumerate(names) if name and number != nodata}


@dataclass(frozen=True)
class _Wording:
    """Turns what was counted into tables."""

    names: dict[int, str]
    ground: Ground

    def table(self, tally: Tally, zone: str | None) -> ClassTable:
        numbers = sorted({*self.names, *(key for key in tally.pixels if key is not None)})
        total = sum(tally.pixels[number] for number in numbers if number in tally.pixels)
        area = self._area(tally, numbers)
        classes = tuple(self._share(tally, number, total, area) for number in numbers)
        nodata = tally.pixels.get(None, 0)
        return ClassTable(classes, total, area, nodata, self._area(tally, [None]), zone)

    def _share(self, tally: Tally, number: int, total: int, total_area: float | None) -> ClassShare:
        pixels, area = tally.pixels.get(number, 0), self._area(tally, [number])
        share = pixels / total if total else None
        if area is not None and total_area and self.ground.constant is None:
            share = area / total_area
        return ClassShare(number, self.names.get(number), pixels, area, share)

    def _area(self, tally: Tally, keys: list[Any]) -> float | None:
        if not self.ground.is_known:
            return None
        if self.ground.constant is not None:
            return self.ground.constant * sum(tally.pixels.get(key, 0) for key in keys)
        return sum(tally.areas.get(key, 0.0) for key in keys)
