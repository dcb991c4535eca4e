"""STAC MLM documents beside models: what is read of them, and what wins."""

import json
import re

import numpy as np
import onnx
import pytest
import rasterio
from onnx import TensorProto, helper, numpy_helper

from builders import made
from seamless_seg import ModelError, OptionError, check, segment
from seamless_seg.models.load import open_models

SCALING = [
    {"type": "z-score", "mean": 100, "stddev": 20},
    [{"type": "clip", "minimum": 0, "maximum": 200}, {"type": "scale", "value": 200}],
    {"type": None},
]


def scaled(image):
    """What that comes to."""
    first, second, third = image.astype(np.float64)
    return np.stack([(first - 100) / 20, np.minimum(second, 200) / 200, third])


def run(raster, model, output, **options):
    """Segment; returns the logits, the settings by name and the notes."""
    found = []
    segment(raster, model, output, on_start=found.append, overwrite=True, **options)
    settings = found[0].settings
    return made.read(output), dict(settings.decisions()), settings.notes


@pytest.fixture
def image(paths):
    """A raster in its place."""
    image = made.pixels(3, 50, 60)
    made.raster(paths[0], image)
    return image


class TestScaling:
    @pytest.mark.parametrize("name", ["model.onnx.json", "model.json"])
    @pytest.mark.parametrize("is_item", [False, True])
    def test_pixels_are_scaled_as_it_says(self, paths, image, name, is_item):
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name(name), is_item=is_item, value_scaling=SCALING)
        logits, decided, notes = run(*paths)
        np.testing.assert_allclose(logits, answer(scaled(image)), atol=1e-4)
        assert decided["value_scaling"].origin == "the model's MLM sidecar"
        assert not {"scale", "mean", "std"} & set(decided)
        (note,) = notes
        assert note == (
            "pixels are normalized as z-score(100, 20); clip(0, 200) then scale(200); pixel "
            "(the model's MLM sidecar)"
        )

    def test_it_wins_over_the_model_s_own_metadata(self, paths, image):
        _, answer = made.pointwise(paths[1], 3, 2, metadata={"standardization_mean": [0.5] * 3})
        made.sidecar(paths[1].with_name("model.json"), value_scaling=SCALING)
        logits, _, _ = run(*paths)
        np.testing.assert_allclose(logits, answer(scaled(image)), atol=1e-4)

    def test_the_first_name_wins(self, paths, image):
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.onnx.json"), value_scaling=SCALING)
        made.sidecar(paths[1].with_name("model.json"), value_scaling=None)
        np.testing.assert_allclose(run(*paths)[0], answer(scaled(image)), atol=1e-4)

    @pytest.mark.parametrize(
        ("options", "right"),
        [
            ({"scale": 0.5}, lambda image: image * 0.5),
            ({"mean": 0.25}, lambda image: image / 255 - 0.25),
            ({"std": [1, 2, 4]}, lambda image: image / 255 / np.array([1, 2, 4])[:, None, None]),
        ],
    )
    def test_one_option_of_scale_mean_and_std_drops_all_of_it(self, paths, image, options, right):
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), value_scaling=SCALING)
        logits, decided, notes = run(*paths, **options)
        np.testing.assert_allclose(logits, answer(right(image)), atol=1e-4)
        assert "value_scaling" not in decided
        (name,) = options
        assert (
            f"the value_scaling of the model's MLM sidecar is ignored, because of {name}" in notes
        )

    def test_null_takes_pixels_as_they_are(self, paths, image):
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), value_scaling=None)
        logits, _, notes = run(*paths)
        np.testing.assert_allclose(logits, answer(image), rtol=1e-4, atol=1e-3)
        assert notes == ("pixels are normalized as pixel (the model's MLM sidecar)",)

    @pytest.mark.parametrize("given", [{}, {"value_scaling": None}])
    def test_a_function_is_not_called_with_a_note(self, paths, image, given):
        _, answer = made.pointwise(paths[1], 3, 2)
        function = {"format": "python", "expression": "os:remove"}
        document = given | {"pre_processing_function": function}
        made.sidecar(paths[1].with_name("model.json"), **document)
        logits, decided, notes = run(*paths)
        np.testing.assert_allclose(logits, answer(image / 255), atol=1e-5)
        assert decided["scale"].origin == "default for uint8, 1/255"
        assert any("pre_processing_function" in n and "os:remove" in n for n in notes)

    def test_other_integers_need_no_scale(self, paths):
        image = made.pixels(3, 50, 60, "uint16")
        made.raster(paths[0], image)
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(
            paths[1].with_name("model.json"), value_scaling=[{"type": "scale", "value": 10000}]
        )
        np.testing.assert_allclose(run(*paths)[0], answer(image / 10000), atol=1e-5)

    def test_one_for_another_number_of_bands_is_refused(self, paths, image):
        made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), value_scaling=SCALING[:1] * 2)
        with pytest.raises(OptionError, match="value_scaling is for 2 bands and the model gets 3"):
            run(*paths)
        run(*paths, scale=1)

    @pytest.mark.parametrize(
        "operation",
        [
            {"type": "processing", "format": "python", "expression": "a:b"},
            {"type": "min-max", "minimum": 5, "maximum": 5},
            {"type": "z-score", "mean": 5},
            {"type": "scale", "value": 1e400},
            "min-max",
        ],
    )
    def test_one_that_is_not_understood_is_left_out_and_noted(self, paths, image, operation):
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), value_scaling=[operation])
        logits, _, notes = run(*paths)
        np.testing.assert_allclose(logits, answer(image / 255), atol=1e-5)
        assert notes[0].startswith("the model's MLM sidecar has value_scaling [")
        assert notes[0].endswith("which is ignored")

    def test_a_check_needs_it_no_more(self, paths, image):
        made.convolutions(paths[1], 3, 2)
        sidecar = paths[1].with_name("model.json")
        made.sidecar(sidecar, value_scaling=SCALING)
        run(*paths, tile=32)
        assert check(*paths).judged.identical == 1
        sidecar.unlink()
        assert check(*paths).judged.identical == 1
        run(*paths, tile=32)
        made.sidecar(sidecar, value_scaling=SCALING)
        assert check(*paths).judged.identical == 1

    def test_no_map_takes_its_place(self, paths, image):
        made.pointwise(paths[1], 3, 2)
        sidecar = paths[1].with_name("model.json")
        document = made.sidecar(sidecar)
        with pytest.raises(OptionError, match=r"model.json is one of the inputs"):
            check(*paths[:2], disagreement_map=sidecar, overwrite=True)
        assert json.loads(sidecar.read_text()) == document


class TestGeometry:
    def shaped(self, height, width):
        order = ["batch", "channel", "height", "width"]
        shape = {"shape": [-1, 3, height, width], "dim_order": order, "data_type": "float32"}
        return {"input": shape}

    @pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 48)])
    def test_its_shape_is_the_tile(self, paths, image, height, width):
        made.pointwise(paths[1], 3, 2, metadata={"tile_size": 512})
        made.sidecar(paths[1].with_name("model.json"), **self.shaped(height, width))
        _, decided, _ = run(*paths, margin=0, align=1)
        assert decided["tile"].value == (height, width)
        assert decided["tile"].origin == "the model's MLM sidecar"
        _, decided, _ = run(*paths, margin=0, align=1, tile=40)
        assert decided["tile"].value == (40, 40)

    def test_free_lengths_leave_the_tile_to_others(self, paths, image):
        made.pointwise(paths[1], 3, 2, metadata={"tile_size": 40})
        made.sidecar(paths[1].with_name("model.json"))
        _, decided, _ = run(*paths, margin=0, align=1)
        assert decided["tile"].value == (40, 40)
        assert decided["tile"].origin == "the model's metadata"

    def test_the_graph_wins(self, paths, image):
        made.pointwise(paths[1], 3, 2, height=32, width=32)
        made.sidecar(paths[1].with_name("model.json"), **self.shaped(64, 64))
        _, decided, _ = run(*paths)
        assert decided["tile"].value == (32, 32)
        assert decided["tile"].origin == "the model's fixed size"

    @pytest.mark.parametrize(
        ("order", "layout"),
        [
            (["batch", "channel", "height", "width"], "NCHW"),
            (["batch", "height", "width", "channel"], "NHWC"),
            (["batch", "time", "channel", "height", "width"], None),
        ],
    )
    def test_the_order_of_dimensions_is_known(self, paths, order, layout):
        made.pointwise(paths[1], 3, 2)
        lengths = {"batch": -1, "channel": 3, "height": 64, "width": 32, "time": 5}
        shape = {"shape": [lengths[name] for name in order], "dim_order": order}
        made.sidecar(paths[1].with_name("model.json"), input=shape)
        metadata = open_models(paths[1]).spec.metadata
        assert (metadata.layout, metadata.tile, metadata.channels) == (layout, (64, 32), 3)

    def test_channels_are_last_where_it_says_so_and_the_graph_is_silent(self, paths, image):
        _, answer = made.pointwise(paths[1], 3, 2)
        model = onnx.load(paths[1])
        before = onnx.helper.make_node("Transpose", ["turned"], ["image"], perm=[0, 3, 1, 2])
        model.graph.node.insert(0, before)
        free = ["a", "b", "c", "d"]
        model.graph.input[0].CopyFrom(made.tensor("turned", free))
        onnx.save(model, paths[1])
        order = ["batch", "height", "width", "channel"]
        shape = {"shape": [-1, -1, -1, 3], "dim_order": order}
        made.sidecar(paths[1].with_name("model.json"), input=shape, value_scaling=None)
        np.testing.assert_allclose(run(*paths)[0], answer(image), rtol=1e-4, atol=1e-3)

    @pytest.mark.parametrize(("suggested", "batch"), [(2, 2), (256, 32)])
    def test_its_batch_size_is_taken_as_far_as_it_is_of_use(self, paths, image, suggested, batch):
        made.pointwise(paths[1], 3, 2)
        path = paths[1].with_name("model.json")
        document = made.sidecar(path) | {"mlm:batch_size_suggestion": suggested}
        path.write_text(json.dumps(document))
        _, decided, _ = run(*paths, tile=64, margin=0, align=1)
        assert decided["batch_size"].value == batch
        assert decided["batch_size"].origin == "the model's MLM sidecar"
        _, decided, _ = run(*paths, tile=64, margin=0, align=1, batch_size=5)
        assert decided["batch_size"].value == 5


class TestBands:
    def named(self, path, *names):
        with rasterio.open(path, "r+") as dataset:
            dataset.descriptions = names

    def test_bands_are_chosen_by_name_where_the_raster_names_them(self, paths):
        image = made.pixels(5, 50, 60, "float32")
        made.raster(paths[0], image)
        self.named(paths[0], "B4", "B3", "B9", "B2", "B1")
        _, answer = made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"))
        logits, decided, _ = run(*paths)
        np.testing.assert_allclose(logits, answer(image[[4, 3, 1]]), atol=1e-5)
        assert decided["bands"].origin == "the model's MLM sidecar, by name"
        logits, _, _ = run(*paths, bands=[1, 2, 3])
        np.testing.assert_allclose(logits, answer(image[:3]), atol=1e-5)

    def test_a_model_of_any_number_of_bands_is_measured_with_those(self, paths):
        image = made.pixels(5, 50, 60, "float32")
        made.raster(paths[0], image)
        self.named(paths[0], "B4", "B3", "B9", "B2", "B1")
        _, answer = made.pointwise(paths[1], 3, 2, bands="any")
        made.sidecar(paths[1].with_name("model.json"))
        logits, decided, _ = run(*paths)
        np.testing.assert_allclose(logits, answer(image[[4, 3, 1]]), atol=1e-5)
        assert decided["margin"].origin == "proven from the graph"

    @pytest.mark.parametrize("names", [("B1", "B2", None), ("B1", "B1", "B2"), ("C1", "C2", "C3")])
    def test_a_name_that_is_not_there_once_leaves_them_as_they_are(self, paths, image, names):
        self.named(paths[0], *names)
        made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"))
        assert run(*paths)[1]["bands"].origin == "all"

    def test_bands_that_contradict_the_graph_are_noted(self, paths, image):
        made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), channels=4)
        assert "the model's MLM sidecar has 4 bands, and the model takes 3" in run(*paths)[2]


class TestOutput:
    def classes(self, *names, **more):
        listed = [{"value": n, "name": name} | more for n, name in enumerate(names)]
        return {"classification:classes": listed[::-1]}

    def test_classes_name_the_bands_and_win(self, paths, image):
        made.pointwise(paths[1], 3, 2, metadata={"class_names": ["a", "b"]})
        output = self.classes("land", "water", color_hint="00aaFF")
        made.sidecar(paths[1].with_name("model.json"), output=output)
        metadata = open_models(paths[1]).spec.metadata
        assert metadata.class_names == ("land", "water")
        assert metadata.class_colors == ("00AAFF", "00AAFF")
        run(*paths)
        with rasterio.open(paths[2]) as dataset:
            assert dataset.descriptions == ("land", "water")

    @pytest.mark.parametrize("value", [70000, -1, 0, 1.5, "1", None])
    def test_values_that_no_raster_can_hold_are_noted(self, paths, value):
        made.pointwise(paths[1], 3, 2, metadata={"class_names": ["a", "b"]})
        classes = [{"value": own, "name": "x"} for own in (0, value)]
        output = {"classification:classes": classes}
        made.sidecar(paths[1].with_name("model.json"), output=output)
        metadata = open_models(paths[1]).spec.metadata
        assert metadata.class_names == ("a", "b")
        assert metadata.origin("class_names") == "the model's metadata"
        (note,) = metadata.notes
        assert note.startswith("the model's MLM sidecar has classification:classes [{")

    def test_a_color_that_is_none_costs_no_name(self, paths):
        made.pointwise(paths[1], 3, 2)
        output = self.classes("land", "water", color_hint="blue")
        made.sidecar(paths[1].with_name("model.json"), output=output)
        metadata = open_models(paths[1]).spec.metadata
        assert metadata.class_names == ("land", "water")
        assert metadata.class_colors == ()
        assert len(metadata.notes) == 1

    @pytest.mark.parametrize("task", ["object-detection", "classification"])
    def test_a_model_for_something_else_is_refused(self, paths, image, task):
        made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), task=task)
        with pytest.raises(ModelError, match=rf"model.json states the tasks {task}, whose"):
            run(*paths)

    def test_of_several_outputs_the_one_that_segments_is_taken(self, paths, image):
        nodes = [
            helper.make_node("Mul", ["image", "two"], ["other"]),
            helper.make_node("Add", ["image", "two"], ["wanted"]),
        ]
        shape = ["n", 3, "h", "w"]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("other", "wanted")
        ]
        graph = helper.make_graph(
            nodes,
            "made",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            outputs,
            [numpy_helper.from_array(np.float32(2), "two")],
        )
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), paths[1])
        path = paths[1].with_name("model.json")
        document = made.sidecar(path, value_scaling=None, output={"name": "wanted"})
        document["mlm:output"].insert(0, {"name": "other", "tasks": ["regression"]})
        path.write_text(json.dumps(document))
        logits, decided, _ = run(*paths)
        np.testing.assert_array_equal(logits, image + np.float32(2))
        assert decided["model_output"].value == "wanted"
        assert decided["model_output"].origin == "the model's MLM sidecar"
        logits, _, _ = run(*paths, model_output="other")
        np.testing.assert_array_equal(logits, image * np.float32(2))
        run(*paths)
        path.unlink()
        assert check(*paths).judged.identical == 1
        np.testing.assert_array_equal(run(*paths, scale=1)[0], image * np.float32(2))


class TestBadDocuments:
    @pytest.mark.parametrize(
        "text", ["{", "[1, 2]", "null", '{"format": "layers-model"}', '{"properties": 5}']
    )
    def test_other_documents_of_that_name_do_no_harm(self, paths, image, text):
        _, answer = made.pointwise(paths[1], 3, 2)
        paths[1].with_name("model.json").write_text(text)
        logits, _, notes = run(*paths)
        np.testing.assert_allclose(logits, answer(image / 255), atol=1e-5)
        said = [
            note for note in notes if "model.json cannot be read as JSON and is ignored" in note
        ]
        assert len(said) == (text == "{")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("mlm:tasks", "segmentation"),
            ("mlm:tasks", [1]),
            ("mlm:input", {}),
            ("mlm:input", [5]),
            ("mlm:output", "logits"),
            ("mlm:batch_size_suggestion", 0),
            ("mlm:batch_size_suggestion", "many"),
            ("mlm:batch_size_suggestion", 1.5),
            ("mlm:batch_size_suggestion", float("inf")),
        ],
    )
    def test_values_that_make_no_sense_are_noted(self, paths, image, key, value):
        made.pointwise(paths[1], 3, 2)
        path = paths[1].with_name("model.json")
        path.write_text(json.dumps(made.sidecar(path) | {key: value}))
        notes = run(*paths)[2]
        assert f"the model's MLM sidecar has {key} {json.dumps(value)}, which is ignored" in notes

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"input": {"shape": [1, 3, 64, 64]}}, "has input {.*, which is ignored"),
            ({"input": {"shape": [1, 3], "dim_order": ["batch"]}}, "has input {.*, which is"),
            ({"input": {"shape": [0], "dim_order": ["batch"]}}, "has input {.*, which is ignored"),
            ({"bands": [{"name": "a", "expression": "b+c"}]}, r"has bands \[.*, which is ignored"),
            ({"bands": ["a"]}, "has 1 bands and a shape of 3: neither is used"),
            ({"norm_type": "z-score"}, "has norm_type, of an old version of MLM"),
            ({"resize_type": "interpolation-area"}, "resize_type interpolation-area, which is not"),
        ],
    )
    def test_inputs_that_make_no_sense_are_noted(self, paths, image, fields, message):
        made.pointwise(paths[1], 3, 2)
        made.sidecar(paths[1].with_name("model.json"), **fields)
        (note,) = open_models(paths[1]).spec.metadata.notes
        assert re.search(message, note), note
