import json
import re

import pytest

from builders import made, networks


def test_info_says_what_a_model_is_and_what_run_would_assume(folder, cli):
    metadata = {
        "model_type": "Segmentor",
        "class_names": [{"0": "land", "1": "water"}],
        "tiles_size": 128,
        "tiles_overlap": 25,
        "standardization_mean": [0.5, 0.25, 0.125],
    }
    made.pointwise("model.onnx", 3, 2, batch=4, metadata=metadata)
    status, out, _ = cli("info", "model.onnx")
    assert status == 0
    for line in (
        r"input +image: float \[4, 3, \?, \?\]",
        r"output +logits: float \[4, 2, \?, \?\]",
        r"metadata +tiles_size: 128",
        r" +tile +128 x 128  \(the model's metadata\)",
        r" +overlap +0 x 0  \(proven from the graph\)",
        r" +batch size +4  \(the model's fixed batch\)",
        r" +mean +0\.5, 0\.25, 0\.125  \(the model's metadata\)",
        r" +std +1  \(default\)",
        r" +classes +land, water  \(the model's metadata\)",
    ):
        assert re.search(f"^{line}$", out, re.M), line


def test_info_describes_also_what_run_would_refuse(folder, cli):
    made.pointwise("model.onnx", 3, 2, metadata={"model_type": "Detector"})
    status, out, err = cli("info", "model.onnx")
    assert status == 0
    assert "input       image: float [?, 3, ?, ?]" in out
    assert "note: run would refuse it: the model's metadata states model_type Detector" in err


def test_info_shows_the_sidecar_and_what_came_of_it(folder, cli):
    made.pointwise("model.onnx", 3, 2, metadata={"standardization_mean": [0.5, 0.25, 0.125]})
    classes = [{"value": 0, "name": "land"}, {"value": 1, "name": "water"}]
    scaling = [{"type": "clip", "minimum": 0, "maximum": 200}, {"type": "scale", "value": 200}]
    made.sidecar(
        "model.onnx.json",
        value_scaling=[scaling],
        resize_type="interpolation-area",
        output={"classification:classes": classes},
    )
    status, out, _ = cli("info", "model.onnx")
    assert status == 0
    for line in (
        r"sidecar +model.onnx.json",
        r" +value scaling +clip\(0, 200\) then scale\(200\)  \(the model's MLM sidecar\)",
        r" +classes +land, water  \(the model's MLM sidecar\)",
        r" +note: the model's MLM sidecar has resize_type interpolation-area, .*",
    ):
        assert re.search(f"^{line}$", out, re.M), line
    assert " mean " not in out


def test_info_says_all_of_it_as_json(folder, cli):
    metadata = {"model_type": "Segmentor", "tiles_overlap": 25, "tile_size": "big"}
    made.pointwise("model.onnx", 3, 2, batch=4, metadata=metadata)
    classes = [
        {"value": 0, "name": "land"},
        {"value": 1, "name": "water", "color_hint": "0000ff"},
    ]
    scaling = [{"type": "clip-min", "minimum": 0.0}, {"type": None}, {"type": "z-score"}]
    scaling[2] |= {"mean": 5.0, "stddev": 2.0}
    output = {"classification:classes": classes}
    made.sidecar("model.json", value_scaling=scaling, output=output)
    status, out, err = cli("info", "model.onnx", "--json")
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert said["path"] == "model.onnx"
    assert said["inputs"] == [
        {"name": "image", "dtype": "float", "shape": [4, 3, None, None]},
    ]
    assert said["outputs"][0]["shape"] == [4, 2, None, None]
    assert said["metadata"] == metadata
    assert said["sidecar"] == "model.json"
    sidecar = "the model's MLM sidecar"
    assert said["settings"]["batch_size"] == {"value": 4, "origin": "the model's fixed batch"}
    assert said["settings"]["margin"] == {"value": [0, 0], "origin": "proven from the graph"}
    assert said["settings"]["trust"] == {"value": "bell", "origin": "default"}
    expected = [scaling[0], None, scaling[2]]
    assert said["settings"]["value_scaling"] == {"value": expected, "origin": sidecar}
    listed = [
        {"value": 0, "name": "land", "color": None},
        {"value": 1, "name": "water", "color": "0000FF"},
    ]
    assert said["classes"] == {"value": listed, "origin": sidecar}
    assert said["notes"] == ['the model\'s metadata has tile_size "big", which is ignored']
    assert said["warnings"] == []
    assert said["refusal"] is None


def test_info_says_as_json_that_run_would_refuse_it(folder, cli):
    made.sidecar("model.json", task="object-detection")
    status, out, err = cli("info", "model.onnx", "--json")
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert said["refusal"].startswith("model.json states the tasks object-detection")
    assert said["settings"] is None
    assert said["inputs"][0]["name"] == "image"


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_info_warns_of_what_overlap_cannot_mend(folder, cli, arguments):
    networks.save("model.onnx", [("conv", 3, 1), ("squeeze_excite",)])
    _, out, _ = cli("info", "model.onnx", *arguments)
    said = json.loads(out)["warnings"][0] if arguments else out
    assert "tile's size (the graph has 1 GlobalAveragePool node); fewer, larger tiles help" in said
