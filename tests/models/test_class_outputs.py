"""Outputs that hold class numbers, quantized logits, or the masks of objects."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builders import made, networks
from seamless_seg import ModelError, OptionError, check, segment
from seamless_seg.raster.legend import category_names

SIZE = (192, 240)
BYTE = TensorProto.UINT8


def argmax(output="classes", **attributes):
    return helper.make_node("ArgMax", ["logits"], [output], **({"axis": 1} | attributes))


def cast(source, target, dtype):
    return helper.make_node("Cast", [source], [target], to=dtype)


def squeezed(source, target):
    return helper.make_node("Squeeze", [source, "one"], [target])


ENDINGS = {
    "int64": ([argmax("out", keepdims=0)], TensorProto.INT64, 3),
    "float": ([argmax(keepdims=0), cast("classes", "out", 1)], TensorProto.FLOAT, 3),
    "uint8": ([argmax(keepdims=1), cast("classes", "out", BYTE)], BYTE, 4),
    "squeezed": ([argmax(keepdims=1), squeezed("classes", "out")], TensorProto.INT64, 3),
    "top 1": (
        [
            helper.make_node("TopK", ["logits", "one"], ["best", "at"], axis=1),
            squeezed("at", "narrow"),
            cast("narrow", "out", 1),
        ],
        TensorProto.FLOAT,
        3,
    ),
}
"""Ends of graphs from which the logits can be told."""

CONSTANTS = {
    "one": np.array([1]),
    "by": np.float32(1),
    "eight": np.float32(8),
    "scales": np.float32([1, 1, 2, 2]),
}

LAST = argmax("out", keepdims=0, select_last_index=1)
COUNTING_FROM_1 = [
    argmax(keepdims=1),
    cast("classes", "number", 1),
    helper.make_node("Add", ["number", "by"], ["out"]),
]
FLOATS = [argmax(keepdims=1), cast("classes", "number", 1)]


def filtered(source, target):
    return helper.make_node("MaxPool", [source], [target], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


OTHER_ENDINGS = {
    "last of equals": ([LAST], TensorProto.INT64, 3),
    "from 1": (COUNTING_FROM_1, TensorProto.FLOAT, 4),
    "dilated": ([*FLOATS, filtered("number", "out")], TensorProto.FLOAT, 4),
    "eroded": (
        [
            *FLOATS,
            helper.make_node("Neg", ["number"], ["negative"]),
            filtered("negative", "most"),
            helper.make_node("Neg", ["most"], ["out"]),
        ],
        TensorProto.FLOAT,
        4,
    ),
    "enlarged": (
        [
            helper.make_node(
                "AveragePool", ["logits"], ["half"], kernel_shape=[2, 2], strides=[2, 2]
            ),
            helper.make_node("ArgMax", ["half"], ["classes"], axis=1),
            cast("classes", "number", 1),
            helper.make_node("Resize", ["number", "", "scales"], ["out"], mode="nearest"),
        ],
        TensorProto.FLOAT,
        4,
    ),
    "rounded": (
        [
            helper.make_node("ReduceMax", ["logits"], ["most"], axes=[1]),
            helper.make_node("Mul", ["most", "eight"], ["more"]),
            helper.make_node("Relu", ["more"], ["positive"]),
            helper.make_node("Round", ["positive"], ["out"]),
        ],
        TensorProto.FLOAT,
        4,
    ),
}
"""Ends of graphs that do more."""


def ending(path, nodes, dtype, rank, external=False, layers=None):
    """Save a U-Net that ends in these nodes; return its path and its answer for a whole image."""
    networks.save(path, layers or networks.u_net(2), classes=5)
    model = onnx.load(path)
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    shape = ["n", "h", "w"] if rank == 3 else ["n", 1, "h", "w"]
    model.graph.output.append(made.tensor("out", shape, dtype))
    for name, value in CONSTANTS.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    more = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 100}
    onnx.save(model, path, **(more if external else {}))
    session = onnxruntime.InferenceSession(str(path))

    def answer(batch):
        return session.run(None, {"image": batch})[0]

    return answer


def whole(answer, raster):
    return answer(made.read(raster)[None]).reshape(SIZE)


@pytest.fixture
def raster(paths):
    return made.raster(paths[0], made.pixels(3, *SIZE, "float32"))


class TestLogitsBeforeTheArgmax:
    @pytest.mark.parametrize("name", ENDINGS)
    @pytest.mark.parametrize("tile", [96])
    def test_classes_are_those_of_the_whole_image(self, paths, raster, name, tile):
        answer = ending(paths[1], *ENDINGS[name])
        summary = segment(*paths, kind="classes", tile=tile, margin=11, align=4)
        assert summary.tiles > 1
        np.testing.assert_array_equal(made.read(paths[2])[0], whole(answer, raster))
        assert any("holds class numbers: the logits" in note for note in summary.settings.notes)

    def test_all_kinds_are_written_of_weights_in_another_file(self, paths, raster, monkeypatch):
        monkeypatch.chdir(paths[2].parent)
        ending(paths[1], *ENDINGS["float"], external=True)
        segment(*paths, tile=96)
        logits = made.read(paths[2])
        networks.save(paths[1], networks.u_net(2), classes=5)
        segment(*paths, tile=96, margin=11, align=4, overwrite=True)
        np.testing.assert_array_equal(logits, made.read(paths[2]))


class TestClassNumbers:
    @pytest.mark.parametrize("name", OTHER_ENDINGS)
    @pytest.mark.parametrize("tile", [144])
    def test_tiles_are_cut_where_they_are_exact(self, paths, raster, name, tile):
        answer = ending(paths[1], *OTHER_ENDINGS[name])
        assert segment(*paths, kind="classes", tile=tile).tiles > 1
        np.testing.assert_array_equal(made.read(paths[2])[0], whole(answer, raster))

    @pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
    def test_functions_are_recognized_by_what_they_return(self, paths, raster, dtype):
        answer = ending(paths[1], *OTHER_ENDINGS["from 1"], layers=[("conv", 3, 1)])
        options = {"kind": "classes", "tile": 96, "margin": "auto", "align": "auto"}
        segment(raster, lambda batch: answer(batch).astype(dtype), paths[2], **options)
        np.testing.assert_array_equal(made.read(paths[2])[0], whole(answer, raster))

    @pytest.mark.parametrize("kind", ["logits", "probabilities", "confidence"])
    def test_other_kinds_are_refused(self, paths, raster, kind):
        ending(paths[1], *OTHER_ENDINGS["from 1"])
        with pytest.raises(OptionError, match=f"{kind}. needs logits, .* without its argmax"):
            segment(*paths, kind=kind, tile=96)

    @pytest.mark.parametrize("options", [{"margin": 0, "overlap": 0}, {"margin": 3, "align": 1}])
    def test_tiles_that_are_not_exact_are_refused(self, paths, raster, options):
        ending(paths[1], *OTHER_ENDINGS["from 1"])
        with pytest.raises(ModelError, match=r"cannot be blended, and its .* without its argmax"):
            segment(*paths, kind="classes", tile=96, **options)

    def test_what_sees_the_whole_tile_is_refused(self, paths, raster):
        ending(paths[1], *OTHER_ENDINGS["from 1"], layers=[("global_pool",), ("conv", 3, 1)])
        with pytest.raises(ModelError, match="cannot be blended, and its tiles are not exact"):
            segment(*paths, kind="classes", tile=96)

    def test_tiles_that_disagree_in_spite_of_the_probe_are_an_error(self, paths, raster):
        def parity_of_a_tile(batch):  # noise never reaches 40, the raster does
            odd = (batch[:, :1] > 40).any(axis=(2, 3), keepdims=True)
            return 1.0 + (batch[:, :1] > 0) + 2 * odd

        image = made.read(raster)
        image[:, 10, 10] = 50
        made.raster(raster, image)
        options = {"kind": "classes", "tile": 96, "overlap": 20, "margin": "auto", "align": "auto"}
        with pytest.raises(ModelError, match="neighboring tiles have different class numbers"):
            segment(raster, parity_of_a_tile, paths[2], **options)
        assert not paths[2].exists()

    def test_they_have_no_mean(self, paths, raster):
        ending(paths[1], *OTHER_ENDINGS["from 1"])
        with pytest.raises(ModelError, match="class numbers, which cannot be averaged"):
            segment(*paths, kind="classes", tta="flips")


class TestQuantizedLogits:
    def save(self, path, quantize):
        networks.save(path, networks.u_net(1), classes=4)
        model = onnx.load(path)
        del model.graph.output[:]
        model.graph.output.append(made.tensor("out", ["n", 4, "h", "w"], BYTE))
        node = helper.make_node("QuantizeLinear", ["logits", "scale", "zero"], ["out"])
        model.graph.node.append(node if quantize else cast("logits", "out", BYTE))
        for name, value in (("scale", np.float32(0.1)), ("zero", np.uint8(128))):
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        onnx.save(model, path)

    def test_those_before_they_are_rounded_are_used(self, paths, raster):
        self.save(paths[1], quantize=True)
        options = {"tile": 96, "margin": 5, "align": 2}
        segment(*paths, **options)
        found = made.read(paths[2])
        networks.save(paths[1], networks.u_net(1), classes=4)
        segment(*paths, **options, overwrite=True)
        np.testing.assert_array_equal(found, made.read(paths[2]))

    def test_those_of_unknown_scale_are_refused_by_their_name(self, paths, raster):
        self.save(paths[1], quantize=False)
        with pytest.raises(ModelError, match=r"uint8 \[\?, 4, .* quantized logits most likely"):
            segment(*paths)


@pytest.mark.parametrize("wanted", [None, 0, 1])
@pytest.mark.parametrize(
    ("boxes", "masks", "message"),
    [
        ([1, 116, 84], [1, 32, 16, 16], "prototypes of masks, as of YOLO-seg"),
        ([1, 116, "boxes"], [1, 32, "h", "w"], "prototypes of masks, as of YOLO-seg"),
        ([1, 300, 38], [1, 32, 16, 16], "prototypes of masks, as of YOLO-seg"),
        ([1, 100, 20], [1, 100, 16, 16], "queries and the masks of queries, as of Mask2Former"),
    ],
)
def test_masks_of_objects_are_refused_and_not_recommended(
    paths, raster, boxes, masks, message, wanted
):
    shapes = {"boxes": boxes, "masks": masks}
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"zeros of {name}"], [name]) for name in shapes],
        "objects",
        [made.tensor("image", [1, 3, 64, 64])],
        [made.tensor(name, shape) for name, shape in shapes.items()],
        [
            numpy_helper.from_array(
                np.zeros([n if isinstance(n, int) else 84 for n in shape], np.float32),
                f"zeros of {name}",
            )
            for name, shape in shapes.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), paths[1])
    with pytest.raises(ModelError, match=message) as error:
        segment(*paths, model_output=wanted)
    assert "model-output" not in str(error.value)


NAMES = ("land", "water", "ice")


@pytest.mark.parametrize("key", ["class_names", "names", "id2label"])
@pytest.mark.parametrize("text", ["{0: 'land', 1: 'water', 2: 'ice'}", "['land', 'water', 'ice']"])
def test_names_are_read_as_exporters_write_them(paths, raster, key, text):
    made.pointwise(paths[1], 3, 3)
    model = onnx.load(paths[1])
    helper.set_model_props(model, {key: text})
    onnx.save(model, paths[1])
    segment(*paths, kind="classes", margin=0, align=1)
    assert category_names(paths[2]) == list(NAMES)


def test_names_beside_the_model_are_read_and_other_formats_named(paths, raster):
    made.pointwise(paths[1], 3, 3)
    document = {"id2label": dict(enumerate(NAMES))}
    paths[1].with_name("config.json").write_text(json.dumps(document))
    paths[1].with_name("rdf.yaml").write_text("type: model")
    paths[1].with_suffix(".names").write_text("a\nb\nc")
    notes = segment(*paths, kind="classes").settings.notes
    said = [note for note in notes if "is ignored: a model is described by" in note]
    assert len(said) == 2
    assert any("rdf.yaml" in note for note in said)
    assert any(".names" in note and "give its names with class_names=" in note for note in said)
    assert any("names of classes are read from" in note for note in notes)


def test_check_refuses_class_numbers(paths, raster):
    ending(paths[1], *OTHER_ENDINGS["from 1"])
    with pytest.raises(ModelError, match=r"check compares logits, and .* gives class numbers"):
        check(paths[0], paths[1])
