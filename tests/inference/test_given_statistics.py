"""What statistics of the whole image are of, as messages and files say it, and their reuse."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
from onnx import helper, numpy_helper

from builders import made, networks
from builders.nodata import NODATA, holes, image_with
from seamless_seg import OptionError, Options, check, forecast, segment

BLOCK = (("conv", 3, 1), ("relu",))

SQUEEZED = [
    *BLOCK,
    ("squeeze_excite",),
    ("pool", 2),
    *BLOCK,
    ("squeeze_excite",),
    ("up", 2),
    *BLOCK,
]
"""Two levels of squeeze and excite, a stride of 2."""

SCALING = [{"type": "min-max", "minimum": 0.0, "maximum": 4.0}]

TILING = {"tile": 64, "margin": 8, "overlap": 17, "align": 2}


@pytest.fixture
def given(paths):
    """A raster, a model with squeeze and excite on two levels, an output, and the pixels."""
    raster, model, output = paths
    image = made.pixels(3, 150, 183, "float32")
    made.raster(raster, image)
    networks.save(model, SQUEEZED)
    return raster, model, output, image


def extended(image):
    """An image, reflected at its right and bottom up to a multiple of the stride."""
    return np.pad(image, [(0, 0), *((0, -length % 2) for length in image.shape[1:])], "reflect")


def made_by(output):
    """The file of statistics beside an output."""
    return output.with_name(f"{output.stem}.statistics.json")


def test_statistics_leave_nodata_out_and_the_summary_says_so(paths):
    raster, model, output = paths
    made.raster(raster, image_with(holes()), nodata=NODATA)
    networks.save(model, SQUEEZED)
    options = {"exact": "global", "scale": 1 / 255, "tile": 64}
    summary = segment(raster, model, output, **options)
    assert summary.exactness.endswith(
        ", with the statistics of the whole image's valid pixels (2 nodes in 2 levels)"
    )
    stored = output.with_name("out.statistics.json")
    again = output.with_name("again.tif")
    summary = segment(raster, model, again, statistics=stored, **options)
    assert summary.exactness.endswith(
        ", with the statistics of the valid pixels of in.tif (2 nodes in 2 levels)"
    )


def test_statistics_of_another_raster_are_used_as_they_are_and_named(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", **TILING)
    other = raster.with_name("other.tif")
    image = made.pixels(3, 100, 130, "float32", seed=5) + 1
    made.raster(other, image)
    later = output.with_name("later.tif")
    summary = segment(other, model, later, statistics=output, tile=64)
    assert not summary.warnings
    assert summary.exactness.endswith(", with the statistics of in.tif (2 nodes in 2 levels)")
    assert any("are those of in.tif (150x183 px): none is" in note for note in summary.notes)
    with rasterio.open(later) as dataset:
        assert "statistics of in.tif" in dataset.tags(ns="seamless_seg")["exactness"]
    # Not those of its own: the model gets what the file holds.
    expected = with_means(model, json.loads(made_by(output).read_text()), image)
    np.testing.assert_allclose(made.read(later), expected, atol=1e-5 * expected.std())
    assert made_by(later).read_text() == made_by(output).read_text()


def with_means(path, document, image):
    """What a model is for an image if its global means are those of a document."""
    model = onnx.load(path)
    (found,) = document["members"]
    for node in model.graph.node:
        if node.op_type == "GlobalAveragePool":
            mean = found[node.output[0]]["mean"]
            value = np.array(mean["values"], np.float32).reshape(mean["shape"])
            constant = helper.make_node(
                "Constant", [], list(node.output), value=numpy_helper.from_array(value)
            )
            node.CopyFrom(constant)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    logits = session.run(None, {"image": extended(image)[None]})[0][0]
    return logits[:, : image.shape[1], : image.shape[2]]


@pytest.mark.parametrize(
    ("first", "options", "was", "now"),
    [
        ({}, {"bands": [3, 2, 1]}, "bands 1,2,3", "bands 3,2,1"),
        ({"scale": 1 / 255}, {"scale": 1}, "scale 0.00392157", "scale 1"),
        ({}, {"mean": [0, 0, 1]}, "mean 0", "mean 0,0,1"),
        ({"std": 2}, {"std": [2, 2, 3]}, "std 2", "std 2,2,3"),
        ({"normalize": "zscore"}, {"normalize": "percentile:2,98"}, "normalize zscore", "normal"),
        ({"value_scaling": SCALING}, {}, f"value_scaling {SCALING}", "value_scaling left out"),
        ({}, {"resolution": 1}, "pixels of 0.5 m", "pixels of 1 m"),
    ],
)
def test_pixels_that_are_made_otherwise_than_for_the_statistics_are_a_warning(
    given, first, options, was, now
):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", tile=96, **first)
    plain = forecast(raster, model, statistics=output, tile=96, **first)
    assert not plain.warnings
    (warning,) = forecast(raster, model, statistics=output, tile=96, **options).warnings
    assert f"the statistics of in.tif were measured with {was}, and this run has {now}" in warning


def test_numbers_that_the_same_normalization_measures_may_differ(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", normalize="zscore", **TILING)
    other = made.raster(raster.with_name("other.tif"), 7 * made.pixels(3, 90, 90, "float32"))
    assert not forecast(other, model, statistics=output, normalize="zscore", **TILING).warnings
    assert forecast(other, model, statistics=output, scale=1, **TILING).warnings


def test_the_file_names_its_raster_without_its_folder(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", scale=0.5, mean=[1, 2, 3], **TILING)
    text = made_by(output).read_text()
    assert str(raster.parent) not in text
    assert json.loads(text)["raster"] == {
        "name": "in.tif",
        "size": [150, 183],
        "has_nodata": False,
        "pixel_size": [0.5, 0.5],
        "normalize": None,
        "pixels": {"bands": [1, 2, 3], "scale": 0.5, "mean": [1, 2, 3], "std": [1]},
    }


def test_statistics_of_another_version_are_refused_as_such(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", **TILING)
    stored = made_by(output)
    document = json.loads(stored.read_text()) | {"version": 1}
    del document["raster"]
    stored.write_text(json.dumps(document))
    with pytest.raises(OptionError, match="in the form of another version of this program: meas"):
        forecast(raster, model, statistics=stored, **TILING)


@pytest.mark.parametrize("exact", [None, "global"])
def test_a_raster_without_a_valid_pixel_is_what_is_said(given, exact):
    raster, model, output, image = given
    made.raster(raster, np.full_like(image, NODATA), nodata=NODATA)
    summary = segment(raster, model, output, exact=exact, tile=64)
    (warning,) = summary.warnings
    assert "no pixel of the raster is valid: the model does not run, and the output is" in warning
    assert ("no statistics are measured" in warning) == (exact is not None)
    assert np.isnan(made.read(output)).all()
    assert made.names(output.parent) == ["out.tif"]
    with pytest.raises(OptionError, match="no pixel of the raster is valid: there is nothing to"):
        check(raster, model, exact=exact, tile=64)


def test_tiles_without_a_valid_pixel_are_too_few_for_a_share_of_them(given):
    raster, model, output, image = given
    image[:, :140] = NODATA  # valid pixels in the last row of tiles alone
    made.raster(raster, image, nodata=NODATA)
    options = {"exact": "global", "statistics_sample": 0.05, "scale": 1} | TILING
    with pytest.raises(OptionError, match=r"no pixel of the 5% of the tiles .* statistics_sample="):
        segment(raster, model, output, **options)
    assert segment(raster, model, output, **options | {"statistics_sample": 1}).not_finite == 0


@pytest.mark.parametrize(
    "layers",
    [
        [*BLOCK, ("instance_norm",)],
        [*BLOCK, ("beside", "GlobalMaxPool")],
        [*BLOCK, ("gate", "ReduceMin", 0)],
    ],
)
@pytest.mark.parametrize("options", [{}, {"scale": 1}])
def test_nan_that_is_not_declared_is_refused_and_declared_it_is_left_out(paths, layers, options):
    raster, model, output = paths
    image = made.pixels(3, 100, 90, "float32")
    image[:, 30:34, 40:50] = np.nan
    made.raster(raster, image)
    networks.save(model, layers)
    options |= {"exact": "global"} | TILING
    with pytest.raises(OptionError, match=r"pixels are NaN, .* give nodata=nan; without it"):
        segment(raster, model, output, **options)
    assert not made.names(output.parent)
    segment(raster, model, output, nodata=np.nan, **options)
    np.testing.assert_array_equal(np.isnan(made.read(output)), np.isnan(image[:2]))


def test_an_output_that_is_replaced_takes_its_statistics_with_it(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", **TILING)
    other = output.with_name("mask.tif")
    segment(raster, model, other, exact="global", **TILING)
    assert made_by(other).exists()
    segment(raster, model, output, overwrite=True, also={"classes": other}, **TILING)
    assert made.names(output.parent) == ["mask.tif", "out.tif"]


def test_statistics_are_removed_with_overwrite_alone_and_no_other_file_is(given):
    raster, model, output, _ = given
    segment(raster, model, output, exact="global", **TILING)
    output.unlink()
    with pytest.raises(
        OptionError, match=r"out\.statistics\.json exists and would be taken for its"
    ):
        segment(raster, model, output, **TILING)
    other, taken = output.with_name("other.tif"), {"classes": output}
    with pytest.raises(OptionError, match="is one of the inputs"):
        segment(raster, model, other, statistics=made_by(output), also=taken, overwrite=True)
    made_by(output).write_text('{"mean": 3}')  # a file of the user's
    segment(raster, model, output, overwrite=True, **TILING)
    assert made_by(output).read_text() == '{"mean": 3}'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exact": "all"}, "exact= takes \"global\" alone, not 'all'"),
        *(
            (
                {"exact": "global", "statistics_sample": share},
                f"statistics_sample= takes .* above 0 and at most 1, not {share}$",
            )
            for share in (0, -0.5, 1.5, np.nan, "all", True)
        ),
        ({"statistics_sample": 0.5}, 'statistics_sample= needs exact="global": give it, too'),
        (
            {"statistics": "a.json", "statistics_sample": 0.5},
            "statistics= replaces measuring, and statistics_sample= is about measuring: leave one",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        Options(**options)


def test_a_share_that_is_all_of_the_tiles_is_exact(given):
    raster, model, _, _ = given
    options = {"exact": "global", "statistics_sample": 0.9}
    assert forecast(raster, model, tile=256, **options).exact
    assert not forecast(raster, model, tile=48, **options).exact


def test_tiles_with_too_little_context_say_so_beside_whose_statistics_they_have(given):
    raster, model, _, _ = given
    options = {"exact": "global", "tile": 64, "overlap": 21, "margin": 0, "align": "auto"}
    said = forecast(raster, model, **options).exactness
    assert said.startswith("not exact: the margin is smaller than the receptive-field radius")
    assert said.endswith("; tiles have the whole image's statistics (2 nodes in 2 levels)")
    said = forecast(raster, model, statistics_sample=0.2, **options).exactness
    assert said.endswith(
        "; after the first level, statistics are those of 20% of the tiles (2 nodes in 2 levels)"
    )


@pytest.mark.parametrize(
    ("first", "opset", "signs"),
    [(("instance_norm",), 18, [1, -1, 1]), (("group_norm_node", 3), 21, [1, -1, 1])],
)
def test_features_near_a_large_mean_keep_their_digits(paths, first, opset, signs):
    raster, model, output = paths
    noise = np.random.default_rng(0).standard_normal((3, 90, 101))
    large = np.array(signs).reshape(3, 1, 1) * 1e5
    image = (noise + large).astype(np.float32)
    made.raster(raster, image)
    networks.save(model, [first, *BLOCK], opset=opset)
    segment(raster, model, output, exact="global", tile=64, scale=1.0, mean=0.0, std=1.0)
    centered = (image.astype(np.float64) - large).astype(np.float32)[None]  # without rounding
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"image": centered})
    assert np.abs(made.read(output) - expected[0]).max() <= 5e-4 * expected.std()
