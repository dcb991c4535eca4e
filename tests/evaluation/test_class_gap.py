"""Tolerances at which no class changes, against numpy over the whole image."""

import numpy as np
import onnxruntime
import pytest

from builders import made, networks
from seamless_seg import check, segment

NEAR = [("conv", 3, 1), ("relu",), ("conv", 5, 1)]


def logits_of(model, image):
    (logits,) = onnxruntime.InferenceSession(model).run(None, {"image": image[None]})
    return logits[0].astype(np.float64)


def gaps_of(logits):
    if len(logits) == 1:
        return np.abs(logits[0])
    second, best = np.sort(logits, axis=0)[-2:]
    return best - second


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_they_are_those_of_the_whole_image(tmp_path, classes):
    image = made.pixels(3, 150, 131, "float32")
    raster = made.raster(tmp_path / "in.tif", image)
    model = networks.save(tmp_path / "model.onnx", NEAR, classes=classes)
    logits = logits_of(model, image)
    gaps, spread = gaps_of(logits), logits.std()
    found = check(raster, model, tile=64).class_gap
    changing = 1 if classes == 1 else 2
    assert found.smallest == pytest.approx(gaps.min() / spread, rel=1e-4)
    assert found.tolerance == found.smallest / changing
    below = (gaps < changing * found.tolerance_for_few * spread).mean()
    assert 0.0009 <= below <= 0.001


@pytest.mark.parametrize("classes", [1, 3])
def test_logits_that_change_by_less_keep_their_class(tmp_path, classes):
    image = made.pixels(3, 150, 131, "float32")
    raster = made.raster(tmp_path / "in.tif", image)
    model = networks.save(tmp_path / "model.onnx", NEAR, classes=classes)
    logits = logits_of(model, image)
    found = check(raster, model, tile=64).class_gap

    def other_class(tolerance):
        change = 0.999 * tolerance * logits.std()
        if classes == 1:
            return (((logits - np.sign(logits) * change) > 0) != (logits > 0)).mean()
        best = logits.argmax(axis=0)
        worst = logits + np.where(np.arange(3)[:, None, None] == best, -change, change)
        return (worst.argmax(axis=0) != best).mean()

    assert other_class(found.tolerance) == 0
    assert other_class(1.1 * found.tolerance) > 0
    assert 0 < other_class(found.tolerance_for_few) <= 0.001


def test_a_run_with_the_tolerance_keeps_every_class(tmp_path):
    image = made.pixels(3, 400, 420, "float32")
    raster = made.raster(tmp_path / "in.tif", image)
    model = made.faint(tmp_path / "weak.onnx", 60, 1e-6)
    tolerance = check(raster, model, tile=256).class_gap.tolerance
    segment(raster, model, tmp_path / "out.tif", tile=256, tolerance=tolerance)
    logits = made.read(tmp_path / "out.tif")
    expected = logits_of(model, image)
    assert (logits != expected.astype(np.float32)).any()
    np.testing.assert_array_equal(logits.argmax(axis=0), expected.argmax(axis=0))


def test_pixels_without_data_and_without_numbers_are_left_out(tmp_path):
    image = made.pixels(3, 120, 131, "float32")
    image[:, 30:60, 40:90] = -9999
    image[:, 100, 100] = np.inf
    raster = made.raster(tmp_path / "in.tif", image, nodata=-9999)
    model, answer = made.pointwise(tmp_path / "point.onnx", 3, 3)
    valid = np.isfinite(image).all(axis=0) & (image != -9999).all(axis=0)
    logits = answer(np.where(valid, image, 0)).astype(np.float64)[:, valid]
    found = check(raster, model, tile=64, overlap=16).class_gap
    assert found.smallest == pytest.approx(gaps_of(logits).min() / logits.std(), rel=1e-3)


def test_a_tie_leaves_no_tolerance(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.raster("in.tif", made.pixels(3, 120, 131, "float32"))
    weights = np.ones((2, 3, 1, 1), np.float32)
    node = made.helper.make_node("Conv", ["image", "weight"], ["logits"])
    made.model("tied.onnx", [node], {"weight": weights}, 3, 2)
    assert check("in.tif", "tied.onnx", tile=64, overlap=16).class_gap.tolerance == 0
    _, out, _ = cli("check", "in.tif", "tied.onnx", "--tile", "64", "--overlap", "16")
    assert "changes no class of these pixels: none, as classes tie at a pixel;" in out


def test_logits_that_are_all_the_same_have_none(tmp_path):
    raster = made.raster(tmp_path / "in.tif", np.zeros((3, 120, 131), np.float32))
    model, _ = made.pointwise(tmp_path / "point.onnx", 3, 1)
    assert check(raster, model, tile=64, overlap=16).class_gap is None
