"""``seamless-seg stats``: pixels, area and share of each class."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from seamless_seg import ClassStats, ClassTable, OptionError, class_stats
from seamless_seg.publishing.text_file import Document

from . import options
from .command import Command, Section, argument, option
from .formatting import to_json
from .messages import say, show_table
from .progress import ProgressBar
from .types import Number

UNITS = [("km2", 1e6, 1e8), ("ha", 1e4, 1e4), ("m2", 1.0, 0.0)]
"""Units of area: the square meters of one, and from how many square meters on it is used."""

ENDINGS = ("", ".txt", ".csv", ".json")
"""Endings of the names of reports; the last two set the format."""

WORDS = 3
"""So many columns of the table hold words, the others numbers."""

COLUMNS = ("class", "name", "pixels", "area_m2", "share")


@click.command(cls=Command)
@argument("raster", "CLASSES", "Class raster: one band of integers.")
@option(
    Section.INPUT,
    "--nodata",
    type=Number(),
    metavar="V",
    show_default="from the file",
    help="Nodata value of CLASSES.",
)
@options.no_network
@option(
    Section.ZONES,
    "--zones",
    metavar="FILE",
    help=f"Report each polygon of a GeoJSON file separately. {options.POLYGON_COORDINATES}",
)
@option(
    Section.ZONES,
    "--zone-key",
    metavar="KEY",
    show_default="name or id, else numbers",
    help="Property with the name of a zone.",
)
@option(
    Section.REPORT,
    "-o",
    "--output",
    metavar="FILE",
    help="Write the report to a file instead of printing it: .csv, .json or .txt.",
)
@options.as_json
@option(Section.REPORT, "--csv", "as_csv", is_flag=True, help="Print CSV.")
@option(Section.REPORT, "--overwrite", is_flag=True, help="Replace FILE if it exists.")
@options.quiet("the report and errors")
@options.debug
def stats(
    raster: str,
    zones: str | None,
    zone_key: str | None,
    nodata: float | None,
    network: bool | None,
    as_json: bool,
    as_csv: bool,
    output: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Report pixels, area and share of each class.

    Nodata is counted separately. Areas are measured on the map in a projected CRS and on the
    ellipsoid in a geographic CRS; without a CRS they are unknown.
    """
    document = None if output is None else Document(output, [raster, zones], overwrite)
    ending = "" if output is None else Path(output).suffix.lower()
    if ending not in ENDINGS:
        raise OptionError(f"output {output}: reports are text: name it {_named(output)}")
    if as_json and as_csv:
        raise OptionError("--json and --csv exclude each other: give only one of them")
    if not (as_json or as_csv):
        as_json, as_csv = ending == ".json", ending == ".csv"
    with ProgressBar() as bar:
        found = class_stats(
            raster,
            zones,
            zone_key=zone_key,
            nodata=nodata,
            network=network,
            on_progress=None if quiet else bar,
        )
    text = to_json(figures(found)) + "\n" if as_json else _csv(found) if as_csv else _table(found)
    if document is None:
        show_table(text)
    else:
        document.write(text)
    for sentence in [] if quiet else found.notes:
        say(f"note: {sentence}")


def _named(output: str | None) -> str:
    root = Path(output or "report").with_suffix("")
    return f"{root}.csv, {root}.json or {root}.txt"


def figures(found: ClassStats) -> dict[str, Any]:
    """The result in numbers: of the raster, or in ``zones`` of each zone."""
    if found.tables[0].zone is None:
        return _figures(found.tables[0]) | {"notes": list(found.notes)}
    zones = [{"zone": table.zone} | _figures(table) for table in found.tables]
    return {"zones": zones, "notes": list(found.notes)}


def _figures(table: ClassTable) -> dict[str, Any]:
    return {
        "pixels": table.pixels,
        "area_m2": table.area,
        "classes": [dict(zip(COLUMNS, asdict(own).values(), strict=True)) for own in table.classes],
        "nodata": {"pixels": table.nodata_pixels, "area_m2": table.nodata_area},
    }


def _csv(found: ClassStats) -> str:
    """As RFC 4180 has it: a row a class and one for nodata, after the zone if there are some."""
    text = io.StringIO()
    writer = csv.writer(text)
    has_zones = found.tables[0].zone is not None
    writer.writerow((*["zone"][: int(has_zones)], *COLUMNS))
    for table in found.tables:
        before = (table.zone,) if has_zones else ()
        for own in table.classes:
            writer.writerow((*before, *asdict(own).values()))
        writer.writerow((*before, "nodata", None, table.nodata_pixels, table.nodata_area, None))
    return text.getvalue()


def _table(found: ClassStats) -> str:
    """The result as people read it: names to the left, numbers to the right."""
    largest = max((table.area or 0) + (table.nodata_area or 0) for table in found.tables)
    unit, meters, _ = next(unit for unit in UNITS if largest >= unit[2])
    heads = ("zone", "class", "name", "pixels", f"area ({unit})", "share")
    rows = [heads, *(row for table in found.tables for row in _rows(table, meters))]
    columns = list(zip(*rows, strict=True))
    shown = [k for k, column in enumerate(columns) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return "".join(_line(row, widths, shown) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int], shown: Sequence[int]) -> str:
    cells = [row[k].ljust(widths[k]) if k < WORDS else row[k].rjust(widths[k]) for k in shown]
    return "  ".join(cells).rstrip() + "\n"


def _rows(table: ClassTable, meters: float) -> Iterator[tuple[str, ...]]:
    zone = _one_line(table.zone)

    def cells(pixels: int, area: float | None, share: float | None = None) -> tuple[str, ...]:
        said = "" if share is None else f"{share:.2%}"
        return f"{pixels:,}", "" if area is None else f"{area / meters:,.2f}", said

    for own in table.classes:
        yield zone, str(own.number), _one_line(own.name), *cells(own.pixels, own.area, own.share)
    yield zone, "total", "", *cells(table.pixels, table.area, 1.0 if table.pixels else None)
    yield zone, "nodata", "", *cells(table.nodata_pixels, table.nodata_area)


def _one_line(name: str | None) -> str:
    return " ".join((name or "").split())
