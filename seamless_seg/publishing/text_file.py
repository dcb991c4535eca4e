"""Text files that appear under their names when they are complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ..errors import SeamlessError
from .destination import check_destination
from .publication import Publication, publish


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
        self._content = text.encode()
        self.publication = Publication(path, overwrite, self._check)

    def complete(self) -> None:
        """Write the file, so that it only remains to publish it."""
        with _reporting(self.publication.path):
            partial = self.publication.partial()
            partial.write_bytes(self._content)
            self.publication.complete(partial)

    def _check(self, path: Path) -> None:
        if path.read_bytes() != self._content:
            raise OSError("it did not reach the disk")

    def __enter__(self) -> Self:
        with _reporting(self.publication.path):
            self.publication.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.publication.__exit__(kind, error, trace)


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
            file.complete()
            with _reporting(self._path):
                publish([file.publication])


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SeamlessError(f"cannot write {path}: {error.strerror or error}") from error
