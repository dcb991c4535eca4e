"""Which constants follow from the image's size, and in which way.

A number that follows from the size by sums, products and quotients is judged by its values at a few
sizes, if these leave the same remainders. One that follows from it in another way, as by a
comparison, may be another at any size that was not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .tensors import Remainder, Tensor, constant

Values: TypeAlias = "npt.NDArray[Any]"

Folder: TypeAlias = Callable[[Sequence["Tensor | None"]], "list[Values] | None"]
"""Computes the outputs of a node from other inputs."""

Decides: TypeAlias = Callable[["Values", "Values"], "Values"]
"""Tells of which values the result is known, by the least that they are and what they meet."""

MOVED = {"Concat": None, "Where": (1, 2)} | dict.fromkeys(
    (
        *("Gather", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Flatten"),
        *("Identity", "Cast", "Split", "Expand"),
    ),
    (0,),
)
"""Types of nodes that move values, and which of their inputs are moved; None for all."""

SHAPES = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Upsample", "Gather", "CenterCropPad"), (1,)),
    "ConstantOfShape": (0,),
    "Slice": (1, 2),
    "Pad": (1,),
    "Resize": (1, 2, 3),
}
"""Inputs that are a shape or places, of the types of nodes that have such."""

REDUCED = ("ReduceProd", "ReduceSum")

ROUNDED = ("Floor", "Ceil", "Cast")
"""Types of nodes that drop a fraction."""

WIDE = (np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64)
"""Types that hold all sizes of images."""

RATIONAL = ("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Sum", "Floor", "Ceil", *REDUCED)
"""Types of nodes of which sums, products and quotients of sizes are made."""

GROWING = ("Add", "Mul", "Sum", "Floor", "Ceil", *REDUCED)
"""Those of them whose result grows with each input, where all are positive."""

COMPARED: dict[str, Decides] = {
    "Less": lambda least, other: least >= other,
    "GreaterOrEqual": lambda least, other: least >= other,
    "Greater": lambda least, other: least > other,
    "LessOrEqual": lambda least, other: least > other,
    "Equal": lambda least, other: least > other,
}
"""Whether the result is known of a size that is at least so large, for each comparison."""

MIRRORED = {"Less": "Greater", "Greater": "Less", "Equal": "Equal"} | {
    "LessOrEqual": "GreaterOrEqual",
    "GreaterOrEqual": "LessOrEqual",
}


@dataclass(frozen=True)
class _Node:
    """A node of constants, some of which follow from the image's size."""

    kind: str
    label: str
    inputs: Sequence[Tensor | None]
    fold: Folder

    @property
    def given(self) -> list[Tensor]:
        return [own for own in self.inputs if own is not None]

    def with_values(self, values: Callable[[Tensor], Values], moved: Any) -> list[Values] | None:
        """Return the outputs for other values of the inputs that are moved."""
        shown = [
            own if own is None or (moved is not None and n not in moved) else constant(values(own))
            for n, own in enumerate(self.inputs)
        ]
        return self.fold(shown)


def with_sizes(
    kind: str, label: str, inputs: Sequence[Tensor | None], values: list[Values], fold: Folder
) -> list[Tensor]:
    """Return the outputs of a node of constants, and what of them follows from the image's size.

    Parameters
    ----------
    kind, label : str
        Type of the node, and its type and name.
    inputs : sequence of Tensor or None
        Its inputs.
    values : list of ndarray
        The values of its outputs.
    fold : callable
        Computes the outputs from other inputs.
    """
    node = _Node(kind, label, inputs, fold)
    if not any(own.by_size for own in node.given):
        return [constant(value) for value in values]
    masks = _masks(node, values)
    if masks is None:
        return [replace(constant(value, by_size=True), tested=label) for value in values]
    tested = next((own.tested for own in node.given if own.by_size and own.tested), None)
    remainders = tuple(dict.fromkeys(each for own in node.given for each in own.remainders))
    remainders += _remainders(node, values)
    least = _least(node, len(values))
    return [
        replace(
            constant(value, bool(mask.any())),
            sized=mask,
            least=low,
            tested=tested if mask.any() else None,
            remainders=remainders if mask.any() else (),
        )
        for value, mask, low in zip(values, masks, least, strict=True)
    ]


def _masks(node: _Node, values: list[Values]) -> list[npt.NDArray[np.bool_]] | None:
    """Tell which values follow from the size; None where they do in no rational way."""
    if node.kind in MOVED:
        moved = MOVED[node.kind]
        kept = node.inputs if moved is None else [node.inputs[n] for n in moved]
        if any(own.by_size and not any(own is each for each in kept) for own in node.given):
            return None
        if node.kind == "Cast" and values[0].dtype not in WIDE:
            return None
        masks = node.with_values(is_sized, moved)
        return None if masks is None else [own.astype(bool) for own in masks]
    if node.kind in ("Shape", "Size"):
        return None if any(own.tested for own in node.given) else [np.zeros(values[0].shape, bool)]
    if node.kind in REDUCED:
        if any(own.by_size for own in node.given[1:]):
            return None
        return [np.ones(values[0].shape, bool)]
    try:
        either = _either(node)
    except ValueError:  # of shapes that are not broadcast, as those of a convolution
        return None
    if node.kind in RATIONAL:
        return [either]
    known = _known(node)
    if known is None or (either & ~known).any():
        return None
    return [_left(node, either)]


def _left(node: _Node, either: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which values still follow from the size where all that do are known."""
    return either if node.kind == "Max" else np.zeros(either.shape, bool)


def _either(node: _Node) -> npt.NDArray[np.bool_]:
    masks = np.broadcast_arrays(*map(is_sized, node.given))
    return np.asarray(np.logical_or.reduce(masks), bool)


def _known(node: _Node) -> npt.NDArray[np.bool_] | None:
    """Tell where a comparison has the same result at all sizes; None for what is none."""
    if len(node.given) != 2:
        return None
    for size, other in (node.given, node.given[::-1]):
        if other.by_size or not size.by_size:
            continue
        assert other.value is not None
        if node.kind in ("And", "Or"):
            decided = np.logical_xor(other.value, node.kind == "And")
            return np.asarray(decided | ~is_sized(size), bool)
        kind = node.kind if size is node.given[0] else MIRRORED.get(node.kind, node.kind)
        decides = COMPARED.get("Less" if kind == "Max" else kind)
        if decides is None or size.least is None:
            return None
        return np.asarray(decides(size.least, other.value) | ~is_sized(size), bool)
    return None


def _remainders(node: _Node, values: list[Values]) -> tuple[Remainder, ...]:
    """Return what has to be the same at all sizes, so that the result is no step of the size."""
    first = node.given[0].value
    assert first is not None
    left: Values | None = None
    if node.kind == "Mod" or (node.kind == "Div" and node.given[1].by_size):
        left = values[0]
    elif node.kind == "Div" and np.issubdtype(values[0].dtype, np.integer):
        assert node.given[1].value is not None
        left = np.remainder(first, np.where(node.given[1].value == 0, 1, node.given[1].value))
    elif node.kind in ROUNDED and np.issubdtype(first.dtype, np.floating):
        if node.kind == "Cast" and not np.issubdtype(values[0].dtype, np.integer):
            return ()
        left = np.round(first - np.floor(first), 5) % 1
    return () if left is None else (Remainder(node.label, left.tobytes()),)


def _least(node: _Node, count: int) -> list[Values | None]:
    """Return numbers that the values of the outputs are at no size less than."""
    lows = [own.least if own.by_size else own.value for own in node.given]
    moves = node.kind in MOVED
    grows = node.kind in GROWING and all(own is not None and (own >= 0).all() for own in lows)
    if node.kind == "Div":
        divisor = node.given[1]
        grows = not divisor.by_size and bool((np.asarray(divisor.value) > 0).all())
    if any(own is None for own in lows) or not (moves or grows or node.kind == "Max"):
        return [None] * count
    found = node.with_values(_lowest, MOVED.get(node.kind))
    return [None] * count if found is None else [*found]


def _lowest(tensor: Tensor) -> Values:
    value = tensor.least if tensor.by_size else tensor.value
    assert value is not None
    assert tensor.value is not None
    return value.astype(tensor.value.dtype)


def is_sized(tensor: Tensor) -> npt.NDArray[np.bool_]:
    """Tell which values of a constant follow from the image's size."""
    if tensor.sized is not None:
        return tensor.sized
    return np.full(tensor.shape, tensor.by_size)
