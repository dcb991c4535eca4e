"""Class statistics: pixels, area and share of each class in a raster, or in zones of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..arrays import Array, Mask
from ..decisions import OPTION, Decision
from ..errors import OptionError, RasterError
from ..progress import OnProgress, Progress
from ..raster.blocks import BlockWindows
from ..raster.source import Reading
from ..threads import ReadAhead
from ..validation import nodata_of
from ..windows import Slices, Window
from .counts import WHOLE_WINDOW, ClassCounts, CodedWindow

if TYPE_CHECKING:
    from ..areas.rasterize import Strip
    from ..areas.zones import Zones
    from ..raster.reader import RasterReader
    from ..raster.surface_areas import PixelAreas

HOW_TO_WRITE_CLASSES = 'a run with kind="classes" writes them'


def class_stats(
    path: str | os.PathLike[str],
    zones: str | os.PathLike[str] | None = None,
    *,
    zone_key: str | None = None,
    nodata: float | None = None,
    network: bool | None = None,
    on_progress: OnProgress | None = None,
) -> ClassStats:
    """Count pixels, area and share of each class of a raster.

    The raster is read a window at a time; with zones, only windows with a pixel of one. Areas are
    the map's in a projected CRS and the ellipsoid's in a geographic one.

    Parameters
    ----------
    path : str or path-like
        A raster of one band of integers, the classes, with or without an alpha band. Pixels that
        its nodata value, mask or alpha band excludes are counted separately.
    zones : str or path-like, optional
        GeoJSON polygons, WGS 84 unless the file names a CRS, each of which gets a table of its own.
        A pixel belongs to a zone if its center lies inside; zones may overlap.
    zone_key : str, optional
        Property of the polygons that is the zone's name, by default ``name`` or ``id``.
    nodata : float, optional
        Replaces the file's nodata value.
    network : bool, optional
        False: read local files alone, and let nothing in this process connect to another machine.
    on_progress : callable, optional
        Called with a ``Progress`` after each window.

    Returns
    -------
    ClassStats
        One table of the whole raster, or one for each zone.

    Raises
    ------
    RasterError
        Where the raster cannot be read, or does not hold classes.
    OptionError
        Where the zones cannot be used.
    """
    from ..foreign_files import naming_what_is_no_class_raster
    from ..raster.gdal import block_cache
    from ..raster.legend import category_names
    from ..raster.reader import RasterReader
    from ..raster.surface_areas import PixelAreas

    if zone_key is not None and zones is None:
        raise OptionError("zone-key needs zones: give a file of zones, too")
    reading = None
    if nodata is not None:
        reading = Reading(nodata=Decision(nodata_of(nodata), OPTION))
    with naming_what_is_no_class_raster(path):
        opened = RasterReader(path, reading, network is not False)
    with opened as reader:
        _select_class_band(reader)
        found = None if zones is None else _zones(zones, reader, zone_key)
        pixel_areas = PixelAreas(reader.georeference)
        windows = BlockWindows(reader.size, reader.blocks)
        counts = [ClassCounts(str(path)) for _ in (found.names if found else ("",))]
        with block_cache(windows.cache_bytes):
            _count(reader, windows, pixel_areas, found, counts, on_progress)
        reader.check_unchanged()
        builder = _TableBuilder(_class_names(category_names(path), reader.nodata), pixel_areas)
    names = found.names if found else (None,)
    tables = tuple(builder.table(*pair) for pair in zip(counts, names, strict=True))
    notes = (*(found.notes if found else ()), *([pixel_areas.note] if pixel_areas.note else ()))
    return ClassStats(tables, notes)


@dataclass(frozen=True)
class ClassShare:
    """Pixels and area of one class."""

    number: int
    """The value of its pixels."""
    name: str | None
    """The raster's category name for it, if there is one."""
    pixels: int
    area: float | None
    """Square meters; None where the size of the raster's pixels is unknown."""
    share: float | None
    """Share of the area of all classes, or of their pixels where no area is known.

    None where no class has pixels.
    """


@dataclass(frozen=True)
class ClassTable:
    """The classes of a raster or of a zone, by number.

    A class that has a name is listed even if it has no pixels.
    """

    classes: tuple[ClassShare, ...]
    pixels: int
    """Pixels of all classes, without nodata."""
    area: float | None
    """Square meters of all classes, without nodata; None where unknown."""
    nodata_pixels: int
    nodata_area: float | None
    zone: str | None = None
    """Name of the zone; None for the whole raster."""


@dataclass(frozen=True)
class ClassStats:
    """The result of ``class_stats``."""

    tables: tuple[ClassTable, ...]
    """One of the whole raster, or one for each zone."""
    notes: tuple[str, ...] = ()
    """Sentences that a user should see."""


def _select_class_band(reader: RasterReader) -> None:
    """Read the only band of integers from now on; raise where the raster is none of classes."""
    count = reader.count - reader.has_trailing_alpha
    if count > 1:
        raise RasterError(
            f"{reader.path} has {count} bands, but classes are one band: {HOW_TO_WRITE_CLASSES}"
        )
    reader.select([1])
    if reader.dtype.kind not in "iu":
        raise RasterError(
            f"{reader.path} has pixels of {reader.dtype}, but classes are integers: "
            f"{HOW_TO_WRITE_CLASSES}"
        )


def _zones(path: Any, reader: RasterReader, key: str | None) -> Zones:
    # Statistics of the whole raster need no geometry.
    from ..areas.zones import read_zones

    return read_zones(path, reader.size, reader.georeference, key)


class _ReadWindow(NamedTuple):
    """A window that has been read, or that no zone has pixels in."""

    window: Window
    values: Array | None = None
    valid: Mask | None = None
    strip: Strip | None = None
    """Zones on its rows; None where there are no zones at all."""

    @property
    def pieces(self) -> Iterable[tuple[int, Slices, Mask | None]]:
        """Index of each zone, and its part of the window: one by one, since many may overlap."""
        if self.strip is None:
            return [(0, WHOLE_WINDOW, None)]
        return self.strip.pieces(self.window.cols)


def _count(
    reader: RasterReader,
    windows: BlockWindows,
    pixel_areas: PixelAreas,
    zones: Zones | None,
    counts: list[ClassCounts],
    on_progress: OnProgress | None,
) -> None:
    """Add up the pixels of all windows, in ``counts`` of the raster or of each zone."""
    progress = Progress(0, len(windows), 0, "windows")
    differ = pixel_areas.is_known and pixel_areas.uniform is None
    with ReadAhead(_read(reader, windows, zones)) as read_windows:
        for read in read_windows:
            window = read.window
            if read.values is not None:
                areas = pixel_areas.of_window(window) if differ else None
                coded = CodedWindow(read.values, read.valid, areas)
                for zone, part, mask in read.pieces:
                    counts[zone].add(coded.classes, *coded.count(part, mask))
            progress = progress.more(window.shape[0] * window.shape[1])
            if on_progress is not None:
                on_progress(progress)


def _read(
    reader: RasterReader, windows: BlockWindows, zones: Zones | None
) -> Iterator[_ReadWindow]:
    """Read the windows, but for those without a pixel of a zone."""
    if zones is None:
        for window in windows:
            yield _ReadWindow(window, reader.read(*window)[0], reader.valid(*window))
        return
    from ..areas.rasterize import Scanlines

    scanlines = Scanlines(zones.polygons, reader.size)
    strip, rows = None, None
    for window in windows:
        if strip is None or window.rows != rows:
            strip, rows = scanlines.on(window.rows), window.rows
        if strip.touches(window.cols):
            yield _ReadWindow(window, reader.read(*window)[0], reader.valid(*window), strip)
        else:
            yield _ReadWindow(window)


def _class_names(names: list[str], nodata: float | None) -> dict[int, str]:
    return {number: name for number, name in enumerate(names) if name and number != nodata}


@dataclass(frozen=True)
class _TableBuilder:
    """Makes tables of counts."""

    names: dict[int, str]
    pixel_areas: PixelAreas

    def table(self, counts: ClassCounts, zone: str | None) -> ClassTable:
        """Make the table of the raster, or of a zone."""
        numbers = sorted({*self.names, *(key for key in counts.pixels if key is not None)})
        total = sum(counts.pixels[number] for number in numbers if number in counts.pixels)
        area = self._area(counts, numbers)
        classes = tuple(self._share(counts, number, total, area) for number in numbers)
        nodata = counts.pixels.get(None, 0)
        return ClassTable(classes, total, area, nodata, self._area(counts, [None]), zone)

    def _share(
        self, counts: ClassCounts, number: int, total: int, total_area: float | None
    ) -> ClassShare:
        pixels, area = counts.pixels.get(number, 0), self._area(counts, [number])
        share = pixels / total if total else None
        if area is not None and total_area and self.pixel_areas.uniform is None:
            share = area / total_area
        return ClassShare(number, self.names.get(number), pixels, area, share)

    def _area(self, counts: ClassCounts, keys: list[Any]) -> float | None:
        """Square meters of some classes; None stands for nodata."""
        if not self.pixel_areas.is_known:
            return None
        if self.pixel_areas.uniform is not None:
            return self.pixel_areas.uniform * sum(counts.pixels.get(key, 0) for key in keys)
        return sum(counts.areas.get(key, 0.0) for key in keys)
