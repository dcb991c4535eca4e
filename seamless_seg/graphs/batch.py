"""Whether the images of a batch are mixed, so that what is computed of one depends on the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from .bound import FIRST_LENGTH, GraphBound, Lengths
from .call import Noted
from .image_axis import BATCH, ImageAxis
from .interpreter import LoadedGraph
from .tensors import BoundError, Tensor

SIZES = (2, 7)
"""Images of the batches that are looked at, if their number is free."""

BatchMaker: TypeAlias = Callable[[int, Lengths], Tensor]
"""Makes the input for a number of images and a height and width."""


def mixed_by(
    graph: LoadedGraph,
    images: BatchMaker,
    found: GraphBound,
    batch: int | None,
    remainder: Lengths,
    fixed: tuple[int | None, int | None],
) -> str | None:
    """Return the node that mixes the images of a batch, and how; None if there is none.

    Parameters
    ----------
    graph : LoadedGraph
        The graph.
    images : callable
        Makes the input, whose first axis is that of the batch.
    found : GraphBound
        Its bound for single images.
    batch : int or None
        Images of each batch; None where any number will do.
    remainder, fixed
        As for ``bound``.
    """
    if batch == 1:
        return None
    period = math.lcm(FIRST_LENGTH, 128, *found.stride)
    down, across = (period * (n + 1) + remainder[n] for n in (0, 1))
    lengths = fixed[0] or down, fixed[1] or across
    try:
        looked_at = [_numbers_of(graph, images, size, lengths) for size in _sizes(batch)]
    except BoundError as obstacle:
        return str(obstacle)
    for numbers in looked_at[1:]:
        pairs = zip(looked_at[0], numbers, strict=False)
        unlike = next((own for own, other in pairs if own != other), None)
        if unlike is not None or len(numbers) != len(looked_at[0]):
            node = f"{unlike.label}: " if unlike else ""
            return f"{node}what it computes depends on the number of images of a batch"
    return None


def _sizes(batch: int | None) -> tuple[int, ...]:
    return (1, *SIZES) if batch is None else (batch,)


def _numbers_of(graph: LoadedGraph, images: BatchMaker, size: int, lengths: Lengths) -> list[Noted]:
    """Return the numbers that a graph computes with for a batch of a size.

    Raises
    ------
    BoundError
        If the output for an image depends on another of its batch.
    """
    image = images(size, lengths)
    axis = (ImageAxis.of_image(BATCH, size),) if size > 1 else ()
    output, trace = graph.run(replace(image, axes=(axis, *image.axes[1:])))
    if not output.axes or output.axes[0] != axis:
        raise BoundError("unknown", "its output is no batch of images")
    return [own for own in trace.signature if own.kind != "axes"]
