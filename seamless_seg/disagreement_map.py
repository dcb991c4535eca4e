"""The disagreement of overlapping tiles over a whole raster, as a raster."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .disagreement import Disagreements
from .inference.prepared import PreparedRun
from .progress import OnProgress, Progress
from .raster.geotiff import Output
from .raster.writer import RasterWriter
from .tiling.grid import shape_to_slices


def map_disagreement(
    task: PreparedRun, destination: Path, overwrite: bool, on_progress: OnProgress | None
) -> None:
    """Run all tiles and write how far they are apart at every pixel.

    One band of float32: the difference of the largest and the smallest logit that tiles give, of
    the class where it is largest; NaN where one tile alone speaks.
    """
    reader = task.reader
    look = Output(reader.size, 1, reader.georeference, descriptions=["disagreement"], nodata=np.nan)
    progress, disagreements = Progress(0, task.plan.tiles, 0), Disagreements(task.plan)
    with RasterWriter(destination, look, overwrite) as writer:
        for index, geom, tile, valid in task.answers(task.plan):
            found = disagreements.add(index, geom, tile)
            apart = np.where(found.shared, found.apart, np.float32(np.nan))
            window = shape_to_slices(geom)
            if valid is not None:
                apart[~valid[: apart.shape[0], : apart.shape[1]]] = np.nan
            writer.write(*window, apart[..., None])
            progress = progress.more(apart.size)
            if on_progress:
                on_progress(progress)
