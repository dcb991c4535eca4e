"""Symmetries of the square: tiles turned before a model sees them, logits turned back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from ..errors import OptionError

NONE = "none"


class Turn(NamedTuple):
    """A symmetry of the last two axes, rows and columns.

    undo(apply(images)) = images
    """

    transposed: bool
    """Whether rows and columns change places, before anything else."""
    down: bool
    """Whether what was on top comes to lie at the bottom."""
    across: bool
    """Whether what was on the left comes to lie on the right."""

    def apply(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turned images, a view."""
        return self._flip(images.swapaxes(-2, -1) if self.transposed else images)

    def undo(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Logits of turned images where the pixels were before, a view."""
        logits = self._flip(logits)
        return logits.swapaxes(-2, -1) if self.transposed else logits

    def _flip(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return images[..., :: -1 if self.down else 1, :: -1 if self.across else 1]


_FLIPS = [Turn(False, down, across) for down in (False, True) for across in (False, True)]

TURNS: dict[str, list[Turn]] = {
    NONE: _FLIPS[:1],
    "flips": _FLIPS,
    "d4": _FLIPS + [turn._replace(transposed=True) for turn in _FLIPS],
}
"""By the names of ``tta``: the turns of a tile of which the logits are averaged, in this order."""


def turns_of(tta: str | None) -> list[Turn]:
    """The turns of that name; the tile as it is where None.

    Raises
    ------
    OptionError
        Where there is no such name.
    """
    name = NONE if tta is None else tta
    if name not in TURNS:
        raise OptionError(f"tta must be one of {', '.join(TURNS)}, not {tta!r}")
    return TURNS[name]


def variant_of(tta: str | None) -> str:
    """What is appended to the names of what is remembered of a model."""
    return "" if tta in (None, NONE) else f"-{tta}"
