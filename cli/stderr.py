"""Stderr for this program alone: GDAL and the libraries below it print there, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

NOISY = "rasterio._env.log_error"
"""rasterio's function for GDAL's messages: it prints a traceback for one that is not UTF-8."""


@contextmanager
def own_stderr() -> Iterator[None]:
    """Write to a copy of stderr, and keep the original from libraries of C.

    What they print is an error that is raised, too, or a warning of a file's oddities: libgeotiff
    and the threads of GDAL's own print it between the program's lines.
    """
    try:
        copied = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    before = sys.stderr, sys.excepthook, sys.unraisablehook
    encoding = getattr(before[0], "encoding", None)
    own = os.fdopen(copied, "w", 1, encoding, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    sys.stderr, sys.excepthook, sys.unraisablehook = own, _except, _hook_before(before[2])
    try:
        yield
    finally:
        os.dup2(copied, 2)
        sys.stderr, sys.excepthook, sys.unraisablehook = before
        with suppress(OSError):  # a log on a full disk
            own.close()


def _except(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an exception that nothing handles, unless rasterio could not read a message."""
    if not isinstance(error, UnicodeDecodeError):
        sys.__excepthook__(kind, error, trace)


def _hook_before(hook: Callable[[sys.UnraisableHookArgs], object]) -> Callable[..., None]:
    """Return a hook that hands all but rasterio's exceptions on."""

    def unraisable(ignored: sys.UnraisableHookArgs) -> None:
        if ignored.object != NOISY:
            hook(ignored)

    return unraisable
