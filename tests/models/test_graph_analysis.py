"""The reader of ONNX graphs, next to the ``onnx`` package's, and what it makes of their nodes."""

import tracemalloc
from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from builders import made, networks
from seamless_seg import probe
from seamless_seg.graphs.onnx_graph import GraphError, read_graph
from seamless_seg.models.graph_analysis import tile_wide_nodes
from seamless_seg.models.load import open_models

LAYERS = {
    "u_net": networks.u_net(3),
    "everything": [("conv", 3, 1), ("norm",), *((kind,) for kind in networks.TILE_WIDE)],
    "deconv": [("strided", 3, 2), ("relu",), ("deconv", 4, 2)],
}
DAMAGE = GraphError
"""What the reader may raise."""


def nodes_of(graph):
    """The same as ``read_graph`` finds, from the package's own reader."""
    found = []
    for node in graph.node:
        inner = [own.g for own in node.attribute if own.type == onnx.AttributeProto.GRAPH]
        integers = {own.name: (own.i,) for own in node.attribute if own.type == own.INT}
        integers |= {own.name: tuple(own.ints) for own in node.attribute if own.type == own.INTS}
        for own in node.attribute:
            if own.type == own.TENSOR and own.t.data_type == TensorProto.INT64:
                integers[own.name] = tuple(numpy_helper.to_array(own.t).ravel().tolist())
        inside = [nodes_of(own) for own in inner]
        found.append(
            (node.op_type, (*node.input,), (*node.output,), clean(integers), inside),
        )
    return found


def clean(integers):
    return {name: values for name, values in integers.items() if values}


def read(graph):
    return [
        (node.kind, node.inputs, node.outputs, node.integers, [read(own) for own in node.inner])
        for node in graph.nodes
    ]


def save(path, nodes, inputs=("image",), outputs=("logits",), weights=(), opset=17):
    """Save a graph of any nodes."""
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def wide(path):
    return tile_wide_nodes(open_models(path))


class TestReader:
    @pytest.mark.parametrize("kind", LAYERS)
    def test_it_finds_what_the_package_finds(self, tmp_path, kind):
        path = networks.save(tmp_path / "model.onnx", LAYERS[kind])
        assert read(read_graph(path)) == nodes_of(onnx.load(path).graph)

    @pytest.mark.parametrize("name", ["model.onnx", "model_tile_wide.onnx"])
    def test_it_finds_what_pytorch_wrote(self, name):
        path = f"sample_data/{name}"
        assert read(read_graph(path)) == nodes_of(onnx.load(path).graph)

    @pytest.mark.parametrize("beside", [False, True])
    def test_weights_are_stepped_over_wherever_they_lie(self, tmp_path, beside):
        path = tmp_path / "model.onnx"
        made.convolutions(path, 3, 4, layers=4, width=500)
        assert path.stat().st_size > 10_000_000
        if beside:
            onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.data")
            assert path.stat().st_size < 10_000
        tracemalloc.start()
        found = read_graph(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000
        assert read(found) == nodes_of(onnx.load(path, load_external_data=False).graph)

    def test_branches_are_read_too(self, tmp_path):
        made_of = [helper.make_node("GlobalAveragePool", ["image"], ["then"])]
        other = [helper.make_node("Constant", [], ["else"], value_ints=[1, -2, 3])]
        shape = helper.make_tensor_value_info("then", TensorProto.FLOAT, None)
        branch = helper.make_graph(made_of, "then", [], [shape])
        shape = helper.make_tensor_value_info("else", TensorProto.INT64, None)
        other_branch = helper.make_graph(other, "else", [], [shape])
        node = helper.make_node(
            "If", ["truth"], ["logits"], then_branch=branch, else_branch=other_branch
        )
        path = save(tmp_path / "model.onnx", [node], weights={"truth": True})
        assert read(read_graph(path)) == nodes_of(onnx.load(path).graph)

    @pytest.mark.parametrize("is_raw", [False, True])
    def test_small_constants_are_read_however_they_are_stored(self, tmp_path, is_raw):
        tensor = helper.make_tensor("axes", TensorProto.INT64, [2], [2, -1])
        if is_raw:
            tensor = numpy_helper.from_array(np.array([2, -1]), "axes")
        node = helper.make_node("ReduceMean", ["image", "axes"], ["logits"])
        path = save(tmp_path / "model.onnx", [node], opset=18)
        model = onnx.load(path)
        model.graph.initializer.append(tensor)
        onnx.save(model, path)
        assert read_graph(path).constants == {"axes": (2, -1)}

    def test_a_damaged_file_raises_what_is_promised(self, tmp_path):
        whole = networks.save(tmp_path / "model.onnx", LAYERS["everything"]).read_bytes()
        path = tmp_path / "damaged.onnx"
        for length in range(0, len(whole), 37):
            path.write_bytes(whole[:length])
            with pytest.raises(DAMAGE):
                read_graph(path)

    @given(st.binary(max_size=200) | st.builds(lambda own: b"\x3a\x7f" + own, st.binary()))
    def test_noise_is_read_or_refused(self, tmp_path_factory, noise):
        path = tmp_path_factory.mktemp("noise") / "model.onnx"
        path.write_bytes(noise)
        with suppress(DAMAGE):
            read_graph(path)

    def test_bits_that_flip_do_no_harm(self, tmp_path):
        whole = networks.save(tmp_path / "model.onnx", [("conv", 1, 1)]).read_bytes()
        path = tmp_path / "flipped.onnx"
        for at in range(len(whole)):
            for bit in (1, 8, 128):
                path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
                with suppress(DAMAGE):
                    read_graph(path)


class TestTileWideNodes:
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("instance_norm", "1 InstanceNormalization node"),
            ("global_pool", "1 GlobalAveragePool node"),
            ("squeeze_excite", "1 GlobalAveragePool node"),
            ("attention", "1 Softmax-MatMul node"),
        ],
    )
    def test_what_a_probe_finds_to_be_tile_wide_has_such_a_node(self, tmp_path, kind, said):
        path = networks.save(tmp_path / "model.onnx", [("conv", 3, 1), (kind,)])
        assert wide(path) == said
        assert probe(path).tile_wide

    def test_they_are_counted_by_type(self, tmp_path):
        layers = [("instance_norm",), ("conv", 3, 1), ("instance_norm",), ("global_pool",)]
        path = networks.save(tmp_path / "model.onnx", layers)
        assert wide(path) == "2 InstanceNormalization nodes and 1 GlobalAveragePool node"

    @pytest.mark.parametrize("kind", ["u_net", "deconv"])
    def test_others_have_none(self, tmp_path, kind):
        assert wide(networks.save(tmp_path / "model.onnx", LAYERS[kind])) is None

    @pytest.mark.parametrize(
        ("axes", "is_wide"),
        [
            ([2, 3], True),
            ([-1, -2], True),
            ([1, 2], True),
            ([1, 2, 3], True),
            ([0, 2, 3], True),
            ([1], False),
            ([-1], False),
            ([3], False),
            ([1, 3], False),
        ],
    )
    @pytest.mark.parametrize("opset", [17, 18])
    def test_means_are_where_they_are_over_height_and_width(self, tmp_path, axes, is_wide, opset):
        if opset == 17:
            nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], axes=axes)]
        else:
            nodes = [
                helper.make_node("Constant", [], ["axes"], value_ints=axes),
                helper.make_node("ReduceMean", ["image", "axes"], ["mean"]),
            ]
        nodes.append(helper.make_node("Add", ["image", "mean"], ["logits"]))
        path = save(tmp_path / "model.onnx", nodes, opset=opset)
        assert wide(path) == ("1 ReduceMean node" if is_wide else None)

    def test_a_softmax_over_classes_is_not_attention(self, tmp_path):
        nodes = [helper.make_node("Softmax", ["image"], ["logits"], axis=1)]
        assert wide(save(tmp_path / "model.onnx", nodes)) is None

    def test_attention_is_seen_through_what_stands_between(self, tmp_path):
        nodes = [
            helper.make_node("Softmax", ["image"], ["soft"]),
            helper.make_node("Transpose", ["soft"], ["turned"], perm=[0, 1, 3, 2]),
            helper.make_node("Identity", ["turned"], ["same"]),
            helper.make_node("MatMul", ["same", "image"], ["mixed"]),
            helper.make_node("Add", ["mixed", "image"], ["logits"]),
        ]
        assert wide(save(tmp_path / "model.onnx", nodes)) == "1 Softmax-MatMul node"

    def test_nodes_of_other_outputs_do_not_count(self, tmp_path):
        nodes = [
            helper.make_node("Relu", ["image"], ["logits"]),
            helper.make_node("GlobalAveragePool", ["image"], ["scene"]),
        ]
        assert wide(save(tmp_path / "model.onnx", nodes, outputs=("logits", "scene"))) is None

    def test_nodes_of_branches_do(self, tmp_path):
        shape = helper.make_tensor_value_info("mean", TensorProto.FLOAT, None)
        nodes = [helper.make_node("GlobalMaxPool", ["image"], ["mean"])]
        branch = helper.make_graph(nodes, "branch", [], [shape])
        node = helper.make_node("If", ["so"], ["logits"], then_branch=branch, else_branch=branch)
        path = save(tmp_path / "model.onnx", [node], weights={"so": True})
        assert wide(path) == "2 GlobalMaxPool nodes"

    def test_what_leads_into_a_branch_counts(self, tmp_path):
        shape = helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)
        nodes = [helper.make_node("Add", ["image", "mean"], ["sum"])]
        branch = helper.make_graph(nodes, "branch", [], [shape])
        nodes = [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("If", ["so"], ["logits"], then_branch=branch, else_branch=branch),
        ]
        path = save(tmp_path / "model.onnx", nodes, weights={"so": True})
        assert wide(path) == "1 GlobalAveragePool node"

    def test_a_function_has_none(self):
        assert tile_wide_nodes(open_models(lambda batch: batch)) is None

    def test_a_file_that_is_gone_by_then_has_none(self, tmp_path):
        path = networks.save(tmp_path / "model.onnx", [("global_pool",)])
        model = open_models(path)
        path.unlink()
        assert tile_wide_nodes(model) is None
