"""Runs of onnxruntime that are under way, so that an interruption can end them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_active: set[Any] = set()


@contextmanager
def interruptible(options: Any) -> Iterator[None]:
    """Let ``end_active_runs`` end a run, from another thread.

    Parameters
    ----------
    options : onnxruntime.RunOptions
        The options of the run.
    """
    with _lock:
        _active.add(options)
    try:
        yield
    finally:
        with _lock:
            _active.discard(options)


def end_active_runs() -> None:
    """Make all runs fail after the node that each is computing, in whatever thread they are.

    It is for the end of a program, or of a job that the user has interrupted.
    """
    with _lock:
        for options in _active:
            options.terminate = True
