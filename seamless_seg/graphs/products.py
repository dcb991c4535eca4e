"""Rules of matrix products: over channels they are pointwise, over the image they are global."""

from __future__ import annotations

from dataclasses import replace

from .call import Call, rule
from .pointwise import broadcast
from .tensors import Axis, BoundError, Tensor, has_image, is_of_image

QUANTIZED = {"QLinearMatMul": (0, 3), "MatMulInteger": (0, 1), "MatMulIntegerToFloat": (0, 1)}
"""Indices of the two factors among the inputs."""


@rule("MatMul", "FusedMatMul", "QLinearMatMul", "MatMulInteger")
def matrix_product(call: Call) -> list[Tensor]:
    """``(..., M, K)`` times ``(..., K, N)``, as ``numpy.matmul`` has it."""
    if any(call.integer(name, 0) for name in ("transA", "transB", "transBatchA", "transBatchB")):
        raise BoundError("unknown", "there is no rule for transposed factors")
    one, other = (call.tensor(index) for index in QUANTIZED.get(call.kind, (0, 1)))
    left = one.axes if one.rank > 1 else ((), *one.axes)
    right = other.axes if other.rank > 1 else (*other.axes, ())
    _refuse_image(one, other, left[-1], right[-2])
    call.note_repeats(left[-1], right[-2])
    batch = broadcast([_leading(one, left), _leading(other, right)])
    if has_image(left[-2]) and has_image(right[-1]):
        raise BoundError("global", "it compares all pixels with each other (attention)")
    axes = [*batch]
    axes += [left[-2]] if one.rank > 1 else []
    axes += [right[-1]] if other.rank > 1 else []
    return call.out(axes, one, other)


@rule("Gemm", "QGemm")
def general_product(call: Call) -> list[Tensor]:
    """``(M, K)`` times ``(K, N)``, either of them transposed, plus what is broadcast to it."""
    is_quantized = call.kind == "QGemm"
    one, other = call.tensor(0), call.tensor(3 if is_quantized else 1)
    added = call.given(6 if is_quantized else 2)
    left = one.axes[::-1] if call.integer("transA", 0) else one.axes
    right = other.axes[::-1] if call.integer("transB", 0) else other.axes
    _refuse_image(one, other, left[1], right[0])
    call.note_repeats(left[1], right[0])
    if has_image(left[0]) and has_image(right[1]):
        raise BoundError("global", "it compares all pixels with each other (attention)")
    product = replace(one, axes=(left[0], right[1]), value=None, varies=one.varies or other.varies)
    return call.out(broadcast([product, *added]))


@rule("Einsum")
def einsum(call: Call) -> list[Tensor]:
    """By an equation that states its output."""
    equation = call.text("equation", "").replace(" ", "")
    if "..." in equation or "->" not in equation:
        raise BoundError("unknown", "there is no rule for its equation")
    terms, output = equation.split("->")
    tensors = call.given()
    axes: dict[str, Axis] = {}
    for labels, own in zip(terms.split(","), tensors, strict=True):
        for label, axis in zip(labels, own.axes, strict=True):
            both = [Tensor((axes.get(label, ()),)), Tensor((axis,))]
            if label in axes and has_image(axis) != has_image(axes[label]):
                raise BoundError("position", "it weighs pixels by where they lie in the image")
            axes[label] = broadcast(both)[0]
    call.note_repeats(*(axis for label, axis in axes.items() if label not in output))
    if any(has_image(axis) for label, axis in axes.items() if label not in output):
        raise BoundError("global", "it sums over the whole image")
    down_and_across = [label for label in output for part in axes[label] if is_of_image(part)]
    if len(down_and_across) > 2:
        raise BoundError("global", "it compares all pixels with each other (attention)")
    return call.out([axes[label] for label in output])


def _leading(tensor: Tensor, axes: tuple[Axis, ...]) -> Tensor:
    return replace(tensor, axes=axes[:-2], value=None)


def _refuse_image(one: Tensor, other: Tensor, left: Axis, right: Axis) -> None:
    """Raise if the axis that is summed over runs along the image."""
    if not has_image(left) and not has_image(right):
        return
    if one.varies and other.varies:
        raise BoundError("global", "it weighs all pixels by numbers computed from them (attention)")
    raise BoundError("position", "it weighs pixels by where they lie in the image")
