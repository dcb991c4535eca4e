"""Fidelity: how far logits are from those of a reference, bit by bit and class by class."""

from __future__ import annotations

from .arrays import Logits, classes, difference


class Fidelity:
    """Gathers the differences between logits and a reference, window by window."""

    def __init__(self) -> None:
        self.pixels = 0
        self._identical = 0
        self._total = 0.0
        self._values = 0
        self._other_class = 0
        self.largest = 0.0
        """Largest difference of two logits; infinite where one of them is not finite."""

    def add(self, logits: Logits, reference: Logits) -> None:
        """Add a window, or some pixels of it: both of shape ``(..., classes)``."""
        if not logits.size:
            return
        apart = difference(logits, reference)
        same = apart == 0
        self.pixels += same[..., 0].size
        self._identical += int(same.all(axis=-1).sum())
        self._total += float(apart.sum())
        self._values += apart.size
        self.largest = max(self.largest, float(apart.max()))
        self._other_class += int((classes(logits) != classes(reference)).sum())

    @property
    def identical(self) -> float:
        """Share of the pixels all of whose logits are the same, bit for bit."""
        return self._identical / max(1, self.pixels)

    @property
    def mean(self) -> float:
        """Mean difference of two logits."""
        return self._total / max(1, self._values)

    @property
    def other_class(self) -> float:
        """Share of the pixels whose class is another."""
        return self._other_class / max(1, self.pixels)
