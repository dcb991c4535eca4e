"""Documents: texts in files, complete under their own name or not there at all."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from .errors import OptionError


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
        Where it cannot go there, at once or by ``write``.
    """

    def __init__(self, path: Any, inputs: Sequence[Any], overwrite: bool) -> None:
        from .output import check_destination

        self._path = check_destination(path, inputs, overwrite)
        self._overwrite = overwrite

    def write(self, text: str) -> None:
        """Write it, its line ends as they are."""
        from .output import rename

        partial = self._path.with_name(f".{secrets.token_hex(8)}.partial")
        try:
            with partial.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
            rename(partial, self._path, self._overwrite)
        except OSError as error:
            why = error.strerror or error
            raise OptionError(f"cannot write {self._path}: {why}") from error
        finally:
            partial.unlink(missing_ok=True)
