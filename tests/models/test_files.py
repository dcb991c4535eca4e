import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
from onnx import TensorProto, helper, numpy_helper

from builders import made
from seamless_seg import ModelError, OptionError, check, probe, segment
from seamless_seg.models.files import all_files_of, fingerprint

LOCATIONS = ["weights.bin", "sub/folder/weights"]


def stored_outside(tensor, folder, location):
    """Append a tensor's bytes to a file and leave its location in the tensor."""
    file = folder / location
    file.parent.mkdir(parents=True, exist_ok=True)
    stored = file.read_bytes() if file.exists() else b""
    file.write_bytes(stored + tensor.raw_data)
    entries = {"location": location, "offset": len(stored), "length": len(tensor.raw_data)}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL


def outside(path, location):
    """Move all weights of a model into one file beside it; returns that file."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        stored_outside(tensor, path.parent, location)
    onnx.save(model, path)
    return path.parent / location


def retrain(weights):
    """Let 3 x 3 kernels, all zero but for their centers, see their neighbors."""
    values = np.frombuffer(weights.read_bytes(), np.float32)
    weights.write_bytes((values + np.float32(0.1)).tobytes())


@pytest.fixture
def scene(paths):
    """A raster, and a model of three 3 x 3 convolutions that see nothing but their pixel."""
    raster, path, output = paths
    made.raster(raster, made.pixels(3, 150, 180, "float32"))
    made.convolutions(path, 3, 2)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        kernels = numpy_helper.to_array(tensor).copy()
        kernels[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
        tensor.CopyFrom(numpy_helper.from_array(kernels, tensor.name))
    onnx.save(model, path)
    return raster, path, output


def whole_answer(model, raster):
    """The model's logits of the whole raster at once."""
    return onnxruntime.InferenceSession(model).run(None, {"image": made.read(raster)[None]})[0][0]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_retrained_file_of_weights_is_another_model(scene, location):
    raster, model, output = scene
    weights = outside(model, location)
    options = {"cached": True}
    assert probe(model, **options).radius == (0, 0)
    summary = segment(raster, model, output, tile=64)
    assert summary.exactness.startswith(("exact", "tiling exact"))
    with rasterio.open(output) as dataset:
        digest = dataset.tags(ns="SEAMLESS_SEG")["model_sha256"]

    retrain(weights)
    assert probe(model, **options).radius == (3, 3)
    report = check(raster, model, output)
    assert any("made with another model" in note for note in report.forecast.settings.notes)
    assert report.judged.largest > 0.1
    segment(raster, model, output, tile=64, overwrite=True)
    np.testing.assert_array_equal(made.read(output), whole_answer(model, raster))
    with rasterio.open(output) as dataset:
        assert dataset.tags(ns="SEAMLESS_SEG")["model_sha256"] not in (digest, json.dumps(""))
    report = check(raster, model, output)
    assert not any("another model" in note for note in report.forecast.settings.notes)
    assert report.judged.largest == 0


def test_the_digest_is_that_of_the_bytes_of_all_files(scene):
    _, model, _ = scene
    assert fingerprint(model) == hashlib.sha256(model.read_bytes()).hexdigest()
    weights = outside(model, "model.onnx.data")
    stored = model.read_bytes() + weights.read_bytes()
    assert fingerprint(model) == hashlib.sha256(stored).hexdigest()
    assert all_files_of([model, abs, str(model)]) == 2 * [model, weights]


def test_weights_are_inputs_that_no_output_replaces(scene):
    raster, model, _ = scene
    weights = outside(model, "weights.tif")
    before = weights.read_bytes()
    with pytest.raises(OptionError, match=r"weights\.tif is one of the inputs"):
        segment(raster, model, weights, overwrite=True)
    assert weights.read_bytes() == before


def test_a_missing_file_of_weights_is_named(scene):
    raster, model, output = scene
    weights = outside(model, "sub/weights.bin")
    weights.unlink()
    message = r"sub/weights\.bin: there is no such file, and .*model\.onnx keeps weights in it"
    with pytest.raises(ModelError, match=message):
        segment(raster, model, output)


def scattered(path):
    """A model whose weights lie wherever ONNX can have them, each in a file of its own.

    It adds to each pixel the numbers of these files. Returns their names.
    """
    names = ["top.bin", "constant.bin", "branch.bin", "function.bin"]
    each = {
        name: numpy_helper.from_array(np.full((1, 1, 1, 1), 2.0**n, np.float32), name)
        for n, name in enumerate(names)
    }
    for name, tensor in each.items():
        stored_outside(tensor, path.parent, name)

    def add(one, other, result):
        return helper.make_node("Add", [one, other], [result])

    opset = helper.make_opsetid("", 17)
    adding = [helper.make_node("Constant", [], ["own"], value=each["function.bin"])]
    function = helper.make_function(
        "own.domain", "AddOwn", ["x"], ["y"], [*adding, add("x", "own", "y")], [opset]
    )
    value = made.tensor("y", None)
    then = helper.make_graph([add("b", "branch.bin", "y")], "then", [], [value])
    then.initializer.append(each["branch.bin"])
    otherwise = helper.make_graph([helper.make_node("Identity", ["b"], ["y"])], "else", [], [value])
    nodes = [
        add("image", "top.bin", "a"),
        helper.make_node("Constant", [], ["constant"], value=each["constant.bin"]),
        add("a", "constant", "b"),
        helper.make_node("If", ["yes"], ["c"], then_branch=then, else_branch=otherwise),
        helper.make_node("AddOwn", ["c"], ["logits"], domain="own.domain"),
    ]
    shape = ["n", 2, "h", "w"]
    graph = helper.make_graph(
        nodes, "g", [made.tensor("image", shape)], [made.tensor("logits", shape)]
    )
    graph.initializer.extend([each["top.bin"], numpy_helper.from_array(np.array(True), "yes")])
    opsets = [opset, helper.make_opsetid("own.domain", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    onnx.save(model, path)
    return names


def test_weights_are_found_wherever_a_graph_has_them(paths):
    raster, path, output = paths
    names = scattered(path)
    pixels = made.pixels(2, 40, 50, "float32")
    made.raster(raster, pixels)
    assert {file.name for file in all_files_of(path)} == {path.name, *names}
    digests = {fingerprint(path)}
    total = 15.0
    for n, name in enumerate(names):
        segment(raster, path, output, overwrite=True)
        np.testing.assert_allclose(made.read(output), pixels + total, atol=1e-5)
        (path.parent / name).write_bytes(np.float32(100).tobytes())
        digests.add(fingerprint(path))
        total += 100 - 2.0**n
    assert len(digests) == 5
