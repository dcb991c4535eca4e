"""An upper bound of a model's receptive field and its stride, from the arithmetic of its graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from .call import Reduction, Trace
from .image_axis import ImageAxis
from .interpreter import LoadedGraph
from .tensors import BoundError, Tensor

FIRST_LENGTH = 2**6 * 3**2 * 5 * 7
"""Pixels: the first image that is looked at, a multiple of most strides. No pixel is computed."""

RARE_STRIDES = 11 * 13
"""Factors of strides that ``FIRST_LENGTH`` is no multiple of, tried where it has no bound."""

LEAST_LENGTH = 1024
"""Pixels: the second image is longer by this than what its borders change."""

FACTORS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)
"""Multiples of the stride that may have to divide the sides of an image."""

MAX_STRIDE = 256
"""Pixels: no stride beyond is worth tiles on its grid, if sizes alone ask for it."""

Lengths: TypeAlias = tuple[int, int]
"""Down and across, px."""

ImageMaker: TypeAlias = Callable[[Lengths], Tensor]
"""Makes the input for logits of a height and width."""

Finish: TypeAlias = Callable[[Tensor], "tuple[ImageAxis, ImageAxis]"]
"""Returns the axes of the logits, down and across, from the model's output."""


@dataclass(frozen=True)
class GraphBound:
    """What a tile's logits depend on at most, as the graph has it.

    Where the model mirrors the image at its border, a tile at the border has to be longer than
    what it mirrors and what its cut sides change.
    """

    stride: Lengths
    """Pixels: tiles that start at multiples of it, and whose sides are such, are alike."""
    before: Lengths
    """Pixels at the start of a tile whose logits may depend on pixels before the tile."""
    after: Lengths
    """Pixels at its end whose logits may depend on pixels after the tile."""
    reductions: tuple[Reduction, ...] = ()
    """Nodes that reduce the whole image. The rest of the bound is for what they give as known."""

    @property
    def levels(self) -> int:
        """Reductions that depend on one another, one after the other."""
        return max((own.level for own in self.reductions), default=0)


def bound(
    graph: LoadedGraph,
    image: ImageMaker,
    finish: Finish,
    multiple: int = 1,
    remainder: Lengths = (0, 0),
    fixed: tuple[int | None, int | None] = (None, None),
    sizes_are_given: bool = False,
) -> GraphBound:
    """Return the bound for tiles of all sizes that are multiples of its stride.

    Parameters
    ----------
    graph : LoadedGraph
        The graph.
    image : callable
        Makes the input for a height and width of the logits.
    finish : callable
        Returns the axes of the logits from the output.
    multiple : int
        A number that divides the stride, or that has to divide a tile's sides, px.
    remainder : (int, int)
        Height and width of all tiles, modulo 128 px.
    fixed : (int or None, int or None)
        Height and width that all tiles have; None where it is free.
    sizes_are_given : bool
        Whether numbers that follow from the image's size are given to tiles, so that they are the
        same in all of them.

    Raises
    ------
    BoundError
        If the graph has no bound, or another one in images of other sizes.
    """
    period = math.lcm(FIRST_LENGTH, 128 if any(remainder) else 1, multiple)
    found, trace = _first_look(graph, image, finish, period, remainder, fixed)
    if None not in fixed:
        return found
    failure: BoundError | None = None
    for factor in FACTORS:
        stride = math.lcm(*found.stride, factor * max(found.stride), multiple)
        step = math.lcm(stride, 128) if any(remainder) else stride
        if factor > 1 and stride > MAX_STRIDE:
            break
        try:
            for lengths in _other_lengths(found, trace, step, remainder):
                other = _looked_at(graph, image, finish, _with_fixed(lengths, fixed))
                _compare(trace, other[1], sizes_are_given)
        except BoundError as obstacle:
            failure = failure or obstacle
            continue
        if factor == 1:
            return found
        return GraphBound((stride, stride), found.before, found.after, found.reductions)
    if failure and failure.kind == "size" and found.reductions and not sizes_are_given:
        return found  # of the whole image, and its size: both have to be given
    raise failure or BoundError("position", "its stride is beyond that of any tile")


def _first_look(
    graph: LoadedGraph,
    image: ImageMaker,
    finish: Finish,
    period: int,
    remainder: Lengths,
    fixed: tuple[int | None, int | None],
) -> tuple[GraphBound, Trace]:
    """Return the bound for an image whose sides are a multiple of all usual strides, or of more."""
    failure: BoundError | None = None
    for length in (period, period * RARE_STRIDES):
        lengths = (length + remainder[0], 2 * length + remainder[1])
        try:
            sides = _with_fixed(lengths, fixed)
            return _looked_at(graph, image, finish, sides, None not in fixed)
        except BoundError as obstacle:
            failure = failure or obstacle
            if failure.kind != "position" or None not in fixed:
                break
    raise failure or BoundError("unknown", "it was not looked at")


def _other_lengths(
    found: GraphBound, trace: Trace, step: int, remainder: Lengths
) -> Iterator[Lengths]:
    """Yield sides of other images: one, or more where numbers are computed from the size."""
    border = sum(found.before) + sum(found.after)
    lengths, kinds = [LEAST_LENGTH], {own.kind for own in trace.signature}
    if kinds & {"constant", "remainder"}:
        lengths += [3 * step, 3 * LEAST_LENGTH]
    for length in lengths:
        rows = _prime_to_factors(-(-(border + length) // step) + 2)
        cols = _prime_to_factors(rows + 1)
        yield rows * step + remainder[0], cols * step + remainder[1]
        if "remainder" in kinds and length == LEAST_LENGTH:
            # what is the same for two multiples, one after the other, is the same for all
            yield (rows + 1) * step + remainder[0], (cols + 1) * step + remainder[1]


def _prime_to_factors(least: int) -> int:
    """Return the first number from one on that makes no stride a multiple of a coarser one."""
    usual = FIRST_LENGTH * RARE_STRIDES
    return next(times for times in itertools.count(least) if math.gcd(times, usual) == 1)


def _with_fixed(lengths: Lengths, fixed: tuple[int | None, int | None]) -> Lengths:
    return fixed[0] or lengths[0], fixed[1] or lengths[1]


def _looked_at(
    graph: LoadedGraph,
    image: ImageMaker,
    finish: Finish,
    lengths: Lengths,
    is_fixed: bool = False,
) -> tuple[GraphBound, Trace]:
    output, trace = graph.run(image(lengths), is_fixed)
    axes = finish(output)
    for axis, length in zip(axes, lengths, strict=True):
        if axis.step != 1 or axis.length != length:
            raise BoundError("position", "its output is no fixed multiple of the image")
    bound = GraphBound(
        stride=(axes[0].period, axes[1].period),
        before=(axes[0].start, axes[1].start),
        after=(axes[0].length - axes[0].stop, axes[1].length - axes[1].stop),
        reductions=tuple(trace.reductions),
    )
    return bound, trace


def _compare(one: Trace, other: Trace, sizes_are_given: bool) -> None:
    """Raise where something is not the same in images of two sizes."""
    pairs = zip(one.signature, other.signature, strict=False)
    unlike = [
        own
        for own, another in pairs
        if (own != another or own.kind == "constant")
        and not (sizes_are_given and own.kind == another.kind == "constant")
    ]
    is_same_nodes = len(one.signature) == len(other.signature)
    if unlike:
        unlike.sort(key=lambda own: own.kind == "remainder")
        is_size = is_same_nodes and all(own.kind != "axes" for own in unlike)
        reason = "what it computes depends on the size of the image"
        raise BoundError("size" if is_size else "position", reason, unlike[0].label)
    if not is_same_nodes:
        raise BoundError("position", "which nodes run depends on the size of the image")
