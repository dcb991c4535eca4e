"""Outputs of instance segmentation, which are no logits one by one, found by their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

from ..errors import ModelError

Shape: TypeAlias = "tuple[int | None, ...]"
"""Lengths of a tensor's axes; None where one is free."""

BOX_VALUES = 5
"""Values of a box beside its mask coefficients, at least: four sides and the score of a class."""


def refuse_instances(shapes: Sequence[tuple[str, Shape]], image: Shape) -> None:
    """Raise where two outputs are combined to masks of objects, as of YOLO-seg and Mask2Former.

    Their masks look like logits [N, K, H, W], but their channels are no classes.

    Parameters
    ----------
    shapes : sequence of (str, tuple)
        Names and shapes of the graph's outputs.
    image : tuple
        Shape of its input.

    Raises
    ------
    ModelError
        Where there are two such outputs.
    """
    for (name, listed), (masks, planes) in product(shapes, shapes):
        if len(listed) != 3 or len(planes) != 4 or _is_raster(listed, (planes, image)):
            continue
        # Logits come first, with features or embeddings of classes behind them; masks come last.
        if shapes.index((name, listed)) > shapes.index((masks, planes)) and "mask" not in masks:
            continue
        if _are_queries(listed, planes):
            raise ModelError(
                f"the model's outputs {name} and {masks} are queries and the masks of queries, as "
                f"of Mask2Former: their channels are no classes; export a model with the semantic "
                f"map, the sum over queries of class probability times mask, as [N, K, H, W]"
            )
        if _are_prototypes(listed, planes):
            raise ModelError(
                f"the model's outputs {name} and {masks} are boxes and prototypes of masks, as of "
                f"YOLO-seg: their channels are no classes; give a model for semantic segmentation "
                f"with an output [N, K, H, W]"
            )


def _is_raster(listed: Shape, others: Sequence[Shape]) -> bool:
    """Tell whether an output of three axes may be one class for each pixel, [N, H, W]."""
    sides = listed[1:]
    if sides == (None, None):
        return True
    return any(sides in (other[2:], other[1:3]) for other in others if len(other) == 4)


def _are_queries(listed: Shape, planes: Shape) -> bool:
    """Whether both have one length for their queries: [N, Q, K + 1] and [N, Q, H, W]."""
    count = listed[1]
    return count is not None and count > 1 and count == planes[1]


def _are_prototypes(listed: Shape, planes: Shape) -> bool:
    """Whether boxes have a coefficient for each prototype: [N, 4 + K + M, boxes], [N, M, H, W]."""
    count = planes[1]
    return (
        count is not None
        and count > 1
        and any(length is not None and length >= count + BOX_VALUES for length in listed[1:])
    )
