"""Ctrl-C, SIGTERM and hang-up: the first ends the program tidily, the second at once."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import socket
import sys
import threading
from types import FrameType

from seamless_seg.models.active_runs import end_active_runs
from seamless_seg.publishing.held_signals import ENDINGS
from seamless_seg.publishing.publication import abandon, published

from .messages import say

INTERRUPTED = 130
"""Exit status."""

GRACE_SECONDS = 1.0
"""Seconds that the program has to end tidily after the second signal."""

INTERVAL_SECONDS = 0.1
"""Seconds between two attempts to end runs of onnxruntime."""

_was_received = threading.Event()
_is_reported, _reporting = threading.Event(), threading.Lock()


def is_interrupted() -> bool:
    """Whether a signal has come by which a user or a system ends a program."""
    return _was_received.is_set()


def report_interruption() -> int:
    """Say once what an interruption has left; return the exit status."""
    with _reporting:
        if not _is_reported.is_set():
            files = ", ".join(str(path) for path in published())
            left = f" after {files} was written" if files else ", nothing was written"
            say(f"seamless-seg: error: interrupted{left}")
            _is_reported.set()
    return INTERRUPTED


def end_tidily_on_signals() -> None:
    """Make the first signal raise ``KeyboardInterrupt``, and the second end the process.

    Python handles signals between two steps of its own. A thread of its own hears of them while
    the main thread is in native code: it ends runs of onnxruntime at the first, and everything at
    the second.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(receiver, sender), daemon=True).start()
    atexit.register(_ignore_signals)
    handler = _Handler()
    sys.unraisablehook = handler.swallowed
    for ending in ENDINGS:
        if signal.getsignal(ending) != signal.SIG_IGN:  # nohup, for one, wants it ignored
            signal.signal(ending, handler.interrupt)


def _ignore_signals() -> None:
    """Leave the end to the interpreter, which would let a signal kill it then."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def _watch(receiver: socket.socket, sender: socket.socket) -> None:
    """Read the numbers of signals; ``sender`` is kept open as long."""
    count = 0
    while True:
        try:
            count += receiver.recv(1)[0] in ENDINGS
        except TimeoutError:  # a run may have begun after the signal
            end_active_runs()
            continue
        if count == 1:
            end_active_runs()
            receiver.settimeout(INTERVAL_SECONDS)
        elif count == 2:
            _leave()


def _leave() -> None:
    """End the process, unless it ends by itself before."""
    threading.Event().wait(GRACE_SECONDS)
    abandon()
    os._exit(report_interruption())


class _Handler:
    """Raises ``KeyboardInterrupt`` once, and again where Python has swallowed it."""

    def __init__(self) -> None:
        self._is_swallowing = False
        self._is_raised = threading.Event()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._is_swallowing:  # it would be, too
            return
        self._is_raised.set()
        _was_received.set()
        for ending in ENDINGS:
            if signal.getsignal(ending) != signal.SIG_IGN:
                signal.signal(ending, _ignore)
        raise KeyboardInterrupt

    def swallowed(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Python swallows what is raised in its own callbacks, as while it imports: once more."""
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._is_swallowing = True
            self._is_raised.clear()
            signal.signal(signal.SIGINT, self.interrupt)
            threading.Thread(target=self._insist, daemon=True).start()
            self._is_swallowing = False
        else:
            sys.__unraisablehook__(unraisable)

    def _insist(self) -> None:
        while not self._is_raised.wait(0.001):
            _interrupt_main_thread()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing; unlike with SIG_IGN, the thread that watches hears of the signal."""


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # it wakes a thread that waits, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
