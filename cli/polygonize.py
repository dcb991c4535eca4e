"""``seamless-seg polygonize``: a class raster as polygons for a GIS."""

from __future__ import annotations

import click

from seamless_seg import polygonize

from . import options
from .command import Command, Section, argument, option
from .messages import say
from .progress import ProgressBar
from .run import peak_memory


@click.command(name="polygonize", cls=Command)
@argument("raster", "CLASSES", "Class raster: one band of integers.")
@argument(
    "output",
    "OUTPUT",
    "File to write: .geojson (in WGS 84), or .gpkg, .fgb or .parquet (in the CRS of CLASSES).",
)
@options.no_network
@options.overwrite
@option(
    Section.POLYGONS,
    "--classes",
    metavar="C,C,...",
    show_default="all",
    help="Write only these classes, by number or name.",
)
@option(
    Section.POLYGONS,
    "--min-area",
    type=float,
    metavar="A",
    show_default="none",
    help="Leave out polygons smaller than A, in square meters, or in pixels if CLASSES has no CRS. "
    "Their place stays empty.",
)
@option(
    Section.POLYGONS,
    "--simplify",
    type=float,
    metavar="TOLERANCE",
    show_default="none",
    help="Simplify outlines: remove corners that form a triangle smaller than TOLERANCE squared "
    "with their neighbors, in units of the CRS. The size of 1 pixel smooths stair steps. Polygons "
    "that touch keep their shared edges. All polygons are held in memory.",
)
@options.quiet("warnings and errors")
@options.debug
def polygonize_command(
    raster: str,
    output: str,
    classes: str | None,
    min_area: float | None,
    simplify: float | None,
    network: bool | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Convert a class raster to polygons.

    Each polygon has its class, the class name, its area and its number of pixels. Polygons are
    those of the whole raster, although it is read window by window. Nodata gets no polygons.
    """
    with ProgressBar() as bar:
        summary = polygonize(
            raster,
            output,
            classes=None if classes is None else [part.strip() for part in classes.split(",")],
            min_area=min_area,
            simplify=simplify,
            overwrite=overwrite,
            network=network,
            on_progress=None if quiet else bar,
        )
    if quiet:
        return
    for sentence in summary.notes:
        say(f"note: {sentence}")
    speed = summary.pixels / 1e6 / summary.seconds
    say(
        f"{summary.polygons} polygons in {summary.seconds:.1f} s, {speed:.2f} Mpx/s, "
        f"peak memory {peak_memory()}"
    )
