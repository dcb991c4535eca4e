"""Progress on stderr: a bar on a terminal, a line every so often elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from seamless_seg import Progress

BAR = 28
LINE_EVERY, DRAW_EVERY = 10.0, 0.2
"""Seconds between two lines in a log, and between two states of the bar."""


class ProgressBar:
    """Shows tiles, speed and time left whenever it is called with a ``Progress``.

    Parameters
    ----------
    stream : file, optional
        Where to; stderr where None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = self._shown = time.monotonic()
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show ``progress`` if it is time to."""
        now = time.monotonic()
        due = now - self._shown >= (DRAW_EVERY if self._terminal else LINE_EVERY)
        if not due and not (self._terminal and progress.done == progress.tiles):
            return
        self._shown = now
        text = _text(progress, now - self._started)
        if self._terminal:
            filled = BAR * progress.done // progress.tiles
            text = f"[{'#' * filled}{'.' * (BAR - filled)}] {text}"
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._width:
            self._stream.write("\n")


def _text(progress: Progress, seconds: float) -> str:
    speed = progress.pixels / 1e6 / max(seconds, 1e-9)
    left = seconds * (progress.tiles / progress.done - 1)
    return f"{progress.done}/{progress.tiles} tiles, {speed:.2f} Mpx/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:04:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
