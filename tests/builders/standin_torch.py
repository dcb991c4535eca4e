"""A stand-in for torch: as much of it as a module needs to be a model, on numpy.

Tests that run with it run with torch itself, too, where that is installed.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

float16, float32, float64, int64 = (
    np.dtype(name) for name in ("float16", "float32", "float64", "int64")
)
_inference = [False]


class Tensor:
    """Numbers on a device; they record gradients outside of inference."""

    def __init__(self, array, device="cpu"):
        self.array, self.device, self.dtype = array, device, array.dtype
        self.recorded = not _inference[0]

    def to(self, device, dtype):
        return Tensor(self.array.astype(dtype), device)

    def float(self):
        return self.to(self.device, float32)

    def cpu(self):
        return Tensor(self.array)

    def numpy(self):
        if self.recorded or self.device != "cpu":
            raise RuntimeError("Can't call numpy() on Tensor that requires grad, or is elsewhere")
        return self.array

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def __mul__(self, other):
        if (self.device, self.dtype) != (other.device, other.dtype):
            raise RuntimeError(
                f"Expected all tensors to be on the same device and of the same dtype, not "
                f"{self.device} {self.dtype} and {other.device} {other.dtype}"
            )
        return Tensor(self.array * other.array, self.device)


class Module:
    def __init__(self):
        self.training = True

    def modules(self):
        yield self
        for part in vars(self).values():
            if isinstance(part, Module):
                yield from part.modules()

    def eval(self):
        for part in self.modules():
            part.training = False
        return self

    def parameters(self):
        for part in self.modules():
            yield from (p for p in vars(part).values() if isinstance(p, Parameter))

    def buffers(self):
        for part in self.modules():
            yield from (b for b in vars(part).values() if type(b) is Tensor)

    def register_buffer(self, name, tensor):
        setattr(self, name, tensor)

    def __call__(self, *arguments):
        return self.forward(*arguments)


class Parameter(Tensor):
    def __init__(self, tensor, requires_grad=True):
        super().__init__(tensor.array, tensor.device)


class nn:  # noqa: N801  # it stands for a module of torch
    Module, Parameter = Module, Parameter


def tensor(values, dtype=float32, device="cpu"):
    return Tensor(np.array(values, dtype), device)


def from_numpy(array):
    return Tensor(array)


def is_inference_mode_enabled():
    return _inference[0]


@contextmanager
def inference_mode():
    before, _inference[0] = _inference[0], True
    try:
        yield
    finally:
        _inference[0] = before
