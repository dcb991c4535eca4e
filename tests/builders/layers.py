"""Random ONNX graphs: layers of all operators whose receptive field can be computed.

A network is a list of ``(name, seed)``; the seed draws the layer's numbers. Weights are positive,
so that no dependence cancels. After each layer the image is padded or cropped by a fixed number of
pixels, so that its length is the image's length over the layer's step; after the last one it is
brought back to a step of one pixel.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MEASURED = 144
"""Pixels: side of the image by which layers are measured while a network is built."""

COARSEST, FINEST = 12, Fraction(1, 3)
"""Steps, in pixels, beyond which no layer goes."""

MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""

LAYERS = {}
"""Functions that append a layer to a network, by their names."""


def layer(function):
    LAYERS[function.__name__] = function
    return function


class Network:
    """An ONNX graph that is built node by node; ``last`` is a ``(1, channels, ...)`` image."""

    def __init__(self, channels=2, opset=22):
        self.nodes, self.constants, self.opset = [], [], opset
        self.last, self.channels, self.step = "image", channels, Fraction(1)
        self.inputs = channels

    def add(self, kind, *inputs, outputs=None, **attributes):
        """Append a node; returns the name of its output, or of its outputs."""
        names = [f"{kind}_{len(self.nodes)}_{n}" for n in range(outputs or 1)]
        inputs = [own if isinstance(own, str) else self.constant(own) for own in inputs]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if outputs is None else names

    def constant(self, values):
        name = f"constant_{len(self.constants)}"
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def append(self, name, seed):
        """Append a layer, and what keeps the image's length in step."""
        random = np.random.default_rng(seed)
        before, channels, count = self.last, self.channels, len(self.nodes)
        length = int(MEASURED / self.step)
        LAYERS[name](self, random)
        shape = _shape_of(self, self.nodes[count:], before, (1, channels, length, length))
        wanted = int(MEASURED / self.step)
        if shape[2:] != (wanted, wanted):
            self._fit([wanted - own for own in shape[2:]], random)
        return self

    def _fit(self, missing, random):
        """Pad or crop by so many pixels down and across, some before and the rest after."""
        before = [int(random.integers(0, abs(own) + 1)) * int(np.sign(own)) for own in missing]
        after = [own - start for own, start in zip(missing, before, strict=True)]
        pads = np.array([0, 0, *before, 0, 0, *after])
        mode = "constant" if min(missing) < 0 else str(random.choice(["constant", "edge"]))
        self.last = self.add("Pad", self.last, pads, mode=mode)

    def restored(self):
        """Bring the image back to steps of one pixel, each made of those it covers."""
        up, down = self.step.numerator, self.step.denominator
        if up > 1:
            scales = np.float32([1, 1, up, up])
            modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            self.last = self.add("Resize", self.last, "", scales, **modes)
        if down > 1:
            kernel = [down, down]
            self.last = self.add("AveragePool", self.last, kernel_shape=kernel, strides=kernel)
        self.step = Fraction(1)
        return self

    def model(self, lengths=("height", "width"), batch=1):
        """The ONNX model of the network as it is."""
        shape = [batch, self.inputs, *lengths]
        return _model(self, self.nodes, ("image", shape), self.last)

    def coarser(self, random, most=3):
        """Draw strides down and across, the same for both, that are not beyond the coarsest."""
        stride = int(random.integers(1, most + 1))
        return stride if (self.step * stride).numerator <= COARSEST else 1

    def finer(self, random, most=3):
        factor = int(random.integers(1, most + 1))
        step = self.step / factor
        return factor if step >= FINEST and step.denominator <= 3 else 1


def network(layers, channels=2):
    """A network of layers, its output in steps of one pixel."""
    built = Network(channels)
    for name, seed in layers:
        built.append(name, seed)
    return built.restored()


def session(model):
    """Open a model in onnxruntime, which computes each node as it stands."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # it warns of deprecated coordinates
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _model(network, nodes, given, output):
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        network.constants,
    )
    opsets = [helper.make_opsetid("", network.opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _shape_of(network, nodes, name, shape):
    if not nodes:
        return shape
    model = _model(network, nodes, (name, list(shape)), network.last)
    return session(model).run(None, {name: np.ones(shape, np.float32)})[0].shape


def positive(random, *shape):
    """Random weights of the same order, whose sum over all but the first axis is about 1."""
    weights = random.uniform(0.5, 1, shape)
    return weights / weights[0].sum()


def numbers(random, least, most, count=2):
    """Some whole numbers, both ends included."""
    return [int(own) for own in random.integers(least, most + 1, count)]


def choice(random, *options):
    return options[int(random.integers(len(options)))]


@layer
def conv(net, random):
    """Any kernel, dilation and padding, in groups or not."""
    kernel, dilations = numbers(random, 1, 5), numbers(random, 1, 2)
    groups = choice(random, 1, net.channels)
    stride = net.coarser(random)
    weights = positive(random, net.channels, net.channels // groups, *kernel)
    net.last = net.add(
        "Conv",
        *(net.last, weights, random.uniform(0, 1, net.channels)),
        pads=numbers(random, 0, 4, 4),
        dilations=dilations,
        strides=[stride, stride],
        group=groups,
    )
    net.step *= stride


@layer
def conv_auto(net, random):
    """Padded by onnxruntime."""
    stride = net.coarser(random)
    auto = choice(random, "SAME_UPPER", "SAME_LOWER", "VALID")
    weights = positive(random, net.channels, net.channels, *numbers(random, 1, 5))
    net.last = net.add("Conv", net.last, weights, auto_pad=auto, strides=[stride, stride])
    net.step *= stride


@layer
def deconv(net, random):
    """Any kernel, also smaller than its stride."""
    stride = net.finer(random)
    kernel = numbers(random, 1, 5)
    weights = positive(random, net.channels, net.channels, *kernel)
    pads = [int(random.integers(0, own)) // 2 for own in (*kernel, *kernel)]
    net.last = net.add(
        "ConvTranspose",
        *(net.last, weights, random.uniform(0, 1, net.channels)),
        strides=[stride, stride],
        dilations=numbers(random, 1, 2),
        pads=pads,
        output_padding=numbers(random, 0, stride - 1),
    )
    net.step /= stride


@layer
def deconv_same(net, random):
    """Cropped by onnxruntime, to a multiple of its input."""
    stride = net.finer(random)
    weights = positive(random, net.channels, net.channels, *numbers(random, stride, 5))
    auto = choice(random, "SAME_UPPER", "SAME_LOWER")
    net.last = net.add("ConvTranspose", net.last, weights, strides=[stride, stride], auto_pad=auto)
    net.step /= stride


@layer
def pool(net, random):
    """Maxima, means or norms, rounded up or down."""
    kind = choice(random, "MaxPool", "AveragePool", "LpPool")
    stride, kernel = net.coarser(random), numbers(random, 1, 4)
    pads = [int(random.integers(0, own)) for own in (*kernel, *kernel)]
    extra = {"count_include_pad": int(random.integers(2))} if kind == "AveragePool" else {}
    net.last = net.add(
        kind,
        net.last,
        kernel_shape=kernel,
        strides=[stride, stride],
        pads=pads,
        ceil_mode=int(random.integers(2)),
        **extra,
    )
    net.step *= stride


@layer
def pool_auto(net, random):
    """Padded by onnxruntime."""
    stride = net.coarser(random)
    kernel = numbers(random, stride, 4)  # onnxruntime wants no negative padding
    auto = choice(random, "SAME_UPPER", "SAME_LOWER", "VALID")
    net.last = net.add(
        "MaxPool", net.last, kernel_shape=kernel, strides=[stride, stride], auto_pad=auto
    )
    net.step *= stride


COORDINATES = (
    *("half_pixel", "pytorch_half_pixel", "asymmetric", "half_pixel_symmetric"),
    "tf_half_pixel_for_nn",
)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def resized(net, ratio, by_sizes=False, **attributes):
    """Append a Resize by a ratio, stated or computed from the image's shape."""
    if by_sizes:
        shape = net.add("Shape", net.last)
        numerators = net.add("Mul", shape, np.array([1, 1] + [ratio.numerator] * 2))
        sizes = net.add("Div", numerators, np.array([1, 1] + [ratio.denominator] * 2))
        net.last = net.add("Resize", net.last, "", "", sizes, **attributes)
    else:
        scales = np.array([1, 1, float(ratio), float(ratio)], np.float32)
        net.last = net.add("Resize", net.last, "", scales, **attributes)
    net.step /= ratio


@layer
def resize(net, random):
    """In every mode, up or down, by whole numbers and by one and a half."""
    up, down = net.finer(random), net.coarser(random)
    ratio = choice(random, Fraction(up), Fraction(1, down), Fraction(up, down))
    mode = choice(random, "nearest", "linear", "cubic")
    attributes = {"mode": mode, "coordinate_transformation_mode": choice(random, *COORDINATES)}
    if mode == "nearest":
        attributes["nearest_mode"] = choice(random, *ROUNDINGS)
    elif random.integers(2):
        attributes["antialias"] = 1
    resized(net, ratio, bool(random.integers(2)), **attributes)


@layer
def pad(net, random):
    """In every mode; fewer pixels where a number is negative."""
    mode = choice(random, "constant", "reflect", "edge")
    least = -2 if mode == "constant" else 0
    pads = numbers(random, least, 3, 4)
    net.last = net.add("Pad", net.last, np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]), mode=mode)


@layer
def crop(net, random):
    """A border is cut off."""
    starts, ends = numbers(random, 0, 3), [-own for own in numbers(random, 1, 3)]
    axes = np.array([2, 3])
    net.last = net.add("Slice", net.last, np.array(starts), np.array(ends), axes)


@layer
def every(net, random):
    """Every second or third pixel, as a slice or by its indices."""
    stride = net.coarser(random)
    start = int(random.integers(0, stride))
    ends, steps = np.array([2**31, 2**31]), np.array([stride, stride])
    net.last = net.add("Slice", net.last, np.array([start, start]), ends, np.array([2, 3]), steps)
    net.step *= stride


@layer
def patches(net, random):
    """Phases side by side, as YOLO's Focus has it."""
    if net.step.numerator * 2 > COARSEST:
        return
    parts = []
    for row, col in ((0, 0), (1, 0), (0, 1), (1, 1)):
        bounds = np.array([row, col]), np.array([2**31, 2**31])
        parts.append(net.add("Slice", net.last, *bounds, np.array([2, 3]), np.array([2, 2])))
    net.last = net.add("Concat", *parts, axis=1)
    net.step *= 2
    _mixed(net, random, net.channels * 4)


def _mixed(net, random, channels, wanted=None):
    """Append a convolution of 1 x 1 from a number of channels to the usual one."""
    weights = positive(random, wanted or net.channels, channels, 1, 1)
    net.last = net.add("Conv", net.last, weights)


@layer
def depth_to_space(net, random):
    """Channels become pixels, in either order."""
    size = net.finer(random)
    _mixed(net, random, net.channels, net.channels * size**2)
    mode = choice(random, "DCR", "CRD")
    net.last = net.add("DepthToSpace", net.last, blocksize=size, mode=mode)
    net.step /= size


@layer
def space_to_depth(net, random):
    """Pixels become channels."""
    size = net.coarser(random)
    net.last = net.add("SpaceToDepth", net.last, blocksize=size)
    _mixed(net, random, net.channels * size**2)
    net.step *= size


def lengths_of(net):
    """Names of the height and width of the image, each of shape (1,)."""
    shape = net.add("Shape", net.last)
    return [net.add("Gather", shape, np.array([axis]), axis=0) for axis in (2, 3)]


def reshaped(net, *lengths):
    """Reshape to lengths, each a number or the name of a tensor of shape (1,)."""
    parts = [own if isinstance(own, str) else np.array([own]) for own in lengths]
    net.last = net.add("Reshape", net.last, net.add("Concat", *parts, axis=0))


def transposed(net, *order):
    net.last = net.add("Transpose", net.last, perm=list(order))


@layer
def unshuffle(net, random):
    """Pixels become channels by Reshape and Transpose."""
    size = net.coarser(random)
    rows, cols = (net.add("Div", own, np.array([size])) for own in lengths_of(net))
    reshaped(net, 1, net.channels, rows, size, cols, size)
    transposed(net, 0, 1, 3, 5, 2, 4)
    reshaped(net, 1, net.channels * size**2, rows, cols)
    _mixed(net, random, net.channels * size**2)
    net.step *= size


@layer
def shuffle(net, random):
    """Channels become pixels by Reshape and Transpose."""
    size = net.finer(random)
    rows, cols = lengths_of(net)
    _mixed(net, random, net.channels, net.channels * size**2)
    reshaped(net, 1, net.channels, size, size, rows, cols)
    transposed(net, 0, 1, 4, 2, 5, 3)
    rows, cols = (net.add("Mul", own, np.array([size])) for own in (rows, cols))
    reshaped(net, 1, net.channels, rows, cols)
    net.step /= size


@layer
def windows(net, random):
    """Attention within windows, which lie on a grid."""
    size = net.coarser(random)
    rows, cols = lengths_of(net)
    counts = [net.add("Div", own, np.array([size])) for own in (rows, cols)]
    reshaped(net, 1, net.channels, counts[0], size, counts[1], size)
    transposed(net, 0, 2, 4, 3, 5, 1)
    reshaped(net, -1, size**2, net.channels)
    keys = net.add("Transpose", net.last, perm=[0, 2, 1])
    scores = net.add("Softmax", net.add("MatMul", net.last, keys), axis=-1)
    net.last = net.add("MatMul", scores, net.last)
    reshaped(net, 1, counts[0], counts[1], size, size, net.channels)
    transposed(net, 0, 5, 1, 3, 2, 4)
    reshaped(net, 1, net.channels, rows, cols)


@layer
def tokens(net, random):
    """Pixels in a row, their channels mixed, and back."""
    rows, cols = lengths_of(net)
    reshaped(net, 1, net.channels, -1)
    transposed(net, 0, 2, 1)
    net.last = net.add("MatMul", net.last, positive(random, net.channels, net.channels))
    if random.integers(2):
        scale, shift = random.uniform(0.5, 1, (2, net.channels))
        net.last = net.add("Add", net.last, scale * shift)
    transposed(net, 0, 2, 1)
    reshaped(net, 1, net.channels, rows, cols)


@layer
def tokens_in_rows(net, random):
    """The same as a matrix of two axes."""
    rows, cols = lengths_of(net)
    transposed(net, 0, 2, 3, 1)
    reshaped(net, -1, net.channels)
    weights = positive(random, net.channels, net.channels)
    net.last = net.add("Gemm", net.last, weights, random.uniform(0, 1, net.channels), transB=1)
    reshaped(net, 1, rows, cols, net.channels)
    transposed(net, 0, 3, 1, 2)


@layer
def channels_last(net, random):
    """Channels mixed where they are the last axis."""
    transposed(net, 0, 2, 3, 1)
    net.last = net.add("MatMul", net.last, positive(random, net.channels, net.channels))
    transposed(net, 0, 3, 1, 2)


@layer
def einsum(net, random):
    """Channels mixed by an equation."""
    weights = positive(random, net.channels, net.channels)
    net.last = net.add("Einsum", net.last, weights, equation="nchw,cd->ndhw")


@layer
def pointwise(net, random):
    """A function of each value."""
    kind = choice(random, "Relu", "LeakyRelu", "Softplus", "Abs", "Elu", "Identity", "Neg", "Clip")
    if kind == "Clip":
        net.last = net.add(kind, net.last, np.float32(-1e6), np.float32(1e6))
    elif kind == "Neg":
        net.last = net.add(kind, net.add(kind, net.last))
    else:
        net.last = net.add(kind, net.last)


@layer
def scaled(net, random):
    """By numbers for each channel, in the ways in which they are written."""
    kind = choice(random, "Mul", "Add", "Max", "Min", "Div")
    limits = {"Max": -1e6, "Min": 1e6}
    values = random.uniform(1, 2, (net.channels, 1, 1)) * limits.get(kind, 1)
    net.last = net.add(kind, net.last, values)


@layer
def chosen(net, random):
    """One of two functions of each value."""
    high = net.add("Greater", net.last, np.float32(random.uniform(0, 1)))
    net.last = net.add("Where", high, net.last, net.add("Mul", net.last, np.float32(0.5)))


@layer
def batch_norm(net, random):
    """By fixed statistics."""
    values = random.uniform(0.5, 1, (4, net.channels))
    net.last = net.add("BatchNormalization", net.last, *values)


@layer
def gate(net, random):
    """Weights of the channels of each pixel."""
    weights = net.add("Softmax", net.last, axis=1)
    net.last = net.add("Add", net.add("Mul", weights, np.float32(0.1)), net.last)


@layer
def mean(net, random):
    """The mean of the channels, added to each."""
    net.last = net.add("Add", net.last, net.add("ReduceMean", net.last, np.array([1])))


@layer
def swapped(net, random):
    """Channels in another order."""
    if random.integers(2):
        order = np.arange(net.channels)[::-1].copy()
        net.last = net.add("Gather", net.last, order, axis=1)
    else:
        parts = net.add("Split", net.last, outputs=net.channels, axis=1, num_outputs=net.channels)
        net.last = net.add("Concat", *parts[::-1], axis=1)


@layer
def quantized(net, random):
    """Rounded to 8 bits."""
    parameters = np.float32(1 / 32), np.uint8(64)
    codes = net.add("QuantizeLinear", net.last, *parameters)
    net.last = net.add("DequantizeLinear", codes, *parameters)


@layer
def conv_quantized(net, random):
    """A convolution of 8-bit numbers."""
    parameters = np.float32(1 / 32), np.uint8(64)
    codes = net.add("QuantizeLinear", net.last, *parameters)
    kernel = numbers(random, 1, 3)
    weights = random.integers(100, 128, (net.channels, net.channels, *kernel)).astype(np.int8)
    scale = np.float32(1 / weights[0].sum())
    codes = net.add(
        "QLinearConv",
        *(codes, *parameters, weights, scale, np.int8(0), *parameters),
        pads=numbers(random, 0, 2, 4),
    )
    net.last = net.add("DequantizeLinear", codes, *parameters)


@layer
def skip(net, random):
    """The input beside what a few layers make of it."""
    before, step = net.last, net.step
    names = [name for name in LAYERS if name != "skip"]
    for _ in range(int(random.integers(1, 3))):
        net.append(choice(random, *names), int(random.integers(2**31)))
    ratio = net.step / step
    if ratio != 1:
        resized(net, ratio, mode="linear")
        _fit_to_step(net, before, step)
    kind = choice(random, "Add", "Concat", "Max", "Where")
    if kind == "Concat":
        net.last = net.add(kind, before, net.last, axis=1)
        _mixed(net, random, net.channels * 2)
    elif kind == "Where":
        net.last = net.add(kind, net.add("Less", before, net.last), before, net.last)
    else:
        net.last = net.add(kind, before, net.last)


def _fit_to_step(net, before, step):
    if net.step != step:
        raise AssertionError("a skip connection comes back at another step")


@layer
def crop_skip(net, random):
    """A convolution without padding, and the input cropped to it by both their shapes."""
    before = net.last
    kernel = int(random.integers(1, 4)) * 2 - 1
    net.last = net.add("Conv", before, positive(random, net.channels, net.channels, kernel, kernel))
    ends = net.add("Shape", net.last)
    missing = net.add("Sub", net.add("Shape", before), ends)
    starts = net.add("Div", missing, np.array([2]))
    cropped = net.add("Slice", before, starts, net.add("Add", starts, ends))
    net.last = net.add("Add", cropped, net.last)


@layer
def padded_skip(net, random):
    """A convolution without padding, padded to the input by both their shapes."""
    before = net.last
    kernel = int(random.integers(1, 4)) * 2 - 1
    net.last = net.add("Conv", before, positive(random, net.channels, net.channels, kernel, kernel))
    missing = net.add("Sub", net.add("Shape", before), net.add("Shape", net.last))
    starts = net.add("Div", missing, np.array([2]))
    pads = net.add("Concat", starts, net.add("Sub", missing, starts), axis=0)
    net.last = net.add("Add", net.add("Pad", net.last, pads), before)
