"""What GDAL says of creation options: it logs only that it does not know one."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OptionError

LOG = logging.getLogger("rasterio._env")
"""Where rasterio logs what GDAL says, in the thread that has called GDAL."""


class _Listener(logging.Filter):
    """Collects messages about creation options for the threads that listen, each its own.

    The log is shared by all threads: it is changed when the first begins to listen, and as it was
    when the last has ended. Other messages are logged as if nobody listened.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._messages: dict[int, list[str]] = {}
        self._level = logging.NOTSET
        self._least = logging.NOTSET

    def filter(self, record: logging.LogRecord) -> bool:
        """Take a message that a thread listens for out of the log."""
        own = self._messages.get(record.thread or 0)
        message = record.getMessage()
        if own is not None and "creation option" in message:
            own.append(re.sub(r"^CPLE_\w+ in ", "", message).rstrip("."))
            return False
        return record.levelno >= self._least

    def begin(self) -> None:
        """Listen to this thread."""
        with self._lock:
            if not self._messages:
                self._level, self._least = LOG.level, LOG.getEffectiveLevel()
                LOG.setLevel(min(logging.WARNING, self._least))
                LOG.addFilter(self)
            self._messages[threading.get_ident()] = []

    def end(self) -> list[str]:
        """Return what this thread has said."""
        with self._lock:
            messages = self._messages.pop(threading.get_ident())
            if not self._messages:
                LOG.removeFilter(self)
                LOG.setLevel(self._level)
        return messages


_listener = _Listener()


@contextmanager
def rejecting_unknown_options() -> Iterator[None]:
    """Raise ``OptionError`` where GDAL only logs that it does not know a creation option."""
    _listener.begin()
    messages: list[str] = []
    try:
        yield
    finally:
        messages = _listener.end()
    if messages:
        raise OptionError("; ".join(messages))
