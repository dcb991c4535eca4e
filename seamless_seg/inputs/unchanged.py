"""Inputs that must not change while they are read: size, time and identity of each file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RasterError


class _State(NamedTuple):
    size: int
    modified: int
    """Nanoseconds."""
    device: int
    inode: int


class Unchanged:
    """Files whose state is recorded, and compared when everything has been read.

    Only local files count. What has replaced a file, or was written into it, is a change; so is
    an access right or a name no more.

    Parameters
    ----------
    paths : iterable
        Files of which the first state counts; entries that are no local files are ignored.
    """

    def __init__(self, paths: Iterable[Any] = ()) -> None:
        self._states: dict[str, _State] = {}
        self.add(paths)

    def add(self, paths: Iterable[Any]) -> None:
        """Record the state of more files; those that are recorded already keep their first one."""
        for path in paths:
            name = _local(path)
            if name is not None and name not in self._states and (state := _state(name)):
                self._states[name] = state

    def check(self) -> None:
        """Compare all files with their recorded states.

        Raises
        ------
        RasterError
            If one has changed; it says which and how.
        """
        for name, before in self._states.items():
            if (change := _change(before, _state(name))) is not None:
                raise RasterError(
                    f"{name} changed during the run ({change}), so that nothing was written: run "
                    f"again when no other program writes it"
                )


def _change(before: _State, now: _State | None) -> str | None:
    if now is None:
        return "it is gone"
    if (before.device, before.inode) != (now.device, now.inode):
        return "another file has taken its place"
    if before.size != now.size:
        return f"it had {before.size} bytes and has {now.size}"
    return None if before.modified == now.modified else "something was written into it"


def _state(name: str) -> _State | None:
    try:
        found = Path(name).stat()
    except (OSError, ValueError):
        return None
    return _State(found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)


def _local(path: Any) -> str | None:
    """Return the full name of a local file; None for what is none, such as a function."""
    if path is None or callable(path):
        return None
    try:
        return str(Path(os.fsdecode(path)).absolute())
    except (TypeError, ValueError, OSError):
        return None
