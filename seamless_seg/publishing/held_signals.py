"""Signals that wait until files are published."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals by which a user or a system ends a program; Windows has no SIGHUP."""


@contextmanager
def holding_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and hang-up wait; the first of them is sent again at the end.

    Python handles signals in its main thread alone: in other threads there is nothing to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    previous = {}
    try:
        for number in ENDINGS:
            # A handler of None was not set by Python, which could not set it again.
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                previous[number] = signal.signal(number, note)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if received:
            _handle(received[0])


def _handle(number: int) -> None:
    """Do what a signal does; a handler is called, as sending it again would count as a second."""
    handler = signal.getsignal(number)
    if callable(handler):
        handler(number, None)
    else:
        signal.raise_signal(number)
