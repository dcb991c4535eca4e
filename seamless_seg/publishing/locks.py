"""Locks of files and folders between processes, as far as the system has them."""

from __future__ import annotations

from typing import BinaryIO

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True


def try_lock(file: BinaryIO) -> bool | None:
    """Lock an open file until it is closed, or its process ends.

    Returns
    -------
    bool or None
        Whether the lock was free; None where there are no locks.
    """
    if not HAS_LOCKS:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def wait_for_lock(opened: int) -> None:
    """Lock an open folder as soon as no other process has it; do nothing without locks."""
    if HAS_LOCKS:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
        except OSError:  # a file system without locks of folders
            return
