"""The network as an ONNX file: batch normalization folded, sizes dynamic, settings as metadata."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from unet import Block, Gate, UNet, wire

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "image", "logits"


class Graph:
    """`unet.Operations` on the names of values: each call adds nodes and returns the new name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._count: dict[str, int] = {}

    def run(self, module: nn.Module, value: str) -> str:
        """Add a `Block`, a `Gate` or a plain convolution."""
        if isinstance(module, Block):
            return self._node("Relu", [self._conv(module.conv, *module.folded(), value)])
        if isinstance(module, Gate):
            mean = self._node("GlobalAveragePool", [value])
            squeezed = self._node("Relu", [self.run(module.squeeze, mean)])
            scale = self._node("Sigmoid", [self.run(module.excite, squeezed)])
            return self._node("Mul", [value, scale])
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            return self._conv(module, module.weight, module.bias, value)
        raise TypeError(f"no ONNX form for {type(module).__name__}; add one here")

    def pool(self, value: str) -> str:
        """Halve height and width by the maximum."""
        return self._node("MaxPool", [value], kernel_shape=[2, 2], strides=[2, 2])

    def upsample(self, value: str) -> str:
        """Double height and width by repetition."""
        if not any(tensor.name == "scales" for tensor in self.weights):
            self._weight("scales", torch.tensor([1.0, 1.0, 2.0, 2.0]))
        return self._node(
            "Resize",
            [value, "", "scales"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def join(self, first: str, second: str) -> str:
        """Concatenate along the channels."""
        return self._node("Concat", [first, second], axis=1)

    def _conv(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor, value: str) -> str:
        name = self._name("conv")
        inputs = [value, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)]
        node = helper.make_node(
            "Conv",
            inputs,
            [name],
            name=name,
            kernel_shape=conv.kernel_size,
            pads=[int(side) for side in conv.padding] * 2,
            dilations=conv.dilation,
        )
        self.nodes.append(node)
        return name

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = self._name(kind.lower())
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _weight(self, name: str, value: Tensor) -> str:
        self.weights.append(numpy_helper.from_array(value.detach().contiguous().numpy(), name))
        return name

    def _name(self, stem: str) -> str:
        self._count[stem] = self._count.get(stem, 0) + 1
        return f"{stem}_{self._count[stem]}"


def write_onnx(net: UNet, path: Path, metadata: dict[str, Any]) -> None:
    """Write the network in evaluation mode; each value of `metadata` is stored as JSON."""
    graph = Graph()
    wire(net, INPUT, graph)
    graph.nodes[-1].output[0] = graph.nodes[-1].name = OUTPUT
    inputs, outputs = (
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["batch", channels, "height", "width"]
        )
        for name, channels in ((INPUT, 3), (OUTPUT, net.head.out_channels))
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "unet", [inputs], [outputs], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="make_sample.py",
    )
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
