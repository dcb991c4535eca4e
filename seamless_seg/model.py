"""Models: an ONNX file run by onnxruntime, or any callable, behind one small interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .device import DEVICES, LANES, DeviceRunner
from .errors import ModelError, OptionError, SeamlessError
from .layout import Pair
from .metadata import ModelMetadata, parse
from .mlm import with_sidecar
from .normalise import Normalisation
from .prelude import can_be_made, prelude
from .process import cores
from .settling import settle
from .tensors import (
    cannot_be_read,
    choose_output,
    declared,
    doubt,
    image_layout,
    several_outputs,
    takes_one_at_a_time,
    the_image,
    to_tensor,
)

PIXELS_PER_THREAD = 512 * 512
"""Pixels of a tile from which on another thread of its own makes it faster."""

BATCH_PIXELS, DEVICE_BATCH_PIXELS = 2**17, 2**21
"""Pixels that keep a processor busy, and those that keep a GPU busy."""

MOST_THREADS = 1024
"""Beyond some thousands of threads onnxruntime does not come back."""

FALLBACKS = {"tensorrt": ("cuda",)}
"""Providers that take what another leaves, before the CPU does."""

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
    """What tells it from other models of the same file, such as which output it gives."""
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


class OnnxFile:
    """Any ONNX file in onnxruntime: what it takes, gives and says of itself.

    Parameters
    ----------
    path : str or path-like
        The file.
    provider : str
        ``cpu``, ``cuda``, ``tensorrt``, ...: an execution provider of onnxruntime.
    threads : int, optional
        Threads of one run; onnxruntime's choice where None.

    Raises
    ------
    OptionError
        Where the provider is not there.
    ModelError
        Where the file is not a model.
    """

    def __init__(self, path: Any, provider: str = "cpu", threads: int | None = None) -> None:
        self.name = str(path)
        self.provider = provider.lower()
        self.threads = threads
        self.session = _open_session(Path(path), provider, threads)
        self.inputs = [to_tensor(node) for node in self.session.get_inputs()]
        self.outputs = [to_tensor(node) for node in self.session.get_outputs()]
        self.properties: dict[str, str] = self.session.get_modelmeta().custom_metadata_map

    def reopen(self, threads: int) -> None:
        """Load the model anew for another number of threads; never is it in memory twice."""
        del self.session
        self.session = _open_session(Path(self.name), self.provider, threads)

    def beside(self, graph: bytes) -> Any:
        """A session of another graph where this one runs."""
        return _start_session(graph, self.provider, self.threads)


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
        image, logits = the_image(file.inputs), choose_output(file.outputs, output)
        self.output = logits.name
        at = file.outputs.index(logits)
        self.variant = f"-output{at}" if at else ""
        self._image, self._logits = image.name, logits.name
        self._takes = image_layout(image, self.metadata.layout)
        if self._takes.channels_last:
            self.variant += "-nhwc"
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
            self._gives, self.remainder = settle(self._run, batch.shape, array.shape, is_free, last)
            self.border = self._gives.border
            self._is_seen = True
        if not self._gives.fits(array.shape, count, (height, width)):
            raise ModelError(cannot_be_read(array.shape, batch.shape))
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


def providers() -> dict[str, str]:
    """Execution providers that are there, by their short names."""
    import onnxruntime

    names = onnxruntime.get_available_providers()
    # Azure's runs models elsewhere, and those that it is given here on the CPU without a word.
    return {
        name.removesuffix("ExecutionProvider").lower(): name
        for name in names
        if name != "AzureExecutionProvider"
    }


def _open_session(path: Path, provider: str, threads: int | None) -> Any:
    there = providers()
    if provider.lower() not in there:
        raise OptionError(f"provider {provider!r} is not there: choose one of {', '.join(there)}")
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file")
    try:
        return _start_session(path, provider.lower(), threads)
    except SeamlessError:
        raise
    except Exception as error:
        reason = _first_line(error)
        raise ModelError(f"{path} is not a model that onnxruntime can load: {reason}") from error


def _start_session(graph: Path | bytes, provider: str, threads: int | None) -> Any:
    import onnxruntime

    there = providers()
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what matters is raised, and said once
    onnxruntime.set_default_logger_severity(4)
    if threads is not None:
        if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
            raise OptionError(
                f"threads must be a whole number from 1 to {MOST_THREADS}, not {threads!r}"
            )
        options.intra_op_num_threads = threads
    chain = [there[name] for name in (provider, *FALLBACKS.get(provider, ())) if name in there]
    session = onnxruntime.InferenceSession(graph, options, chain)
    if there[provider] not in session.get_providers():
        raise OptionError(f"provider {provider!r} is installed but could not be started here")
    return session


@contextmanager
def _naming_failure(name: str, batch: npt.NDArray[Any]) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        shape = " x ".join(map(str, batch.shape))
        raise ModelError(f"{name} fails on a batch of {shape}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
