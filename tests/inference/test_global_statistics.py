"""Tiles with the whole image's statistics, compared with one run of onnxruntime over all of it."""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from builders import made, networks
from builders.nodata import NODATA, holes, image_with
from builders.whole_image import BLOCK, STRIDE, TILING, assert_same, extended, u_net, whole
from seamless_seg import OptionError, Options, check, forecast, segment
from seamless_seg.inference.global_statistics import give_global_statistics
from seamless_seg.inference.prepared import prepare
from seamless_seg.models.load import LazyModel
from seamless_seg.models.tta import symmetries_of
from seamless_seg.raster.reader import RasterReader

NETWORKS = {
    "squeeze and excite": u_net(("squeeze_excite",)),
    "instance normalization": u_net(("instance_norm",)),
    "by hand": u_net(("normed_by_hand",)),
    "group normalization": [*BLOCK, ("group_norm", 3), *u_net(("group_norm", 1))],
    "pooled beside": u_net(("beside", "GlobalAveragePool")),
    "maximum": u_net(("beside", "GlobalMaxPool"), ("gate", "ReduceMax")),
    "minimum": u_net(("gate", "ReduceMin", 0)),
    "mean without axes": u_net(("gate", "ReduceMean", 0)),
}


@pytest.fixture
def given(paths):
    """A raster, a model with squeeze and excite on two levels, an output, and the pixels."""
    raster, model, output = paths
    image = made.pixels(3, 150, 183, "float32")
    made.raster(raster, image)
    networks.save(model, NETWORKS["squeeze and excite"])
    return raster, model, output, image


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, (101, 90)) for name in NETWORKS),
        *(("squeeze and excite", size) for size in [(96, 128), (61, 110), (50, 47)]),
    ],
)
def test_tiles_equal_one_run_over_the_whole_image(paths, name, size):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32") + np.linspace(0, 2, size[1], dtype=np.float32)
    made.raster(raster, image)
    networks.save(model, NETWORKS[name])
    segment(raster, model, output, exact="global", **TILING)
    assert_same(output, whole(model, image))


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        ([("group_norm_node", 3)], {"opset": 21}),
        ([("gate", "ReduceSum", 1)], {}),
        ([("gate", "ReduceSum", 0)], {"batch": 1}),
        ([("squeeze_excite",), ("instance_norm",)], {"batch": 2}),
        ([("squeeze_excite",)], {"height": 64, "width": 64}),
    ],
)
def test_other_forms_do_too(paths, layers, options):
    raster, model, output = paths
    image = made.pixels(3, 90, 101, "float32")
    made.raster(raster, image)
    networks.save(model, u_net(*layers), **options)
    segment(raster, model, output, exact="global", **TILING)
    for axis in ("batch", "height", "width"):  # the oracle's image is another one
        options.pop(axis, None)
    networks.save(model, u_net(*layers), **options)
    assert_same(output, whole(model, image))


def test_normalization_over_chosen_axes_is_within_the_rounding_of_onnxruntime(paths):
    raster, model, output = paths
    image = made.pixels(3, 130, 150, "float32")
    made.raster(raster, image)
    networks.save(model, u_net(("mean_variance",)))
    segment(raster, model, output, exact="global", **TILING)
    (logits,) = onnxruntime.InferenceSession(model).run(None, {"image": extended(image)[None]})
    expected = logits[0][:, :130, :150]
    assert np.abs(made.read(output) - expected).max() <= 1e-4 * expected.std()


def test_margin_and_alignment_follow_and_the_summary_says_so(given):
    raster, model, output, image = given
    summary = segment(raster, model, output, exact="global", tile=96)
    assert_same(output, whole(model, image))
    assert summary.exact
    assert "with the whole image's statistics (2 nodes in 2 levels)" in summary.exactness
    assert not summary.warnings


def test_a_branch_of_a_coarser_grid_aligns_the_tiles(paths):
    raster, model, output = paths
    image = made.pixels(3, 133, 150, "float32")
    made.raster(raster, image)
    networks.pooled_branch(model, 8)
    summary = segment(raster, model, output, exact="global", tile=64)
    align = summary.settings.tiling.align
    assert (align.value, align.origin) == ((8, 8), "needed for the whole image's statistics")
    beyond = np.pad(image, [(0, 0), (0, -133 % 8), (0, -150 % 8)], mode="reflect")
    expected = onnxruntime.InferenceSession(model).run(None, {"image": beyond[None]})[0][0]
    np.testing.assert_allclose(made.read(output), expected[:, :133, :150], atol=1e-5)


def test_valid_convolutions_count_the_features_around_the_raster(paths):
    raster, model, output = paths
    image = made.pixels(3, 130, 150, "float32")
    made.raster(raster, image)
    networks.save(model, [("valid", 3), ("squeeze_excite",), ("valid", 5), ("instance_norm",)])
    segment(raster, model, output, exact="global", tile=64, margin=6, align=1)
    around = np.pad(image, [(0, 0), (3, 3), (3, 3)], mode="reflect")
    session = onnxruntime.InferenceSession(model)
    expected = session.run(None, {"image": around[None]})[0][0]
    np.testing.assert_allclose(made.read(output), expected, atol=1e-4 * expected.std())


def test_weights_may_lie_outside_the_file(paths):
    raster, model, output = paths
    image = made.pixels(3, 130, 150, "float32")
    made.raster(raster, image)
    networks.save(model, NETWORKS["squeeze and excite"])
    expected = whole(model, image)
    outside = {"location": "weights.bin", "size_threshold": 200}
    onnx.save_model(onnx.load(model), model, save_as_external_data=True, **outside)
    segment(raster, model, output, exact="global", **TILING)
    assert_same(output, expected)


def test_each_orientation_has_its_own_statistics(paths):
    raster, model, output = paths
    image = made.pixels(3, 132, 100, "float32")
    made.raster(raster, image)
    networks.save(model, [("conv_left", 3), ("relu",), ("squeeze_excite",), ("conv_left", 3)])
    segment(raster, model, output, exact="global", tta="d4", **TILING)
    session = onnxruntime.InferenceSession(model)
    total = np.zeros((2, 132, 100))
    symmetries = symmetries_of("d4")
    for symmetry in symmetries:
        (logits,) = session.run(None, {"image": np.ascontiguousarray(symmetry.apply(image))[None]})
        total += symmetry.undo(logits[0])
    expected = total / len(symmetries)
    np.testing.assert_allclose(made.read(output), expected, atol=1e-5 * expected.std())


def test_members_of_an_ensemble_have_their_own(given):
    raster, model, output, image = given
    other = model.with_name("other.onnx")
    networks.save(other, NETWORKS["group normalization"], seed=1)
    segment(raster, [model, other], output, exact="global", **TILING)
    expected = (whole(model, image) + whole(other, image)) / 2
    assert np.abs(made.read(output) - expected).max() <= 1e-5 * expected.std()


def test_nodata_is_left_out_and_a_coarse_feature_counts_if_one_of_its_pixels_does(paths):
    raster, model, output = paths
    valid = holes()
    image = image_with(valid)
    made.raster(raster, image, nodata=NODATA)
    weights = networks.save(model, [("pool", 2), ("global_pool",), ("up", 2)])
    segment(raster, model, output, exact="global", scale=1 / 255, **TILING)

    filled = np.where(valid, image / np.float32(255), 0)
    pooled = filled.reshape(3, 150, 2, 170, 2).max((2, 4))
    counts = valid.reshape(150, 2, 170, 2).any((1, 3))
    features = pooled + pooled[:, counts].mean(1)[:, None, None]
    (weight,) = (numpy_helper.to_array(own) for own in last_weights(weights))
    expected = np.einsum("kc,chw->khw", weight[:, :, 0, 0], features).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(made.read(output)[:, valid], expected[:, valid], atol=1e-5)


def last_weights(model):
    graph = onnx.load(model).graph
    return [own for own in graph.initializer if own.name == graph.node[-1].input[1]]


def test_an_area_gets_the_statistics_of_the_whole_raster(given):
    raster, model, output, image = given
    bbox = made.bounds(raster, slice(90, 140), slice(100, 160))
    segment(raster, model, output, exact="global", bbox=bbox, crop=True, **TILING)
    expected = whole(model, image)
    found = made.read(output)
    assert np.abs(found - expected[:, 90:140, 100:160]).max() <= 1e-5 * expected.std()


def test_batches_threads_and_stored_statistics_change_no_bit(given):
    raster, model, output, _ = given
    again = [output.with_name(f"{n}.tif") for n in range(4)]
    stored = output.with_name("out.statistics.json")
    segment(raster, model, output, exact="global", threads=1, batch_size=1, **TILING)
    segment(raster, model, again[0], exact="global", threads=2, batch_size=5, **TILING)
    for path, statistics in zip(again[1:], [stored, output, again[0]], strict=True):
        segment(raster, model, path, exact="global", statistics=statistics, **TILING)
    for path in again:
        np.testing.assert_array_equal(made.read(path), made.read(output))
        document = path.with_name(f"{path.stem}.statistics.json").read_text()
        assert json.loads(document) == json.loads(stored.read_text())


def test_a_share_of_the_tiles_is_said_not_to_be_exact(given):
    raster, model, output, image = given
    progress = []
    summary = segment(
        raster,
        model,
        output,
        exact="global",
        statistics_sample=0.3,
        on_progress=progress.append,
        **TILING | {"margin": None, "overlap": None},
    )
    assert summary.exact is False
    assert summary.exactness == (
        "not exact: after the first level, statistics are those of 30% of the tiles (2 nodes in 2 "
        "levels); tiles agree with each other, but not with one run over the whole image"
    )
    passes = {own.unit: own.total for own in progress}
    tiles = passes["tiles"]
    assert passes["tiles (statistics 1 of 2)"] == tiles
    assert passes["tiles (statistics 2 of 2)"] == -(-3 * tiles // 10)
    expected = whole(model, image)
    assert 0 < np.abs(made.read(output) - expected).max() < expected.std()


@pytest.mark.parametrize("is_size", [False, True])
def test_a_forecast_counts_the_passes(given, is_size):
    raster, model, _, _ = given
    place = {"size": (150, 183)} if is_size else {"raster": raster}
    found = forecast(**place, model=model, exact="global", tile=96)
    assert found.exact
    assert found.statistics_passes == found.figures()["statistics_passes"] == 2
    assert any("2 passes over the raster" in note for note in found.settings.notes)


def test_a_forecast_gives_the_seconds_of_the_passes_where_it_gives_those_of_the_run(given):
    raster, model, _, _ = given
    found = forecast(raster, model, exact="global", tile="auto")
    figures = found.figures()
    assert figures["statistics_seconds"] == 2 * figures["model_seconds"]
    assert any("so about" in note for note in found.settings.notes)
    assert forecast(raster, model, exact="global", tile=96).statistics_seconds is None


def test_panels_change_no_bit_of_the_statistics(given):
    raster, model, _, _ = given
    options = Options(exact="global", **TILING)
    found = []
    for panel in (None, 1, 2):
        with RasterReader(raster) as reader:
            run = prepare(reader, LazyModel(model), options)
            found.append(give_global_statistics(run, panel=panel).document())
    assert found[0] == found[1] == found[2]


def test_a_forecast_without_a_model_cannot_know(given):
    with pytest.raises(OptionError, match="exact= and statistics= are about a model"):
        forecast(given[0], exact="global")


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([*BLOCK], {}, "has no reduction over the image"),
        ([*BLOCK, ("attention",)], {}, "cannot be run with exact.*Softmax node"),
        ([("squeeze_excite",)], {"statistics": "missing.json"}, "no such file"),
        ([("squeeze_excite",)], {"statistics": "in.tif"}, "holds no statistics"),
        ([*BLOCK * 5, ("squeeze_excite",)], {"margin": 1, "overlap": 3}, "need an overlap of"),
        ([("pool", 2), ("squeeze_excite",), ("up", 2)], {"align": 1, "tile": 65}, "align=2"),
    ],
)
def test_what_cannot_be_is_refused(paths, layers, options, message):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 100, 120, "float32"))
    networks.save(model, layers)
    if "statistics" in options:
        options = options | {"statistics": raster.with_name(options["statistics"])}
    with pytest.raises(OptionError, match=message):
        segment(raster, model, output, exact="global", **TILING | options)
    assert not made.names(output.parent)


def test_functions_and_class_numbers_are_refused(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 100, 120, "float32"))
    with pytest.raises(OptionError, match="is a function"):
        segment(raster, lambda batch: batch, output, exact="global", **TILING)
    weight = {"weight": np.ones((2, 3, 1, 1), np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["logits"], axis=1, select_last_index=1),
    ]
    made.model(model, nodes, weight, 3, 1, out_dtype=onnx.TensorProto.INT64)
    with pytest.raises(OptionError, match="gives class numbers"):
        segment(raster, model, output, exact="global", **TILING)


def test_statistics_of_another_model_are_refused(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", **TILING)
    other = model.with_name("other.onnx")
    networks.save(other, NETWORKS["squeeze and excite"], seed=1)
    stored = output.with_name("out.statistics.json")
    later = output.with_name("later.tif")
    with pytest.raises(OptionError, match="of another model"):
        segment(raster, other, later, exact="global", statistics=stored, **TILING)
    with pytest.raises(OptionError, match="tta="):
        segment(raster, model, later, exact="global", statistics=stored, tta="flips", **TILING)
    text = stored.read_text()
    (first,) = re.findall(r'"values": \[([-\d.e]+)', text)[:1]
    for number in ("NaN", "1e300", "1" + 400 * "0"):
        stored.write_text(text.replace(first, number))
        with pytest.raises(OptionError, match="holds no statistics"):
            segment(raster, model, later, exact="global", statistics=stored, **TILING)


def test_check_takes_the_statistics_of_the_output(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", tile=96)
    report = check(raster, model, output, windows=1)
    assert report.complete
    assert report.judged.largest < 1e-5
    assert "with the statistics of in.tif (2 nodes in 2 levels)" in report.forecast.exactness
    assert not report.forecast.warnings


def test_check_measures_blended_tiles_by_the_whole_image(given):
    raster, model, output, image = given
    segment(raster, model, output, tile=64, overlap=25, margin=12, align=STRIDE)
    report = check(raster, model, output, exact="global")
    largest = np.abs(made.read(output) - whole(model, image)).max()
    assert report.judged.largest == pytest.approx(largest, rel=1e-3)
