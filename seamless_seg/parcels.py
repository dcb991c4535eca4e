"""Parcels: the files that a run is to make, and how each of them looks."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .atomic import SIDECARS, beside
from .errors import OptionError
from .models.metadata import ModelMetadata
from .part import Part
from .planning.outputs import CONFIDENCE, LOGITS, PROBABILITIES, Products
from .postprocess.products import label_dtype
from .provenance import KIND, to_tags
from .raster.creation_options import Encoding
from .raster.geotiff import Output
from .raster.legend import colours_of
from .task import Task

OTHER = "other"
"""What a pixel is called that is not of the one class that a model knows."""


class Parcel(NamedTuple):
    """A file that is to be made."""

    kind: str
    """Name in ``KINDS``."""
    path: Path
    """From ``check_destination``."""
    output: Output
    """What it will look like."""


def parcels_of(
    task: Task,
    products: Products,
    paths: Sequence[Path],
    encoding: Encoding,
    part: Part | None,
    command: str | None,
) -> Iterator[Parcel]:
    """The files that are to be made.

    Parameters
    ----------
    task : Task
        What is run.
    products : Products
        What is made of its logits.
    paths : sequence of Path
        Where to, for each of the products' kinds.
    encoding : Encoding
        How they are stored.
    part : Part or None
        What they have of the raster; all of it where None.
    command : str or None
        What made them.
    """
    reader, tags = task.reader, to_tags(task.forecast.settings, task.source, command)
    tags |= part.to_tags() if part else {}
    tags |= {name: json.dumps(value) for name, value in encoding.to_tags().items()}
    has_nodata = part is not None or reader.may_have_nodata
    plain = Output(
        part.covered(reader.size).shape if part else reader.size,
        task.classes,
        part.place(reader.georeference) if part else reader.georeference,
        encoding,
        nodata=math.nan if has_nodata else None,
        is_sparse=part is not None or task.is_empty,
    )
    for kind, path in zip(products.kinds, paths, strict=True):
        tagged = replace(plain, tags=tags | {KIND: json.dumps(kind)})
        yield Parcel(kind, path, _described(tagged, kind, task.model.metadata, task.classes))


def _described(output: Output, kind: str, metadata: ModelMetadata, classes: int) -> Output:
    """An output as it looks if it is to hold a kind: its bands, names, colours and nodata.

    ``output`` has nodata if some pixels may have nothing.
    """
    names, colours = metadata.class_names, metadata.class_colors
    if kind in (LOGITS, PROBABILITIES):
        descriptions = names if len(names) == classes else ()
        return replace(output, count=classes, descriptions=descriptions)
    if kind == CONFIDENCE:
        return replace(output, count=1, descriptions=[kind])
    if classes == 1 and len(names) <= 1:  # the other is never named
        names, colours = (OTHER, *names), (None, *colours)
    count, dtype = max(2, classes), label_dtype(classes)
    return replace(
        output,
        count=1,
        dtype=dtype,
        nodata=np.iinfo(dtype).max,
        descriptions=["class"],
        categories=names if len(names) == count else (),
        colours=colours_of(count, colours if len(colours) == count else ()),
    )


def stored(parcels: Sequence[Parcel]) -> tuple[int, tuple[int, int]]:
    """Bytes of a pixel in all files, and the shape of their blocks."""
    outputs = [parcel.output for parcel in parcels]
    return sum(own.count * own.dtype.itemsize for own in outputs), outputs[0].block


def refuse_twice(paths: Sequence[Path]) -> None:
    """Raise ``OptionError`` where two outputs have one name, or one that of another's sidecar."""
    for path in paths:
        if paths.count(path) > 1:
            raise OptionError(f"two outputs are to be {path}: give each a name of its own")
        for ending in SIDECARS:
            if beside(path, ending) in paths:
                raise OptionError(
                    f"output {beside(path, ending)} would be taken for a part of {path}: give it "
                    f"another name"
                )
