"""Pixels that are not there: what the model sees of them, and what comes out."""

import numpy as np
import pytest
import rasterio
from onnx import TensorProto, helper

from builders import made
from builders.nodata import NODATA, SIZE, holes, image_with
from seamless_seg import OptionError, check, plan_run_grid, segment, shape_to_slices
from seamless_seg.models.load import open_models
from seamless_seg.planning.probing import probe_file
from seamless_seg.raster.reader import RasterReader


class Watched:
    """A function as a model that remembers what it was given: a mean of 5 x 5 pixels."""

    def __init__(self):
        self.tiles = 0
        self.seen = []

    def __call__(self, batch):
        self.tiles += len(batch)
        self.seen.append(batch.copy())
        around = np.pad(batch, [(0, 0), (0, 0), (2, 2), (2, 2)], mode="edge")
        views = np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(2, 3))
        return views.mean(axis=(4, 5), dtype=np.float32)


OPTIONS = {"tile": 64, "overlap": 16, "margin": 2, "align": 1}


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("normalization", [{}, {"mean": [0.3, 0.1, 0.9], "std": 0.2}])
def test_valid_pixels_equal_a_run_in_which_nothing_is_skipped(paths, batch_size, normalization):
    raster, _, output = paths
    valid = holes()
    made.raster(raster, image_with(valid), nodata=NODATA)
    options = OPTIONS | normalization | {"batch_size": batch_size}
    watched = Watched()
    summary = segment(raster, watched, output, **options)
    # The same values, with nothing to say that some of them are not there.
    mean = np.array(normalization.get("mean", [0.0] * 3), np.float32)[:, None, None]
    filled = np.where(valid, made.read(raster) * np.float32(1 / 255), mean)
    made.raster(raster.with_name("filled.tif"), filled.astype(np.float32))
    everything = output.with_name("all.tif")
    segment(raster.with_name("filled.tif"), Watched(), everything, **options)
    right = made.read(everything)
    result = made.read(output)
    np.testing.assert_array_equal(result[:, valid], right[:, valid])
    assert np.isnan(result[:, ~valid]).all()
    assert summary.not_finite == 0
    _, grid = plan_run_grid(SIZE, 64, 16, margin=2)
    there = [valid[shape_to_slices(grid[index])].any() for index in np.ndindex(*grid.shape)]
    assert (summary.tiles, summary.skipped) == (sum(there), len(there) - sum(there))
    assert summary.skipped > 10
    with rasterio.open(output) as dataset:
        assert np.isnan(dataset.nodata)


def test_a_tile_without_a_valid_pixel_never_reaches_the_model(paths):
    raster, _, output = paths
    valid = np.zeros(SIZE, bool)
    valid[100, 200] = True
    made.raster(raster, image_with(valid), nodata=NODATA)
    watched = Watched()
    summary = segment(raster, watched, output, **OPTIONS)
    seen = [
        tile for batch in watched.seen for tile in batch if tile.any() and tile.shape[-1] == 64
    ]  # trials are larger
    assert 1 <= summary.tiles == len(seen) <= 4
    assert summary.tiles + summary.skipped == 42


@pytest.mark.parametrize("panel", [None, 10**9])
def test_a_raster_without_a_valid_pixel_finishes(paths, panel):
    raster, _, output = paths
    made.raster(raster, image_with(np.zeros(SIZE, bool)), nodata=NODATA)
    watched = Watched()
    summary = segment(raster, watched, output, max_memory=panel, **OPTIONS)
    assert (summary.tiles, summary.not_finite) == (0, 0)
    assert not any(batch.any() for batch in watched.seen), "asked for its classes alone"
    assert np.isnan(made.read(output)).all()


def test_without_a_valid_pixel_a_model_that_states_its_classes_is_not_called(paths, monkeypatch):
    raster, model, output = paths
    made.raster(raster, image_with(np.zeros(SIZE, bool)), nodata=NODATA)
    made.pointwise(model, 3, 4)
    monkeypatch.setattr("seamless_seg.models.onnx_model.OnnxModel.__call__", None)
    summary = segment(raster, model, output)
    assert (summary.tiles, summary.skipped, summary.classes) == (0, 1, 4)
    assert np.isnan(made.read(output)).all()
    assert made.read(output).shape == (4, *SIZE)


@pytest.mark.parametrize(("fill", "value"), [(None, 0.0), (0, -0.5), (51, 1.5)])
def test_what_is_missing_is_fed_as_the_mean_or_as_asked(paths, fill, value):
    raster, _, output = paths
    valid = holes()
    made.raster(raster, image_with(valid), nodata=NODATA)
    watched = Watched()
    segment(raster, watched, output, scale=1 / 255, mean=0.05, std=0.1, fill=fill, **OPTIONS)
    first = watched.seen[-1][0]
    missing = ~valid[-64:, -64:]
    assert missing.any()
    np.testing.assert_allclose(watched.seen[-1][-1][:, missing], value, atol=1e-6)
    assert first.shape == (3, 64, 64)


def test_a_model_of_bytes_and_one_with_a_border_leave_out_the_same(paths):
    raster, model, output = paths
    valid = holes()
    made.raster(raster, image_with(valid, 3, "float32"), nodata=NODATA)
    made.convolutions(model, 3, 2)
    segment(raster, model, output, tile=64)
    result = made.read(output)
    np.testing.assert_array_equal(np.isnan(result[0]), ~valid)
    assert check(raster, model, output).judged.identical == 1


@pytest.mark.parametrize("kind", ["alpha", "mask", "nan", "option"])
def test_whatever_says_that_pixels_are_missing_counts(paths, kind):
    raster, _, output = paths
    valid, options = holes(), dict(OPTIONS)
    image = made.pixels(3, *SIZE, "float32" if kind == "nan" else "uint8")
    if kind == "alpha":
        image = np.concatenate([image, np.where(valid, 255, 0)[None].astype("uint8")])
        made.raster(raster, image, photometric="rgb", alpha="yes")
        options["bands"] = [1, 2, 3]
    elif kind == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            made.raster(raster, image)
            with rasterio.open(raster, "r+") as dataset:
                dataset.write_mask(valid)
    elif kind == "nan":
        made.raster(raster, np.where(valid, image, np.nan).astype("float32"), nodata=np.nan)
    else:
        made.raster(raster, image_with(valid))
        options["nodata"] = NODATA
    segment(raster, Watched(), output, **options)
    np.testing.assert_array_equal(np.isnan(made.read(output)[0]), ~valid)


def test_a_raster_that_says_nothing_of_nodata_has_none(paths):
    raster, _, output = paths
    made.raster(raster, image_with(holes()))
    segment(raster, Watched(), output, **OPTIONS)
    assert np.isfinite(made.read(output)).all()
    with rasterio.open(output) as dataset:
        assert dataset.nodata is None


def test_check_knows_of_what_is_missing(paths):
    raster, model, output = paths
    made.raster(raster, image_with(holes(), 3, "float32"), nodata=NODATA)
    made.convolutions(model, 3, 2)
    segment(raster, model, output, tile=64, fill=100)
    found = check(raster, model, output, disagreement_map=output.with_name("map.tif"))
    assert found.judged.identical == 1
    assert check(raster, model, output, fill=0).judged.identical < 1


def test_a_band_that_is_missing_alone_is_fed_as_its_mean(paths):
    raster, model, output = paths
    image = made.pixels(3, *SIZE, "float32")
    image[1, 50:150, 100:200] = -9999
    made.raster(raster, image, nodata=-9999)
    made.convolutions(model, 3, 2)
    mean = [0.5, 0.25, -1]
    segment(raster, model, output, tile=64, mean=mean)
    image[1, 50:150, 100:200] = mean[1]
    filled, expected = raster.with_name("filled.tif"), output.with_name("expected.tif")
    made.raster(filled, image)
    segment(filled, model, expected, tile=64, mean=mean)
    np.testing.assert_array_equal(made.read(output), made.read(expected))
    assert check(raster, model, output).judged.identical == 1


def test_a_check_counts_valid_pixels_alone(paths):
    raster, model, output = paths
    valid = np.zeros(SIZE, bool)
    valid[:, :60] = True
    made.raster(raster, image_with(valid, 3, "float32"), nodata=NODATA)
    made.convolutions(model, 3, 2)
    segment(raster, model, output, tile=64)
    logits = made.read(output)
    logits[:, 30:60, :60] += 1
    with rasterio.open(output, "r+") as dataset:
        dataset.write(logits)
    found = check(raster, model, output, windows=1000)
    assert found.pixels == valid.sum()
    assert found.judged.identical == 1 - 30 / 300
    made.raster(raster, image_with(np.zeros(SIZE, bool), 3, "float32"), nodata=NODATA)
    with pytest.raises(OptionError, match="no pixel of the raster is valid"):
        check(raster, model)


def test_a_probe_of_a_raster_is_not_misled_by_what_is_missing(paths):
    raster, model, _ = paths
    image = made.pixels(3, *SIZE, "float32")
    image[:, ~holes()] = np.nan
    made.raster(raster, image, nodata=np.nan)
    made.convolutions(model, 3, 2)
    with RasterReader(raster) as reader:
        found = probe_file(model, open_models(model), reader)
    assert found.radius == (3, 3)
    assert not found.depends_on_batch


def test_a_map_of_disagreement_has_nothing_where_nothing_is(paths):
    raster, model, output = paths
    valid = holes()
    made.raster(raster, image_with(valid, 3, "float32"), nodata=NODATA)
    made.convolutions(model, 3, 2)
    check(raster, model, tile=64, overlap=16, disagreement_map=output)
    assert np.isnan(made.read(output)[0][~valid]).all()
    assert np.isfinite(made.read(output)[0][valid]).any()


def test_a_fill_that_is_no_number_is_refused(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 50, 60))
    made.pointwise(model, 3, 2)
    with pytest.raises(OptionError, match="fill must be a finite number, not nan"):
        segment(raster, model, output, fill=float("nan"))


@pytest.mark.parametrize(("fill", "fed"), [(None, 0), (2**24 + 1, 2**24 + 1)])
def test_wide_integers_are_passed_as_they_are_around_gaps(paths, fill, fed):
    """Integers above 2 ** 24 are not all among those of float32."""
    raster, model, output = paths
    base = 2**24 + 1
    nodes = [
        helper.make_node("Sub", ["image", "base"], ["less"]),
        helper.make_node("Cast", ["less"], ["logits"], to=TensorProto.FLOAT),
    ]
    weights = {"base": np.array(base, np.int32)}
    made.model(model, nodes, weights, 2, 2, dtype=TensorProto.INT32)
    image = made.pixels(2, 100, 150, "int32") + base
    image[0, 30:60, 20:90] = image[:, 70:75, 100:120] = NODATA
    made.raster(raster, image, nodata=NODATA)
    segment(raster, model, output, tile=64, fill=fill)
    right = np.where(image == NODATA, fed, image) - base
    valid = (image != NODATA).any(axis=0)
    logits = made.read(output)
    np.testing.assert_array_equal(logits[:, valid], right[:, valid].astype(np.float32))
    assert np.isnan(logits[:, ~valid]).all()
    options = {} if fill is None else {"fill": fill}
    assert check(raster, model, output, **options).judged.identical == 1
