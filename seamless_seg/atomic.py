"""Publishing: files that appear under their own name complete, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import OptionError, SeamlessError

AUX = ".aux.xml"
"""Ending of the file beside a raster in which GDAL keeps what the raster's format cannot hold."""

SIDECARS = (AUX, ".ovr", ".msk")
"""Endings of files beside a raster that describe it, and would belie the one that replaces it."""

TEMPORARY = (".ovr.tmp", ".msk.ovr.tmp")
"""Endings of files that GDAL makes beside a Cloud Optimized GeoTIFF, and forgets if it fails."""


def check_destination(path: Any, inputs: Sequence[Any], overwrite: bool) -> Path:
    """Return where a new file goes, or say why it cannot go there.

    Raises
    ------
    OptionError
        Where ``path`` is one of ``inputs``, a folder, in a missing folder, or exists and may
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
        raise OptionError(f"output {path} exists already: --overwrite replaces it")
    left = [name for name in taken[1:] if not overwrite and _is_there(name)]
    if left:
        raise OptionError(
            f"output {path}: {left[0].name} is there, which another raster has left and which "
            f"would be taken for a part of it: --overwrite removes it"
        )
    if not os.access(destination.parent, os.W_OK):
        raise OptionError(f"output {path}: no permission to write in {destination.parent}")
    return destination


class Publication:
    """A file on its way to its name, and the hidden ones beside it that it comes from.

    Parameters
    ----------
    path : Path
        From ``check_destination``.
    overwrite : bool
        Replace what is there by then under that name.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        self._overwrite = overwrite
        self._partials: list[Path] = []
        self._is_published = False

    def partial(self) -> Path:
        """A new name for what is not complete, in the same folder."""
        name = hidden(self.path)
        self._partials.append(name)
        return name

    def publish(self, complete: Path) -> None:
        """Give a partial its name, with what GDAL has put beside it.

        Raises
        ------
        OSError
            Where the name has been taken meanwhile, and may not be overwritten.
        """
        rename(complete, self.path, self._overwrite)
        self._is_published = True
        if self._overwrite:
            _unlink(self.path, SIDECARS)
        try:
            sidecar = beside(complete, AUX)
            if _is_there(sidecar):
                sidecar.replace(beside(self.path, AUX))
        except OSError:  # a name too long
            self.retract()
            raise

    def retract(self) -> None:
        """Take back what has been published, unless it has replaced something."""
        if self._is_published and not self._overwrite:
            _unlink(self.path, ("", AUX))

    def drop(self, partial: Path) -> None:
        """Remove a partial that is of no more use, and what lies beside it."""
        for name in (partial, *(beside(partial, ending) for ending in (*SIDECARS, *TEMPORARY))):
            name.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing but what has been published."""
        for partial in self._partials:
            self.drop(partial)


def _unlink(path: Path, endings: Sequence[str]) -> None:
    for ending in endings:
        with suppress(OSError):  # not there, or with a name too long to be there
            beside(path, ending).unlink()


def hidden(path: Path) -> Path:
    """A new name beside a path for what is not complete."""
    stem = path.name.encode()[:100].decode(errors="ignore")  # file systems count bytes
    return path.with_name(f".{stem}.{secrets.token_hex(4)}.partial")


def beside(path: Path, ending: str) -> Path:
    """The file that describes a raster, of the name with that ending."""
    return path.with_name(path.name + ending)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long
        return False


def _is_same(source: Any, destination: Path) -> bool:
    try:
        return destination.samefile(source)
    except (OSError, TypeError, ValueError):  # one of them is not there, or no file at all
        return False


def rename(partial: Path, path: Path, overwrite: bool) -> None:
    """Give a file its name; ``OSError`` where something else has it and may not be replaced."""
    if overwrite:
        partial.replace(path)
        return
    try:
        os.link(partial, path)  # it fails where the name has been taken meanwhile
    except FileExistsError:
        raise OSError("something else has taken that name meanwhile") from None
    except OSError:  # a file system without links
        if path.exists():
            raise OSError("something else has taken that name meanwhile") from None
        partial.rename(path)
    else:
        partial.unlink()


class Document:
    """A text that is going to be written.

    Parameters
    ----------
    path : str or path-like
        Where to.
    inputs : sequence
        Files that it must not replace; None among them is none.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    OptionError
        Where it cannot go there.
    SeamlessError
        By ``write``, where it cannot be written.
    """

    def __init__(self, path: Any, inputs: Sequence[Any], overwrite: bool) -> None:
        self._path = check_destination(path, inputs, overwrite)
        self._overwrite = overwrite

    def write(self, text: str) -> None:
        """Write it, its line ends as they are."""
        publication = Publication(self._path, self._overwrite)
        partial = publication.partial()
        try:
            with partial.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
            publication.publish(partial)
        except OSError as error:
            why = error.strerror or error
            raise SeamlessError(f"cannot write {self._path}: {why}") from error
        finally:
            publication.discard()
