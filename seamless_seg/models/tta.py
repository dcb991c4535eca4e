"""Test-time augmentation: symmetries of the square, applied to tiles and undone on logits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from ..errors import OptionError


class Symmetry(NamedTuple):
    """A flip or rotation of the last two axes, rows and columns.

    undo(apply(images)) = images
    """

    transposed: bool
    """Whether rows and columns are swapped, before the flips."""
    flipped_rows: bool
    """Whether the order of the rows is reversed."""
    flipped_columns: bool
    """Whether the order of the columns is reversed."""

    def apply(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of transformed images."""
        return self._flip(images.swapaxes(-2, -1) if self.transposed else images)

    def undo(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of the logits of transformed images, transformed back."""
        logits = self._flip(logits)
        return logits.swapaxes(-2, -1) if self.transposed else logits

    def _flip(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        down, across = self.flipped_rows, self.flipped_columns
        return images[..., :: -1 if down else 1, :: -1 if across else 1]


NONE = "none"
"""Name of no augmentation."""

_FLIPS = [Symmetry(False, rows, columns) for rows in (False, True) for columns in (False, True)]

AUGMENTATIONS: dict[str, list[Symmetry]] = {
    NONE: _FLIPS[:1],
    "flips": _FLIPS,
    "d4": _FLIPS + [flip._replace(transposed=True) for flip in _FLIPS],
}
"""Values of ``tta``: the symmetries over which logits are averaged, in this order."""


def symmetries_of(tta: str | None) -> list[Symmetry]:
    """Return the symmetries of an augmentation; the identity alone where None.

    Raises
    ------
    OptionError
        Where there is no such augmentation.
    """
    name = NONE if tta is None else tta
    if name not in AUGMENTATIONS:
        raise OptionError(f"tta must be one of {', '.join(AUGMENTATIONS)}, not {tta!r}")
    return AUGMENTATIONS[name]


def variant_of(tta: str | None) -> str:
    """Return the suffix of cache keys for an augmentation; empty for none."""
    return "" if tta in (None, NONE) else f"-{tta}"
