"""Nodes that stand in for a reduction of the whole image whose statistic is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from .call import Reduction
from .node_writer import NodeWriter
from .whole_image import MEAN, VARIANCE, Statistic

LARGE_MEAN = 16
"""Standard deviations beyond which a mean of float32 is off by more than 1e-6 of them."""

Batch: TypeAlias = "tuple[str, int]"
"""Name of the graph's input, and the images of the batch that a statistic is for."""

EPSILON = {"InstanceNormalization": 1e-5, "GroupNormalization": 1e-5, "LayerNormalization": 1e-5}
"""Default of the number that is added to variances."""


def given_nodes(
    writer: NodeWriter,
    node: NodeProto,
    reduction: Reduction,
    statistic: Statistic,
    dtype: np.dtype[Any],
    batch: Batch,
) -> None:
    """Write nodes that compute a reduction's first output from its statistic.

    Parameters
    ----------
    writer : NodeWriter
        Collects them.
    node : NodeProto
        The node of the reduction.
    reduction : Reduction
        What is known of it.
    statistic : mapping
        Its moments.
    dtype : dtype
        Type of the reduced tensor.
    batch : (str, int)
        Name of the graph's input, and images of its batch.
    """
    if VARIANCE not in statistic:
        (value,) = statistic.values()
        _reduced(writer, node, reduction, value.astype(dtype), batch)
        return
    attributes = {own.name: helper.get_attribute_value(own) for own in node.attribute}
    mean, inverse = _mean_and_inverse(node.op_type, attributes, statistic)
    scales = list(node.input[1:3])
    if node.op_type == "GroupNormalization":
        mean, inverse = (_by_channel(own, reduction) for own in (mean, inverse))
        scales = [_scale_by_channel(writer, name, reduction) for name in scales]
    elif node.op_type == "InstanceNormalization":
        shape = writer.constant([-1, *[1] * (reduction.image.rank - 2)], np.int64)
        scales = [writer.add("Reshape", [name, shape]) for name in scales]
    _normalized(writer, node, (mean, inverse), scales, dtype, batch)


def _reduced(
    writer: NodeWriter,
    node: NodeProto,
    reduction: Reduction,
    value: npt.NDArray[Any],
    batch: Batch,
) -> None:
    """Write a constant in place of a pooling or a reduction, once for each image of the batch."""
    keeps = next((own.i for own in node.attribute if own.name == "keepdims"), 1)
    if not keeps:
        value = value.squeeze(reduction.axes)
    name = writer.constant(value, value.dtype)
    if value.ndim and 0 not in reduction.axes:
        name = writer.repeated(name, value.ndim, *batch)
    writer.add("Identity", [name], node.output[0])


def _normalized(
    writer: NodeWriter,
    node: NodeProto,
    moments: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    scales: Sequence[str],
    dtype: np.dtype[Any],
    batch: Batch,
) -> None:
    """Write ``(image - mean) * (inverse * scale) + bias``.

    In this order, as ``image * scale - mean * scale`` loses digits where the mean is large.
    """
    *means, inverse = (
        writer.constant(own, dtype) for own in (*_mean_in_parts(*moments, dtype), moments[1])
    )
    if moments[0].shape[0] > 1:
        *means, inverse = (
            writer.repeated(own, moments[0].ndim, *batch) for own in (*means, inverse)
        )
    centered = node.input[0]
    for mean in means:
        centered = writer.add("Sub", [centered, mean])
    scaled = inverse if not scales or not scales[0] else writer.add("Mul", [inverse, scales[0]])
    normalized = writer.add("Mul", [centered, scaled])
    if len(scales) > 1 and scales[1]:
        normalized = writer.add("Add", [normalized, scales[1]])
    writer.add("Identity", [normalized], node.output[0])


def _mean_in_parts(
    mean: npt.NDArray[np.float64], inverse: npt.NDArray[np.float64], dtype: np.dtype[Any]
) -> list[npt.NDArray[np.float64]]:
    """Return a mean as numbers to subtract: two where one of the type has too few digits.

    Of features near a large mean, the first leaves small differences without any rounding.
    """
    if np.all(np.abs(mean * inverse) <= LARGE_MEAN):
        return [mean]
    return [mean, mean - mean.astype(dtype).astype(np.float64)]


def _mean_and_inverse(
    kind: str, attributes: dict[str, Any], statistic: Statistic
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    variance = statistic[VARIANCE]
    if kind == "MeanVarianceNormalization":
        return statistic[MEAN], 1 / (np.sqrt(variance) + 1e-9)
    epsilon = float(attributes.get("epsilon", EPSILON[kind]))
    return statistic[MEAN], 1 / np.sqrt(variance + epsilon)


def _by_channel(moment: npt.NDArray[np.float64], reduction: Reduction) -> npt.NDArray[np.float64]:
    """Return moments of groups of channels ``(N, G, 1, 1, 1)`` for each channel."""
    batch, groups, each, *image = reduction.image.shape
    repeated = np.broadcast_to(moment.reshape(batch, groups, 1), (batch, groups, each))
    return repeated.reshape(batch, groups * each, *[1] * len(image))


def _scale_by_channel(writer: NodeWriter, name: str, reduction: Reduction) -> str:
    """Write the scales of channels, which have those of their groups before version 21."""
    _, groups, each, *image = reduction.image.shape
    if writer.opset < 21:
        name = writer.add("Reshape", [name, writer.constant([groups, 1], np.int64)])
        name = writer.add("Expand", [name, writer.constant([groups, each], np.int64)])
    shape = writer.constant([-1, *[1] * len(image)], np.int64)
    return writer.add("Reshape", [name, shape])
