"""Statistics of whole images: the moments that a node needs, and which features count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .call import Reduction, SizedInput
from .image_axis import ImageAxis
from .tensors import Axis, BoundError, has_image, length_of

MEAN, VARIANCE, SUM, MAX, MIN = "mean", "variance", "sum", "max", "min"
"""Moments of the features of an image."""

L1, L2, SQUARES = "l1", "l2", "squares"
"""Sum of absolute values, root of the sum of squares, and that sum."""

ADDITIVE = (SUM, L1, L2, SQUARES)
"""Moments that grow with the number of features."""

SIZE = "size"
"""Name of a number that follows from the image's height and width, beside those of moments."""

MOMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("GlobalAveragePool", "AveragePool", "ReduceMean"), (MEAN,)),
    **dict.fromkeys(("GlobalMaxPool", "MaxPool", "ReduceMax"), (MAX,)),
    "ReduceMin": (MIN,),
    "ReduceSum": (SUM,),
    "ReduceL1": (L1,),
    "ReduceL2": (L2,),
    "ReduceSumSquare": (SQUARES,),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization"), (MEAN, VARIANCE)),
    **dict.fromkeys(("LayerNormalization", "MeanVarianceNormalization"), (MEAN, VARIANCE)),
}
"""Moments that a node of a type needs of the whole image."""

Statistic: TypeAlias = Mapping[str, npt.NDArray[np.float64]]
"""Moments of one reduction by their names, each of the reduced tensor's shape, with lengths of 1
along the axes that are reduced."""

Statistics: TypeAlias = Mapping[str, Statistic]
"""Statistics of reductions, by the names of their nodes' first outputs; and numbers that follow
from the image's size, by the names of their tensors."""


def moments_of(reduction: Reduction) -> tuple[str, ...]:
    """Return the moments that a reduction needs.

    Raises
    ------
    BoundError
        If it cannot be taken over an image tile by tile.
    """
    if reduction.kind not in MOMENTS:
        raise BoundError("global", "it cannot be taken tile by tile", reduction.label)
    axes = sorted(axis.axis for axis in reduction.image.image_axes)
    reduced = [part for n in reduction.axes for part in reduction.image.axes[n]]
    if axes != [0, 1] or sum(isinstance(part, ImageAxis) for part in reduced) != len(axes):
        raise BoundError("global", "it reduces the image in part", reduction.label)
    return MOMENTS[reduction.kind]


def size_statistics(sizes: Iterable[SizedInput]) -> dict[str, Statistic]:
    """Return the numbers that follow from an image's size, as statistics."""
    return {own.tensor: {SIZE: np.array(own.value, np.float64)} for own in sizes}


def shapes_of(
    reductions: Iterable[Reduction], sizes: Iterable[SizedInput]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shapes of all statistics that a model needs."""
    shapes = {own.node: dict.fromkeys(moments_of(own), shape_of(own)) for own in reductions}
    return shapes | {own.tensor: {SIZE: own.value.shape} for own in sizes}


def count_of(reduction: Reduction) -> int:
    """Return how many values of the image it reduces to each number."""
    return math.prod(reduction.image.shape[n] for n in reduction.axes)


def image_axes(reduction: Reduction) -> tuple[ImageAxis, ImageAxis]:
    """Return the axes of a reduced tensor that run down and across the image."""
    down, across = sorted(reduction.image.image_axes, key=lambda own: own.axis)
    return down, across


def shape_of(reduction: Reduction) -> tuple[int, ...]:
    """Return the shape of its moments: lengths of 1 along the axes that are reduced."""
    lengths = enumerate(reduction.image.shape)
    return tuple(1 if n in reduction.axes else length for n, length in lengths)


def mask_for(reduction: Reduction, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which values of a reduced tensor count.

    Parameters
    ----------
    reduction : Reduction
        The reduction.
    counted : ndarray of bool
        Features that count, ``(rows, columns)`` of the tensor's own grid.

    Returns
    -------
    ndarray of bool
        Of the tensor's rank; it broadcasts to its shape.
    """
    axes = reduction.image.axes
    order = [part.axis for axis in axes for part in axis if isinstance(part, ImageAxis)]
    lengths = {0: counted.shape[0], 1: counted.shape[1]}
    parts = list(_parts(axes, lengths))
    own = [length if is_image else 1 for length, is_image in parts]
    oriented = counted if order == sorted(order) else counted.T
    spread = np.broadcast_to(oriented.reshape(own), [length for length, _ in parts])
    shape = [
        math.prod(length for length, _ in _parts([axis], lengths)) if has_image(axis) else 1
        for axis in axes
    ]
    return np.ascontiguousarray(spread.reshape(shape))


def values_of(reduction: Reduction, mask: npt.NDArray[np.bool_]) -> int:
    """Return how many values each moment is taken of, if a mask counts."""
    lengths = (reduction.image.shape[n] for n in reduction.axes if mask.shape[n] == 1)
    return int(np.count_nonzero(mask)) * math.prod(lengths)


def _parts(axes: Any, lengths: Mapping[int, int]) -> Iterator[tuple[int, bool]]:
    """Yield the lengths of parts of axes along the image, and whether they are the image's."""
    axis: Axis
    for axis in axes:
        if not has_image(axis):
            yield 1, False
            continue
        for part in axis:
            if isinstance(part, ImageAxis):
                yield lengths[part.axis], True
            else:
                yield length_of(part), False
