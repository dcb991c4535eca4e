"""A model is measured with images that show what its output depends on."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builders import grids, made, networks
from builders.sentences import PROVEN, ROUNDED
from seamless_seg import ModelError, probe, segment

LAYERS = [("conv", 3, 1), ("skip", [("strided", 4, 2), ("relu",), ("conv", 3, 1), ("up", 2)])]
EXACT = (PROVEN, ROUNDED)
UNIT = {"scale": 1 / 255, "mean": 0, "std": 1}


def behind(path, kind):
    """Save a network behind a function of its pixels."""
    model = onnx.load(networks.save(path, LAYERS))
    for node in model.graph.node:
        node.input[:] = ["shown" if name == "image" else name for name in node.input]
    more = ["power"] if kind == "Pow" else []
    model.graph.node.insert(0, helper.make_node(kind, ["image", *more], ["shown"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 / 2.2), "power"))
    onnx.save(model, path)
    return path


def thresholded(path, dtype, above):
    """Save a network whose output tells whether a logit is above a threshold."""
    model = onnx.load(networks.save(path, LAYERS, classes=1))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(above), "above"))
    model.graph.node.append(helper.make_node("Greater", ["logits", "above"], ["is_above"]))
    model.graph.node.append(helper.make_node("Cast", ["is_above"], ["out"], to=dtype))
    del model.graph.output[:]
    model.graph.output.append(made.tensor("out", ["n", 1, "h", "w"], dtype))
    onnx.save(model, path)
    return path


@pytest.fixture
def raster(paths):
    return made.raster(paths[0], np.maximum(made.pixels(3, 160, 180), 1))


def whole(model, raster):
    image = made.read(raster) * np.float32(1 / 255)
    return onnxruntime.InferenceSession(str(model)).run(None, {"image": image[None]})[0][0]


@pytest.mark.parametrize("kind", ["Log", "Sqrt", "Pow", "Acosh"])
def test_a_function_that_negative_pixels_do_not_have_hides_nothing(paths, raster, kind):
    path = behind(paths[1], kind)
    found, plain = probe(path), probe(networks.save(paths[1].parent / "plain.onnx", LAYERS))
    assert [side.radius for side in found.sides] == [side.radius for side in plain.sides]
    assert found.stride == plain.stride
    assert not found.depends_on_batch
    if kind == "Acosh":  # which pixels from 0 to 1 do not have, either
        return
    assert segment(*paths, tile=96, **UNIT).exactness.startswith(EXACT)
    np.testing.assert_allclose(made.read(paths[2]), whole(path, raster), rtol=0, atol=1e-5)


def test_nothing_is_measured_on_nan(paths, raster):
    def model(batch):
        with np.errstate(invalid="ignore"):
            return np.sqrt(-1 - batch**2)

    with pytest.raises(ModelError, match="gives NaN for the images that it is measured with"):
        probe(model)
    assert segment(raster, model, paths[2], tile=96).exactness is None


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.UINT8])
@pytest.mark.parametrize("above", [0.3, 3.0, 60.0], ids=["often", "seldom", "not on noise"])
def test_thresholds_of_any_height_are_tiled_exactly(paths, raster, dtype, above):
    path = thresholded(paths[1], dtype, above)
    found = probe(path)
    assert found.stride == (2, 2)
    assert min(found.radius) > 0
    summary = segment(*paths, kind="classes", tile=96, **UNIT)
    assert summary.exactness.startswith(EXACT)
    np.testing.assert_array_equal(made.read(paths[2]), whole(path, raster))


def test_a_class_that_never_changes_shows_nothing(paths, raster):
    path = thresholded(paths[1], TensorProto.UINT8, 1e9)
    with pytest.raises(ModelError, match="the same class nearly everywhere"):
        probe(path)
    with pytest.raises(ModelError, match=r"could not be measured: .* the same class"):
        segment(*paths, kind="classes", tile=96)


def test_class_numbers_that_rounding_flips_are_equal_within_rounding(paths):
    def model(batch):
        padded = np.pad(batch, [(0, 0), (0, 0), (1, 1), (1, 1)])
        classes = (padded[:, :1, 2:, 1:-1] > padded[:, :1, :-2, 1:-1]).astype(np.uint8)
        # One pixel of another class, at a place that moves with the size.
        classes[:, :, 61 * batch.shape[2] // 97, 53 * batch.shape[3] // 89] ^= 1
        return classes

    found = probe(model)
    assert (found.stride, found.equivariant) == ((1, 1), (True, True))
    assert not found.bitwise


@pytest.mark.parametrize("size", [3, 7])
def test_strides_that_share_no_factor_with_the_cut_are_found(paths, raster, size):
    path = grids.bilinear(paths[1], size)
    found = probe(path)
    assert found.equivariant == (True, True)
    assert found.stride == (size, size)
    assert segment(*paths, tile=96 // size * size, **UNIT).exactness.startswith(EXACT)
    beyond = [(0, 0), *((0, -length % size) for length in (160, 180))]
    image = np.pad(made.read(raster) * np.float32(1 / 255), beyond, mode="reflect")
    (logits,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": image[None]})
    np.testing.assert_allclose(made.read(paths[2]), logits[0, :, :160, :180], rtol=0, atol=1e-5)
