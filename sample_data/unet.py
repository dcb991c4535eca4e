"""The network: a small U-Net whose every output pixel sees a finite neighborhood.

Convolutions, ReLU, 2 x 2 max-pooling and nearest upsampling only, so that the answer at a pixel
depends on nothing farther away than the receptive radius, whatever the size of the tile.
"""

from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 64, 96)
DILATIONS = (1, 2, 4)
STRIDE = 8

T = TypeVar("T")


class Block(nn.Module):
    """A 3 x 3 convolution, batch normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, outputs, H, W) for (N, inputs, H, W)."""
        return torch.relu(self.norm(self.conv(image)))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the weight and bias of the one convolution that equals convolution and norm."""
        norm = self.norm
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("a norm without running statistics cannot be folded")
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = self.conv.weight * scale[:, None, None, None]
        return weight, norm.bias - norm.running_mean * scale


class Gate(nn.Module):
    """Squeeze and excite: scale each channel by what the whole tile holds.

    It makes every pixel depend on the whole tile; the sample model does without it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return `image`, (N, C, H, W), scaled by channel."""
        mean = image.mean(dim=(2, 3), keepdim=True)
        return image * torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))


class Operations(Protocol[T]):
    """What `wire` needs done to its values: tensors in torch, names of values in a graph."""

    def run(self, module: nn.Module, value: T) -> T:
        """Apply a `Block`, a `Gate` or a 1 x 1 convolution."""

    def pool(self, value: T) -> T:
        """Halve height and width by the maximum."""

    def upsample(self, value: T) -> T:
        """Double height and width by repetition."""

    def join(self, first: T, second: T) -> T:
        """Concatenate along the channels."""


class TensorOperations:
    """`Operations` on torch tensors."""

    def run(self, module: nn.Module, value: Tensor) -> Tensor:
        """Apply the module."""
        result: Tensor = module(value)
        return result

    def pool(self, value: Tensor) -> Tensor:
        """Halve height and width by the maximum."""
        return nn.functional.max_pool2d(value, 2)

    def upsample(self, value: Tensor) -> Tensor:
        """Double height and width by repetition."""
        return nn.functional.interpolate(value, scale_factor=2, mode="nearest")

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Concatenate along the channels."""
        return torch.cat([first, second], dim=1)


class UNet(nn.Module):
    """A U-Net of three poolings, its lowest level dilated to see farther.

    Parameters
    ----------
    classes : int
        Number of output channels.
    squeeze_excite : bool
        Put a `Gate` at the lowest level, for comparison; the receptive field is then the tile.
    """

    def __init__(self, classes: int, squeeze_excite: bool = False) -> None:
        super().__init__()
        c = CHANNELS
        self.down = nn.ModuleList(
            [
                chain(Block(before, after), Block(after, after))
                for before, after in [(3, c[0]), (c[0], c[1]), (c[1], c[2])]
            ]
        )
        inputs = (c[2], *[c[3]] * (len(DILATIONS) - 1))
        self.low = chain(*(Block(i, c[3], d) for i, d in zip(inputs, DILATIONS, strict=True)))
        if squeeze_excite:
            self.low.append(Gate(c[3]))
        self.up = nn.ModuleList(
            [
                chain(Block(c[3] + c[2], c[2])),
                chain(Block(c[2] + c[1], c[1])),
                chain(Block(c[1] + c[0], c[0])),
            ]
        )
        self.head = nn.Conv2d(c[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, classes, H, W) for (N, 3, H, W); H and W multiples of `STRIDE`."""
        return wire(self, image, TensorOperations())


def chain(*modules: nn.Module) -> nn.ModuleList:
    """Return modules that are applied one after the other."""
    return nn.ModuleList(modules)


def wire(net: UNet, value: T, operations: Operations[T]) -> T:
    """Lead `value` through the network; the one description of how its parts are joined."""

    def run_all(chained: nn.Module, value: T) -> T:
        for module in chained.children():
            value = operations.run(module, value)
        return value

    skipped = []
    for level in net.down:
        value = run_all(level, value)
        skipped.append(value)
        value = operations.pool(value)
    value = run_all(net.low, value)
    for level in net.up:
        value = operations.join(operations.upsample(value), skipped.pop())
        value = run_all(level, value)
    return operations.run(net.head, value)
