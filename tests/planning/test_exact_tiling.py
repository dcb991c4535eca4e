import re

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from builders import made, networks
from builders.sentences import MEASURED, PROVEN
from seamless_seg import forecast, segment
from seamless_seg.planning.exact_tiling import AxisConstraints, choose_tiling, smoothest_margin
from seamless_seg.probes.receptive_field import Reach
from seamless_seg.tiling.axis import Axis

OPEN = AxisConstraints(
    size=None,
    tile=None,
    default_tile=512,
    overlap=None,
    default_overlap=0.25,
    margin=None,
    align=None,
    tolerance=None,
)


def constraints(**settled):
    return AxisConstraints(**(vars(OPEN) | settled))


def reach(radius, stride=1, across=False):
    """A model that sees so far, less and less."""
    return Reach(np.geomspace(2.0, 1e-4, radius), stride, across)


def cut_off(choice, reach):
    """Largest change that what is cut off makes; more where the far side lies off the grid."""
    beyond = reach.stride - 1 if choice.tile % reach.stride else 0
    return reach.change(max(0, choice.margin - beyond))


@given(st.integers(0, 180), st.sampled_from([1, 2, 4, 8, 12, 32]), st.integers(1, 9000))
def test_a_free_model_of_finite_reach_is_exact_at_moderate_cost(radius, stride, size):
    choice = choose_tiling(constraints(size=size), reach(radius, stride))
    assert cut_off(choice, reach(radius, stride)) == 0
    assert choice.margin == radius
    assert choice.overlap == (2 * radius + 1 if radius else 0)
    assert choice.align == stride
    assert choice.tile % stride == 0
    axis = Axis(size, choice.tile, choice.overlap, choice.align, choice.margin)
    if radius <= 100 or size > 5000:
        # The last tile of a coarse grid reaches far beyond the raster.
        assert (axis.count * axis.length / size) ** 2 <= (1.5 if radius <= 100 else 1.6) + 1e-9


@given(st.integers(0, 300), st.integers(2, 600))
def test_a_fixed_tile_gets_as_exact_as_less_than_four_times_the_pixels_allow(radius, tile):
    choice = choose_tiling(constraints(tile=tile), reach(radius))
    assert choice.tile == tile
    assert (tile / (tile - choice.overlap)) ** 2 <= 4
    Axis(10 * tile, tile, choice.overlap, choice.align, choice.margin)
    if 2 * radius + 1 <= (tile - 1) // 2:
        assert (choice.margin, cut_off(choice, reach(radius))) == (radius, 0)


@given(st.integers(0, 200), st.integers(0, 300), st.booleans())
def test_an_overlap_by_hand_caps_the_margin_and_is_kept(radius, overlap, across):
    choice = choose_tiling(constraints(tile=512, overlap=overlap), reach(radius, across=across))
    assert choice.overlap == overlap
    assert choice.margin == 0 or 2 * choice.margin < overlap
    if not across and 2 * radius < overlap:
        assert choice.margin == radius


@given(st.integers(0, 100), st.integers(0, 250))
def test_a_margin_by_hand_is_kept_and_given_room(radius, margin):
    choice = choose_tiling(constraints(size=4000, margin=margin), reach(radius))
    assert choice.margin == margin
    assert choice.overlap > 2 * margin or margin == 0
    assert (cut_off(choice, reach(radius)) == 0) == (margin >= radius)


def test_a_tile_off_the_model_s_grid_needs_a_stride_more():
    choice = choose_tiling(constraints(tile=500), reach(40, stride=8))
    assert (choice.margin, choice.overlap, cut_off(choice, reach(40, 8))) == (47, 95, 0)


def test_a_tolerance_makes_do_with_less():
    exact, near = (
        choose_tiling(constraints(size=8000, tolerance=e), reach(80)) for e in (None, 1e-2)
    )
    assert near.margin < exact.margin
    assert cut_off(near, reach(80)) < 1e-2
    assert near.tile <= exact.tile


def test_a_tile_wide_model_overlaps_as_usual_without_a_margin():
    choice = choose_tiling(constraints(), reach(512, across=True))
    assert (choice.tile, choice.overlap, choice.margin) == (512, 128, 0)


@pytest.mark.parametrize(
    ("curve", "margin"),
    [([1.0] * 60, 0), ([9.0] * 5 + [0.1] * 60, 5), ([1.0] * 3, 3)],
    ids=["nothing is gained", "a rim is left out", "all is left out"],
)
def test_the_smoothest_margin_weighs_disagreement_against_room(curve, margin):
    assert smoothest_margin(Reach(np.array(curve), 1, False), 64) == margin


EXACT = PROVEN
CONV, RELU = ("conv", 3, 1), ("relu",)
NETWORKS = {
    "convolutions": [CONV, RELU, ("conv", 5, 1), RELU, ("conv", 3, 4)],
    "U-Net": networks.u_net(3),
    "strided": [("strided", 4, 4), RELU, CONV, RELU, ("deconv", 8, 4), CONV],
}


@pytest.mark.parametrize("size", [(1, 1), (37, 700), (700, 37), (513, 601), (1030, 1041)])
@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_the_default_run_is_the_model_s_answer_to_the_whole_image(tmp_path, layers, size):
    image = made.pixels(3, *size, "float32")
    raster = made.raster(tmp_path / "in.tif", image)
    model = networks.save(tmp_path / "model.onnx", layers)
    summary = segment(raster, model, tmp_path / "out.tif")
    stride = networks.stride_of(layers)
    beyond = [(0, 0)] + [(0, -length % stride) for length in size]
    values = np.pad(image, beyond, mode="reflect")[None]
    (whole,) = onnxruntime.InferenceSession(model).run(None, {"image": values})
    whole = whole[0, :, : size[0], : size[1]]
    logits = made.read(tmp_path / "out.tif")
    assert summary.exactness.startswith("tiling exact")
    assert (logits == whole).mean() >= 0.99
    np.testing.assert_allclose(logits, whole, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(logits.argmax(axis=0), whole.argmax(axis=0))


@pytest.mark.parametrize("layers", [3 * [CONV], networks.u_net(2)], ids=["3 px", "u-net"])
@pytest.mark.parametrize("tile", [1, 3, 7])
def test_the_tile_that_is_named_where_one_is_too_small_is_the_smallest_exact_one(
    tmp_path, layers, tile
):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 110, 120, "float32"))
    model = networks.save(tmp_path / "model.onnx", layers)
    sentence = forecast(raster, model, tile=tile).exactness
    assert re.match(r"not exact: tiles of . px are too small", sentence)
    named = int(re.search(r"give tile=(\d+), the smallest that is exact", sentence)[1])
    stride = networks.stride_of(layers)
    assert not forecast(raster, model, tile=named - stride).exact
    assert segment(raster, model, tmp_path / "tiles.tif", tile=named).exact
    segment(raster, model, tmp_path / "whole.tif", tile=120)
    np.testing.assert_array_equal(
        made.read(tmp_path / "tiles.tif"), made.read(tmp_path / "whole.tif")
    )


@pytest.mark.parametrize("layers", [3 * [CONV], networks.u_net(2)], ids=["3 px", "u-net"])
def test_so_is_what_is_named_where_the_overlap_is_too_small(tmp_path, layers):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 110, 120, "float32"))
    model = networks.save(tmp_path / "model.onnx", layers)
    pattern = r"use margin=(\d+), overlap=(\d+) and tile=(\d+) or more"
    sentence = forecast(raster, model, tile=8, overlap=2).exactness
    margin, overlap, tile = map(int, re.search(pattern, sentence).groups())
    too_small = forecast(raster, model, tile=1).exactness
    assert f"give tile={tile}, the smallest that is exact" in too_small
    assert forecast(raster, model, margin=margin, overlap=overlap, tile=tile).exact


@pytest.mark.parametrize(
    ("layers", "options", "sentence"),
    [
        (
            [CONV],
            {},
            PROVEN,
        ),
        ([CONV], {"tile": 512, "overlap": 0}, "tiling exact: one tile holds the whole image"),
        (
            [CONV],
            {"tile": 64, "overlap": 0},
            "not exact: the margin is smaller than the receptive-field radius; logits",
        ),
        ([CONV], {"tile": 64, "trust": "crop"}, PROVEN),
        (
            networks.u_net(2),
            {"align": 2},
            "not exact: tiles do not start at multiples of the model's stride of 4",
        ),
        (
            networks.u_net(2),
            {"tile": 66},
            "not exact: the tile size is not a multiple of the model's stride",
        ),
        ([("squeeze_excite",)], {"tile": 64}, "not exact: the model has global context"),
        ([CONV], {"margin": 1, "align": 1}, None),
        (
            8 * [CONV],
            {"tolerance": 0.1},
            "within the tolerance: logits near tile edges change by less than",
        ),
    ],
)
def test_the_summary_says_how_exact_it_is(tmp_path, layers, options, sentence):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 200, 210, "float32"))
    model = networks.save(tmp_path / "model.onnx", layers)
    options = {"tile": 128} | options
    summary = segment(raster, model, tmp_path / "out.tif", **options)
    if sentence is None:
        assert summary.exactness is None
    else:
        assert summary.exactness.startswith(sentence)


@pytest.mark.parametrize("options", [{}, {"overlap": 4}, {"margin": 1}, {"trust": "crop"}])
def test_what_is_named_in_the_place_of_too_small_a_margin_is_exact(tmp_path, options):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 150, 160, "float32"))
    model = networks.save(tmp_path / "model.onnx", [("strided", 4, 2), ("conv", 3, 9), ("up", 2)])
    options = {"tile": 40, "overlap": 8} | options
    found = segment(raster, model, tmp_path / "out.tif", **options)
    assert found.exactness.startswith("not exact: ")
    named = re.findall(r"(margin|overlap|tile)=(\d+)", found.exactness.split("use ")[1])
    options |= {name: int(number) for name, number in named}
    assert segment(raster, model, tmp_path / "exact.tif", **options).exactness == EXACT


def test_a_random_model_is_warned_of(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 40, 50, "float32"))
    nodes = [
        helper.make_node("Dropout", ["image", "ratio", "training"], ["dropped"]),
        helper.make_node("Conv", ["dropped", "head"], ["logits"]),
    ]
    weights = {
        "ratio": np.float32(0.3),
        "training": np.array(True),
        "head": np.ones((2, 3, 1, 1), np.float32),
    }
    model = made.model(tmp_path / "model.onnx", nodes, weights, 3, 2)
    summary = segment(raster, model, tmp_path / "out.tif", tile=32)
    assert summary.exactness == "not exact: the model is not deterministic"
    assert any("export the model without dropout" in each for each in summary.warnings)


def test_dynamic_quantization_is_named(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 40, 50, "float32"))
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["image"], ["small", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["large"]),
        helper.make_node("Conv", ["large", "head"], ["logits"]),
    ]
    weights = {"head": np.ones((2, 3, 1, 1), np.float32)}
    model = made.model(tmp_path / "model.onnx", nodes, weights, 3, 2)
    summary = segment(raster, model, tmp_path / "out.tif", tile=32)
    (warning,) = (each for each in summary.warnings if each.startswith(summary.exactness))
    assert "1 DynamicQuantizeLinear node" in warning
    assert "a float model, or a statically quantized one, does not" in warning


def test_a_fixed_size_that_a_raster_does_not_fill_is_said(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 50, 64, "float32"))
    model = networks.save(tmp_path / "model.onnx", [CONV], height=64, width=64)
    summary = segment(raster, model, tmp_path / "out.tif")
    extended = "padded by reflection to the model's 64x64"
    assert summary.exactness == f"tiling exact: one tile holds the whole image, {extended}"


def test_a_function_is_probed_unless_its_margin_is_0(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 200, 210, "float32"))

    def model(batch):
        return batch

    assert segment(raster, model, tmp_path / "out.tif", margin=0).exactness is None
    summary = segment(raster, model, tmp_path / "again.tif", tile=64)
    assert summary.exactness == f"{MEASURED} (a function has no graph)"
    assert (summary.exact, summary.exact_by) == (True, "measurement")


def test_a_model_that_cannot_be_probed_is_run_all_the_same(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 40, 50, "float32"))
    notes = []

    def model(batch):
        if batch.shape[2] > 100:
            raise RuntimeError("too large for me")
        return batch

    segment(
        raster,
        model,
        tmp_path / "out.tif",
        tile=64,
        align="auto",
        on_start=lambda forecast: notes.extend(forecast.settings.notes),
    )
    assert any("could not be measured: the model fails" in note for note in notes)
    np.testing.assert_array_equal(made.read(tmp_path / "out.tif"), made.read(raster))


def test_the_extended_size_is_named_along_an_axis_of_one_tile_too(tmp_path):
    """100 rows in one tile are run as 102 by a model of stride 3, whatever the columns take."""
    path = networks.save(tmp_path / "model.onnx", [("pool", 3), ("up", 3), ("conv", 3, 1)])
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 100, 150))
    for tile in ((102, 60), (60, 60)):
        planned = forecast(raster, path, tile=tile)
        assert planned.exactness == f"{PROVEN}, extended by reflection to 102x150 px"
