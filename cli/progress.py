"""Progress on stderr: a bar on a terminal, a line every so often elsewhere."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from contextlib import suppress
from typing import Self, TextIO

from seamless_seg import Progress

from .messages import say

BAR, JSON = "bar", "json"
"""How progress is shown: names in ``PROGRESS``."""

BAR_LENGTH = 28
"""Characters of the bar at most."""

LINE_EVERY, DRAW_EVERY, JSON_EVERY = 10.0, 0.2, 1.0
"""Seconds between two lines in a log, two states of the bar, and two lines of JSON."""


class ProgressBar:
    """Shows tiles, speed and time left whenever it is called with a ``Progress``.

    Parameters
    ----------
    stream : file, optional
        Where to; stderr where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr  # None where the program was started without one
        self._terminal = self._stream is not None and self._stream.isatty()
        self._started = self._shown = self._called = time.monotonic()
        self._unit = ""
        self._drawn = 0

    def __call__(self, progress: Progress) -> None:
        """Show ``progress`` if it is time to."""
        now = time.monotonic()
        if progress.unit != self._unit:  # another part of the work: its speed is another
            self._unit, self._started = progress.unit, self._called
        self._called = now
        due = now - self._shown >= (DRAW_EVERY if self._terminal else LINE_EVERY)
        if not due and not (self._terminal and progress.done == progress.total):
            return
        self._shown = now
        text = _text(progress, now - self._started)
        if self._terminal:
            line = _bar(progress, text, shutil.get_terminal_size().columns - 1)
            self._write("\r" + line.ljust(self._drawn))
            self._drawn = len(line)
        else:
            self._write(text + "\n")

    def interrupt(self) -> None:
        """Make room for something else to be printed."""
        if self._drawn:
            self._write("\n")
            self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.interrupt()

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a log that cannot be written must not end a job
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()


class JsonProgress:
    """Prints a line of JSON on stderr, at most once per second and at the end.

    Its keys are ``done`` and ``total`` (in units of ``unit``), ``pixels`` that are finished,
    ``seconds`` since the start and ``eta``, seconds that are left.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = -math.inf

    def __call__(self, progress: Progress) -> None:
        """Print ``progress`` if it is time to."""
        now = time.monotonic()
        if now - self._shown < JSON_EVERY and progress.done != progress.total:
            return
        self._shown, seconds = now, now - self._started
        eta = seconds * (progress.total / progress.done - 1) if progress.done else None
        times = {"seconds": seconds, "eta": eta}
        rounded = {key: value and round(value, 3) for key, value in times.items()}
        say(json.dumps(progress._asdict() | rounded))

    def interrupt(self) -> None:
        """Do nothing: each line is complete."""


PROGRESS: dict[str, type[ProgressBar] | type[JsonProgress]] = {
    BAR: ProgressBar,
    JSON: JsonProgress,
}
"""How progress is shown, by the value of ``--progress``."""


def _bar(progress: Progress, text: str, columns: int) -> str:
    length = min(BAR_LENGTH, columns - len(text) - 3)
    if length < 1:
        return text[:columns]
    filled = length * progress.done // progress.total
    return f"[{'#' * filled}{'.' * (length - filled)}] {text}"


def _text(progress: Progress, seconds: float) -> str:
    speed = progress.pixels / 1e6 / max(seconds, 1e-9)
    left = seconds * (progress.total / progress.done - 1)
    done = f"{progress.done}/{progress.total} {progress.unit}"
    return f"{done}, {speed:.2f} Mpx/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:04:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
