"""Publish files: all of a run appear under their names together."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from .destination import AUX, SIDECARS, beside, is_there
from .held_signals import holding_signals
from .locks import HAS_LOCKS, wait_for_lock
from .work_folder import WorkFolder, remove_work_folders

PATIENCE_SECONDS = 5.0
"""Seconds for which a process that is about to end waits for files that are being published."""

_published: list[Path] = []
_publishing = threading.Lock()


def published() -> tuple[Path, ...]:
    """Return the files that this process has published, in their order.

    An interruption may come right after files are published: who reports it asks here.
    """
    return tuple(_published)


class Publication:
    """A file that gets its name when it is complete, and the files that it is made from.

    Use it as a context manager; leaving the block removes what is not published.

    Parameters
    ----------
    path : Path
        The file's name, from ``check_destination``.
    overwrite : bool
        Whether a file that has the name by then may be replaced.
    check : callable
        Raises ``OSError`` for a file that is not complete. It is called for every file.
    stale : sequence of Path
        Files that describe the one that is replaced: they are removed with it.
    """

    def __init__(
        self,
        path: Path,
        overwrite: bool,
        check: Callable[[Path], None],
        stale: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self._stale = stale
        self._overwrite = overwrite
        self._check = check
        self._folder: WorkFolder | None = None
        self._complete: Path | None = None
        self._undo: list[Callable[[], object]] = []

    def partial(self) -> Path:
        """Return a new name for an incomplete file, in a folder of its own beside the file."""
        assert self._folder is not None, "it is used as a context manager"
        return self._folder.new(self.path.suffix)

    def complete(self, partial: Path) -> None:
        """Check a file and wait until it is on the disk, so that it only remains to rename it.

        Raises
        ------
        OSError
            If the file is not complete.
        """
        for name in (partial, beside(partial, AUX)):
            if is_there(name):
                with name.open("r+b") as file:
                    os.fsync(file.fileno())
        self._check(partial)
        self._complete = partial

    def replace(self) -> None:
        """Give the complete file its name, and its sidecar from GDAL the sidecar's."""
        assert self._complete is not None, "it is completed first"
        if self._overwrite:
            self._keep()
            for old in (*(beside(self.path, ending) for ending in SIDECARS), *self._stale):
                self._set_aside(old)
            self._complete.replace(self.path)
        else:
            _rename(self._complete, self.path)
            self._undo.append(self.path.unlink)
        if is_there(beside(self._complete, AUX)):
            beside(self._complete, AUX).replace(beside(self.path, AUX))
            self._undo.append(beside(self.path, AUX).unlink)

    def retract(self) -> None:
        """Undo ``replace``, as far as the file system allows."""
        for undo in reversed(self._undo):
            with suppress(OSError):
                undo()
        self._undo.clear()

    def _keep(self) -> None:
        """Keep the file that is going to be replaced, under another name."""
        kept = self.partial()
        if not is_there(self.path):
            self._undo.append(self.path.unlink)
            return
        with suppress(OSError):  # a file system without links: it cannot be brought back
            os.link(self.path, kept)
            self._undo.append(lambda: kept.replace(self.path))

    def _set_aside(self, old: Path) -> None:
        """Take away a file that describes the one that is going to be replaced."""
        kept = self.partial()
        if is_there(old):
            old.replace(kept)
            self._undo.append(lambda: kept.replace(old))

    def __enter__(self) -> Self:
        try:
            with holding_signals():
                self._folder = WorkFolder(self.path)
        except BaseException:  # Ctrl-C that came meanwhile
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._folder is not None:
            self._folder.remove()


def publish(publications: Sequence[Publication]) -> None:
    """Give all files their names: after an error none has changed.

    Signals wait, and so do other processes that publish in the same folders. A process that is
    killed between two renames leaves the first files new and the others old.

    Parameters
    ----------
    publications : sequence of Publication
        Completed ones.

    Raises
    ------
    OSError
        If another file has one of the names by now and may not be overwritten, or if the file
        system refuses. Where it has no hard links, a file that was replaced stays so.
    """
    folders = sorted({own.path.parent for own in publications})
    with ExitStack() as stack:
        stack.enter_context(_publishing)
        opened = [stack.enter_context(_locked(folder)) for folder in folders]
        stack.enter_context(holding_signals())
        try:
            for own in publications:
                own.replace()
            for folder in opened:
                _sync(folder)
        except BaseException:
            for own in reversed(publications):
                own.retract()
            raise
        _published.extend(own.path for own in publications)


def abandon() -> None:
    """Remove what is not published, as the process is about to end without further ado."""
    _publishing.acquire(timeout=PATIENCE_SECONDS)
    remove_work_folders()


@contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Open a folder and lock it; None where the system opens no folders."""
    if not HAS_LOCKS:
        yield None
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        wait_for_lock(opened)
        yield opened
    finally:
        os.close(opened)


def _sync(folder: int | None) -> None:
    """Wait until the names in a folder are on the disk."""
    if folder is None:
        return
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # folders have no such
            raise


def _rename(complete: Path, path: Path) -> None:
    """Rename a file unless the name has been taken meanwhile."""
    try:
        os.link(complete, path)  # it fails where the name has been taken meanwhile
    except FileExistsError:
        raise OSError("something else has taken that name meanwhile") from None
    except OSError:  # a file system without links
        if path.exists():
            raise OSError("something else has taken that name meanwhile") from None
        complete.rename(path)
    else:
        complete.unlink()
