"""Devices: a session fed through buffers that lie on a GPU and are used again and again."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import numpy.typing as npt

DEVICES = {"cuda": "cuda", "tensorrt": "cuda"}
"""Where the tensors of an execution provider lie, by its short name; on the CPU if not listed."""

LANES = 2
"""While one batch is computed, the next is copied."""


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
        self._lanes: queue.LifoQueue[_Lane] = queue.LifoQueue()
        for _ in range(LANES):
            self._lanes.put(_Lane())

    def forget(self) -> None:
        """Let go of all buffers, however large they have become; nobody may be calling."""
        for _ in range(LANES):
            self._lanes.get()
        for _ in range(LANES):
            self._lanes.put(_Lane())

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Logits of a batch."""
        lane = self._lanes.get()
        try:
            if not lane.takes(batch.shape):
                lane = self._new_lane(batch)
            return lane.run(self._session, batch)
        finally:
            self._lanes.put(lane)

    def _new_lane(self, batch: npt.NDArray[np.float32]) -> _Lane:
        import onnxruntime

        # On a CPU it would be the caller's own array.
        image = onnxruntime.OrtValue.ortvalue_from_numpy(batch.copy(), self._device, 0)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._image, image)
        binding.bind_output(self._logits, self._device)
        self._session.run_with_iobinding(binding)
        # The shape of the output is known now: from here on it always goes to the same place.
        (logits,) = binding.get_outputs()
        binding.bind_ortvalue_output(self._logits, logits)
        return _Lane(batch.shape, image, logits, binding)


class _Lane:
    """Buffers for batches of one shape."""

    def __init__(
        self,
        shape: tuple[int, ...] = (0,),
        image: Any = None,
        logits: Any = None,
        binding: Any = None,
    ) -> None:
        self._shape, self._image, self._logits, self._binding = shape, image, logits, binding

    def takes(self, shape: tuple[int, ...]) -> bool:
        return shape[0] <= self._shape[0] and shape[1:] == self._shape[1:]

    def run(self, session: Any, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        count = len(batch)
        if count < self._shape[0]:
            missing = (self._shape[0] - count, *batch.shape[1:])
            batch = np.concatenate([batch, np.zeros(missing, np.float32)])
        self._image.update_inplace(np.ascontiguousarray(batch))
        session.run_with_iobinding(self._binding)
        # On a CPU it is a view of the buffer, which the next batch will overwrite.
        return np.array(self._logits.numpy()[:count])
