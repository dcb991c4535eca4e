"""The output files of a run: their format, their tags, and how windows are written to them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..arrays import Mask, Values
from ..errors import OptionError
from ..foreign_files import MODEL, identify
from ..planning.class_scheme import ClassScheme
from ..planning.outputs import CLASSES, CONFIDENCE, LOGITS, PROBABILITIES, OutputOptions
from ..planning.settings import Settings
from ..planning.statistics_file import holds_statistics, statistics_path
from ..postprocess.products import Interpretation, Products
from ..progress import OnProgress
from ..publishing.destination import check_destination
from ..publishing.publication import publish
from ..publishing.text_file import TextFile
from ..raster.creation_options import Encoding
from ..raster.gdal import reporting
from ..raster.geotiff import Output
from ..raster.legend import colors_of
from ..raster.output_name import check_is_geotiff, check_is_local
from ..raster.writer import RasterWriter
from ..windows import Window, common
from .extent import Part
from .finishing import steps_of
from .finishing_memory import least_bytes
from .prepared import PreparedRun
from .provenance import EXACTNESS, KIND, to_tags


class OutputFile(NamedTuple):
    """An output file before it is written."""

    kind: str
    """Type of the output: a name in ``KINDS``."""
    path: Path
    """Checked path, from ``check_destination``."""
    output: Output
    """Size, type, georeference and tags of the file."""


def output_files(
    run: PreparedRun,
    settings: Settings,
    outputs: OutputOptions,
    scheme: ClassScheme,
    paths: Sequence[Path],
    encoding: Encoding,
    part: Part | None,
    command: str | None,
) -> Iterator[OutputFile]:
    """Yield the format, path and tags of each output file of a run.

    Parameters
    ----------
    run : PreparedRun
        The run.
    settings : Settings
        All decisions, including those about outputs; they become tags.
    outputs : OutputOptions
        The types of output.
    scheme : ClassScheme
        Numbers, names and colors of the classes.
    paths : sequence of Path
        One checked path for each type of output.
    encoding : Encoding
        Compression and other creation options.
    part : Part or None
        The part of the raster that the run is limited to; None for all of it.
    command : str or None
        Command line to record in the tags.
    """
    reader, tags = run.reader, to_tags(settings, run.source, command)
    if run.forecast.exactness is not None:
        tags[EXACTNESS] = json.dumps(run.forecast.exactness)
    tags |= part.to_tags() if part else {}
    tags |= {name: json.dumps(value) for name, value in encoding.to_tags().items()}
    has_nodata = part is not None or reader.may_have_nodata
    plain = Output(
        part.covered(reader.size).shape if part else reader.size,
        run.classes,
        part.georeference(reader.georeference) if part else reader.georeference,
        encoding,
        nodata=math.nan if has_nodata else None,
        is_sparse=part is not None or run.is_empty,
    )
    for kind, path in zip(outputs.kinds, paths, strict=True):
        tagged = replace(plain, tags=tags | {KIND: json.dumps(kind)})
        yield OutputFile(kind, path, _for_kind(tagged, kind, scheme, run.classes))


def _for_kind(output: Output, kind: str, scheme: ClassScheme, classes: int) -> Output:
    """Set bands, type, names, colors and nodata of an output by its type.

    The given ``output`` is one of logits; its nodata is None if every pixel has a value.
    """
    if kind in (LOGITS, PROBABILITIES):
        return replace(output, count=classes, descriptions=scheme.band_names(classes))
    if kind == CONFIDENCE:
        return replace(output, count=1, descriptions=[kind])
    colors = colors_of(len(scheme.values), [scheme.colors.get(own) for own in scheme.values])
    return replace(
        output,
        count=1,
        dtype=scheme.dtype,
        nodata=np.iinfo(scheme.dtype).max,
        descriptions=["class"],
        categories=scheme.categories,
        colors={
            value: color
            for value, color in zip(scheme.values, colors, strict=True)
            if value not in scheme.nodata
        },
    )


def bytes_per_pixel(files: Sequence[OutputFile]) -> int:
    """Return the bytes of a pixel in all files, before compression."""
    return sum(file.output.count * file.output.dtype.itemsize for file in files)


def finishing_bytes(files: Sequence[OutputFile], cleanup: Mapping[str, Any]) -> int:
    """Return the bytes beside the program's that finishing the files needs at least.

    Parameters
    ----------
    files : sequence of OutputFile
        The files, which are finished one after the other.
    cleanup : mapping
        ``smooth`` and ``sieve`` for classes.
    """
    return max(least_bytes(file.output, _cleanup_of(file, cleanup)) for file in files)


def _cleanup_of(file: OutputFile, cleanup: Mapping[str, Any]) -> Mapping[str, Any]:
    return cleanup if file.kind == CLASSES else {}


def check_destination_of_raster(path: Any, inputs: Sequence[Any], overwrite: bool) -> Path:
    """Return the real path of a new GeoTIFF; raise ``OptionError`` if none can be written there.

    Parameters
    ----------
    path, inputs, overwrite
        As for ``publishing.check_destination``.
    """
    check_is_local(path)
    found = identify(Path(path))
    is_model = found is not None and found.kind == MODEL
    destination = check_destination(path, inputs, overwrite or is_model)
    if found is not None and is_model:
        raise OptionError(f"output {path} is {found.what}: model and output may be swapped")
    check_is_geotiff(path)
    return destination


def check_statistics_beside(path: Path, inputs: Sequence[Any], overwrite: bool) -> None:
    """Raise ``OptionError`` if statistics beside an output may not be removed with the old one.

    Parameters
    ----------
    path, inputs, overwrite
        As for ``publishing.check_destination``.
    """
    for stale in stale_statistics(path):
        if not overwrite:
            raise OptionError(
                f"output {path}: {stale.name} exists and would be taken for its statistics: "
                f"overwrite=True removes it"
            )
        check_destination(stale, inputs, overwrite)


def stale_statistics(path: Path) -> Iterator[Path]:
    """Yield the file beside an output with the statistics of the raster that it replaces."""
    if holds_statistics(statistics_path(path)):
        yield statistics_path(path)


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise ``OptionError`` if two outputs have one path."""
    for path in paths:
        if paths.count(path) > 1:
            raise OptionError(f"two outputs have the path {path}: give each its own")


class OutputWriter:
    """Computes outputs from windows of blended values and writes them to the files of a run.

    Use it as a context manager. All files appear under their names together, when all are
    complete, or none does.

    Parameters
    ----------
    files : sequence of OutputFile
        The files.
    interpretation : Interpretation
        How outputs are computed from blended values.
    overwrite : bool
        Replace existing files.
    open_blocks : int, optional
        Incomplete blocks of each file in memory, at most.
    extent : Window, optional
        The part of the raster that the files cover; all of it if None.
    cleanup : mapping, optional
        ``smooth``, ``smooth_by`` and ``sieve`` for classes.
    on_progress : callable, optional
        Called with a ``Progress`` while classes are smoothed and sieved.
    documents : sequence of TextFile
        Files that appear together with the others.
    check_inputs : callable, optional
        Called when all files are complete; what it raises is a reason not to publish them.
    spare : float
        Bytes beside the program's for smoothing, sieving and overviews.
    """

    def __init__(
        self,
        files: Sequence[OutputFile],
        interpretation: Interpretation,
        overwrite: bool,
        open_blocks: int | None = None,
        extent: Window | None = None,
        cleanup: dict[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        documents: Sequence[TextFile] = (),
        check_inputs: Callable[[], None] = lambda: None,
        spare: float = math.inf,
    ) -> None:
        self._documents = documents
        self._check_inputs = check_inputs
        self._files = files
        self._interpretation = interpretation
        self._extent = extent
        self._stack = ExitStack()
        self._writers = [
            RasterWriter(
                file.path,
                file.output,
                overwrite,
                open_blocks,
                steps_of(file.output, _cleanup_of(file, cleanup or {}), on_progress, spare),
                list(stale_statistics(file.path)),
            )
            for file in files
        ]

    def write(self, rows: slice, cols: slice, values: Values, has_value: Mask | None) -> None:
        """Write a window of the raster.

        Parameters
        ----------
        rows, cols : slice
            Half-open rows and columns of the window.
        values : ndarray
            Blended values, ``(height, width, K)``.
        has_value : ndarray of bool or None
            Pixels that have a value, ``(height, width)``; the others become nodata. None for all.
        """
        if self._extent is not None:
            (rows, cols), part = common(self._extent, (rows, cols))
            values, has_value = values[part], None if has_value is None else has_value[part]
            if not values.size:
                return
        products = Products(values, self._interpretation)
        for file, writer in zip(self._files, self._writers, strict=True):
            window = getattr(products, file.kind)
            if has_value is not None:
                nodata = window.dtype.type(file.output.nodata)
                window = np.where(has_value[..., None], window, nodata)
            writer.write(rows, cols, window)

    def _all(self) -> Iterator[RasterWriter | TextFile]:
        yield from self._writers
        yield from self._documents

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for writer in self._all():
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            for own in self._all():
                own.complete()
            self._check_inputs()
            with reporting("cannot write the outputs"):
                publish([own.publication for own in self._all()])
