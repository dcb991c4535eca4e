"""A hidden folder beside an output for its incomplete files."""

from __future__ import annotations

import atexit
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .held_signals import holding_signals
from .locks import HAS_LOCKS, try_lock

OWNER = "owner"
"""Name of the file in a folder that is locked while the process that made the folder lives."""

ATTEMPTS = 10
"""Attempts to make a folder: another process may take a new one for a leftover."""

_open: set[WorkFolder] = set()


class WorkFolder:
    """A folder ``.NAME.XXXXXXXX.partial`` beside a file, which lives as long as its owner.

    The next owner of one for the same file removes those whose owners were killed. A file of the
    folder is locked by its owner, and the system ends the lock with the process, however that
    ends; processes on other machines see it where the file system passes locks on.

    Parameters
    ----------
    path : Path
        The file beside which the folder is made.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        _remove_leftovers(path)
        self.path, self._owner = _make(path)
        self._count = 0
        _open.add(self)

    def new(self, suffix: str) -> Path:
        """Return a new name in the folder."""
        self._count += 1
        return self.path / f"{self._count}{suffix}"

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        with holding_signals():
            self._owner.close()
            shutil.rmtree(self.path, ignore_errors=True)
            _open.discard(self)


@atexit.register
def remove_work_folders() -> None:
    """Remove the folders of this process: called when it is about to end."""
    for folder in list(_open):
        folder.remove()


def _make(path: Path) -> tuple[Path, BinaryIO]:
    for _ in range(ATTEMPTS):
        folder = path.with_name(f".{_stem(path)}.{secrets.token_hex(4)}.partial")
        folder.mkdir(mode=0o700)
        try:
            owner = (folder / OWNER).open("xb")
        except FileNotFoundError:  # removed meanwhile, when it was empty
            continue
        except BaseException:
            folder.rmdir()
            raise
        if try_lock(owner) is not False and (folder / OWNER).exists():
            return folder, owner
        owner.close()
    raise OSError(f"cannot make a folder beside {path}")


def _remove_leftovers(path: Path) -> None:
    """Remove the folders that processes which are gone have left beside a file."""
    name = re.compile(rf"\.{re.escape(_stem(path))}\.[0-9a-f]{{8}}\.partial")
    with suppress(OSError):
        for folder in path.parent.iterdir():
            if name.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                _remove_leftover(folder)


def _remove_leftover(folder: Path) -> None:
    with suppress(OSError):
        if not any(folder.iterdir()):
            folder.rmdir()
            return
        if not HAS_LOCKS:
            (folder / OWNER).unlink()  # Windows refuses while it is open elsewhere
            shutil.rmtree(folder, ignore_errors=True)
            return
        with (folder / OWNER).open("r+b") as owner:
            if try_lock(owner):
                shutil.rmtree(folder, ignore_errors=True)


def _stem(path: Path) -> str:
    return path.name.encode()[:100].decode(errors="ignore")  # file systems count bytes
