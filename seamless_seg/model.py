"""Models: an ONNX file run by onnxruntime, or any callable, behind one small interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .device import DEVICES, LANES, DeviceRunner
from .errors import ModelError, OptionError
from .metadata import ModelMetadata, parse
from .misfit import cannot_be_read, choose_another
from .mlm import with_sidecar
from .normalization import Normalisation
from .prelude import can_be_made, prelude
from .session import OnnxFile, first_line
from .settling import settle
from .system import cores
from .tensors import (
    choose_output,
    contradiction,
    declared,
    doubt,
    image_layout,
    several_outputs,
    takes_one_at_a_time,
    the_image,
)
from .windows import Pair

PIXELS_PER_THREAD = 512 * 512
"""Pixels of a tile from which on another thread of its own makes it faster."""

BATCH_PIXELS, DEVICE_BATCH_PIXELS = 2**17, 2**21
"""Pixels that keep a processor busy, and those that keep a GPU busy."""

Batch = npt.NDArray[np.float32]

FLOAT = np.dtype(np.float32)


@runtime_checkable
class Model(Protocol):
    """What the job needs of a model; lengths that are None are free."""

    name: str
    batch: int | None
    """Tiles that it takes at once, no more and no fewer."""
    channels: int | None
    """Bands that it takes."""
    tile: tuple[int | None, int | None]
    """Height and width of the tiles that it gives logits for."""
    classes: int | None
    """Classes that it tells apart, where that is known without running it."""
    dtype: np.dtype[Any]
    """What it computes its input from: for integers, values are rounded."""
    metadata: ModelMetadata
    variant: str
    """What tells it from others of the same file: which output it gives, and where it runs."""
    workers: int
    """Threads that may call it at the same time, and should."""
    batch_pixels: int
    """Pixels of a batch from which on more tiles at a time are of no use."""

    @property
    def border(self) -> int:
        """Pixels at each side of an image that it needs and gives no logits for, as far as seen."""
        ...

    @property
    def remainder(self) -> Pair:
        """Heights and widths of logits that it has been seen to give, but for multiples of 128."""
        ...

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Get ready for many tiles of that size; it may change ``workers``."""
        ...

    def normalises(self, normalisation: Normalisation, dtype: np.dtype[Any]) -> bool:
        """Whether batches may come as pixels from here on, to be normalised where it runs."""
        ...

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Map ``(B, C, H, W)`` to logits ``(B, K, H, W)``, or as much less as its border is."""
        ...


@dataclass
class CallableModel:
    """Any function of a batch as a model that takes every shape."""

    function: Callable[[Batch], npt.NDArray[Any]]
    name: str = "the model"
    batch: int | None = None
    channels: int | None = None
    tile: tuple[int | None, int | None] = (None, None)
    classes: int | None = None
    border: int = 0
    remainder: Pair = (0, 0)
    dtype: np.dtype[Any] = FLOAT
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    variant: str = ""
    workers: int = 1
    batch_pixels: int = BATCH_PIXELS

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Nothing to get ready: nobody knows how it works."""

    def normalises(self, normalisation: Normalisation, dtype: np.dtype[Any]) -> bool:
        """It takes values."""
        return False

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Call the function; what it raises becomes a ``ModelError``.

        The result is copied: a function may use one buffer again and again.
        """
        with _naming_failure(self.name, batch):
            return np.array(self.function(batch))


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

    def normalises(self, normalisation: Normalisation, dtype: np.dtype[Any]) -> bool:
        """What it takes as it is; on a device, bytes: a fourth as much crosses the bus.

        A scaling is done before.
        """
        if self.dtype == dtype and normalisation == Normalisation():
            return True
        is_plain = self.dtype == np.float32 and not self._takes.channels_last
        if self._on_device is None or dtype != np.uint8 or not is_plain or not can_be_made():
            return False
        if normalisation.scaling is not None:
            return False
        self._on_device.begin_with(self._file.beside(prelude(normalisation, dtype)))
        return True

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Run the graph; onnxruntime's complaint becomes a ``ModelError``."""
        self._is_used = True
        with _naming_failure(self.name, batch):
            return self._read(batch, self._run(batch))

    def _run(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        image = batch if self._is_prelude_for(batch) else self._takes.feed(batch)
        if self._on_device:
            return self._on_device(image)
        (array,) = self._file.session.run([self._logits], {self._image: image})
        return np.asarray(array)

    def _is_prelude_for(self, batch: npt.NDArray[Any]) -> bool:
        return self._on_device is not None and self._on_device.normalises(batch.dtype)

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


def open_model(
    model: Any,
    provider: str = "cpu",
    threads: int | None = None,
    output: str | int | None = None,
) -> Model:
    """Open an ONNX file, wrap a function, or take a model as it is."""
    if callable(model):
        if output is not None:
            raise OptionError(
                "model-output chooses among the outputs of an ONNX file: leave it out"
            )
        return model if isinstance(model, Model) else CallableModel(model)
    return OnnxModel(OnnxFile(model, provider, threads), output)


@contextmanager
def _naming_failure(name: str, batch: npt.NDArray[Any]) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        shape = " x ".join(map(str, batch.shape))
        raise ModelError(f"{name} fails on a batch of {shape}: {first_line(error)}") from error
