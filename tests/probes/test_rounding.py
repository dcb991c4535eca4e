"""What differs by more than rounding is named, and rounding has a figure that holds."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from builders import made
from builders.sentences import ROUNDED
from seamless_seg import probe, segment

HEAD = '<ir_version: 10, opset_import: ["" : 18]> g (float[N,3,H,W] image) => (float[N,3,H,W] y)'
PLAIN = {"scale": 1.0, "mean": 0.0, "std": 1.0}


def saved(path, body):
    onnx.save(parser.parse_model(f"{HEAD} {{ {body} }}"), path)
    return path


def whole(path, image):
    return onnxruntime.InferenceSession(path).run(None, {"image": image[None]})[0][0]


def apart(paths, image):
    """Largest difference of a run from that of the whole image, in standard deviations."""
    expected = whole(paths[1], image)
    return float(np.abs(made.read(paths[2]) - expected).max() / expected.std())


@pytest.mark.parametrize("longest", [200, 300])
def test_a_size_that_only_small_tiles_have_is_no_rounding(paths, longest):
    def model(batch):
        count, bands, height, width = batch.shape
        blocks = batch.reshape(count, bands, height // 32, 32, width // 32, 32)
        coarse = blocks.mean((3, 5)).repeat(32, 2).repeat(32, 3)
        return batch + coarse * np.float32(2 if width > longest else 1)

    assert probe(model).depends_on_size
    made.raster(paths[0], made.pixels(3, 256, 320, "float32"))
    summary = segment(paths[0], model, paths[2], tile=192, **PLAIN)
    assert summary.exactness.startswith("not exact: the model's output depends on the size")


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("size", [(99, 300), (30, 9000), (18000, 30)], ids=str)
def test_the_figure_of_rounding_holds_however_long_the_image(paths, mode, size):
    pooled = "a = AveragePool<kernel_shape = [3, 3], strides = [3, 3]>(image)"
    scales = "s = Constant<value_floats = [1.0, 1.0, 3.0, 3.0]>()"
    saved(paths[1], f'{pooled} {scales} y = Resize<mode = "{mode}">(a, , s)')
    image = np.random.default_rng(0).standard_normal((3, *size), np.float32)
    made.raster(paths[0], image)
    said = segment(*paths, tile=96, **PLAIN).exactness
    assert said.startswith(ROUNDED)
    figure = float(re.search(r"by up to (\S+) of the logits' standard deviation", said)[1])
    assert 0 < apart(paths, image) <= figure < 0.01


@pytest.mark.parametrize("kind", ["Celu", "Elu", "Log", "Mish", "Selu", "Softplus"])
def test_no_bits_are_promised_of_what_is_rounded_by_its_place(paths, kind):
    saved(paths[1], f"p = Exp(image) y = {kind}(p)" if kind == "Log" else f"y = {kind}(image)")
    image = np.random.default_rng(0).standard_normal((3, 117, 131), np.float32)
    made.raster(paths[0], image)
    summary = segment(*paths, tile=96, **PLAIN)
    assert summary.exactness.startswith(f"{ROUNDED}, proven from the graph")
    assert f"by where a value lies in memory ({kind})" in summary.exactness
    assert (summary.exact, summary.exact_by) == (False, "graph")
    assert apart(paths, image) < 1e-6
