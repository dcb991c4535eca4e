"""What is given as a model and cannot be loaded: the message says what it is, or why."""

import re

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from builders import foreign, made
from builders.command import RUN, refused
from seamless_seg import ModelError, OptionError, RasterError, segment

CPP = r"::|\.cc:|\.h:|onnxruntime_src|ONNXRuntimeError|Status Message"


def failing(paths, nodes, weights=None, ir=8, opsets=(("", 17),), **options):
    """Save a graph that is not checked, run it, and return the message."""
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 40, 48))
    graph = helper.make_graph(
        nodes,
        "failing",
        [made.tensor("image", ["n", 3, "h", "w"])],
        [made.tensor("logits", ["n", "k", "h", "w"])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (weights or {}).items()],
    )
    imports = [helper.make_opsetid(*opset) for opset in opsets]
    proto = helper.make_model(graph, opset_imports=imports, ir_version=ir)
    onnx.save(proto, model, **options)
    for weight in raster.parent.glob("*.weights"):
        weight.unlink()
    with pytest.raises(ModelError) as caught:
        segment(raster, model, output)
    message = str(caught.value)
    assert not re.search(CPP, message), message
    assert not output.exists()
    return message


WEIGHT = {"weight": np.ones((2, 3, 1, 1), np.float32)}
CONV = helper.make_node("Conv", ["image", "weight"], ["logits"])


class TestReasons:
    def test_a_newer_ir_version(self, paths):
        said = failing(paths, [CONV], WEIGHT, ir=99)
        assert re.search(
            r"Unsupported model IR version: 99, max supported IR version: (\d+): upgrade "
            r"onnxruntime .* or save the model with ir_version \1 or lower$",
            said,
        )

    def test_a_newer_opset(self, paths):
        said = failing(paths, [CONV], WEIGHT, opsets=[("", 99)])
        assert re.search(r"uses opset 99 of ai.onnx, .*supports opset (\d+).*version=\1$", said)

    def test_a_reshape_to_a_size_that_is_fixed(self, paths):
        nodes = [
            helper.make_node("Conv", ["image", "weight"], ["x"]),
            helper.make_node("Reshape", ["x", "shape"], ["logits"], name="head"),
        ]
        said = failing(paths, nodes, WEIGHT | {"shape": np.array([1, 2, 11, 11])})
        assert "Reshape node 'head': The input tensor cannot be reshaped to the requested" in said
        assert re.search(r"Input shape:\{[\d,]+\}, requested shape:\{1,2,11,11\}", said)

    def test_lengths_that_do_not_match(self, paths):
        node = helper.make_node("Add", ["image", "map"], ["logits"], name="pos/Add")
        said = failing(paths, [node], {"map": np.ones((1, 3, 11, 11), np.float32)})
        assert re.search(r"Add node 'pos/Add': .*broadcast.* 11 by \d+$", said)

    def test_an_unknown_domain(self, paths):
        node = helper.make_node("Warp", ["image"], ["logits"], domain="my.ops")
        said = failing(paths, [node], opsets=[("", 17), ("my.ops", 1)])
        assert "a node Warp of the operator domain my.ops, which onnxruntime does not know" in said

    def test_an_unknown_operator(self, paths):
        said = failing(paths, [helper.make_node("Warp", ["image"], ["logits"])])
        assert "a node Warp, which is no operator of opset 17" in said

    def test_weights_that_are_missing(self, paths):
        options = {"save_as_external_data": True, "location": "a.weights", "size_threshold": 1}
        said = failing(paths, [CONV], WEIGHT, **options)
        assert "a.weights: there is no such file, and " in said

    @pytest.mark.parametrize("share", [0.3, 0.9])
    def test_a_file_cut_short(self, paths, share):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 40, 48))
        made.convolutions(model, 3, 2)
        content = model.read_bytes()
        model.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"damaged or incomplete; compare its size with that"):
            segment(raster, model, output)

    def test_the_end_of_a_long_reason_is_kept(self, paths):
        name = "block/" * 100
        node = helper.make_node("Add", ["image", "map"], ["logits"], name=name)
        said = failing(paths, [node], {"map": np.ones((1, 3, 11, 11), np.float32)})
        assert re.search(r"\.\.\. .* 11 by \d+$", said)


class TestForeignFiles:
    @pytest.mark.parametrize("what", foreign.FILES)
    def test_it_is_named_whatever_its_name(self, folder, cli, what):
        (folder / "model.onnx").write_bytes(foreign.FILES[what])
        status, out, err = cli(*RUN)
        assert (status, out) == (1, "")
        first = err.splitlines()[0]
        assert first.startswith("seamless-seg: error: model.onnx is a"), err
        assert what in first
        assert ", not an ONNX model: " in first
        assert made.names("out") == []

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (foreign.FILES["PyTorch module"], 'model = torch.load("model.onnx", map_location'),
            (foreign.LEGACY["PyTorch module"], 'model = torch.load("model.onnx", map_location'),
            (foreign.FILES["PyTorch weights"], "model.load_state_dict(torch.load("),
            (foreign.LEGACY["PyTorch weights"], "model.load_state_dict(torch.load("),
            (foreign.zipped(a__data_pkl=foreign.CHECKPOINT), '"cpu")["state_dict"])'),
            (foreign.FILES["TorchScript module"], 'model = torch.jit.load("model.onnx"'),
            (foreign.FILES["safetensors file"], 'safetensors.torch.load_file("model.onnx")'),
        ],
    )
    def test_pytorch_is_exported_in_lines_to_copy(self, folder, cli, content, line):
        (folder / "model.onnx").write_bytes(content)
        _, _, err = cli(*RUN)
        first, *code = err.splitlines()
        assert first.endswith(": export it to ONNX")
        assert all(each.startswith("    ") for each in code)
        assert line in err
        assert "torch.onnx.export(model.eval(), torch.zeros(1, 3, 512, 512)," in err
        compile("\n".join(each[4:] for each in code), "code", "exec")

    def test_in_python_the_lines_are_below_the_message(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 40, 48))
        model.write_bytes(foreign.FILES["TorchScript module"])
        with pytest.raises(ModelError, match="a TorchScript module, not an ONNX model") as caught:
            segment(raster, model, output)
        assert "torch.jit.load" in caught.value.example

    def test_a_folder_of_tensorflow(self, folder, cli):
        (folder / "saved").mkdir()
        (folder / "saved" / "saved_model.pb").write_bytes(b"1")
        result = cli("run", "in.tif", "saved", "out/out.tif")
        refused(result, 1, "saved is a TensorFlow SavedModel, .*--saved-model saved --output")

    def test_a_folder_with_a_model(self, folder, cli):
        (folder / "out" / "net.onnx").write_bytes(b"1")
        refused(cli("run", "in.tif", "out", "o.tif"), 1, "out is a folder, .* such as out/net.onnx")

    def test_an_address(self, folder, cli):
        result = cli("run", "in.tif", "https://example.org/m.onnx", "out/out.tif")
        refused(result, 1, "is an address, not a file: download the model first")

    @pytest.mark.parametrize("arguments", [("", "model.onnx"), ("in.tif", "")])
    def test_a_name_that_is_empty(self, folder, cli, arguments):
        status = 2 if not arguments[0] else 1
        refused(cli("run", *arguments, "out/out.tif"), status, "name is empty: give a file")

    def test_an_object(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 40, 48))
        with pytest.raises(ModelError, match=r"must be an ONNX file, a function .* not dict"):
            segment(raster, {"conv.weight": 1}, output)


class TestRasters:
    def test_swapped_arguments(self, folder, cli):
        refused(
            cli("run", "model.onnx", "in.tif", "out/out.tif"),
            1,
            "model.onnx is an ONNX model, not a raster, and in.tif is a TIFF image: raster and "
            "model may be swapped: give INPUT MODEL OUTPUT, in this order",
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("probe", "in.tif"), r"may be swapped: give MODEL \[INPUT\], in this order"),
            (("probe", "model.onnx", "model.onnx"), r"swapped: give MODEL \[INPUT\], in this"),
            (("info", "in.tif"), r"give an .onnx file \(info takes MODEL only\)"),
            (("plan", "model.onnx", "in.tif"), r"swapped: give \[INPUT\] \[MODEL\], in this"),
            (("check", "model.onnx", "in.tif"), r"give INPUT MODEL \[OUTPUT\], in this order"),
        ],
    )
    def test_each_command_names_its_own_order(self, folder, cli, arguments, message):
        refused(cli(*arguments), 1, message)

    @pytest.mark.parametrize("options", [(), ("--overwrite",)])
    def test_model_and_output_swapped(self, folder, cli, options):
        before = (folder / "model.onnx").read_bytes()
        result = cli("run", "in.tif", "out/out.tif", "model.onnx", *options)
        refused(result, 2, "output model.onnx is an ONNX model: model and output may be swapped")
        assert (folder / "model.onnx").read_bytes() == before

    def test_two_models(self, paths):
        _, model, output = paths
        made.pointwise(model, 3, 2)
        with pytest.raises(RasterError, match=r"is an ONNX model, not a raster: raster and mo"):
            segment(model, model, output)

    def test_a_pointer(self, folder, cli):
        (folder / "in.tif").write_bytes(foreign.FILES["git-lfs pointer"])
        refused(cli(*RUN), 1, "in.tif is a git-lfs pointer in place of the file, not a raster: run")

    def test_an_array(self, paths):
        with pytest.raises(OptionError, match="must be the path of a file, not ndarray: write it"):
            segment(np.zeros((3, 9, 9)), paths[1], paths[2])
