"""Names that stand for no regular file: pipes and devices, which would block whoever reads them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

_KINDS = (
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)

_ADVICE = "give a regular file: write its content to one first"


def refusal_of_special(path: Any) -> str | None:
    """Say why what a path names cannot be read like a file; None for files and folders.

    Returns
    -------
    str or None
        A predicate, as in "is a named pipe: ...". A path that names nothing is no such one: the
        error of opening it is clear.
    """
    name = _name(path)
    if name is None:
        return None
    if name == "-" or name.startswith("/vsistdin"):
        return f"is standard input, which can be read only once: {_ADVICE}"
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError):  # it does not exist, or is no name of a local file
        return None
    found = next((what for is_kind, what in _KINDS if is_kind(mode)), None)
    return None if found is None else f"{found}: {_ADVICE}"


def refusal_as_file(path: Any) -> str | None:
    """Say why a path cannot be read as a file, also where it names a folder; None where it can."""
    if (refusal := refusal_of_special(path)) is not None:
        return refusal
    name = _name(path)
    return "is a folder: name a file in it" if name and Path(name).is_dir() else None


def require_regular(path: Path) -> None:
    """Raise ``OSError`` where reading a file would block, or it is a folder."""
    if (refusal := refusal_as_file(path)) is not None:
        raise OSError(refusal)


def _name(path: Any) -> str | None:
    try:
        return os.fsdecode(path)
    except (TypeError, ValueError):
        return None
