"""Tensors bound to a device, and pixels that are normalized there."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from ..normalization import Normalization

DEVICES = {"cuda": "cuda", "tensorrt": "cuda"}
"""Where the tensors of an execution provider lie, by its short name; on the CPU if not listed."""

LANES = 2
"""While one batch is computed, the next is copied."""

OPSET, IR_VERSION = 13, 8
"""Old enough for every onnxruntime that this package works with."""


class DeviceRunner:
    """Runs a session on batches of one shape, each copied once to the device and once back.

    Several threads may call it at the same time, one for each lane: a pair of buffers of its own.
    A batch with fewer tiles than the largest before is filled up, so that its shape stays the same
    and nothing is compiled or chosen anew for it.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The model.
    image, logits : str
        Its input and output.
    device : str
        Where the buffers are to lie, as onnxruntime calls it.
    """

    def __init__(self, session: Any, image: str, logits: str, device: str) -> None:
        self._session = session
        self._image, self._logits = image, logits
        self._device = device
        self._prelude: Any = None
        self._lanes: queue.LifoQueue[_Lane] = queue.LifoQueue()
        for _ in range(LANES):
            self._lanes.put(_Lane())

    def begin_with(self, prelude: Any) -> None:
        """Run a session from ``pixels`` to ``values`` before the model, on batches of its dtype.

        Its input alone is copied to the device: pixels of a byte are a fourth of their values.
        """
        self._prelude = prelude

    def normalizes(self, dtype: np.dtype[Any]) -> bool:
        """Whether batches of that dtype are pixels for the prelude."""
        return self._prelude is not None and dtype == np.uint8

    def forget(self) -> None:
        """Let go of all buffers, however large they have become; nobody may be calling."""
        for _ in range(LANES):
            self._lanes.get()
        for _ in range(LANES):
            self._lanes.put(_Lane())

    def __call__(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Logits of a batch of values, or of pixels where there is a prelude."""
        lane = self._lanes.get()
        try:
            if not lane.takes(batch):
                lane = self._new_lane(batch)
            return lane.run(batch)
        finally:
            self._lanes.put(lane)

    def _new_lane(self, batch: npt.NDArray[Any]) -> _Lane:
        import onnxruntime

        # On a CPU it would be the caller's own array.
        given = onnxruntime.OrtValue.ortvalue_from_numpy(batch.copy(), self._device, 0)
        stages, image = [], given
        if self.normalizes(batch.dtype):
            stages.append(_Stage(self._prelude, "pixels", image, "values", self._device))
            image = stages[-1].result
        stages.append(_Stage(self._session, self._image, image, self._logits, self._device))
        return _Lane(batch, given, stages)


class _Stage:
    """A session with its input and output bound; it has run once."""

    def __init__(self, session: Any, taken: str, image: Any, given: str, device: str) -> None:
        self._session, self._binding = session, session.io_binding()
        self._binding.bind_ortvalue_input(taken, image)
        self._binding.bind_output(given, device)
        self.run()
        # The shape of the output is known now: from here on it always goes to the same place.
        (self.result,) = self._binding.get_outputs()
        self._binding.bind_ortvalue_output(given, self.result)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)


class _Lane:
    """Buffers for batches of one shape and dtype."""

    def __init__(
        self,
        batch: npt.NDArray[Any] | None = None,
        given: Any = None,
        stages: Sequence[_Stage] = (),
    ) -> None:
        self._shape = (0,) if batch is None else batch.shape
        self._dtype = None if batch is None else batch.dtype
        self._given, self._stages = given, stages

    def takes(self, batch: npt.NDArray[Any]) -> bool:
        is_of_size = len(batch) <= self._shape[0] and batch.shape[1:] == self._shape[1:]
        return is_of_size and batch.dtype == self._dtype

    def run(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        count = len(batch)
        if count < self._shape[0]:
            missing = (self._shape[0] - count, *batch.shape[1:])
            batch = np.concatenate([batch, np.zeros(missing, batch.dtype)])
        self._given.update_inplace(np.ascontiguousarray(batch))
        for stage in self._stages:
            stage.run()
        # On a CPU it is a view of the buffer, which the next batch will overwrite.
        return np.array(self._stages[-1].result.numpy()[:count])


def can_be_made() -> bool:
    """Whether the package that writes ONNX graphs is installed."""
    return find_spec("onnx") is not None


def prelude(normalization: Normalization, dtype: np.dtype[Any]) -> bytes:
    """An ONNX graph from ``pixels`` of that dtype to ``values``, float32, both ``(B, C, H, W)``.

    The operations and their order are those of ``Normalization.apply``.
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
    taken = helper.np_dtype_to_tensor_dtype(dtype)
    graph = helper.make_graph(
        nodes,
        "prelude",
        [helper.make_tensor_value_info("pixels", taken, shape)],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, shape)],
        numbers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString()
    return written
