"""Delivery: the files of a run, each with what it is to hold, published together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

import numpy as np

from .arrays import Mask, Values
from .finishing import steps_of
from .parcels import Parcel
from .planning.outputs import CLASSES
from .postprocess.products import Meaning, Reading
from .progress import OnProgress
from .raster.writer import RasterWriter


class Delivery:
    """Writes what windows of values mean into the files of a run.

    They appear under their names together, once all of them are complete. Use it as a context
    manager; an error leaves nothing, but for what has replaced another file by then.

    Parameters
    ----------
    parcels : sequence of Parcel
        The files.
    reading : Reading
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
        parcels: Sequence[Parcel],
        reading: Reading,
        overwrite: bool,
        held: int | None = None,
        cleanup: dict[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._parcels = parcels
        self._reading = reading
        self._stack = ExitStack()
        self._writers = [
            RasterWriter(
                parcel.path,
                parcel.output,
                overwrite,
                held,
                steps_of(
                    parcel.output, cleanup or {} if parcel.kind == CLASSES else {}, on_progress
                ),
            )
            for parcel in parcels
        ]

    def write(self, rows: slice, cols: slice, values: Values, is_there: Mask | None) -> None:
        """Write a window of blended values, ``(height, width, K)``; elsewhere there is nothing."""
        meaning = Meaning(values, self._reading)
        for parcel, writer in zip(self._parcels, self._writers, strict=True):
            window = getattr(meaning, parcel.kind)
            if is_there is not None:
                nothing = window.dtype.type(parcel.output.nodata)
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
