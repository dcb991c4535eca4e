"""Progress: the argument of a callback after each tile or window."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """How much of a job is done."""

    done: int
    total: int
    pixels: int
    """Pixels that are finished."""
    unit: str = "tiles"
    """What ``done`` and ``total`` count."""

    def more(self, pixels: int) -> Progress:
        """Return the progress after one more tile or window of ``pixels`` pixels."""
        return self._replace(done=self.done + 1, pixels=self.pixels + pixels)


OnProgress: TypeAlias = Callable[[Progress], object]
"""A callback that is called with a ``Progress``."""
