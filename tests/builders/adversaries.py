"""Small networks in torch whose receptive field is easily misjudged, exported to ONNX."""

from __future__ import annotations

import io
import logging
import warnings

import onnx
import torch
from torch import nn
from torch.nn import functional

CHANNELS = 2
EXPORTED = 96
"""Pixels: side of the image with which modules are exported, unless another is given."""


def exported(module, side=EXPORTED, fixed=False, training=False):
    """A module as an ONNX model with free height and width, or with fixed ones."""
    torch.manual_seed(0)
    module.train(training)
    file, image = io.BytesIO(), torch.rand(1, CHANNELS, side, side)
    free = {2: "height", 3: "width"}
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of a newer exporter, and of traced sizes
        logging.disable(logging.WARNING)
        try:
            torch.onnx.export(
                *(module, (image,), file),
                dynamo=False,
                opset_version=17,
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes=None if fixed else {"image": free, "logits": free},
                training=mode,
                do_constant_folding=not training,
            )
        finally:
            logging.disable(logging.NOTSET)
    return onnx.load_from_string(file.getvalue())


class Function(nn.Module):
    """A network of a function of the image and of modules."""

    def __init__(self, function, *modules):
        super().__init__()
        self.parts, self.function = nn.ModuleList(modules), function

    def forward(self, image):
        return self.function(image, *self.parts)


def conv(kernel=3, channels=CHANNELS, **options):
    return nn.Conv2d(channels, CHANNELS, kernel, **{"padding": kernel // 2} | options)


def positive(module):
    """The same module with positive weights, so that no path cancels."""
    with torch.no_grad():
        for weights in module.parameters():
            weights.abs_()
    return module


def pooled_to(bins):
    """Means of so many bins on each side whatever the size, as slices and sums."""

    def function(image):
        height, width = image.shape[2:]
        rows = []
        for row in range(bins):
            for col in range(bins):
                part = image[
                    :,
                    :,
                    row * height // bins : (row + 1) * height // bins,
                    col * width // bins : (col + 1) * width // bins,
                ]
                rows.append(part.mean((2, 3)))
        grid = torch.stack(rows, 2).reshape(1, CHANNELS, bins, bins)
        return image + functional.interpolate(grid, size=(height, width), mode="nearest")

    return Function(function)


def coordinates():
    """CoordConv: the place of each pixel in the image as two more channels."""

    def function(image, last):
        height, width = image.shape[2:]
        rows = torch.arange(height).view(1, 1, -1, 1) / height
        cols = torch.arange(width).view(1, 1, 1, -1) / width
        maps = [rows.expand(1, 1, height, width), cols.expand(1, 1, height, width)]
        return last(torch.cat([image, *maps], 1))

    return Function(function, conv(3, CHANNELS + 2))


def absolute_coordinates():
    """The number of each pixel's row, from zero."""

    def function(image, last):
        rows = torch.arange(image.shape[2]).view(1, 1, -1, 1) * 0.01
        return last(image + rows)

    return Function(function, conv())


class Positions(nn.Module):
    """A learned map of positions, times a factor, resized to the image where asked."""

    def __init__(self, factor=1.0, side=24, resized=True):
        super().__init__()
        self.map = nn.Parameter(torch.rand(1, CHANNELS, side, side))
        self.last, self.factor, self.resized = conv(), factor, resized

    def forward(self, image):
        own = self.map
        if self.resized:
            own = functional.interpolate(own, size=image.shape[2:], mode="bilinear")
        return self.last(image + self.factor * own)


def padded_inside(multiple=32):
    """Padded to a multiple, computed at a half of the resolution, and cropped to its size."""

    def function(image, first, last):
        height, width = image.shape[2:]
        padded = functional.pad(image, (0, -width % multiple, 0, -height % multiple))
        coarse = functional.max_pool2d(first(padded), 2)
        finer = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return last(finer)[:, :, :height, :width]

    return Function(function, positive(conv()), positive(conv()))


def through_a_fixed_size(side=64):
    """Resized to a fixed size, and back."""

    def function(image, inner):
        small = functional.interpolate(image, size=(side, side), mode="bilinear")
        return functional.interpolate(inner(small), size=image.shape[2:], mode="bilinear")

    return Function(function, conv())


def aligned_corners():
    """A U-Net's coarser half, brought back with align_corners."""

    def function(image, first, last):
        coarse = functional.max_pool2d(first(image), 2)
        finer = functional.interpolate(
            coarse, scale_factor=2.0, mode="bilinear", align_corners=True
        )
        return last(torch.cat([finer, image], 1))

    return Function(function, conv(), conv(3, 2 * CHANNELS))


def attention(keys, values):
    """Each query's mean of the values, weighed by how much its key resembles it."""
    return torch.softmax(keys @ keys.transpose(-1, -2), -1) @ values


def windowed_attention(size=4, shift=0):
    """Attention within windows; the image is rolled before, and back, where they are shifted."""

    def function(image, last):
        if shift:
            image = torch.roll(image, (-shift, -shift), (2, 3))
        height, width = image.shape[2:]
        shape = (1, CHANNELS, height // size, size, width // size, size)
        tokens = image.reshape(shape).permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, CHANNELS)
        mixed = attention(tokens, tokens)
        mixed = mixed.reshape(1, height // size, width // size, size, size, CHANNELS)
        image = mixed.permute(0, 5, 1, 3, 2, 4).reshape(1, CHANNELS, height, width)
        if shift:
            image = torch.roll(image, (shift, shift), (2, 3))
        return last(image)

    return Function(function, positive(conv()))


def pooled_attention(ratio=4):
    """SegFormer's: each pixel looks at the whole image at a lower resolution."""

    def function(image, reduce):
        height, width = image.shape[2:]
        queries = image.flatten(2).transpose(1, 2)
        keys = reduce(image).flatten(2).transpose(1, 2)
        mixed = torch.softmax(queries @ keys.transpose(1, 2), -1) @ keys
        return mixed.transpose(1, 2).reshape(1, CHANNELS, height, width)

    return Function(function, nn.Conv2d(CHANNELS, CHANNELS, ratio, ratio))


def circular(kernel=5):
    return conv(kernel, padding_mode="circular")


def mirrored():
    """The mean of the image and its mirror image."""
    return Function(lambda image, last: last(image + image.flip(3)), conv())


def summed():
    """Cumulative sums along the rows."""
    return Function(lambda image, last: last(image.cumsum(3) * 0.01), conv())


def far_and_faint(weight=1e-6):
    """A path of some 400 px beside a short one, with weights that hardly count."""
    far = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=200, dilation=200, bias=False)
    farther = nn.Conv2d(CHANNELS, CHANNELS, (1, 3), padding=(0, 16), dilation=16, bias=False)

    def function(image, near, far, farther):
        return near(image) + weight * farther(far(image))

    return Function(function, *map(positive, (conv(), far, farther)))


def rare_gate(reach=50):
    """A wide context that only a few bright pixels let in."""
    wide = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=reach, dilation=reach, bias=False)

    def function(image, near, wide):
        gate = torch.relu(image - 0.9999)
        return near(image) + gate * wide(image)

    return Function(function, *map(positive, (conv(), wide)))


def dead_relus():
    """A branch that never fires."""

    def function(image, near, wide):
        return near(image) + torch.relu(wide(torch.sigmoid(image)) - 1e6)

    return Function(function, positive(conv()), positive(conv(15)))


def one_class_only():
    """A wide context for the last class alone."""

    def function(image, near, wide):
        return torch.cat([near(image)[:, :1], wide(image)[:, 1:]], 1)

    return Function(function, *map(positive, (conv(), conv(21))))


def hidden_pool(level=0.99):
    """The image's brightest value, cut off so that no ordinary pixel changes it."""

    def function(image, last):
        brightest = image.amax((2, 3), keepdim=True)
        return last(image) + torch.relu(brightest - level) * 100

    return Function(function, conv())


def pooled_by_slices(level=0.5):
    """A mean over all but the border of the image, and of high values alone."""

    def function(image, last):
        inner = torch.clamp(image[:, :, 8:-8, 8:-8] - level, min=0)
        return last(image) + functional.adaptive_avg_pool2d(inner, 1)

    return Function(function, conv())


def batch_statistics():
    """A batch normalization that is left in training mode."""
    return nn.Sequential(conv(), nn.BatchNorm2d(CHANNELS, track_running_stats=False), conv())


def odd_stride(stride):
    """A convolution of an odd stride and its transposed one, beside the input."""

    def function(image, down, up, last):
        return last(torch.cat([up(torch.relu(down(image))), image], 1))

    down = nn.Conv2d(CHANNELS, CHANNELS, stride + 2, stride, padding=1)
    up = nn.ConvTranspose2d(CHANNELS, CHANNELS, stride, stride)
    return Function(function, *map(positive, (down, up, conv(3, 2 * CHANNELS))))


def padded_width(multiple=4):
    """The width alone is padded to a multiple, and the coarse image cropped to the old one."""

    def function(image, last):
        width = image.shape[3]
        missing = -width % multiple
        padded = functional.pad(image, (missing, 0, 0, 0))
        coarse = functional.avg_pool2d(padded, (1, multiple))
        return (
            last(image)
            + functional.interpolate(coarse, scale_factor=(1.0, float(multiple)))[:, :, :, missing:]
        )

    return Function(function, positive(conv()))


def half_mean():
    """The mean of the upper half of the image, which no other size has."""

    def function(image, last):
        upper = image[:, :, : image.shape[2] // 2]
        return last(image) + functional.adaptive_avg_pool2d(upper, 1)

    return Function(function, conv())


def divided_by_size():
    """A mean over the image as a sum, divided by the number of its pixels."""

    def function(image, last):
        return last(image) + image.sum((2, 3), keepdim=True) / (image.shape[2] * image.shape[3])

    return Function(function, conv())


def counted():
    """Coordinates from a map of ones, summed up."""

    def function(image, last):
        ones = torch.ones_like(image[:, :1])
        return last(torch.cat([image, ones.cumsum(2), ones.cumsum(3)], 1))

    return Function(function, conv(3, CHANNELS + 2))


def pooled_to_fixed(bins):
    """Means of so many bins, as the exporter writes them for an image of a fixed size."""

    def function(image, last):
        pooled = functional.adaptive_avg_pool2d(image, bins)
        resized = functional.interpolate(pooled, size=image.shape[2:], mode="bilinear")
        return last(image) + resized

    return Function(function, positive(conv()))
