import re

import made


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
        r" +overlap +0 x 0  \(measured\)",
        r" +batch size +4  \(the model's fixed batch\)",
        r" +mean +0\.5, 0\.25, 0\.125  \(the model's metadata\)",
        r" +std +1  \(default\)",
        r" +classes +land, water",
    ):
        assert re.search(f"^{line}$", out, re.M), line


def test_info_describes_also_what_run_would_refuse(folder, cli):
    made.pointwise("model.onnx", 3, 2, metadata={"model_type": "Detector"})
    status, out, err = cli("info", "model.onnx")
    assert status == 0
    assert "input       image: float [?, 3, ?, ?]" in out
    assert "note: run would refuse it: the model calls itself a Detector" in err
