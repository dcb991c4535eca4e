"""Probabilities, classes and confidence: what they say, and that they come of one pass."""

import json

import numpy as np
import pytest
import rasterio
import rasterio.features
import scipy.ndimage
import scipy.special
from onnx import helper

from builders import made
from builders.nodata import NODATA, SIZE, holes, image_with
from seamless_seg import (
    ModelError,
    OptionError,
    RasterError,
    check,
    plan_run_grid,
    run_plan,
    segment,
    shape_to_slices,
)
from seamless_seg.raster.legend import category_names

KINDS = ("logits", "probabilities", "classes", "confidence")
OTHERS = KINDS[1:]


def all_kinds(raster, model, folder, **options):
    """One run; returns what is in each of its outputs."""
    also = {kind: folder / f"{kind}.tif" for kind in OTHERS}
    segment(raster, model, folder / "logits.tif", also=also, **options)
    return {kind: made.read(folder / f"{kind}.tif") for kind in KINDS}


def probabilities_of(logits):
    if len(logits) == 1:
        return scipy.special.expit(logits)
    return scipy.special.softmax(logits, axis=0)


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"max_memory": 10**10}])
def test_kinds_of_one_pass_are_those_of_the_logits(paths, tmp_path, classes, options):
    raster, model, output = paths
    valid = holes()
    made.raster(raster, image_with(valid), nodata=NODATA)
    made.convolutions(model, 3, classes)
    segment(raster, model, output, tile=64, **options)
    found = all_kinds(raster, model, tmp_path, tile=64, **options)
    logits = made.read(output)
    np.testing.assert_array_equal(found["logits"], logits)
    right = probabilities_of(logits)
    np.testing.assert_allclose(found["probabilities"], right, rtol=2e-6)
    winner = (right > 0.5)[0] if classes == 1 else logits.argmax(axis=0)
    np.testing.assert_array_equal(found["classes"][0], np.where(valid, winner, 255))
    sure = found["probabilities"].max(axis=0)
    sure = np.maximum(sure, 1 - sure) if classes == 1 else sure
    np.testing.assert_array_equal(found["confidence"][0], sure)


def test_an_area_and_its_crop_have_every_kind(paths, tmp_path):
    raster, model, _ = paths
    made.raster(raster, made.pixels(3, *SIZE))
    made.pointwise(model, 3, 4)
    whole = all_kinds(raster, model, tmp_path, tile=64)
    bbox = made.bounds(raster, slice(50, 170), slice(100, 200))
    part = {"bbox": bbox, "overwrite": True, "tile": 64}
    within = all_kinds(raster, model, tmp_path, **part)
    cropped = all_kinds(raster, model, tmp_path, crop=True, **part)
    for kind in KINDS:
        inside = whole[kind][:, 50:170, 100:200]
        np.testing.assert_array_equal(within[kind][:, 50:170, 100:200], inside)
        np.testing.assert_array_equal(cropped[kind], inside)
        nothing = within[kind][:, 200:]
        assert (nothing == 255 if kind == "classes" else np.isnan(nothing)).all()


def test_the_first_of_equal_classes_wins(paths):
    raster, _, output = paths
    image = np.zeros((3, 20, 30), np.float32)
    image[1:, :, 10:] = 1
    made.raster(raster, image)
    segment(raster, lambda batch: batch, output, margin=0, kind="classes")
    assert (made.read(output)[0, :, :10] == 0).all()
    assert (made.read(output)[0, :, 10:] == 1).all()


@pytest.mark.parametrize("count", [255, 256, 300])
def test_numbers_of_many_classes_fit_beside_nodata(paths, count):
    raster, _, output = paths
    made.raster(raster, np.arange(20 * 20, dtype=np.float32).reshape(1, 20, 20) % count)
    numbers = np.arange(count, dtype=np.float32)[:, None, None]
    segment(raster, lambda batch: -abs(batch - numbers), output, margin=0, kind="classes")
    with rasterio.open(output) as dataset:
        assert dataset.dtypes == (("uint8",) if count == 255 else ("uint16",))
        assert dataset.nodata == (255 if count == 255 else 65535)
    np.testing.assert_array_equal(made.read(output), made.read(raster))


@pytest.mark.parametrize(
    ("measure", "right"),
    [
        ("probability", lambda p: p.max(axis=0)),
        ("margin", lambda p: np.diff(np.sort(p, axis=0)[-2:], axis=0)[0]),
        ("entropy", lambda p: 1 - scipy.special.entr(p).sum(axis=0) / np.log(len(p))),
    ],
)
@pytest.mark.parametrize("classes", [1, 2, 6])
def test_each_measure_of_confidence(paths, measure, right, classes):
    raster, model, output = paths
    made.raster(raster, 9 * made.pixels(3, 50, 60, "float32"))
    _, answer = made.pointwise(model, 3, classes)
    segment(raster, model, output, kind="confidence", confidence=measure)
    probabilities = probabilities_of(answer(made.read(raster)).astype(np.float64))
    if classes == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities])
    np.testing.assert_allclose(made.read(output)[0], right(probabilities), atol=2e-5)


def test_a_threshold_chooses_and_confidence_is_that_of_the_choice(paths):
    raster, model, output = paths
    made.raster(raster, 9 * made.pixels(1, 50, 60, "float32"))
    made.pointwise(model, 1, 1)
    sure = output.with_name("sure.tif")
    chance = output.with_name("chance.tif")
    also = [("confidence", sure), ("probabilities", chance)]
    segment(raster, model, output, kind="classes", also=also, threshold=0.8)
    probabilities = made.read(chance)
    is_chosen = probabilities > 0.8
    assert 0 < is_chosen.mean() < 1
    np.testing.assert_array_equal(made.read(output), is_chosen)
    right = np.where(is_chosen, probabilities, 1 - probabilities)
    np.testing.assert_array_equal(made.read(sure), right)


@pytest.mark.parametrize("given", [{"seg_thresh": 0.8}, {}])
def test_a_threshold_may_stand_in_the_metadata(paths, given):
    raster, model, output = paths
    made.raster(raster, made.pixels(1, 50, 60, "float32"))
    _, answer = made.pointwise(model, 1, 1, metadata=given)
    segment(raster, model, output, kind="classes")
    least = scipy.special.logit(given.get("seg_thresh", 0.5))
    np.testing.assert_array_equal(made.read(output), answer(made.read(raster)) > least)


def ending_in(path, *kinds, classes=3, **options):
    """A model of three bands whose graph ends in nodes of these types."""
    names = ["convolved", *(f"made{n}" for n in range(len(kinds) - 1)), "logits"]
    nodes = [helper.make_node("Conv", ["image", "weight"], ["convolved"])]
    for at, kind in enumerate(kinds):
        attributes = {"axis": 1} if "Softmax" in kind else {}
        nodes.append(helper.make_node(kind, [names[at]], [names[at + 1]], **attributes))
    weight = np.random.default_rng(0).standard_normal((classes, 3, 1, 1)).astype("f4")
    return made.model(path, nodes, {"weight": weight}, 3, classes, **options)


@pytest.mark.parametrize(
    ("kinds", "classes", "options", "activation"),
    [
        (["Relu"], 3, {}, "softmax"),
        (["Relu"], 1, {}, "sigmoid"),
        (["Softmax"], 3, {}, "none"),
        (["Softmax", "Identity"], 3, {}, "none"),
        (["Sigmoid"], 1, {}, "none"),
        (["Sigmoid", "Relu"], 3, {}, "softmax"),
        (["LogSoftmax"], 3, {}, "softmax"),
        (["Softmax"], 3, {"activation": "sigmoid"}, "sigmoid"),
        (["Relu"], 3, {"metadata": {"model_type": "Regressor"}}, "none"),
    ],
)
def test_the_activation_is_none_where_the_graph_ends_in_one(
    paths, kinds, classes, options, activation
):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    ending_in(model, *kinds, classes=classes, metadata=options.pop("metadata", {}))
    logits = output.with_name("logits.tif")
    summary = segment(
        raster, model, output, kind="probabilities", also={"logits": logits}, **options
    )
    assert summary.settings.outputs["activation"].value == activation
    oracle = {
        "none": lambda x: x,
        "sigmoid": scipy.special.expit,
        "softmax": lambda x: scipy.special.softmax(x, axis=0),
    }[activation]
    np.testing.assert_allclose(made.read(output), oracle(made.read(logits)), rtol=2e-6)


def test_probabilities_may_be_blended(paths):
    raster, _, output = paths
    image = 3 * made.pixels(3, 90, 110, "float32")
    made.raster(raster, image)

    def model(batch):  # as different from tile to tile as can be
        return batch + batch.mean(axis=(2, 3), keepdims=True) * 50

    plan, _ = plan_run_grid((90, 110), 48, 16, trust="bell")
    right = np.empty((90, 110, 3), np.float32)

    def get_tile(index, geom):
        logits = model(image[:, *shape_to_slices(geom)][None])[0]
        return scipy.special.softmax(logits, axis=0).transpose(1, 2, 0)

    def write_tile(index, geom, window):
        right[shape_to_slices(geom)] = window

    run_plan(plan, 1, None, write_tile, get_tile)
    classes = output.with_name("classes.tif")
    options = {"tile": 48, "overlap": 16, "blend": "probabilities"}
    segment(raster, model, output, kind="probabilities", also={"classes": classes}, **options)
    found = made.read(output)
    np.testing.assert_allclose(found, right.transpose(2, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(made.read(classes)[0], found.argmax(axis=0))
    segment(raster, model, output, kind="probabilities", overwrite=True, tile=48, overlap=16)
    assert abs(made.read(output) - found).max() > 0.01, "of logits, it is something else"


NAMES = {str(n): name for n, name in enumerate(["field", "forest & wood", "water"])}


def test_classes_have_names_and_colors(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 3, metadata={"class_names": NAMES})
    chance = output.with_name("chance.tif")
    segment(raster, model, output, kind="classes", also={"probabilities": chance})
    assert category_names(output) == list(NAMES.values())
    with rasterio.open(output) as dataset:
        colors = dataset.colormap(1)
        assert dataset.colorinterp[0].name == "palette"
        assert dataset.descriptions == ("class",)
    assert len({colors[n][:3] for n in range(3)}) == 3
    with rasterio.open(chance) as dataset:
        assert dataset.descriptions == tuple(NAMES.values())


def test_a_sidecar_s_colors_are_taken(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 3)
    hints = ["00FF00", None, "0000FF"]
    listed = [
        {"value": n, "name": f"c{n}"} | ({"color_hint": hint} if hint else {})
        for n, hint in enumerate(hints)
    ]
    made.sidecar(f"{model}.json", output={"classification:classes": listed})
    segment(raster, model, output, kind="classes")
    with rasterio.open(output) as dataset:
        colors = dataset.colormap(1)
    assert colors[0][:3] == (0, 255, 0)
    assert colors[2][:3] == (0, 0, 255)
    assert category_names(output) == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("names", "categories"), [([], []), (["car"], ["other", "car"]), (["no", "yes"], ["no", "yes"])]
)
def test_one_class_is_there_or_not(paths, names, categories):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    metadata = {"class_names": {str(n): name for n, name in enumerate(names)}} if names else {}
    made.pointwise(model, 3, 1, metadata=metadata)
    segment(raster, model, output, kind="classes")
    assert category_names(output) == categories
    assert set(np.unique(made.read(output))) == {0, 1}


def test_outputs_say_how_they_were_made(cli, folder):
    made.raster(folder / "in.tif", made.pixels(3, 60, 70))
    made.pointwise(folder / "model.onnx", 3, 2)
    argv = ["run", "in.tif", "model.onnx", "out.tif", "--kind", "classes"]
    assert cli(*argv, "--also", "confidence=sure.tif", "--tile", "32")[0] == 0
    with rasterio.open("out.tif") as dataset, rasterio.open("sure.tif") as other:
        tags, others = (
            {key: json.loads(text) for key, text in own.tags(ns="seamless_seg").items()}
            for own in (dataset, other)
        )
    assert others.pop("kind") == "confidence"
    assert tags.pop("kind") == "classes"
    assert tags == others
    assert tags["command"] == "seamless-seg " + " ".join(
        [*argv, "--also", "confidence=sure.tif", "--tile", "32"]
    )
    wanted = {"version", "model", "model_sha256", "scale", "tile", "overlap", "trust", "blend"}
    assert wanted <= set(tags)


def test_secrets_of_addresses_are_not_among_the_tags(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 2)
    command = "run https://me:secret@far.away/a.tif?signature=secret m.onnx"
    segment(raster, model, output, command=command)
    with rasterio.open(output) as dataset:
        said = json.loads(dataset.tags(ns="seamless_seg")["command"])
    assert said == "run https://far.away/a.tif m.onnx"


def test_logits_that_are_not_finite(paths):
    raster, _, output = paths
    image = np.zeros((3, 20, 30), np.float32)
    image[1, :, 5:] = 1
    image[:, 0, :3] = np.diag([np.nan] * 3)  # in each of the bands
    image[2, 1] = np.inf
    image[0, 2] = -np.inf
    made.raster(raster, image)
    chance = output.with_name("chance.tif")
    sure = output.with_name("sure.tif")
    also = [("probabilities", chance), ("confidence", sure)]
    segment(raster, lambda batch: batch, output, margin=0, kind="classes", also=also)
    right = image.argmax(axis=0)
    right[0, :3] = 255
    np.testing.assert_array_equal(made.read(output)[0], right)
    np.testing.assert_array_equal(made.read(chance)[:, 1, 7], [0, 0, 1])
    assert np.isnan(made.read(sure)[0, 0, :3]).all()
    assert np.isfinite(made.read(sure)[0, 1:]).all()


def test_where_one_class_is_nan_there_is_nothing(paths):
    raster, _, output = paths
    image = made.pixels(1, 20, 30, "float32")
    image[0, 3] = np.nan
    made.raster(raster, image)
    segment(raster, lambda batch: batch, output, margin=0, kind="classes")
    right = np.where(np.isnan(image), 255, image > 0)
    np.testing.assert_array_equal(made.read(output), right)


@pytest.mark.parametrize("taken", ["out.tif", "classes.tif"])
def test_a_name_that_is_taken_meanwhile_keeps_all_outputs_away(paths, taken):
    raster, _, output = paths
    made.raster(raster, made.pixels(3, 20, 20, "float32"))

    def take(progress):
        output.with_name(taken).write_text("mine")

    also = {"classes": output.with_name("classes.tif")}
    with pytest.raises(RasterError, match="something else has taken that name meanwhile"):
        segment(raster, lambda batch: batch, output, margin=0, also=also, on_progress=take)
    assert made.names(output.parent) == [taken]
    assert output.with_name(taken).read_text() == "mine"


@pytest.mark.parametrize("ending", [".aux.xml", ".ovr", ".msk"])
def test_what_describes_an_output_is_no_output(paths, ending):
    raster, _, output = paths
    made.raster(raster, made.pixels(3, 20, 20, "float32"))
    also = {"classes": output.with_name(output.name + ending)}
    with pytest.raises(OptionError, match="outputs are GeoTIFF, whose names end in"):
        segment(raster, lambda batch: batch, output, margin=0, also=also, overwrite=True)


def test_what_another_raster_has_left_is_refused_or_removed(paths):
    raster, _, output = paths
    made.raster(raster, made.pixels(3, 20, 20, "float32"))
    left = output.with_name("out.tif.ovr")
    left.write_text("old")
    with pytest.raises(
        OptionError, match=r"out\.tif\.ovr exists and would be read as part of the new raster"
    ):
        segment(raster, lambda batch: batch, output, margin=0)
    segment(raster, lambda batch: batch, output, margin=0, overwrite=True)
    assert made.names(output.parent) == ["out.tif"]


def test_names_may_have_characters_that_xml_has_not(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    names = {"0": "a\ufffeb", "1": "b\x00", "2": "<c> & d"}
    made.pointwise(model, 3, 3, metadata={"class_names": names})
    segment(raster, model, output, kind="classes")
    assert category_names(output) == ["ab", "b", "<c> & d"]


def test_a_name_that_leaves_no_room_for_its_sidecar_s_leaves_nothing(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 3, metadata={"class_names": {"0": "a", "1": "b", "2": "c"}})
    long = output.with_name("x" * 248 + ".tif")
    with pytest.raises(RasterError, match="cannot write"):
        segment(raster, model, long, kind="classes", also={"logits": output})
    assert made.names(output.parent) == []


def test_progress_goes_on_while_classes_are_cleaned(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 1500, 1600))
    made.pointwise(model, 3, 3)
    told = []
    options = {"smooth": 1, "sieve": 9, "on_progress": told.append}
    segment(raster, model, output, kind="classes", **options)
    for unit in ("tiles", "Mpx smoothed", "Mpx sieved"):
        own = [progress for progress in told if progress.unit == unit]
        assert own[-1].done == own[-1].total
        assert own[-1].pixels == 1500 * 1600


@pytest.mark.parametrize("measure", ["margin", "entropy"])
def test_confidence_of_values_that_are_no_probabilities(paths, measure):
    raster, _, output = paths
    image = made.pixels(3, 20, 30, "float32") * 3
    made.raster(raster, image)
    options = {"kind": "confidence", "confidence": measure, "activation": "none"}
    segment(raster, lambda batch: batch, output, margin=0, **options)
    found = made.read(output)[0]
    assert np.isfinite(found).all()
    if measure == "margin":
        two = np.sort(image, axis=0)[-2:]
        np.testing.assert_array_equal(found, two[1] - two[0])


def test_names_that_do_not_fit_are_left_out_with_a_note(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 3, metadata={"class_names": {"0": "a", "1": "b"}})
    notes = segment(raster, model, output, kind="classes").settings.notes
    assert any("names 2 classes, and its output has 3" in note for note in notes)
    assert category_names(output) == []


def test_entropy_is_refused_of_a_model_that_ends_in_sigmoids(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    ending_in(model, "Sigmoid")
    with pytest.raises(OptionError, match="needs probabilities that sum to one, and sigmoid's do"):
        segment(raster, model, output, kind="confidence", confidence="entropy")


def test_cleaning_sees_the_area_alone_and_says_so(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, *SIZE))
    made.pointwise(model, 3, 3)
    bbox = made.bounds(raster, slice(10, 50), slice(10, 50))
    notes = segment(raster, model, output, kind="classes", bbox=bbox, sieve=9).settings.notes
    assert any("are smoothed and sieved inside the area alone" in note for note in notes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": "float16"}, "is stored as float16: this adds to differences"),
        ({"compress": "lerc", "max_error": 0.1}, "is stored with errors of up to 0.1: this adds"),
    ],
)
def test_a_check_knows_that_an_output_is_not_stored_in_full(paths, options, sentence):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 60, 70, "float32"))
    made.pointwise(model, 3, 3)
    segment(raster, model, output, **options)
    notes = check(raster, model, output).forecast.settings.notes
    assert any(sentence in note for note in notes)


def test_outputs_appear_together_or_not_at_all(paths):
    raster, _, output = paths
    made.raster(raster, made.pixels(3, 200, 200, "float32"))
    seen = []

    def model(batch):
        if len(seen) > 6:
            raise RuntimeError("the lights went out")
        if batch.shape[2] == 64:  # no trial of its layout
            seen.append(made.names(output.parent))
        return batch

    also = {"classes": output.with_name("classes.tif")}
    with pytest.raises(ModelError, match="the lights went out"):
        segment(raster, model, output, also=also, tile=64, batch_size=1, margin=0)
    assert any(len(names) > len(seen[0]) + 1 for names in seen), "two were being written"
    assert made.names(output.parent) == seen[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "shapes"}, "kind 'shapes' is unknown: choose one of logits, probabilities"),
        ({"also": {"shapes": "x.tif"}}, "kind 'shapes' is unknown"),
        ({"kind": "classes", "activation": "tanh"}, "activation 'tanh' is unknown"),
        ({"kind": "confidence", "confidence": "gut"}, "confidence= 'gut' is unknown"),
        ({"blend": "classes"}, "blend= 'classes' is unknown"),
        ({"kind": "classes", "threshold": 0.3}, "models of one class, and this one has 2"),
        ({"kind": "classes", "threshold": 3}, "threshold must be a probability, 0 to 1, not 3"),
        (
            {"activation": "softmax"},
            "activation= needs an output of probabilities or classes or confidence",
        ),
        (
            {"confidence": "margin"},
            'confidence= needs an output of confidence: give kind="confidence"',
        ),
        (
            {"smooth": 2},
            'smooth= needs an output of classes: give kind="classes" or also={"classes": FILE}',
        ),
        ({"kind": "classes", "smooth": 0}, "smooth must be a whole number of pixels from 1 to 256"),
        ({"kind": "classes", "smooth": 257}, "from 1 to 256, not 257"),
        ({"kind": "classes", "smooth": True}, "from 1 to 256, not True"),
        ({"kind": "classes", "threshold": "a"}, "threshold must be a finite number, not 'a'"),
        (
            {"also": "classes=x.tif"},
            "also must be pairs of an output type and a path, not 'classes=x.tif'",
        ),
        ({"kind": "classes", "sieve": 1}, "sieve must be a whole number of pixels of at least 2"),
        ({"kind": "classes", "smooth_by": "median"}, "smooth_by= needs smooth=: give the radius"),
        ({"blend": "probabilities"}, 'blend="probabilities" leaves no logits'),
        (
            {"kind": "confidence", "activation": "sigmoid", "confidence": "entropy"},
            "needs probabilities that sum to one, and sigmoid's do",
        ),
    ],
)
def test_choices_that_make_no_sense_are_refused(paths, options, sentence):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 2)
    with pytest.raises(OptionError, match=sentence):
        segment(raster, model, output, **options)
    assert not output.exists()


def test_one_class_has_no_softmax(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 20, 30, "float32"))
    made.pointwise(model, 3, 1)
    with pytest.raises(OptionError, match=r'activation="softmax" needs several classes'):
        segment(raster, model, output, kind="classes", activation="softmax")


def test_two_outputs_of_one_name_are_refused(cli, folder):
    made.raster(folder / "in.tif", made.pixels(3, 20, 30))
    made.pointwise(folder / "model.onnx", 3, 2)
    status, _, said = cli("run", "in.tif", "model.onnx", "o.tif", "--also", "classes=./o.tif")
    assert status == 2
    assert "two outputs have the path" in said
    assert not (folder / "o.tif").exists()


@pytest.mark.parametrize("cog", [False, True])
@pytest.mark.parametrize("by", [None, "median"])
def test_classes_are_smoothed_and_then_sieved(paths, by, cog):
    raster, model, output = paths
    valid = holes()
    made.raster(raster, image_with(valid, dtype="uint8"), nodata=NODATA)
    made.pointwise(model, 3, 4)
    segment(raster, model, output, kind="classes", tile=128)
    raw = made.read(output)[0]
    options = {"smooth": 2, "smooth_by": by, "sieve": 30, "cog": cog, "tile": 128}
    segment(raster, model, output, kind="classes", overwrite=True, **options)

    def elected(window):
        voters = window[window != 255].astype(int)
        middle = window[len(window) // 2]
        if middle == 255 or not len(voters):
            return middle
        if by == "median":
            return np.sort(voters)[(len(voters) - 1) // 2]
        return np.bincount(voters).argmax()

    smoothed = scipy.ndimage.generic_filter(raw, elected, size=5, mode="reflect")
    right = rasterio.features.sieve(smoothed, 30, mask=valid)
    assert (right != smoothed).any()
    assert (smoothed != raw).mean() > 0.05
    np.testing.assert_array_equal(made.read(output)[0], right)
    with rasterio.open(output) as dataset:
        assert dataset.colorinterp[0].name == "palette"
    assert made.names(output.parent) == ["out.tif"]
