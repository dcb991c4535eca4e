"""Fidelity: how far logits are from those of a reference, bit by bit and class by class."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Logits: TypeAlias = npt.NDArray[Any]


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


def difference(one: Logits, other: Logits) -> npt.NDArray[np.float64]:
    """How far values are apart: infinitely where one of them is finite or NaN and the other not."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one.astype(np.float64) - other)
    return np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf, posinf=np.inf))


def classes(logits: Logits) -> npt.NDArray[np.int64]:
    """The class of each pixel, for logits of shape ``(..., classes)``.

    The one with the largest logit; of a single class, whether the logit is above 0.
    """
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    return np.asarray(logits.argmax(axis=-1))
