"""Datasets of rasterio's that were written by others: whatever they raise names their file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rasterio.windows import Window

from .gdal import reading_file

TEXT_GRIDS = ("AAIGrid", "GRASSASCIIGrid", "ISG")
"""Drivers of grids in text, whose rows GDAL finds by reading all rows before them."""


def check_rows(dataset: Any) -> None:
    """Read the rows of a grid in text in order: the first that is damaged raises.

    Of a later row, GDAL would try each row before it again, and again for each of these: for
    hundreds of rows that does not end.
    """
    if dataset.driver in TEXT_GRIDS:
        for row in range(dataset.height):
            dataset.read(1, window=Window(0, row, dataset.width, 1))


class GuardedDataset:
    """An open dataset; all that its attributes and methods raise becomes a ``RasterError``.

    GDAL's lines on stderr are kept back. What is read of a file stays the same while it is open,
    so that each attribute is asked for once.

    Parameters
    ----------
    dataset : rasterio dataset
        Open for reading.
    path : str or path-like
        Its file, as the user has named it.
    """

    def __init__(self, dataset: Any, path: Any) -> None:
        self.unguarded = dataset
        """The dataset itself, for functions of rasterio's."""
        self._path = path

    def __getattr__(self, name: str) -> Any:
        with reading_file(f"cannot read {name} of {self._path}, which may be damaged"):
            value = getattr(self.unguarded, name)
        guarded = self._guarded(value, name) if callable(value) else value
        self.__dict__[name] = guarded
        return guarded

    def _guarded(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            part = _in_words(keywords["window"]) if "window" in keywords else name
            with reading_file(f"cannot read {part} of {self._path}, which may be damaged"):
                return method(*arguments, **keywords)

        return call


def _in_words(window: Window) -> str:
    rows, cols = window.toslices()
    return f"rows {rows.start} to {rows.stop}, columns {cols.start} to {cols.stop}"
