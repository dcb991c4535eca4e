"""``seamless-seg polygonize``: a raster of classes as polygons for a GIS."""

from __future__ import annotations

import click

from seamless_seg import polygonize

from . import options
from .formatting import say
from .progress import ProgressBar
from .run import peak_memory


@click.command(name="polygonize")
@click.argument("raster", metavar="CLASSES")
@click.argument("output", metavar="OUTPUT")
@click.option(
    "--classes",
    metavar="C,C,...",
    help="Write these classes alone, by number or name.  [default: all]",
)
@click.option(
    "--min-area",
    type=float,
    metavar="A",
    help="Leave out polygons of less than A: square meters, or pixels where CLASSES has no CRS. "
    "Nothing fills their place.",
)
@click.option(
    "--simplify",
    type=float,
    metavar="TOLERANCE",
    help="Drop corners that make a triangle of less than TOLERANCE squared with their neighbors, "
    "in units of the CRS; 1 pixel smooths its steps. Neighbors keep the edges that they share. "
    "All polygons are in memory for that.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT where it exists.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but warnings and errors.")
@options.debug
def polygonize_command(
    raster: str,
    output: str,
    classes: str | None,
    min_area: float | None,
    simplify: float | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write the polygons of CLASSES, a raster of one integer band, into OUTPUT.

    OUTPUT ends in .geojson (in WGS 84), .gpkg, .fgb or .parquet (in the CRS of CLASSES). Each
    polygon has its class, the name of that, its area, and its number of pixels; they are those
    of the whole raster, of which no more than a window is in memory. Nodata has no polygons.
    """
    with ProgressBar() as bar:
        summary = polygonize(
            raster,
            output,
            classes=None if classes is None else [part.strip() for part in classes.split(",")],
            min_area=min_area,
            simplify=simplify,
            overwrite=overwrite,
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
