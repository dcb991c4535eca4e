"""Networks of known reach: an ONNX graph and, worked out by intervals, what each pixel depends on.

A network is a list of layers, each a tuple of a name and its numbers:

    ("conv", kernel, dilation)            keeps the size, padded evenly
    ("conv", kernel, dilation, channels)  the same, with more channels or fewer
    ("conv_left", kernel)                 keeps the size, padded before only
    ("strided", kernel, stride)           divides the size by stride
    ("pool", n)                           maxima of n x n
    ("up", n)                             nearest neighbor
    ("deconv", kernel, stride)            multiplies the size by stride
    ("relu",), ("norm",)                  pointwise; batch normalization
    ("valid", kernel)                    without padding: it loses a border
    ("skip", [layers])                    the input beside what the layers make of it
    ("crop_skip", [layers])               the same, the input cropped to what is left of it
    ("crop_skip", [layers], border)       cropped by so many pixels, whatever the size
    ("instance_norm",), ("global_pool",), ("squeeze_excite",), ("attention",)    see the whole tile
    ("gate", kind, keepdims)              a gate from ReduceMean, ReduceMax, ...; sees it, too
    ("beside", kind)                      the image beside its mean, repeated to its size
    ("normed_by_hand",)                   instance normalization by means of means
    ("group_norm", groups)                as torch writes it, by a reshape; sees it, too
    ("group_norm_node", groups)           the node of ONNX, from version 18 on
    ("mean_variance",)                    MeanVarianceNormalization over the image
    ("sized", form)                       a form of ``sizes``; sees the image, and its size
"""

from __future__ import annotations

import numpy as np
from onnx import helper

from . import made

WIDTH = 3
"""Channels of a convolution: enough that no ReLU hides what the next layer sees, and fast."""

TILE_WIDE = ("instance_norm", "global_pool", "squeeze_excite", "attention")


def u_net(depth, convolutions=1):
    """A U-Net with ``depth`` poolings."""
    block = [layer for _ in range(convolutions) for layer in (("conv", 3, 1), ("relu",))]
    inner = [*block]
    for _ in range(depth):
        inner = [*block, ("skip", [("pool", 2), *inner, ("up", 2)]), *block]
    return inner


def stride_of(layers):
    """Total stride: the product of the strides along the deepest path."""
    product = deepest = 1
    for name, *numbers in layers:
        if name == "skip":
            deepest = max(deepest, product * stride_of(numbers[0]))
        elif name in ("pool", "strided"):
            product *= numbers[-1]
        elif name in ("up", "deconv"):
            product //= numbers[-1]
        deepest = max(deepest, product)
    return deepest


def depends_on(layers, low, high):
    """First and last input pixel that outputs ``low`` to ``high`` depend on, borders ignored."""
    for name, *numbers in reversed(layers):
        if name == "conv":
            reach = numbers[1] * (numbers[0] - 1) // 2
            low, high = low - reach, high + reach
        elif name == "conv_left":
            low = low - (numbers[0] - 1)
        elif name == "strided":
            kernel, stride = numbers
            before = (kernel - stride) // 2
            low, high = low * stride - before, high * stride - before + kernel - 1
        elif name == "pool":
            low, high = low * numbers[0], high * numbers[0] + numbers[0] - 1
        elif name == "up":
            low, high = low // numbers[0], high // numbers[0]
        elif name == "deconv":
            kernel, stride = numbers
            before = (kernel - stride) // 2
            low, high = -((kernel - 1 - before - low) // stride), (high + before) // stride
        elif name == "skip":
            inner = depends_on(numbers[0], low, high)
            low, high = min(low, inner[0]), max(high, inner[1])
    return low, high


def radii(layers, cut=4608, farthest=1500):
    """Pixels after, and before, an aligned cut that depend on what lies beyond it."""
    after = [j for j in range(farthest) if depends_on(layers, cut + j, cut + j)[0] < cut]
    before = [j for j in range(farthest) if depends_on(layers, cut - 1 - j, cut - 1 - j)[1] >= cut]
    return max(after, default=-1) + 1, max(before, default=-1) + 1


class _Graph:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], {}

    def add(self, kind, inputs, **attributes):
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value):
        name = f"constant{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        return name

    def weight(self, *shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def lead(self, layers, value, channels):
        """Lead a value of so many channels through layers; returns the result and its channels."""
        for name, *numbers in layers:
            value, channels = getattr(self, name)(value, channels, *numbers)
        return value, channels

    def conv(self, value, channels, kernel, dilation, width=WIDTH):
        pads = [dilation * (kernel - 1) // 2] * 4
        weight = self.weight(width, channels, kernel, kernel)
        return self.add("Conv", [value, weight], pads=pads, dilations=[dilation] * 2), width

    def valid(self, value, channels, kernel, width=WIDTH):
        return self.add("Conv", [value, self.weight(width, channels, kernel, kernel)]), width

    def crop_skip(self, value, channels, layers, border=None):
        inner, inner_channels = self.lead(layers, value, channels)
        if border is not None:
            ends = [np.array([n, n]) for n in (border, -border)]
            slicing = [self.constant(end) for end in (*ends, np.array([2, 3]))]
            cropped = self.add("Slice", [value, *slicing])
            return self.add("Concat", [cropped, inner], axis=1), channels + inner_channels
        whole, part = (self.add("Shape", [each], start=2) for each in (value, inner))
        lost = self.add("Sub", [whole, part])
        before = self.add("Div", [lost, self.constant(np.array([2, 2]))])
        until = self.add("Add", [before, part])
        axes = self.constant(np.array([2, 3]))
        cropped = self.add("Slice", [value, before, until, axes])
        return self.add("Concat", [cropped, inner], axis=1), channels + inner_channels

    def conv_left(self, value, channels, kernel, width=WIDTH):
        weight = self.weight(width, channels, kernel, kernel)
        return self.add("Conv", [value, weight], pads=[kernel - 1, kernel - 1, 0, 0]), width

    def strided(self, value, channels, kernel, stride, width=WIDTH):
        before = (kernel - stride) // 2
        pads = [before, before, kernel - stride - before, kernel - stride - before]
        weight = self.weight(width, channels, kernel, kernel)
        return self.add("Conv", [value, weight], pads=pads, strides=[stride] * 2), width

    def pool(self, value, channels, n):
        return self.add("MaxPool", [value], kernel_shape=[n, n], strides=[n, n]), channels

    def up(self, value, channels, n):
        scales = self.constant(np.array([1, 1, n, n], np.float32))
        return self.add("Resize", [value, "", scales], mode="nearest"), channels

    def deconv(self, value, channels, kernel, stride, width=WIDTH):
        before = (kernel - stride) // 2
        pads = [before, before, kernel - stride - before, kernel - stride - before]
        weight = self.weight(channels, width, kernel, kernel)
        return self.add("ConvTranspose", [value, weight], pads=pads, strides=[stride] * 2), width

    def relu(self, value, channels):
        return self.add("Relu", [value]), channels

    def norm(self, value, channels):
        numbers = [self.constant(self.random.random(channels, np.float32) + 0.5) for _ in range(4)]
        return self.add("BatchNormalization", [value, *numbers]), channels

    def skip(self, value, channels, layers):
        inner, inner_channels = self.lead(layers, value, channels)
        return self.add("Concat", [value, inner], axis=1), channels + inner_channels

    def instance_norm(self, value, channels):
        ones = [self.constant(np.ones(channels, np.float32)) for _ in range(2)]
        return self.add("InstanceNormalization", [value, *ones]), channels

    def global_pool(self, value, channels):
        return self.add("Add", [value, self.add("GlobalAveragePool", [value])]), channels

    def squeeze_excite(self, value, channels):
        mean = self.add("GlobalAveragePool", [value])
        excited = self.add("Conv", [mean, self.weight(channels, channels, 1, 1)])
        gate = self.add("Sigmoid", [excited])
        return self.add("Mul", [value, gate]), channels

    def gate(self, value, channels, kind, keepdims=1):
        reduced = self.add(kind, [value], axes=[2, 3], keepdims=keepdims)
        if kind == "ReduceSum":  # of a size that a sigmoid can take
            axes = self.constant(np.array([2, 3]))
            self.nodes.pop()
            reduced = self.add(kind, [value, axes], keepdims=keepdims)
            reduced = self.add("Mul", [reduced, self.constant(np.float32(1e-4))])
        if not keepdims:
            reduced = self.add("Gemm", [reduced, self.weight(channels, channels)])
            reduced = self.add("Unsqueeze", [reduced, self.constant(np.array([2, 3]))])
        return self.add("Mul", [value, self.add("Sigmoid", [reduced])]), channels

    def beside(self, value, channels, kind):
        pooled = self.add(kind, [value])
        size = self.add("Shape", [value])
        wide = self.add("Expand", [pooled, size])
        return self.add("Concat", [value, wide], axis=1), 2 * channels

    def normed_by_hand(self, value, channels):
        mean = self.add("ReduceMean", [value], axes=[2, 3])
        centered = self.add("Sub", [value, mean])
        squared = self.add("Mul", [centered, centered])
        variance = self.add("ReduceMean", [squared], axes=[-1, -2])
        shifted = self.add("Add", [variance, self.constant(np.float32(1e-5))])
        return self.add("Div", [centered, self.add("Sqrt", [shifted])]), channels

    def group_norm(self, value, channels, groups):
        shape = self.add("Shape", [value])
        flat = self.add("Reshape", [value, self.constant(np.array([0, groups, -1]))])
        ones, zeros = (self.constant(np.full(groups, n, np.float32)) for n in (1, 0))
        normed = self.add("InstanceNormalization", [flat, ones, zeros])
        normed = self.add("Reshape", [normed, shape])
        scale = self.constant(self.random.random((channels, 1, 1), np.float32) + 0.5)
        return self.add("Mul", [normed, scale]), channels

    def group_norm_node(self, value, channels, groups):
        numbers = [self.constant(self.random.random(channels, np.float32)) for _ in range(2)]
        return self.add("GroupNormalization", [value, *numbers], num_groups=groups), channels

    def mean_variance(self, value, channels):
        return self.add("MeanVarianceNormalization", [value], axes=[2, 3]), channels

    def sized(self, value, channels, form):
        return form(self, value), channels

    def attention(self, value, channels):
        """Every pixel looks at the mean of each row's and column's softmax: cheap, and global."""
        shape = self.add("Shape", [value])
        flat = self.add("Reshape", [value, self.constant(np.array([0, channels, -1]))])
        keys = self.add("Softmax", [flat], axis=2)
        context = self.add("MatMul", [keys, self.add("Transpose", [flat], perm=[0, 2, 1])])
        mixed = self.add("MatMul", [context, flat])
        return self.add("Reshape", [mixed, shape]), channels


def save(path, layers, channels=3, classes=2, seed=0, **options):
    """Save a network, finished by a 1 x 1 convolution to the classes; returns its path."""
    graph = _Graph(seed)
    value, width = graph.lead(layers, "image", channels)
    weight = graph.weight(classes, width, 1, 1)
    graph.nodes.append(helper.make_node("Conv", [value, weight], ["logits"]))
    return made.model(path, graph.nodes, graph.weights, channels, classes, **options)


def pooled_branch(path, n, channels=3, classes=2, seed=0):
    """Save a convolution whose result is scaled by the mean of maxima of ``n x n`` pixels."""
    graph = _Graph(seed)
    value, width = graph.conv("image", channels, 3, 1)
    pooled, _ = graph.pool(value, width, n)
    gate = graph.add("Sigmoid", [graph.add("GlobalAveragePool", [pooled])])
    scaled = graph.add("Mul", [value, gate])
    weight = graph.weight(classes, width, 1, 1)
    graph.nodes.append(helper.make_node("Conv", [scaled, weight], ["logits"]))
    return made.model(path, graph.nodes, graph.weights, channels, classes)
