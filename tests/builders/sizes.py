"""Ways in which the size of an image enters a network, as exporters write them.

Each takes a graph of ``networks``, a value and its channels, and returns the value, changed.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDES = np.array([2, 3])


def total(graph, value):
    """The sum over the image."""
    return graph.add("ReduceSum", [value, graph.constant(SIDES)])


def as_float(graph, number):
    return graph.add("Cast", [number], to=TensorProto.FLOAT)


def length(graph, value, axis):
    shape = graph.add("Shape", [value])
    return graph.add("Gather", [shape, graph.constant(np.array(axis))])


def pixels(graph, value):
    """Height times width."""
    both = [length(graph, value, axis) for axis in (2, 3)]
    return as_float(graph, graph.add("Mul", both))


def product(graph, value):
    """The same by a product over a part of the shape."""
    shape = graph.add("Shape", [value])
    ends = [graph.constant(np.array([end])) for end in (2, 4)]
    lengths = graph.add("Slice", [shape, *ends])
    return as_float(graph, graph.add("ReduceProd", [lengths], keepdims=0))


def all_values(graph, value):
    return as_float(graph, graph.add("Size", [value]))


def ones(graph, value, dtype=np.float32):
    one = numpy_helper.from_array(np.ones(1, dtype))
    return graph.add("ConstantOfShape", [graph.add("Shape", [value])], value=one)


def counted_ones(graph, value):
    return total(graph, ones(graph, value))


def counted_expanded(graph, value):
    one = graph.constant(np.ones((1, 1, 1, 1), np.float32))
    return total(graph, graph.add("Expand", [one, graph.add("Shape", [value])]))


def counted_mask(graph, value):
    return total(graph, as_float(graph, ones(graph, value, np.bool_)))


def counted_by_rows(graph, value):
    """Ones that are summed up down the image first, and then across."""
    columns = graph.add("ReduceSum", [ones(graph, value), graph.constant(np.array([2]))])
    return graph.add("ReduceSum", [columns, graph.constant(np.array([3]))])


def counted_of_pixels(graph, value):
    """Ones that are computed from the pixels."""
    zeros = graph.add("Mul", [value, graph.constant(np.float32(0))])
    return total(graph, graph.add("Add", [zeros, graph.constant(np.float32(1))]))


def gated_by(count):
    """Multiply by the sigmoid of the sum over the image, divided by a number of its pixels."""

    def form(graph, value):
        mean = graph.add("Div", [total(graph, value), count(graph, value)])
        return graph.add("Mul", [value, graph.add("Sigmoid", [mean])])

    return form


def mean_times_size(graph, value):
    """Divide by the mean, multiplied by the number of pixels."""
    mean = graph.add("ReduceMean", [graph.add("Abs", [value])], axes=[2, 3])
    sums = graph.add("Mul", [mean, pixels(graph, value)])
    few = graph.add("Mul", [sums, graph.constant(np.float32(1e-3))])
    return graph.add("Div", [value, few])


def unbiased_deviation(graph, value):
    """Normalize by torch.std, as both of torch's exporters write it."""
    mean = graph.add("ReduceMean", [value], axes=[2, 3])
    lengths = graph.add("Gather", [graph.add("Shape", [value]), graph.constant(SIDES)])
    count = as_float(graph, graph.add("ReduceProd", [lengths], keepdims=0))
    centered = graph.add("Sub", [value, mean])
    squared = graph.add("ReduceMean", [graph.add("Mul", [centered, centered])], axes=[2, 3])
    sums = graph.add("Mul", [squared, count])
    less = graph.add("Sub", [count, graph.constant(np.float32(1))])
    deviation = graph.add("Sqrt", [graph.add("Div", [sums, less])])
    return graph.add("Div", [centered, deviation])


def at_most(graph, value):
    """Add the smaller one of the height and 80 px, and a mean."""
    least = graph.add("Min", [length(graph, value, 2), graph.constant(np.array(80))])
    some = graph.add("Mul", [as_float(graph, least), graph.constant(np.float32(1e-2))])
    mean = graph.add("GlobalAveragePool", [value])
    return graph.add("Add", [graph.add("Add", [value, some]), mean])


def normed_by(kind):
    """Divide by a norm over the image, scaled by the root of its size where that enters."""

    def form(graph, value):
        norm = graph.add(kind, [value], axes=[2, 3])
        few = graph.add("Mul", [norm, graph.constant(np.float32(1e-2))])
        return graph.add("Div", [value, few])

    return form


def of_slices(graph, value):
    """Add the mean of the upper half, whose length no number can stand for."""
    half = graph.add("Div", [length(graph, value, 2), graph.constant(np.array(2))])
    end = graph.add("Unsqueeze", [half, graph.constant(np.array([0]))])
    ends = [graph.constant(np.array([0])), end, graph.constant(np.array([2]))]
    upper = graph.add("Slice", [value, *ends])
    return graph.add("Add", [value, graph.add("GlobalAveragePool", [upper])])


def of_repeated_mean(graph, value):
    """Add the sum of the mean, repeated to the image's size."""
    mean = graph.add("GlobalAveragePool", [value])
    wide = graph.add("Expand", [mean, graph.add("Shape", [value])])
    return graph.add("Add", [value, total(graph, wide)])


def in_a_branch(graph, value):
    """Divide by the size in a branch that is always taken."""
    count = pixels(graph, value)
    divided = helper.make_node("Div", [value, count], ["divided"])
    output = helper.make_tensor_value_info("divided", TensorProto.FLOAT, None)
    branch = helper.make_graph([divided], "branch", [], [output])
    scaled = graph.add(
        "If", [graph.constant(np.array(True))], then_branch=branch, else_branch=branch
    )
    return graph.add("Add", [scaled, graph.add("GlobalAveragePool", [value])])


SUPPORTED = {
    "sum over height times width": gated_by(pixels),
    "sum over a product of lengths": gated_by(product),
    "sum over all values": gated_by(all_values),
    "sum over ones": gated_by(counted_ones),
    "sum over expanded ones": gated_by(counted_expanded),
    "sum over a mask of ones": gated_by(counted_mask),
    "sum over ones by rows": gated_by(counted_by_rows),
    "sum over ones of pixels": gated_by(counted_of_pixels),
    "mean times size": mean_times_size,
    "unbiased deviation": unbiased_deviation,
    "at most a size": at_most,
    "sum of absolute values": normed_by("ReduceL1"),
    "root of squares": normed_by("ReduceL2"),
    "sum of squares": normed_by("ReduceSumSquare"),
}
"""Forms in which the whole image's size can stand."""

REFUSED = {
    "mean of the upper half": (of_slices, "Slice node"),
    "repeated mean": (of_repeated_mean, "ReduceSum node"),
    "in a branch": (in_a_branch, "Div node divided"),
    "logarithm of a sum": (normed_by("ReduceLogSumExp"), "ReduceLogSumExp node"),
    "product": (normed_by("ReduceProd"), "ReduceProd node"),
}
"""Forms in which it cannot, and the node that is named."""
