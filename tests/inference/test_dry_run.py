import json

import pytest

import seamless_seg
from builders import made, networks
from seamless_seg import OptionError


@pytest.fixture
def scene(folder):
    made.raster("in.tif", made.pixels(3, 300, 400))
    made.pointwise("model.onnx", 3, 2)


def without_measurements(figures):
    """Figures but for those that differ from run to run."""
    measured = ("memory", "batch_size", "workers")
    return {name: value for name, value in figures.items() if not name.startswith(measured)}


def test_a_forecast_is_what_plan_prints(scene, cli):
    status, printed, _ = cli("plan", "in.tif", "model.onnx", "--tile", 64, "--json")
    assert status == 0
    found = seamless_seg.forecast("in.tif", "model.onnx", tile=64)
    assert without_measurements(found.figures()) == without_measurements(json.loads(printed))
    assert found.schedule is not None


def test_a_size_needs_no_raster(scene):
    found = seamless_seg.forecast(size=(1000, 2000), tile=256, overlap=64, kinds=["classes"])
    plan, _ = seamless_seg.plan_run_grid((1000, 2000), 256, 64, trust="bell")
    assert (found.plan.tiles, found.plan.image_size) == (plan.tiles, (1000, 2000))
    assert found.classes is found.written_bytes is None
    found = seamless_seg.forecast(model="model.onnx", size=1000, kinds=["classes"])
    assert (found.classes, found.written_bytes) == (2, 1000 * 1000)


@pytest.mark.parametrize("given", [{}, {"raster": "in.tif", "size": 100}])
def test_either_a_raster_or_a_size_is_needed(scene, given):
    with pytest.raises(OptionError, match="give either a raster or a size"):
        seamless_seg.forecast(**given)


def test_what_depends_on_a_model_that_is_not_given_is_noted(scene):
    found = seamless_seg.forecast(size=100, max_memory=10**9, normalize="zscore")
    assert len(found.settings.notes) == 2
    assert all("the raster and the model: give both" in note for note in found.settings.notes)


def test_a_description_is_what_info_prints(scene, cli):
    status, printed, _ = cli("info", "model.onnx", "--json")
    assert status == 0
    figures = seamless_seg.describe_model("model.onnx").figures()
    assert json.loads(json.dumps(figures)) == json.loads(printed)


def test_a_model_that_a_run_would_refuse_is_described(folder):
    made.pointwise("model.onnx", 3, 2, metadata={"model_type": "Detector"})
    described = seamless_seg.describe_model("model.onnx")
    assert [tensor.name for tensor in described.inputs] == ["image"]
    assert described.settings is None
    assert "Detector" in described.refusal


def test_what_was_found_before_a_refusal_is_kept(folder):
    networks.save(
        "model.onnx",
        [("conv", 3, 1), ("instance_norm",)],
        metadata={"standardization_std": [0, 1, 1]},
    )
    described = seamless_seg.describe_model("model.onnx")
    assert "std must be above 0" in described.refusal
    assert "InstanceNormalization" in described.warnings[0]


@pytest.mark.parametrize("kinds", ["classes", ["classes"], ("classes",)])
def test_kinds_are_names_of_outputs(scene, kinds):
    assert seamless_seg.forecast("in.tif", "model.onnx", tile=64, kinds=kinds).stored == 1


def test_a_kind_that_is_none_is_refused(scene):
    with pytest.raises(OptionError, match="kind 'nonsense' is unknown: choose one of logits"):
        seamless_seg.forecast("in.tif", "model.onnx", kinds=["nonsense"])
