"""The path to a GPU, driven through onnxruntime's bindings on the CPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest

from builders import made
from seamless_seg import ModelError, segment
from seamless_seg.models.io_binding import BUFFER_SETS
from seamless_seg.models.load import open_models
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile
from seamless_seg.normalization import Normalization, parse_scaling


@pytest.fixture
def model(tmp_path):
    return made.convolutions(tmp_path / "model.onnx", 3, 4)


def on_device(path):
    return OnnxModel(OnnxFile(path, threads=1), device="cpu")


def test_batches_of_any_size_in_any_order_are_answered_as_without_buffers(model):
    expected, bound = open_models(model, threads=1), on_device(model)
    random = np.random.default_rng(0)
    kept = []
    for count, height, width in [(1, 32, 32), (4, 32, 32), (3, 32, 32), (4, 32, 32), (2, 16, 48)]:
        batch = random.standard_normal((count, 3, height, width), np.float32)
        before = batch.copy()
        kept.append((bound(batch), expected(batch)))
        np.testing.assert_array_equal(batch, before)
    for answer, right in kept:  # what comes later must not change what came before
        np.testing.assert_array_equal(answer, right)


def test_threads_do_not_get_each_other_s_answers(model):
    expected, bound = open_models(model, threads=1), on_device(model)
    assert bound.workers == BUFFER_SETS > 1
    random = np.random.default_rng(0)
    batches = [random.standard_normal((n % 3 + 1, 3, 24, 24), np.float32) for n in range(60)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(bound, batches))
    for answer, batch in zip(answers, batches, strict=True):
        np.testing.assert_array_equal(answer, expected(batch))


def test_the_last_batch_is_filled_up_so_that_the_shape_stays_the_same(model, monkeypatch):
    shapes = []

    class Counting(onnxruntime.InferenceSession):
        def run_with_iobinding(self, binding, run_options=None):
            super().run_with_iobinding(binding, run_options)
            shapes.append(tuple(binding.get_outputs()[0].shape()))

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counting)
    bound = on_device(model)
    for count in (4, 4, 1):
        assert bound(np.zeros((count, 3, 16, 16), np.float32)).shape == (count, 4, 16, 16)
    assert set(shapes) == {(4, 4, 16, 16)}


def test_tuning_lets_go_of_buffers_and_keeps_to_the_buffers_that_are_wanted(model):
    bound = on_device(model)
    batch = np.ones((2, 3, 16, 16), np.float32)
    for most, workers in [(1, 1), (None, BUFFER_SETS), (99, BUFFER_SETS)]:
        expected = bound(np.ones((4, 3, 64, 64), np.float32))[:2, :, 24:40, 24:40]
        bound.tune((16, 16), most)
        assert bound.workers == workers
        np.testing.assert_array_equal(bound(batch)[..., 4:12, 4:12], expected[..., 4:12, 4:12])


@pytest.mark.parametrize(
    "normalization",
    [
        Normalization(),
        Normalization(1 / 255),
        Normalization(1 / 255, (0.4, 0.5, 0.3)),
        Normalization(1 / 255, (0.4, 0.5, 0.3), (0.2,)),
        Normalization(1.0, (0.0,), (0.2, 7.1, 3.3)),
    ],
)
def test_bytes_are_normalized_on_the_device_to_the_same_bits(model, normalization):
    bound = on_device(model)
    assert bound.take_over_normalization(normalization, np.dtype(np.uint8))
    for seed, count in enumerate((3, 2, 3)):
        pixels = np.stack([made.pixels(3, 32, 40, seed=10 * seed + n) for n in range(count)])
        values = np.empty(pixels.shape, np.float32)
        for tile, out in zip(pixels, values, strict=True):
            normalization.apply(tile, out)
        np.testing.assert_array_equal(bound(pixels), bound(values))
        np.testing.assert_array_equal(bound(values), open_models(model, threads=1)(values))


def test_what_is_not_bytes_is_normalized_before(model, monkeypatch):
    assert not on_device(model).take_over_normalization(Normalization(), np.dtype(np.uint16))
    assert not open_models(model).take_over_normalization(Normalization(), np.dtype(np.uint8))
    scaled = Normalization(scaling=parse_scaling([{"type": "scale", "value": 255}]))
    assert not on_device(model).take_over_normalization(scaled, np.dtype(np.uint8))
    monkeypatch.setattr("seamless_seg.models.onnx_model.can_write_graphs", lambda: False)
    assert not on_device(model).take_over_normalization(Normalization(), np.dtype(np.uint8))


def test_bytes_reach_the_device_as_bytes(model, tmp_path, monkeypatch):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 100, 130))
    bound, dtypes = on_device(model), []
    run = type(bound).__call__

    def record(self, batch):
        dtypes.append(batch.dtype)
        return run(self, batch)

    monkeypatch.setattr(type(bound), "__call__", record)
    segment(raster, bound, tmp_path / "out.tif", tile=64, overlap=20, margin=3, align=1)
    assert set(dtypes) == {np.dtype(np.uint8), np.dtype(np.float32)}  # one trial, then tiles
    assert dtypes[-1] == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_run_gives_the_same_bits(model, tmp_path, dtype):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 300, 330, dtype))
    for name, given in [("plain.tif", model), ("bound.tif", on_device(model))]:
        options = {"tile": 64, "overlap": 20, "margin": 3, "align": 1, "batch_size": 3}
        options |= {"scale": 0.01, "mean": (0.3, 0.5, 0.4)}
        segment(raster, given, tmp_path / name, **options)
    plain, bound = (made.read(tmp_path / name) for name in ("plain.tif", "bound.tif"))
    np.testing.assert_array_equal(bound, plain)


def test_a_batch_that_the_model_refuses_is_named_and_does_no_harm(model):
    bound = on_device(model)
    good = np.ones((2, 3, 16, 16), np.float32)
    expected = bound(good)
    for _ in range(BUFFER_SETS + 1):
        with pytest.raises(ModelError, match="fails on a batch of 1 x 5 x 16 x 16"):
            bound(np.ones((1, 5, 16, 16), np.float32))
    np.testing.assert_array_equal(bound(good), expected)
