"""Exact is said only where a shift, and another size, reproduce the output."""

import numpy as np
import onnxruntime
import pytest

from builders import grids, made, networks
from builders.sentences import PROVEN
from seamless_seg import check, probe, segment
from seamless_seg.models.layout import SIZE_MULTIPLES
from seamless_seg.probes.equivariance import COMMON_MULTIPLES

EXACT = PROVEN
NOT_EQUIVARIANT = "not exact: a shifted input does not give a shifted answer"
STRETCH = {"scale": 1 / 255, "mean": 0.5, "std": 0.25}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def whole(path, image, multiple):
    """The model's logits for the whole image, extended by reflection to a multiple."""
    height, width = image.shape[1:]
    normalized = (image * np.float32(1 / 255) - np.float32(0.5)) / np.float32(0.25)
    beyond = [(0, -length % multiple) for length in (height, width)]
    batch = np.pad(normalized, [(0, 0), *beyond], mode="reflect")[None]
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {"image": batch})[0][0, :, :height, :width]


def test_a_group_stands_for_every_stride():
    assert all(any(group % n == 0 for group in COMMON_MULTIPLES) for n in SIZE_MULTIPLES)


@pytest.mark.parametrize("size", [5, 9, 14, 20])
def test_a_grid_of_patches_is_found_and_tiled_exactly(folder, size):
    path = grids.patches("model.onnx", size)
    found = probe(path, cached=True)
    assert found.stride == (size, size)
    assert found.equivariant == (True, True)
    image = made.pixels(3, 150, 170)
    made.raster("in.tif", image)
    tile = 128 // size * size
    summary = segment("in.tif", path, "out.tif", tile=tile, **STRETCH)
    height, width = (length + -length % size for length in (150, 170))
    extended = f", extended by reflection to {height}x{width} px"
    assert summary.exactness == EXACT + extended * ((height, width) != (150, 170))
    assert np.array_equal(made.read("out.tif"), whole(path, image, size))


@pytest.mark.parametrize(("side", "patch"), [(252, 14), (130, 10)])
def test_so_is_one_of_a_model_of_fixed_size(folder, side, patch):
    path = grids.patches("model.onnx", patch, height=side, width=side)
    assert probe(path, cached=True).stride == (patch, patch)
    made.raster("in.tif", made.pixels(3, 300, 310))
    assert segment("in.tif", path, "out.tif", **STRETCH).exactness.startswith(EXACT)
    free = grids.patches("free.onnx", patch)
    expected = whole(free, made.read("in.tif"), patch)
    # Beyond the last whole tile the image is extended by reflection, by other amounts.
    assert np.array_equal(made.read("out.tif")[:, :250, :250], expected[:, :250, :250])


@pytest.mark.parametrize(("sizes", "stride"), [((7,), 7), ((9, 8), 72)])
def test_pools_that_any_size_goes_through_have_the_stride_of_all(folder, sizes, stride):
    path = grids.pooled("model.onnx", *sizes)
    assert probe(path, cached=True).stride == (stride, stride)
    image = made.pixels(3, 300, 310)
    made.raster("in.tif", image)
    assert segment("in.tif", path, "out.tif", tile=2 * stride, **STRETCH).exactness.startswith(
        EXACT
    )
    assert np.array_equal(made.read("out.tif"), whole(path, image, stride))
    odd = segment("in.tif", path, "out.tif", tile=2 * stride + 1, overwrite=True, **STRETCH)
    assert f"multiple of the model's stride of {stride} px" in odd.exactness


@pytest.mark.parametrize(
    "build",
    [
        lambda path: grids.positions(path, 128),
        lambda path: grids.positions(path, 128, 0.01),
        grids.coordinates,
        lambda path: grids.coordinates(path, 1e-4),
        grids.corners_aligned,
    ],
    ids=["positions", "faint positions", "coordinates", "faint coordinates", "align_corners"],
)
def test_an_answer_that_depends_on_the_place_in_a_tile_is_not_called_exact(folder, build):
    path = build("model.onnx")
    found = probe(path, cached=True)
    assert not all(found.equivariant)
    assert not found.tile_wide
    made.raster("in.tif", made.pixels(3, 300, 310))
    summary = segment("in.tif", path, "out.tif", tile=128)
    assert summary.exactness.startswith(NOT_EQUIVARIANT)
    assert summary.settings.tiling.margin.value == (0, 0)


def test_no_margin_makes_it_exact(folder):
    path = grids.coordinates("model.onnx")
    made.raster("in.tif", made.pixels(3, 300, 310))
    segment("in.tif", path, "out.tif", tile=128, margin=20, align=8, overlap=64)
    report = check("in.tif", path, "out.tif")
    assert report.forecast.exact is False
    assert report.forecast.warning.startswith(NOT_EQUIVARIANT)


def test_padding_inside_a_model_coarsens_its_grid(folder):
    """At both sides alike, to 32 px: images of 8 px more have their patches elsewhere."""
    centered = grids.padded_inside("centered.onnx", 32, 8, True)
    assert probe(centered, cached=True).stride == (32, 32)
    at_the_end = grids.padded_inside("at_the_end.onnx", 32, 8, False)
    assert probe(at_the_end).stride == (32, 32)
    image = made.pixels(3, 300, 310)
    made.raster("in.tif", image)
    assert segment("in.tif", centered, "out.tif", tile=128, **STRETCH).exactness.startswith(EXACT)
    assert np.array_equal(made.read("out.tif"), whole(centered, image, 32))


def test_an_answer_that_depends_on_the_size_is_not_called_exact(folder):
    path = grids.sized("model.onnx")
    found = probe(path, cached=True)
    assert found.depends_on_size
    assert found.equivariant == (True, True)
    made.raster("in.tif", made.pixels(3, 300, 310))
    summary = segment("in.tif", path, "out.tif", tile=128)
    assert "not exact: the model's output depends on the size of its input" in summary.exactness


def test_a_model_of_many_layers_differs_by_rounding_alone(folder):
    path = networks.save("model.onnx", [("conv", 3, 1), ("norm",), ("relu",)] * 12)
    found = probe(path, cached=True)
    assert (found.radius, found.stride) == ((12, 12), (1, 1))
    assert found.equivariant == (True, True)
    assert not found.depends_on_size


def test_a_size_that_only_the_output_declares_is_the_only_one(folder):
    path = grids.built_in_length("model.onnx", 100)
    image = made.pixels(3, 150, 170)
    made.raster("in.tif", image)
    summary = segment("in.tif", path, "out.tif", **STRETCH)
    assert summary.settings.tiling.tile.value == (100, 100)
    assert summary.exactness == EXACT
    assert check("in.tif", path, "out.tif").judged.identical == 1


def test_a_size_that_the_output_declares_and_the_graph_does_not_need_is_free(folder):
    path = networks.save("model.onnx", [("conv", 3, 1)], out_size=(100, 100))
    made.raster("in.tif", made.pixels(3, 150, 170))
    assert segment("in.tif", path, "out.tif", tile=64).settings.tiling.tile.value == (64, 64)


def test_a_batch_of_one_that_no_axis_declares_is_the_only_one(folder):
    path = grids.built_in_batch("model.onnx")
    image = made.pixels(3, 150, 170)
    made.raster("in.tif", image)
    summary = segment("in.tif", path, "out.tif", tile=64, **STRETCH)
    assert summary.settings.tiling.batch_size.value == 1
    assert summary.exactness == EXACT
    assert np.array_equal(made.read("out.tif"), whole(path, image, 1))


def test_a_batch_that_changes_the_answer_is_one(folder):
    from onnxruntime.quantization import quantize_dynamic

    networks.save("float.onnx", [("conv", 3, 1)], width="w", height="h")
    quantize_dynamic("float.onnx", "model.onnx")
    made.raster("in.tif", made.pixels(3, 150, 170))
    summary = segment("in.tif", "model.onnx", "out.tif", tile=64)
    assert summary.settings.tiling.batch_size.value == 1
    assert summary.exactness.startswith("not exact: ")
    two = segment("in.tif", "model.onnx", "two.tif", tile=64, batch_size=2)
    assert two.exactness.startswith("not exact: ")


@pytest.mark.parametrize("side", [30, 50, 400])
def test_a_border_wider_than_the_raster_is_known(folder, side):
    path = grids.wide_border("model.onnx", 190)
    image = made.pixels(3, side, side)
    made.raster("in.tif", image)
    assert segment("in.tif", path, "out.tif", **STRETCH).exactness.startswith("tiling exact")
    around = np.pad(image, [(0, 0), (190, 190), (190, 190)], mode="reflect")
    assert np.array_equal(made.read("out.tif"), whole(path, around, 1))
