import subprocess
import sys
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from builders import made
from builders.sentences import MEASURED, ROUNDED
from seamless_seg import ModelError, check, segment

SIZE = (150, 190)

Result = namedtuple("Result", ["masks", "features"])


class UNet(torch.nn.Module):
    """A small U-Net, which fails on odd sizes; its tiles have a radius of 5 px and a stride of 2.

    ``result`` makes what it returns of its logits, ``(B, 2, H, W)``.
    """

    def __init__(self, result=None):
        super().__init__()
        self.result = result
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.inner = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.last = torch.nn.Conv2d(16, 2, 3, padding=1)

    def forward(self, image):
        first = torch.relu(self.norm(self.first(image)))
        inner = torch.relu(self.inner(torch.max_pool2d(first, 2)))
        up = torch.repeat_interleave(torch.repeat_interleave(inner, 2, 2), 2, 3)
        logits = self.last(torch.cat([first, up], 1))
        return logits if self.result is None else self.result(logits)


class Plain(UNet):
    """The same without a choice, as a script takes it."""

    def forward(self, image):
        first = torch.relu(self.norm(self.first(image)))
        inner = torch.relu(self.inner(torch.max_pool2d(first, 2)))
        up = torch.repeat_interleave(torch.repeat_interleave(inner, 2, 2), 2, 3)
        return self.last(torch.cat([first, up], 1))


def seeded(module):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return module.eval()


@pytest.fixture
def image(paths):
    """Pixels of the raster."""
    pixels = made.pixels(3, *SIZE, "float32")
    made.raster(paths[0], pixels)
    return pixels


def whole(module, image, multiple=2):
    """A module's logits of the whole image at once, extended to a multiple of its stride."""
    beyond = [(0, 0), *((0, -length % multiple) for length in image.shape[1:])]
    batch = torch.from_numpy(np.pad(image, beyond, mode="reflect")[None])
    with torch.inference_mode():
        logits = module(batch)[0].float().numpy()
    return logits[:, : image.shape[1], : image.shape[2]]


def assert_same(one, other):
    """Torch chooses the kernel of a convolution by the size of its input: the last bits differ."""
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_tiles_of_a_module_are_those_of_the_whole_image(paths, image):
    module = seeded(UNet())
    summary = segment(paths[0], module, paths[2], tile=96)
    assert summary.tiles > 1
    values = {name: decision.value for name, decision in summary.settings.decisions()}
    assert (values["margin"], values["align"]) == ((5, 5), (2, 2))
    # Whether a small square has the bits of a large one depends on torch and the processor.
    assert summary.exactness.startswith((MEASURED, ROUNDED))
    is_rounded = "within rounding" in summary.exactness
    assert summary.exact == (not is_rounded)
    assert_same(made.read(paths[2]), whole(module, image))
    report = check(paths[0], module, paths[2], tile=96, windows=2)
    assert report.judged.largest < 1e-5


def test_a_margin_of_0_measures_nothing(paths, image):
    module = seeded(UNet())
    sizes = set()
    module.register_forward_pre_hook(lambda _, inputs: sizes.add(tuple(inputs[0].shape[2:])))
    summary = segment(paths[0], module, paths[2], tile=96, margin=0)
    values = {name: decision.value for name, decision in summary.settings.decisions()}
    assert (values["margin"], values["align"], values["overlap"]) == ((0, 0), (1, 1), (24, 24))
    assert summary.exactness is None
    assert sizes == {(96, 96), (192, 192), (192, 576), (256, 256)}, "its layout and its kind alone"
    assert (abs(made.read(paths[2]) - whole(module, image)) > 1e-3).any()


@pytest.mark.parametrize(
    "result",
    [
        lambda logits: (logits, logits[:, :1]),
        lambda logits: [logits, logits[..., ::2]],
        lambda logits: Result(logits, None),
        lambda logits: OrderedDict(aux=None, out=logits),
        lambda logits: {"loss": None, "logits": logits},
        lambda logits: SimpleNamespace(loss=None, logits=logits),
        lambda logits: SimpleNamespace(out=(logits,)),
        lambda logits: logits.permute(0, 2, 3, 1),
    ],
    ids=["tuple", "list", "named", "out", "logits", "object", "nested", "channels last"],
)
def test_the_logits_are_taken_of_what_a_module_returns(paths, image, result):
    module = seeded(UNet(result))
    segment(paths[0], module, paths[2], tile=96, overlap=16, margin=5, align=2)
    assert_same(made.read(paths[2]), whole(seeded(UNet()), image))


@pytest.mark.parametrize("factor", [2, 4])
def test_logits_of_a_half_and_a_quarter_are_enlarged(paths, image, factor):
    module = seeded(UNet(lambda logits: {"logits": torch.max_pool2d(logits, factor)}))
    segment(paths[0], module, paths[2], tile=96, overlap=32, margin=12, align=factor)

    def enlarged(batch):
        small = torch.max_pool2d(seeded(UNet())(batch), factor)
        return torch.nn.functional.interpolate(small, scale_factor=factor, mode="bilinear")

    assert_same(made.read(paths[2]), whole(enlarged, image, factor))


def test_logits_without_an_axis_of_classes_are_of_one_class(paths, image):
    module = seeded(UNet(lambda logits: logits[:, 0]))
    segment(paths[0], module, paths[2], tile=96, overlap=16, margin=5, align=2)
    assert_same(made.read(paths[2]), whole(seeded(UNet()), image)[:1])
    numbers = seeded(UNet(lambda logits: logits.argmax(1)))
    with pytest.raises(ModelError, match="gives class numbers, which cannot be blended"):
        segment(paths[0], numbers, paths[2], tile=96, margin=0, overwrite=True, kind="classes")


def traced(module):
    return torch.jit.trace(module, torch.zeros(1, 3, 64, 64))


def compiled(module):
    return torch.compile(module, backend="eager")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "kind",
    [torch.jit.script, lambda m: torch.jit.freeze(torch.jit.script(m)), traced, compiled],
    ids=["script", "frozen", "traced", "compiled"],
)
def test_scripted_traced_and_compiled_modules(paths, image, kind):
    module = seeded(Plain())
    segment(paths[0], kind(module), paths[2], tile=96, overlap=16, margin=5, align=2)
    assert_same(made.read(paths[2]), whole(module, image))


class Positions(torch.nn.Module):
    """A module for one size only, as learned positions are."""

    def __init__(self, side, batch=None):
        super().__init__()
        self.side, self.batch = side, batch
        self.positions = torch.nn.Parameter(torch.arange(float(side)))

    def forward(self, image):
        shape = (self.batch or len(image), 3, self.side, self.side)
        return image.reshape(shape) + self.positions


@pytest.mark.parametrize(("side", "options"), [(64, {}), (224, {}), (72, {"tile": 72})])
def test_a_module_of_one_size_gets_tiles_of_it(paths, image, side, options):
    summary = segment(paths[0], Positions(side).eval(), paths[2], **options, margin=0)
    assert summary.settings.tiling.tile.value == (side, side)
    rest = made.read(paths[2]) - image
    np.testing.assert_allclose(rest[:, :, 0], 0, atol=1e-4)
    assert rest.min() > -1e-3
    assert rest.max() < side


def test_a_module_that_always_gives_one_size_takes_that(paths, image):
    class Baked(torch.nn.Module):
        def forward(self, image):
            return torch.nn.functional.interpolate(2 * image, size=(96, 96))

    summary = segment(paths[0], Baked().eval(), paths[2], overlap=8, margin=0)
    assert summary.settings.tiling.tile.value == (96, 96)
    np.testing.assert_array_equal(made.read(paths[2]), 2 * image)


def test_a_module_of_one_image_at_a_time_gets_that(paths, image):
    summary = segment(paths[0], Positions(64, batch=1).eval(), paths[2], margin=0)
    assert summary.settings.tiling.batch_size.value == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_module_gets_and_gives_tensors_of_its_dtype(paths, image, dtype):
    class Scaling(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("steps", torch.tensor(3))
            self.weight = torch.nn.Parameter(torch.tensor(2.0, dtype=dtype))

        def forward(self, batch):
            assert torch.is_inference_mode_enabled()
            assert batch.dtype == dtype
            return batch * self.weight

    segment(paths[0], Scaling().eval(), paths[2], tile=96, margin=0)
    expected = 2 * torch.from_numpy(image).to(dtype).float().numpy()
    np.testing.assert_array_equal(made.read(paths[2]), expected)


def test_modules_files_and_functions_are_averaged(paths, image):
    _, answer = made.pointwise(paths[1], 3, 3)
    double = torch.nn.Conv2d(3, 3, 1, bias=False)
    torch.nn.init.dirac_(double.weight)
    function = lambda batch: 3 * torch.from_numpy(batch).requires_grad_()  # noqa: E731
    models = [double.eval(), paths[1], function]
    segment(paths[0], models, paths[2], tta="flips", tile=96, margin=0)
    expected = (image + answer(image) + 3 * image) / 3
    np.testing.assert_allclose(made.read(paths[2]), expected, rtol=1e-5, atol=1e-4)


def test_results_without_logits_are_refused(paths, image):
    module = seeded(UNet(lambda logits: {"aux": logits, "scores": logits}))
    with pytest.raises(ModelError, match="has aux, scores, and neither 'out' nor 'logits': wrap"):
        segment(paths[0], module, paths[2], margin=0)
    with pytest.raises(ModelError, match="the model's result is empty"):
        segment(paths[0], seeded(UNet(lambda logits: ())), paths[2], margin=0)


def test_training_mode_is_refused_of_any_part(paths, image):
    module = seeded(UNet())
    module.norm.training = True
    with pytest.raises(ModelError, match=r"the model is in training mode, .*: call its eval\(\)"):
        segment(paths[0], module, paths[2])
    with pytest.raises(ModelError, match="model 2 of 2 is in training mode"):
        segment(paths[0], [lambda batch: batch, module], paths[2])
    assert module.norm.training, "it is the user's module"


def test_what_a_module_complains_about_is_told(paths, image):
    class Failing(torch.nn.Module):
        def forward(self, image):
            raise RuntimeError("out of memory on the device")

    message = "the model fails on a batch of 1 x 3 x 96 x 96: out of memory on the device"
    with pytest.raises(ModelError, match=message):
        segment(paths[0], Failing().eval(), paths[2], tile=96, margin=0)


def test_torch_is_not_loaded_for_anybody_else():
    code = (
        "import sys, seamless_seg; from seamless_seg.models.load import open_models;"
        "open_models(lambda batch: batch, tta='d4'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
