"""Documents: texts in files, complete under their own name or not there at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import SeamlessError
from .publishing import Publication, check_destination


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
