"""Statistics of whole images, summed up from what each tile adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .cut_model import Features, Partial

if TYPE_CHECKING:
    from ..graphs.call import Reduction
    from ..graphs.whole_image import Statistic


_Sums: TypeAlias = "dict[str, npt.NDArray[np.float64]]"
"""Sums and extremes of one reduction by their names."""


class PartialSums:
    """Sums of one level's partials in float64: of each row of tiles, and then of the rows.

    So they have the same bits whatever panels the rows are divided into.

    Parameters
    ----------
    level : sequence of Features
        The tensors that are reduced.
    totals : sequence of int
        For each of them, the values of the whole image, whether they count or not.
    """

    def __init__(self, level: Sequence[Features], totals: Sequence[int]) -> None:
        self._level, self._totals = level, totals
        self._counts = [0] * len(level)
        self._rows: dict[int, list[_Sums]] = {}

    def add(self, partials: Iterable[Partial], row: int = 0) -> None:
        """Add what a tile of a row of tiles adds to each statistic."""
        totals = self._rows.setdefault(row, [{} for _ in self._level])
        for n, (total, partial) in enumerate(zip(totals, partials, strict=True)):
            self._counts[n] += partial.values
            _add(total, partial.sums)

    def statistics(self) -> dict[str, Statistic]:
        """Return the moments of each reduction by the name of its node.

        Raises
        ------
        ModelError
            If no value was counted, or a moment is not finite.
        """
        found = {}
        sums: list[_Sums] = [{} for _ in self._level]
        for _, row in sorted(self._rows.items()):
            for whole, own in zip(sums, row, strict=True):
                _add(whole, own)
        counted = zip(self._level, self._counts, self._totals, sums, strict=True)
        for features, count, total, summed in counted:
            reduction, label = features.reduction, features.reduction.label
            if not count:
                raise ModelError(f"no feature of the image counts for {label}: use larger tiles")
            moments = _moments(reduction, count, total, summed)
            if not all(np.isfinite(own).all() for own in moments.values()):
                raise ModelError(f"the statistic of {label} is not finite: check the pixels")
            found[reduction.node] = moments
        return found


def _add(total: _Sums, more: Mapping[str, npt.NDArray[np.float64]]) -> None:
    for name, own in more.items():
        total[name] = _both(name, total[name], own) if name in total else own.copy()


def _both(
    name: str, one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    from ..graphs.whole_image import MAX, MIN

    join = {MAX: np.maximum, MIN: np.minimum}.get(name, np.add)
    both: npt.NDArray[np.float64] = join(one, other)
    return both


def _moments(
    reduction: Reduction, count: int, total: int, sums: dict[str, npt.NDArray[np.float64]]
) -> Statistic:
    """Return the moments; a sum takes values that do not count as the mean of the others.

    So it divided by the image's size is the mean.
    """
    from ..graphs.whole_image import ADDITIVE, L2, MEAN, SQUARES, SUM, VARIANCE, moments_of

    moments: dict[str, npt.NDArray[np.float64]] = {}
    for name in moments_of(reduction):
        if name == MEAN:
            moments[name] = sums[SUM] / count
        elif name == VARIANCE:
            moments[name] = np.maximum(sums[SQUARES] / count - moments[MEAN] ** 2, 0)
        elif name == L2:
            moments[name] = np.sqrt(sums[SQUARES] * (total / count))
        elif name in ADDITIVE:
            moments[name] = sums[name] * (total / count)
        else:
            moments[name] = sums[name]
    return moments
