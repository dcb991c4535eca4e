"""Models: an ONNX file run by onnxruntime, or any callable, behind one small interface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..system import cores
from .base import BATCH_PIXELS, DEVICE_BATCH_PIXELS, Batch, naming_failure
from .io_binding import DEVICES, LANES, DeviceRunner, can_be_made, prelude
from .layout import settle
from .metadata import parse
from .mlm import with_sidecar
from .onnx_session import OnnxFile
from .signature import (
    cannot_be_read,
    choose_another,
    choose_output,
    contradiction,
    declared,
    doubt,
    image_layout,
    several_outputs,
    takes_one_at_a_time,
    the_image,
)

PIXELS_PER_THREAD = 512 * 512
"""Pixels of a tile from which on another thread of its own makes it faster."""


class OnnxModel:
    """An ONNX segmentation model, ``(B, C, H, W)`` to ``(B, K, H, W)`` whatever its graph has.

    How its output is to be read is declared, or seen at the first call.

    Parameters
    ----------
    file : OnnxFile
        The file.
    output : str or int, optional
        Which of its outputs to take, by name or counted from 0; the first where None.
    device : str, optional
        Where its input and output are kept from batch to batch, as onnxruntime calls it; the
        provider's own device where None, if it has one.

    Raises
    ------
    ModelError
        Where it does not map images to logits, or says itself that it is another kind of model.
    OptionError
        Where it has no such output.
    """

    def __init__(
        self, file: OnnxFile, output: str | int | None = None, device: str | None = None
    ) -> None:
        self.name = file.name
        self.workers = 1
        self._file = file
        self._each = file.threads or cores()
        self._is_used = self._is_seen = False
        self.metadata = with_sidecar(parse(file.properties), file.name)
        self.metadata = self.metadata.choosing(output, [tensor.name for tensor in file.outputs])
        if output is None and self.metadata.output is None and len(file.outputs) > 1:
            self.metadata = self.metadata.noting(several_outputs(file.outputs))
        output = self.metadata.output if output is None else output
        image = the_image(file.inputs)
        logits = choose_output(file.outputs, output, image)
        self.output = logits.name
        at = file.outputs.index(logits)
        self.variant = f"-output{at}" if at else ""
        self._image, self._logits = image.name, logits.name
        stated = self.metadata.layout, self.metadata.channels
        self._takes = image_layout(image, *stated)
        if said := contradiction(image, *stated):
            self.metadata = self.metadata.noting(said)
        if self._takes.channels_last:
            self.variant += "-nhwc"
        if file.provider != "cpu":
            self.variant += f"-{file.provider}"  # which may compute otherwise
        self.dtype = self._takes.dtype
        self.batch, self.channels, *size = self._takes.to_nchw(image.shape)
        self._gives = declared(image, self._takes, logits)
        if said := doubt(image, self._takes, logits):
            self.metadata = self.metadata.noting(said)
        self.classes = self._gives.classes(logits.shape) if self._gives else None
        self.border = self._gives.border if self._gives else 0
        self.remainder = (0, 0)
        height, width = (length and length - 2 * self.border for length in size)
        self.tile = height, width
        if takes_one_at_a_time(logits):
            self.batch = 1
        self._on_device: DeviceRunner | None = None
        self.batch_pixels = BATCH_PIXELS
        if device := device or DEVICES.get(file.provider):
            self._on_device = DeviceRunner(file.session, self._image, self._logits, device)
            self.batch_pixels = DEVICE_BATCH_PIXELS
            self.workers = LANES

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Give the session as many threads as a tile of that size is worth.

        On a CPU, small tiles run faster side by side than one after the other with their work
        divided: no thread waits for another. See ``benchmarks/README.md``.
        """
        if self._on_device:
            self._on_device.forget()
            self.workers = min(LANES, most_workers or LANES)
        if self._file.provider != "cpu" or self._on_device:
            return
        threads = self._file.threads or cores()
        each = min(threads, max(1, round(math.prod(tile) / PIXELS_PER_THREAD)))
        workers = threads // each
        if most_workers is not None and most_workers < workers:
            workers, each = most_workers, threads // most_workers
        self.workers = workers
        if each != self._each or self._is_used:  # what it holds for other tiles is let go
            self._each, self._is_used = each, False
            self._file.reopen(each)

    def normalizes(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """What it takes as it is; on a device, bytes: a fourth as much crosses the bus.

        A scaling is done before.
        """
        if self.dtype == dtype and normalization == Normalization():
            return True
        is_plain = self.dtype == np.float32 and not self._takes.channels_last
        if self._on_device is None or dtype != np.uint8 or not is_plain or not can_be_made():
            return False
        if normalization.scaling is not None:
            return False
        self._on_device.begin_with(self._file.beside(prelude(normalization, dtype)))
        return True

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Run the graph; onnxruntime's complaint becomes a ``ModelError``."""
        self._is_used = True
        with naming_failure(self.name, batch):
            return self._read(batch, self._run(batch))

    def _run(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        image = batch if self._is_prelude_for(batch) else self._takes.feed(batch)
        if self._on_device:
            return self._on_device(image)
        (array,) = self._file.session.run([self._logits], {self._image: image})
        return np.asarray(array)

    def _is_prelude_for(self, batch: npt.NDArray[Any]) -> bool:
        return self._on_device is not None and self._on_device.normalizes(batch.dtype)

    def _read(self, batch: npt.NDArray[Any], array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """An output as logits."""
        count, _, height, width = batch.shape
        seems = self._gives is not None and self._gives.fits(array.shape, count, (height, width))
        if self._gives is None or not (seems or self._is_seen):
            is_free = self.tile == (None, None)
            last = self._takes.channels_last
            if settled := settle(self._run, batch.shape, array.shape, is_free, last):
                self._gives, self.remainder = settled
                self.border = self._gives.border
                self._is_seen = True
        if self._gives is None or not self._gives.fits(array.shape, count, (height, width)):
            another = choose_another((tensor.name for tensor in self._file.outputs), self.output)
            raise ModelError(f"{cannot_be_read(array.shape, batch.shape)}{another}")
        return self._gives.read(array)
