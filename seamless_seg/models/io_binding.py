"""Runs on a device: batches in buffers that stay there, and pixels that are normalized there."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ..normalization import Normalization
from .active_runs import interruptible
from .onnx_session import runtime

DEVICES = {"cuda": "cuda", "tensorrt": "cuda"}
"""onnxruntime's name of the device of an execution provider; those not listed use the CPU."""

BUFFER_SETS = 2
"""Batches on the device at a time: while one is computed, the next is copied."""

OPSET, IR_VERSION = 13, 8
"""Versions of ONNX of the normalization graph, which every supported onnxruntime can load."""


class DeviceRunner:
    """Run a session on batches of one shape, each copied once to the device and once back.

    As many threads may call it at the same time as there are ``BUFFER_SETS``. A batch of fewer
    tiles than the largest before is filled up with zeros, so that its shape stays the same and
    the provider compiles nothing anew.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The model.
    image, logits : str
        Names of its input and output.
    device : str
        onnxruntime's name of the device of the buffers.
    """

    def __init__(self, session: Any, image: str, logits: str, device: str) -> None:
        self._session = session
        self._image, self._logits = image, logits
        self.device = device
        self._normalization: Any = None
        self._free: queue.LifoQueue[_Buffers] = queue.LifoQueue()
        for _ in range(BUFFER_SETS):
            self._free.put(_Buffers())

    def normalize_with(self, session: Any) -> None:
        """Run a session from ``pixels`` to ``values`` before the model, on batches of uint8.

        Only its input is then copied to the device: a quarter of the bytes of float32 values.
        """
        self._normalization = session

    def normalizes(self, dtype: np.dtype[Any]) -> bool:
        """Tell whether batches of that dtype are pixels that are normalized on the device."""
        return self._normalization is not None and dtype == np.uint8

    def use_session(self, session: Any) -> None:
        """Run another session of the model from here on; no thread may be calling."""
        self._session = session
        self.release_buffers()

    def release_buffers(self) -> None:
        """Free all buffers, however large they have become; no thread may be calling."""
        for _ in range(BUFFER_SETS):
            self._free.get()
        for _ in range(BUFFER_SETS):
            self._free.put(_Buffers())

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of a batch of values, or of pixels that are normalized here."""
        buffers = self._free.get()
        try:
            if not buffers.hold(batch):
                buffers = self._allocate(batch)
            return buffers.run(batch)
        finally:
            self._free.put(buffers)

    def _allocate(self, batch: npt.NDArray[Any]) -> _Buffers:
        onnxruntime = runtime()

        # A copy, as on a CPU the buffer would be the caller's own array.
        first = onnxruntime.OrtValue.ortvalue_from_numpy(batch.copy(), self.device, 0)
        stages, image = [], first
        if self.normalizes(batch.dtype):
            stages.append(_Stage(self._normalization, "pixels", image, "values", self.device))
            image = stages[-1].result
        stages.append(_Stage(self._session, self._image, image, self._logits, self.device))
        return _Buffers(batch, first, stages)


class _Stage:
    """A session with its input and output bound to buffers; it has run once."""

    def __init__(self, session: Any, input_: str, value: Any, output: str, device: str) -> None:
        self._session, self._binding = session, session.io_binding()
        self._binding.bind_ortvalue_input(input_, value)
        self._binding.bind_output(output, device)
        self.run()
        # The first run shows the shape of the output: every later one goes to the same buffer.
        (self.result,) = self._binding.get_outputs()
        self._binding.bind_ortvalue_output(output, self.result)

    def run(self) -> None:
        options = runtime().RunOptions()
        with interruptible(options):
            self._session.run_with_iobinding(self._binding, options)


class _Buffers:
    """Buffers for batches of one shape and dtype, and the sessions that use them."""

    def __init__(
        self,
        batch: npt.NDArray[Any] | None = None,
        first: Any = None,
        stages: Sequence[_Stage] = (),
    ) -> None:
        self._shape = (0,) if batch is None else batch.shape
        self._dtype = None if batch is None else batch.dtype
        self._first, self._stages = first, stages

    def hold(self, batch: npt.NDArray[Any]) -> bool:
        """Tell whether a batch fits into these buffers, perhaps filled up."""
        is_of_size = len(batch) <= self._shape[0] and batch.shape[1:] == self._shape[1:]
        return is_of_size and batch.dtype == self._dtype

    def run(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        count = len(batch)
        if count < self._shape[0]:
            missing = (self._shape[0] - count, *batch.shape[1:])
            batch = np.concatenate([batch, np.zeros(missing, batch.dtype)])
        self._first.update_inplace(np.ascontiguousarray(batch))
        for stage in self._stages:
            stage.run()
        # A copy, as on a CPU it is a view of the buffer, which the next batch overwrites.
        return np.array(self._stages[-1].result.numpy()[:count])


def can_write_graphs() -> bool:
    """Tell whether the ``onnx`` package is installed, which writes the normalization graph."""
    return find_spec("onnx") is not None


def normalization_graph(normalization: Normalization, dtype: np.dtype[Any]) -> bytes:
    """Return an ONNX graph from ``pixels`` of a dtype to float32 ``values``, ``(B, C, H, W)``.

    Its operations and their order are those of ``Normalization.apply``, so that the bits are, too.
    """
    from onnx import TensorProto, helper, numpy_helper

    steps = [
        ("Mul", [normalization.scale], normalization.scale != 1),
        ("Sub", normalization.mean, any(normalization.mean)),
        ("Div", normalization.std, any(number != 1 for number in normalization.std)),
    ]
    nodes = [helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT)]
    numbers = []
    for kind, values, is_needed in steps:
        if is_needed:
            last, own = nodes[-1].output[0], kind.lower()
            nodes.append(helper.make_node(kind, [last, f"by_{own}"], [own]))
            per_band = np.array(values, np.float32)[:, None, None]
            numbers.append(numpy_helper.from_array(per_band, f"by_{own}"))
    nodes[-1].output[0] = "values"
    shape = ["batch", "bands", "height", "width"]
    pixel_type = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes,
        "normalization",
        [helper.make_tensor_value_info("pixels", pixel_type, shape)],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, shape)],
        numbers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString()
    return written
