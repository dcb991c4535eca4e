"""The model in an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..normalization import Normalization
from ..system import cores
from ..validation import pair
from ..windows import Pair
from .base import (
    BATCH_PIXELS,
    DEFAULT_CHANNELS,
    DEVICE_BATCH_PIXELS,
    Batch,
    ModelSpec,
    naming_failure,
)
from .class_outputs import content_of
from .io_binding import BUFFER_SETS, DEVICES, DeviceRunner, can_write_graphs, normalization_graph
from .layout import (
    COMMON_OUTPUT_STRIDES,
    ODD_TRIAL_SIDES,
    TRIAL_SIDES,
    ImageLayout,
    InferredLayout,
    LogitsLayout,
    Trials,
    infer_layout,
    possible_layouts,
)
from .metadata import ModelMetadata, parse
from .onnx_session import OnnxFile
from .sidecars import with_sidecars
from .signature import (
    LOGITS_DTYPES,
    Signature,
    Tensor,
    chosen_output,
    other_outputs,
    read_signature,
    refused_shape,
)

PIXELS_PER_THREAD = 512 * 512
"""Pixels of a tile for each thread that makes it faster."""

MIN_SIDE = 16
"""Pixels a side of the logits of one tile, at least: a smaller output is something else."""


class OnnxModel:
    """An ONNX segmentation model, ``(B, C, H, W)`` to ``(B, K, H, W)`` whatever its graph's axes.

    Where the graph declares the lengths of its output, the spec is complete once the file is
    opened. Elsewhere ``resolved`` infers or confirms the layout by trial runs.

    Parameters
    ----------
    file : OnnxFile
        The file.
    output : str or int, optional
        Output that gives the logits, by name or counted from 0; the first where None.
    device : str, optional
        onnxruntime's name of the device that keeps input and output from batch to batch; the
        provider's own device where None, if it has one.

    Raises
    ------
    ModelError
        Where the graph does not map images to logits, or its metadata states another kind of model.
    OptionError
        Where it has no such output.
    """

    def __init__(
        self, file: OnnxFile, output: str | int | None = None, device: str | None = None
    ) -> None:
        metadata = with_sidecars(parse(file.properties), file.name)
        self._file = file
        self._signature = _open_signature(file, metadata, output)
        self._is_resolved = self._is_certain = self._signature.is_certain
        self._on_device: DeviceRunner | None = None
        self.workers = 1
        if device := device or DEVICES.get(file.provider):
            names = self._signature.image.name, self._signature.logits.name
            self._on_device = DeviceRunner(file.session, *names, device)
            self.workers = BUFFER_SETS
        self.spec = _spec(
            self._signature, file, DEVICE_BATCH_PIXELS if self._on_device else BATCH_PIXELS
        )

    @property
    def output(self) -> str:
        """Name of the graph's output that gives the logits."""
        return self._signature.logits.name

    @property
    def image_layout(self) -> ImageLayout:
        """How the graph takes images."""
        return self._signature.image_layout

    @property
    def logits_layout(self) -> LogitsLayout:
        """How the graph gives logits, once it is resolved."""
        return self._signature.logits_layout or LogitsLayout()

    def resolved(self, channels: int | None = None) -> OnnxModel:
        """Return the model with the layout of its output inferred or confirmed by trial runs.

        Where lengths declare the layout, or the model is resolved already, nothing is run. Of a
        graph that fails at every trial size, each output is laid out by its own shape, and it can
        have no border.

        Parameters
        ----------
        channels : int, optional
            Bands of the trial images, where the graph takes any number.
        """
        if self._is_resolved:
            return self
        channels = self.spec.channels or channels or self.spec.metadata.channels or DEFAULT_CHANNELS
        is_channels_last = self._signature.image_layout.channels_last
        trials = Trials(self._try, self.spec.batch or 1, channels, is_channels_last)
        fixed = self._undeclared_size(trials)
        size = fixed or self._signature.size
        found = infer_layout(
            trials,
            [fixed] if fixed else self._trial_sizes(),
            is_free=size == (None, None),
            declared=self._signature.logits_layout,
        )
        resolved = copy(self)
        resolved._is_resolved, resolved._is_certain = True, found is not None
        if found is not None:
            resolved._signature = replace(self._signature, logits_layout=found.layout)
            resolved.spec = replace(
                self.spec,
                tile=_without_border(size, found.layout.border),
                border=found.layout.border,
                remainder=found.remainder,
                batch=self.spec.batch or _undeclared_batch(trials, found),
            )
        return resolved

    def tune(self, tile: tuple[int, int], most_workers: int | None = None) -> None:
        """Give the session as many threads as a tile of that size keeps busy.

        On a CPU, small tiles run faster side by side than one after the other with their work
        divided: no thread waits for another. See ``benchmarks/README.md``.
        """
        if self._on_device:
            self._on_device.release_buffers()
            self.workers = min(BUFFER_SETS, most_workers or BUFFER_SETS)
        if self._file.provider != "cpu" or self._on_device:
            return
        threads = self._file.threads or cores()
        each = min(threads, max(1, round(math.prod(tile) / PIXELS_PER_THREAD)))
        workers = threads // each
        if most_workers is not None and most_workers < workers:
            workers, each = most_workers, threads // most_workers
        self.workers = workers
        self._file.set_threads(each)

    def take_over_normalization(self, normalization: Normalization, dtype: np.dtype[Any]) -> bool:
        """Normalize pixels of a dtype from here on, if the model can; return whether it does.

        It can where there is nothing to do, as its input has that dtype; and on a device for
        bytes, of which a quarter as much crosses the bus. A ``value_scaling`` it cannot.
        """
        if self.spec.dtype == dtype and normalization == Normalization():
            return True
        takes_values = self.spec.dtype == np.float32
        is_plain = takes_values and not self._signature.image_layout.channels_last
        if self._on_device is None or dtype != np.uint8 or not is_plain or not can_write_graphs():
            return False
        if normalization.scaling is not None:
            return False
        graph = normalization_graph(normalization, dtype)
        self._on_device.normalize_with(self._file.session_of(graph))
        return True

    @property
    def other_graph(self) -> bytes | None:
        """The graph by which ``open_graph`` has replaced the file's; None for the file's own."""
        return self._file.other_graph

    def reopened(self) -> OnnxModel:
        """Return the same model with a session of its own."""
        other = copy(self)
        other._file = self._file.reopened()
        if self._on_device:
            names = self._signature.image.name, self._signature.logits.name
            device = self._on_device.device
            other._on_device = DeviceRunner(other._file.session, *names, device)
        return other

    def open_graph(self, graph: bytes, on_all_threads: bool = False) -> None:
        """Run another graph of the same weights from here on, in all copies of this model.

        Parameters
        ----------
        graph, on_all_threads
            As for ``OnnxFile.open_graph``.
        """
        self._file.open_graph(graph, on_all_threads)
        if self._on_device:
            self._on_device.use_session(self._file.session)

    def run_outputs(
        self, batch: Batch, more: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> list[npt.NDArray[Any]]:
        """Run the open graph on images and further inputs; return some outputs as it gives them.

        Parameters
        ----------
        batch : array
            Images, ``(B, C, H, W)``.
        more : mapping
            The other inputs by their names.
        outputs : sequence of str
            Names of the outputs.
        """
        with naming_failure(self.spec.name, batch):
            image = self._signature.image_layout.from_nchw(batch)
            given = {self._signature.image.name: image, **more}
            return list(self._file.session.run(list(outputs), given))

    def __call__(self, batch: Batch, /) -> npt.NDArray[Any]:
        """Run the graph; an exception of onnxruntime becomes a ``ModelError``."""
        with naming_failure(self.spec.name, batch):
            array = self._run(batch)
            layout = self._layout_of(array.shape, batch.shape)
            return layout.to_nchw(array, nearest=self.spec.gives_classes)

    def _run(self, batch: npt.NDArray[Any], keep_memory: bool = True) -> npt.NDArray[Any]:
        """Return the output for a batch as the graph gives it."""
        is_normalized_there = self._on_device and self._on_device.normalizes(batch.dtype)
        image = batch if is_normalized_there else self._signature.image_layout.from_nchw(batch)
        if self._on_device:
            return self._on_device(image)
        name, logits = self._signature.image.name, self._signature.logits.name
        return self._file.run(name, image, logits, keep_memory=keep_memory)

    def _try(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._run(batch, keep_memory=False)

    def _trial_sizes(self) -> Iterator[Pair]:
        """Yield the sizes of trial images: lengths of the graph where it has some."""
        height, width = self._signature.size
        sizes = [(side, side) for side in TRIAL_SIDES]
        if self.spec.metadata.tile is not None:
            sizes.append(pair("the model's tile", self.spec.metadata.tile, 1))
        sizes.extend((side, side) for side in ODD_TRIAL_SIDES)
        yield from dict.fromkeys((height or down, width or across) for down, across in sizes)

    def _undeclared_size(self, trials: Trials) -> Pair | None:
        """Return the only size of images that the graph takes, where its output alone declares it.

        Exporters of graphs with lengths built into them may name the axes of the image all the
        same, so that they look free.
        """
        declared = self._signature.declared_size
        if self._signature.size != (None, None) or declared is None or min(declared) < MIN_SIDE:
            return None
        for stride in (1, *COMMON_OUTPUT_STRIDES):
            size = declared[0] * stride, declared[1] * stride
            if trials.takes(size):
                others = [(2 * size[0], 2 * size[1]), (TRIAL_SIDES[0], TRIAL_SIDES[1])]
                return None if any(map(trials.takes, others)) else size
        return None

    def _layout_of(self, shape: tuple[int, ...], batch: tuple[int, ...]) -> LogitsLayout:
        """Return the layout of an output: the model's, or where that is uncertain the likeliest."""
        count, _, height, width = batch
        is_last = self._signature.image_layout.channels_last
        possible = list(possible_layouts(shape, count, (height, width), is_last))
        known = self._signature.logits_layout
        if known is not None and known in possible:
            return known
        if self._is_certain or not possible:
            outputs = (tensor.name for tensor in self._file.outputs)
            others = other_outputs(outputs, self.output)
            raise ModelError(f"{refused_shape(shape, batch)}{others}")
        return possible[0]


def _open_signature(file: OnnxFile, metadata: ModelMetadata, output: str | int | None) -> Signature:
    """Read the signature of a file; one that holds class numbers is opened at their logits."""
    inputs, outputs = file.inputs, file.outputs
    stated = metadata.with_output_among([tensor.name for tensor in outputs], output).output
    chosen = chosen_output(outputs, stated if output is None else output)
    content = content_of(file.name, inputs[0].name if inputs else "", chosen.name)
    inner = None
    if content.logits is not None and len(inputs) == 1:
        inner = _inner_logits(file, content.logits)
    return read_signature(inputs, outputs, metadata, output, content, inner)


def _inner_logits(file: OnnxFile, name: str) -> Tensor | None:
    """Open a file at a tensor inside its graph; return None where that holds no logits."""
    known = next((tensor for tensor in file.outputs if tensor.name == name), None)
    tensor = known or file.add_output(name)
    if tensor is None or tensor.dtype not in LOGITS_DTYPES or len(tensor.shape) != 4:
        return None
    return tensor


def _spec(signature: Signature, file: OnnxFile, batch_pixels: int) -> ModelSpec:
    layout = signature.logits_layout or LogitsLayout()
    variant = f"-output{signature.index}" if signature.index else ""
    if signature.image_layout.channels_last:
        variant += "-nhwc"
    if file.provider != "cpu":
        variant += f"-{file.provider}"  # which may compute other bits
    return ModelSpec(
        name=file.name,
        channels=signature.channels,
        classes=layout.classes(signature.logits.shape) if signature.logits_layout else None,
        tile=_without_border(signature.size, layout.border),
        border=layout.border,
        batch=signature.batch,
        batch_pixels=batch_pixels,
        dtype=signature.image_layout.dtype,
        metadata=signature.metadata,
        gives_classes=signature.gives_classes,
        variant=variant,
    )


def _undeclared_batch(trials: Trials, found: InferredLayout) -> int | None:
    """Return 1 where a batch of 1 is built into a graph that declares none; None for any number.

    Of images so large that they run one by one anyway, no batch is tried.
    """
    if math.prod(found.size) > BATCH_PIXELS or trials.takes_two(found.size, found.layout):
        return None
    return 1


def _without_border(
    size: tuple[int | None, int | None], border: int
) -> tuple[int | None, int | None]:
    height, width = (length and length - 2 * border for length in size)
    return height, width
