"""The files of a run: what each holds, how it looks and what is written into it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..arrays import Mask, Values
from ..atomic import SIDECARS, beside
from ..errors import OptionError
from ..models.metadata import ModelMetadata
from ..planning.outputs import CLASSES, CONFIDENCE, LOGITS, PROBABILITIES, OutputOptions
from ..postprocess.products import Interpretation, Products, label_dtype
from ..progress import OnProgress
from ..raster.creation_options import Encoding
from ..raster.geotiff import Output
from ..raster.legend import colors_of
from ..raster.writer import RasterWriter
from .extent import Part
from .finishing import steps_of
from .prepared import PreparedRun
from .provenance import KIND, to_tags

OTHER = "other"
"""What a pixel is called that is not of the one class that a model knows."""


class OutputFile(NamedTuple):
    """A file that is to be made."""

    kind: str
    """Name in ``KINDS``."""
    path: Path
    """From ``check_destination``."""
    output: Output
    """What it will look like."""


def output_files(
    task: PreparedRun,
    products: OutputOptions,
    paths: Sequence[Path],
    encoding: Encoding,
    part: Part | None,
    command: str | None,
) -> Iterator[OutputFile]:
    """The files that are to be made.

    Parameters
    ----------
    task : PreparedRun
        What is run.
    products : OutputOptions
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
        yield OutputFile(
            kind, path, _described(tagged, kind, task.model.spec.metadata, task.classes)
        )


def _described(output: Output, kind: str, metadata: ModelMetadata, classes: int) -> Output:
    """An output as it looks if it is to hold a kind: its bands, names, colors and nodata.

    ``output`` has nodata if some pixels may have nothing.
    """
    names, colors = metadata.class_names, metadata.class_colors
    if kind in (LOGITS, PROBABILITIES):
        descriptions = names if len(names) == classes else ()
        return replace(output, count=classes, descriptions=descriptions)
    if kind == CONFIDENCE:
        return replace(output, count=1, descriptions=[kind])
    if classes == 1 and len(names) <= 1:  # the other is never named
        names, colors = (OTHER, *names), (None, *colors)
    count, dtype = max(2, classes), label_dtype(classes)
    return replace(
        output,
        count=1,
        dtype=dtype,
        nodata=np.iinfo(dtype).max,
        descriptions=["class"],
        categories=names if len(names) == count else (),
        colors=colors_of(count, colors if len(colors) == count else ()),
    )


def stored(files: Sequence[OutputFile]) -> tuple[int, tuple[int, int]]:
    """Bytes of a pixel in all files, and the shape of their blocks."""
    outputs = [file.output for file in files]
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


class Delivery:
    """Writes what windows of values mean into the files of a run.

    They appear under their names together, once all of them are complete. Use it as a context
    manager; an error leaves nothing, but for what has replaced another file by then.

    Parameters
    ----------
    files : sequence of OutputFile
        The files.
    interpretation : Interpretation
        How values are to be read.
    overwrite : bool
        Replace what is there under their names.
    held : int, optional
        Open blocks of each file in memory at most.
    cleanup : mapping, optional
        ``smooth``, ``smooth_by`` and ``sieve`` of the classes.
    on_progress : callable, optional
        Called with a ``Progress`` while they are cleaned.
    """

    def __init__(
        self,
        files: Sequence[OutputFile],
        interpretation: Interpretation,
        overwrite: bool,
        held: int | None = None,
        cleanup: dict[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._files = files
        self._interpretation = interpretation
        self._stack = ExitStack()
        self._writers = [
            RasterWriter(
                file.path,
                file.output,
                overwrite,
                held,
                steps_of(file.output, cleanup or {} if file.kind == CLASSES else {}, on_progress),
            )
            for file in files
        ]

    def write(self, rows: slice, cols: slice, values: Values, is_there: Mask | None) -> None:
        """Write a window of blended values, ``(height, width, K)``; elsewhere there is nothing."""
        made = Products(values, self._interpretation)
        for file, writer in zip(self._files, self._writers, strict=True):
            window = getattr(made, file.kind)
            if is_there is not None:
                nothing = window.dtype.type(file.output.nodata)
                window = np.where(is_there[..., None], window, nothing)
            writer.write(rows, cols, window)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for writer in self._writers:
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            for writer in self._writers:
                writer.complete()
            try:
                for writer in self._writers:
                    writer.publish()
            except BaseException:  # also Ctrl-C between two of them
                for writer in self._writers:
                    writer.retract()
                raise
