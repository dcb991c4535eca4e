"""A node as its rule sees it: what comes in, what is noted of it, and which rules there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .image_axis import ImageAxis, Taps
from .tensors import Axis, BoundError, Tensor, Uniform, fused, is_uniform

Rule: TypeAlias = "Callable[[Call], Sequence[Tensor]]"
"""Computes the outputs of a node, or raises ``BoundError``."""

RULES: dict[str, Rule] = {}
"""Rules by the type of the node."""


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register the rule of some types of nodes; none may overlook an input."""

    def register(function: Rule) -> Rule:
        def complete(call: Call) -> Sequence[Tensor]:
            outputs = function(call)
            call.refuse_overlooked()
            return outputs

        RULES.update(dict.fromkeys(kinds, complete))
        return function

    return register


@dataclass(frozen=True)
class Reduction:
    """A node that reduces height and width of the whole image to a few numbers."""

    node: str
    """Name of its first output, which no other node has."""
    kind: str
    """Type of the node."""
    level: int
    """1 if it depends on pixels alone, more if on other reductions."""
    image: Tensor
    """The tensor that it reduces."""
    axes: tuple[int, ...]
    """Axes of it that are reduced."""

    @property
    def label(self) -> str:
        """Type and name, as a message has them."""
        return f"{self.kind} node {self.node}"


class SizedInput(NamedTuple):
    """An input of a node that computes with pixels: a number that follows from the image's size."""

    node: str
    """Name of the node's first output."""
    label: str
    """Type and name of the node."""
    tensor: str
    """Name of the input."""
    value: npt.NDArray[Any]
    """Its value for an image of this size."""


class Noted(NamedTuple):
    """What must be the same in images of all sizes."""

    label: str
    """Type and name of the node that it is noted of."""
    kind: Literal["axes", "constant", "repeats", "remainder"]
    """Axes of its output, or the value or the number of values that it computes with, or what its
    division of a size leaves, or how far beyond the image it cuts."""
    value: object


@dataclass
class Trace:
    """What is noted on the way through a graph."""

    reductions: list[Reduction] = field(default_factory=list)
    signature: list[Noted] = field(default_factory=list)
    sizes: list[SizedInput] = field(default_factory=list)
    """Inputs that follow from the image's size."""
    is_fixed: bool = False
    """Whether all images have the size of this one, so that nothing depends on it."""


@dataclass
class Call:
    """A node and its inputs."""

    kind: str
    label: str
    """Type and name, as a message has them."""
    attributes: dict[str, Any]
    inputs: list[Tensor | None]
    outputs: list[str]
    opset: int
    trace: Trace
    names: list[str]
    """Names of the inputs."""
    _seen: set[int] = field(default_factory=set)
    """Indices of inputs that the rule has asked for."""
    _used: set[int] = field(default_factory=set)
    """Indices of inputs that an output is said to be computed from."""

    def tensor(self, index: int = 0) -> Tensor:
        """Return an input.

        Raises
        ------
        BoundError
            If the node lacks it.
        """
        found = self.optional(index)
        if found is None:
            raise BoundError("unknown", f"it has no input {index}")
        return found

    def optional(self, index: int) -> Tensor | None:
        """Return an input, or None where it is left out."""
        self._seen.add(index)
        return self.inputs[index] if index < len(self.inputs) else None

    def given(self, *indices: int) -> list[Tensor]:
        """Return those inputs of some indices, or of all, that are not left out."""
        wanted = indices or range(len(self.inputs))
        return [own for own in map(self.optional, wanted) if own is not None]

    def refuse_overlooked(self) -> None:
        """Raise if an input that may differ from tile to tile was not accounted for.

        An input along the image has to be asked for, as its axes count. Any other that depends on
        pixels or on the size may also be among those that an output is computed from.
        """
        for index, own in enumerate(self.inputs):
            if own is None or index in self._seen:
                continue
            if own.image_axes or (index not in self._used and (own.varies or own.by_size)):
                name = self.names[index]
                raise BoundError("unknown", f"there is no rule for its input {name}")

    def integers(self, name: str, index: int | None = None) -> tuple[int, ...] | None:
        """Return whole numbers of an attribute, or of an input in later versions of an operator."""
        if name in self.attributes:
            value = self.attributes[name]
            return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)
        given = None if index is None else self.optional(index)
        if given is not None and given.by_size and name in ("axes", "steps", "split"):
            raise BoundError("size", f"its {name} follow from the size of the image")
        return None if given is None else given.integers()

    def integer(self, name: str, default: int) -> int:
        """Return a whole number of an attribute."""
        return int(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return the text of an attribute."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def out(
        self, axes: Iterable[Axis], *inputs: Tensor | None, broadcasts: bool = False
    ) -> list[Tensor]:
        """Return an output of these axes that is computed from some inputs; from all if none.

        Constants that depend on the image's size are noted, since they must be the same at all.
        With ``broadcasts`` each may have a length of 1 instead of repeated values.
        """
        found = Tensor(tuple(map(fused, axes)))
        used = [own for own in inputs or self.inputs if own is not None]
        self._used |= {n for n, own in enumerate(self.inputs) if any(own is one for one in used)}
        varies = any(own.varies for own in used)
        if varies:
            broadcasts &= any(own.varies and own.shape == found.shape for own in used)
            for own in used:
                self._note_constant(
                    own, own.once if broadcasts and own.value is None else own.value
                )
        by_size = any(own.by_size for own in used if not own.varies)
        level = max((own.level for own in used), default=0)
        return [replace(found, varies=varies, by_size=by_size, level=level)]

    def _note_constant(self, tensor: Tensor, value: npt.NDArray[Any] | None) -> None:
        if tensor.varies or not tensor.by_size:
            return
        named = zip(self.names, self.inputs, strict=True)
        name = next((own for own, given in named if given is tensor), None)
        if value is None or name is None:
            raise BoundError("position", "it computes with the size of the image")
        self.trace.sizes.append(SizedInput(self.outputs[0], self.label, name, value))
        self.note_value(value)

    def note_value(self, value: npt.NDArray[Any]) -> None:
        """Note a value that follows from the image's size."""
        for axis in range(value.ndim):
            if is_uniform(value, axis):
                value = np.take(value, [0], axis)
        self.trace.signature.append(Noted(self.label, "constant", value.tobytes()))

    def note_repeats(self, *axes: Axis) -> None:
        """Note how often a value is repeated along axes that are summed over, say.

        A sum over ones is the number of pixels, which must be the same at all sizes.
        """
        lengths = [part.length for axis in axes for part in axis if isinstance(part, Uniform)]
        if lengths:
            self.trace.signature.append(Noted(self.label, "repeats", tuple(lengths)))

    def taken(self, axis: Axis, taps: Taps, length: int) -> Axis:
        """Return an axis of the output that takes an axis of an input by taps."""
        if taps.is_identity and length == axis_length(axis):
            return axis
        if not axis or all(isinstance(part, int) for part in axis):
            return () if length == 1 else (length,)
        if len(axis) > 1 or not isinstance(axis[0], ImageAxis):
            raise BoundError("unknown", "it slides along an axis that holds more than the image's")
        found = axis[0].taken(taps, length)
        if found is None:
            raise BoundError(
                "position", "its grid is coarser than any tile, or depends on the size"
            )
        return (found,)


def axis_length(axis: Axis) -> int:
    """Return the length of an axis."""
    return Tensor((axis,)).shape[0]
