"""Atomic output: files appear under their own name when they are complete, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from .errors import OptionError, SeamlessError

AUX = ".aux.xml"
"""Ending of GDAL's file beside a raster for metadata that the raster's format cannot hold."""

SIDECARS = (AUX, ".ovr", ".msk")
"""Endings of files beside a raster that describe it, and would be wrong for its replacement."""

TEMPORARY = (".ovr.tmp", ".msk.ovr.tmp")
"""Endings of files that GDAL makes beside a Cloud Optimized GeoTIFF, and leaves if it fails."""


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
    left = [name for name in taken[1:] if not overwrite and _is_there(name)]
    if left:
        raise OptionError(
            f"output {path}: {left[0].name} exists and would be read as part of the new raster: "
            f"overwrite=True removes it"
        )
    if not os.access(destination.parent, os.W_OK):
        raise OptionError(f"output {path}: no permission to write in {destination.parent}")
    return destination


class Publication:
    """A file that gets its name when it is complete, and the partial files that it is made from.

    Parameters
    ----------
    path : Path
        The file's name, from ``check_destination``.
    overwrite : bool
        Whether a file that has the name by then may be replaced.
    stale : sequence of Path
        Files that describe the one that is replaced: they are removed with it.
    """

    def __init__(self, path: Path, overwrite: bool, stale: Sequence[Path] = ()) -> None:
        self.path = path
        self._overwrite = overwrite
        self._stale = stale
        self._partials: list[Path] = []
        self._is_published = False

    def partial(self) -> Path:
        """Return a new name for an incomplete file, in the same folder."""
        name = partial_name(self.path)
        self._partials.append(name)
        return name

    def publish(self, complete: Path) -> None:
        """Give a partial file its final name, and its sidecar from GDAL the sidecar's.

        Raises
        ------
        OSError
            If another file has the name by now and may not be overwritten.
        """
        rename(complete, self.path, self._overwrite)
        self._is_published = True
        if self._overwrite:
            _unlink(self.path, SIDECARS)
            for own in self._stale:
                _unlink(own, ("",))
        try:
            sidecar = beside(complete, AUX)
            if _is_there(sidecar):
                sidecar.replace(beside(self.path, AUX))
        except OSError:  # a name too long
            self.retract()
            raise

    def retract(self) -> None:
        """Remove the published file, unless it may have replaced another."""
        if self._is_published and not self._overwrite:
            _unlink(self.path, ("", AUX))

    def drop(self, partial: Path) -> None:
        """Remove a partial file and the files beside it."""
        for name in (partial, *(beside(partial, ending) for ending in (*SIDECARS, *TEMPORARY))):
            name.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all partial files."""
        for partial in self._partials:
            self.drop(partial)


def _unlink(path: Path, endings: Sequence[str]) -> None:
    for ending in endings:
        with suppress(OSError):  # not there, or with a name too long to be there
            beside(path, ending).unlink()


def partial_name(path: Path) -> Path:
    """Return a new name beside ``path``, with a leading dot, for an incomplete file."""
    stem = path.name.encode()[:100].decode(errors="ignore")  # file systems count bytes
    return path.with_name(f".{stem}.{secrets.token_hex(4)}.partial")


def beside(path: Path, ending: str) -> Path:
    """Return the name of a raster's sidecar file with that ending."""
    return path.with_name(path.name + ending)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long
        return False


def _is_same(source: Any, destination: Path) -> bool:
    try:
        return destination.samefile(source)
    except (OSError, TypeError, ValueError):  # one of them does not exist, or is no path
        return False


def rename(partial: Path, path: Path, overwrite: bool) -> None:
    """Rename a complete file.

    Parameters
    ----------
    partial, path : Path
        Its present and its final name, in the same folder.
    overwrite : bool
        Whether a file with the final name may be replaced.

    Raises
    ------
    OSError
        If another file has the final name and may not be replaced.
    """
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


class TextFile:
    """A text file that is published together with others.

    Use it as a context manager; leaving the block removes what is not published.

    Parameters
    ----------
    path : Path
        From ``check_destination``.
    text : str
        Its contents.
    overwrite : bool
        Replace a file of that name.
    """

    def __init__(self, path: Path, text: str, overwrite: bool) -> None:
        self._text = text
        self._path = path
        self._publication = Publication(path, overwrite)
        self._partial = self._publication.partial()

    def publish(self) -> None:
        """Move the file to its name."""
        with _reporting(self._path):
            self._publication.publish(self._partial)

    def retract(self) -> None:
        """Remove the published file again, unless it has replaced another."""
        self._publication.retract()

    def __enter__(self) -> Self:
        try:
            with (
                _reporting(self._path),
                self._partial.open("x", encoding="utf-8", newline="") as file,
            ):
                file.write(self._text)
        except BaseException:
            self._publication.discard()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._publication.discard()


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SeamlessError(f"cannot write {path}: {error.strerror or error}") from error


class Document:
    """A text file whose path is checked first and that is written later.

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
        If no file can be written there.
    SeamlessError
        By ``write``, if writing fails.
    """

    def __init__(self, path: Any, inputs: Sequence[Any], overwrite: bool) -> None:
        self._path = check_destination(path, inputs, overwrite)
        self._overwrite = overwrite

    def write(self, text: str) -> None:
        """Write the text without changing its line ends."""
        with TextFile(self._path, text, self._overwrite) as file:
            file.publish()
