import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from builders import made, standin_torch
from seamless_seg import ModelError, segment

TORCHES = ["stand-in", *(["torch"] if importlib.util.find_spec("torch") else [])]


@pytest.fixture(params=TORCHES)
def torch(request, monkeypatch):
    """Torch where it is installed, and what stands in for it."""
    if request.param == "torch":
        return importlib.import_module("torch")
    monkeypatch.setitem(sys.modules, "torch", standin_torch)
    return standin_torch


def scaling(torch, dtype="float32", result=lambda logits: logits, **where):
    """A module that multiplies by a parameter, ready to be a model."""

    class Inner(torch.nn.Module):
        def forward(self, batch):
            assert torch.is_inference_mode_enabled()
            return batch

    class Scaling(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("steps", torch.tensor(3, dtype=torch.int64))
            weight = torch.tensor([[[[2.0]]]], dtype=getattr(torch, dtype), **where)
            self.weight = torch.nn.Parameter(weight, requires_grad=True)
            self.inner = Inner()

        def forward(self, batch):
            return result(self.inner(batch) * self.weight)

    return Scaling().eval()


@pytest.fixture
def image(paths):
    """Pixels of the raster."""
    pixels = made.pixels(3, 50, 60).astype(np.float32)
    made.raster(paths[0], pixels)
    return pixels


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_module_gets_and_gives_tensors_of_its_dtype(paths, image, torch, dtype):
    segment(paths[0], scaling(torch, dtype), paths[2], tile=32)
    np.testing.assert_array_equal(made.read(paths[2]), 2 * image)


def test_a_module_without_parameters_gets_float32(paths, image, torch):
    class Same(torch.nn.Module):
        def forward(self, batch):
            assert batch.dtype == torch.float32
            return batch

    segment(paths[0], Same().eval(), paths[2], tile=32)
    np.testing.assert_array_equal(made.read(paths[2]), image)


def test_modules_and_files_are_averaged(paths, image, torch):
    _, answer = made.pointwise(paths[1], 3, 3)
    segment(paths[0], [scaling(torch), paths[1]], paths[2], tta="flips", tile=32)
    expected = (2 * image + answer(image)) / 2
    np.testing.assert_allclose(made.read(paths[2]), expected, rtol=1e-5, atol=1e-4)


def test_out_is_taken_of_a_mapping(paths, image, torch):
    module = scaling(torch, result=lambda logits: {"aux": None, "out": logits})
    segment(paths[0], module, paths[2], tile=32)
    np.testing.assert_array_equal(made.read(paths[2]), 2 * image)
    module = scaling(torch, result=lambda logits: {"aux": logits, "scores": logits})
    with pytest.raises(ModelError, match="its result has aux, scores, and no 'out'"):
        segment(paths[0], module, paths[2], overwrite=True)


def test_training_mode_is_refused_of_any_part(paths, image, torch):
    module = scaling(torch)
    module.inner.training = True
    with pytest.raises(ModelError, match=r"the model is in training mode, .*: call its eval\(\)"):
        segment(paths[0], module, paths[2])
    with pytest.raises(ModelError, match="model 2 of 2 is in training mode"):
        segment(paths[0], [lambda batch: batch, module], paths[2])
    assert module.inner.training, "it is the user's module"


def test_batches_go_to_the_module_s_device(paths, image, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", standin_torch)
    segment(paths[0], scaling(standin_torch, device="cuda:1"), paths[2], tile=32)
    np.testing.assert_array_equal(made.read(paths[2]), 2 * image)


def test_what_a_module_complains_about_is_told(paths, image, torch):
    def fail(logits):
        raise RuntimeError("out of memory on the device")

    message = "the model fails on a batch of 1 x 3 x 32 x 32: out of memory on the device"
    with pytest.raises(ModelError, match=message):
        segment(paths[0], scaling(torch, result=fail), paths[2], tile=32)


def test_torch_is_not_loaded_for_anybody_else():
    code = (
        "import sys, seamless_seg; from seamless_seg.models.load import open_models;"
        "open_models(lambda batch: batch, tta='d4'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
