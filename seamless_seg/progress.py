"""Progress: what a callback is told after each tile or window."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """How far a job has come."""

    done: int
    total: int
    pixels: int
    """Pixels that are finished."""
    unit: str = "tiles"
    """What there are so many of."""

    def more(self, pixels: int) -> Progress:
        """One tile later."""
        return self._replace(done=self.done + 1, pixels=self.pixels + pixels)


OnProgress: TypeAlias = Callable[[Progress], object]
