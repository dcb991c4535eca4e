"""Where a new file may be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError

AUX = ".aux.xml"
"""Ending of GDAL's file beside a raster for metadata that the raster's format cannot hold."""

SIDECARS = (AUX, ".ovr", ".msk")
"""Endings of files beside a raster that describe it, and would be wrong for its replacement."""


def check_destination(path: Any, inputs: Sequence[Any], overwrite: bool) -> Path:
    """Return the real path of a new file, or raise if no file can be written there.

    Parameters
    ----------
    path : str or path-like
        Where the file is going to be written.
    inputs : sequence
        Files that it must not replace; entries that are no paths are ignored.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OptionError
        If ``path`` is one of ``inputs``, a folder, in a missing folder, or exists and may
        not be overwritten.
    """
    destination = Path(os.path.realpath(path))
    taken = [destination, *(beside(destination, ending) for ending in SIDECARS)]
    if any(_is_same(source, name) for source in inputs for name in taken):
        raise OptionError(f"output {path} is one of the inputs: give it another name")
    if destination.is_dir():
        raise OptionError(f"output {path} is a folder: name a file in it")
    if not destination.parent.is_dir():
        raise OptionError(f"output {path}: there is no folder {destination.parent}")
    if destination.exists() and not destination.is_file():
        raise OptionError(f"output {path} exists and is not a regular file")
    if destination.exists() and not overwrite:
        raise OptionError(f"output {path} exists already: overwrite=True replaces it")
    left = [name for name in taken[1:] if not overwrite and is_there(name)]
    if left:
        raise OptionError(
            f"output {path}: {left[0].name} exists and would be read as part of the new raster: "
            f"overwrite=True removes it"
        )
    if not os.access(destination.parent, os.W_OK):
        raise OptionError(f"output {path}: no permission to write in {destination.parent}")
    return destination


def beside(path: Path, ending: str) -> Path:
    """Return the name of a raster's sidecar file with that ending."""
    return path.with_name(path.name + ending)


def is_there(path: Path) -> bool:
    """Whether a file exists; none can with a name that is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_same(source: Any, destination: Path) -> bool:
    try:
        return destination.samefile(source)
    except (OSError, TypeError, ValueError):  # one of them does not exist, or is no path
        return False
