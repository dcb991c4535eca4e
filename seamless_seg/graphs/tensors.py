"""Tensors of a graph: their axes on the image, and their values where these are constant."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .image_axis import BATCH, ImageAxis

Obstacle: TypeAlias = Literal["position", "size", "global", "unknown"]
"""Why there is no bound: values depend on where they lie, or on the image's size alone, or on the
whole image, or no rule."""


class BoundError(Exception):
    """A node beyond which the receptive field has no bound.

    Attributes
    ----------
    kind : str
        ``"position"``: its output depends on where pixels lie in the image. ``"size"``: numbers
        that follow from the image's size enter it. ``"global"``: it depends on all pixels.
        ``"unknown"``: there is no rule for it.
    reason : str
        Why, in half a sentence.
    node : str or None
        Type and name of the node, once it is known.
    """

    def __init__(self, kind: Obstacle, reason: str, node: str | None = None) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.node = kind, reason, node

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}" if self.node else self.reason


@dataclass(frozen=True)
class Uniform:
    """A part of an axis along which all values are the same."""

    length: int


class Remainder(NamedTuple):
    """What has to be the same at all sizes of an image."""

    label: str
    """Type and name of the node that it is of."""
    value: bytes
    """What is left by its division, say."""


Part: TypeAlias = "int | Uniform | ImageAxis"
"""A part of an axis: channels, say, or the same value often, or one axis of the image."""

Axis: TypeAlias = "tuple[Part, ...]"
"""The parts of an axis, the slowest first; empty for a length of 1."""


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor."""

    axes: tuple[Axis, ...]
    value: npt.NDArray[Any] | None = None
    """Its values where they are constant and few."""
    varies: bool = False
    """Whether it depends on pixels."""
    by_size: bool = False
    """Whether it depends on the image's height or width."""
    sized: npt.NDArray[np.bool_] | None = None
    """Which of its values do, where not all of them."""
    least: npt.NDArray[Any] | None = None
    """Numbers that its values are at no size of the image less than."""
    tested: str | None = None
    """The node by which it depends on the size in another way than by arithmetic, if any."""
    remainders: tuple[Remainder, ...] = ()
    """What its dependence on the size is only known for."""
    level: int = 0
    """Reductions of the whole image that it depends on, one after the other."""
    once: npt.NDArray[Any] | None = None
    """Its values where they are constant and repeated, with lengths of 1 along uniform axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""
        return tuple(math.prod(map(length_of, axis)) for axis in self.axes)

    @property
    def rank(self) -> int:
        """Number of its axes."""
        return len(self.axes)

    @property
    def image_axes(self) -> list[ImageAxis]:
        """Parts of its axes that run along the image."""
        return [part for axis in self.axes for part in axis if isinstance(part, ImageAxis)]

    def integers(self) -> tuple[int, ...]:
        """Return its values as whole numbers.

        Raises
        ------
        BoundError
            If it is not constant.
        """
        if self.value is None:
            raise BoundError("unknown", "a shape or a parameter is computed from pixels")
        return tuple(int(number) for number in self.value.reshape(-1))


def constant(value: npt.NDArray[Any], by_size: bool = False) -> Tensor:
    """Return a tensor of known values."""
    return Tensor(plain_axes(value.shape), value, by_size=by_size)


def plain_axes(shape: Iterable[int]) -> tuple[Axis, ...]:
    """Return axes of which none runs along the image."""
    return tuple(() if length == 1 else (length,) for length in shape)


def is_repeated(axis: Axis) -> bool:
    """Tell whether all values along an axis are the same."""
    return all(isinstance(part, Uniform) for part in axis)


def as_repeated(tensor: Tensor, axes: Sequence[Axis]) -> npt.NDArray[Any] | None:
    """Return a constant's values as ``Tensor.once`` of a tensor to whose axes it is repeated.

    None where it is not constant, or differs along an axis on which it is to be repeated.
    """
    value = tensor.value if tensor.once is None else tensor.once
    if value is None or tensor.varies or any(map(has_image, axes)):
        return None
    lengths = [1 if is_repeated(axis) else math.prod(map(length_of, axis)) for axis in axes]
    shape = [1] * (len(axes) - value.ndim) + list(value.shape)
    return value.reshape(shape) if shape == lengths else None


def length_of(part: Part) -> int:
    """Return the length of a part of an axis."""
    return part if isinstance(part, int) else part.length


def has_image(axis: Axis) -> bool:
    """Tell whether an axis runs along the image, even in part."""
    return any(isinstance(part, ImageAxis) for part in axis)


def is_of_image(part: Part) -> bool:
    """Tell whether a part of an axis runs down or across the image, and not along the batch."""
    return isinstance(part, ImageAxis) and part.axis != BATCH


def regrouped(axes: Iterable[Axis], shape: Sequence[int]) -> tuple[Axis, ...]:
    """Return the axes of a reshaped tensor: its parts, split or put side by side.

    Raises
    ------
    BoundError
        If the new axes cut the parts where no length divides the other.
    """
    parts = deque(part for axis in axes for part in axis)
    grouped = []
    for length in shape:
        group: list[Part] = []
        while length > 1 or (parts and length_of(parts[0]) == 1):
            if not parts:
                raise BoundError("unknown", "a reshape does not fit its input")
            part = parts.popleft()
            own = length_of(part)
            if length % own == 0:
                group.append(part)
                length //= own
                continue
            if own % length:
                raise BoundError("unknown", "a reshape cuts the image's axes unevenly")
            head, rest = _split(part, length)
            group.append(head)
            parts.appendleft(rest)
            length = 1
        grouped.append(fused(group))
    return tuple(grouped)


def _split(part: Part, length: int) -> tuple[Part, Part]:
    if isinstance(part, ImageAxis):
        split = part.split(length)
        if split is None:
            raise BoundError("position", "a reshape splits the image by its size")
        return split
    rest = length_of(part) // length
    return (Uniform(length), Uniform(rest)) if isinstance(part, Uniform) else (length, rest)


def fused(parts: Iterable[Part]) -> Axis:
    """Join neighboring parts of an axis where they make one: ``(rows / 8, 8)`` are rows again."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(last, int) and isinstance(part, int):
            joined[-1] = last * part
        elif isinstance(last, Uniform) and isinstance(part, Uniform):
            joined[-1] = Uniform(last.length * part.length)
        elif isinstance(last, ImageAxis) and not isinstance(part, ImageAxis):
            finer = last.refined(length_of(part))
            if finer is None:
                raise BoundError("position", "a reshape makes a grid beyond all tiles")
            joined[-1] = finer
        else:
            joined.append(part)
    return tuple(joined)


def is_uniform(value: npt.NDArray[Any], axis: int) -> bool:
    """Tell whether values are the same all along an axis."""
    first = np.take(value, [0], axis)
    return bool(((value == first) | ((value != value) & (first != first))).all())
