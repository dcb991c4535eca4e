import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import rasterio

from builders import made
from builders.sentences import PROVEN
from seamless_seg import check, plan_run_grid, probe, segment

SAMPLE = Path(__file__).parents[2] / "sample_data"
RADIUS, STRIDE = 84, 8
"""How far the sample model sees at most, and what it pools by in all."""

WINDOW = (100, 1001), (200, 999)
"""Rows and columns of the part that is segmented."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A part of the sample scene, of awkward size."""
    with rasterio.open(SAMPLE / "scene.tif") as dataset:
        image = dataset.read(window=WINDOW)
    return made.raster(tmp_path_factory.mktemp("sample") / "scene.tif", image)


@pytest.fixture(scope="module")
def expected(scene):
    """The sample model's logits for all of it at once, extended to multiples of its stride."""
    image = made.read(scene)
    session = onnxruntime.InferenceSession(SAMPLE / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    mean, std = (
        np.array(json.loads(metadata[f"standardization_{what}"]), np.float32)[:, None, None]
        for what in ("mean", "std")
    )
    _, height, width = image.shape
    beyond = [(0, 0), (0, -height % STRIDE), (0, -width % STRIDE)]
    values = (np.pad(image, beyond, mode="reflect") * np.float32(1 / 255) - mean) / std
    (logits,) = session.run(None, {"image": values[None]})
    return logits[0, :, :height, :width]


@pytest.fixture(scope="module")
def default(scene, tmp_path_factory):
    """The summary and the logits of a run with no option."""
    output = tmp_path_factory.mktemp("default") / "out.tif"
    return segment(scene, SAMPLE / "model.onnx", output), made.read(output)


def test_every_decoder_gives_the_pixels_that_the_figures_are_about():
    with rasterio.open(SAMPLE / "scene.tif") as dataset:
        pixels = dataset.read()
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "ac72081cbbc17e6e5ba876ea069b64511716f306f68407d5c081de57055ca452"


def test_with_its_margin_and_alignment_it_is_the_whole_image_s_answer(scene, expected, tmp_path):
    output = tmp_path / "out.tif"
    segment(
        scene, SAMPLE / "model.onnx", output, tile=384, overlap=176, margin=RADIUS, align=STRIDE
    )
    logits = made.read(output)
    np.testing.assert_array_equal(logits.argmax(axis=0), expected.argmax(axis=0))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_the_default_run_is_the_whole_image_s_answer_at_a_moderate_cost(default, expected):
    summary, logits = default
    assert summary.tiles > 1
    assert summary.exactness.startswith(PROVEN)
    assert (logits == expected).mean() >= 0.99
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(logits.argmax(axis=0), expected.argmax(axis=0))


@pytest.mark.slow
def test_batches_and_threads_change_no_bit(scene, tmp_path):
    image = made.read(scene)[:, :288, :224]
    part, outputs = made.raster(tmp_path / "part.tif", image), []
    for batch_size, threads in [(1, 1), (1, 2), (3, 1), (3, 2), (8, 2), (None, None)]:
        segment(
            *(part, SAMPLE / "model.onnx", tmp_path / "out.tif"),
            tile=96,
            overlap=32,
            batch_size=batch_size,
            threads=threads,
            overwrite=True,
        )
        outputs.append(made.read(tmp_path / "out.tif"))
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])


@pytest.mark.slow
def test_no_limit_on_memory_changes_a_bit(scene, tmp_path):
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    image = made.read(scene)[:, :330]
    wide = np.concatenate([image, image[..., ::-1], image], axis=2)  # whose columns need memory
    tiled = made.raster(tmp_path / "tiled.tif", wide, **blocks)
    out, said = tmp_path / "out.tif", []

    def run(*options):
        """In a process of its own: this one has had all kinds of things in memory."""
        command = [sys.executable, "-m", "seamless_seg", "run", tiled, SAMPLE / "model.onnx", out]
        command += ["--tile", "256", "--overlap", "64", "--overwrite", "--verbose", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said.append(done.stderr)
        return made.read(out) if done.returncode == 0 else None

    segment(tiled, SAMPLE / "model.onnx", out, tile=256, overlap=64)
    expected = made.read(out)
    assert run("--max-memory", "1MB") is None
    least = int(re.search(r"needs at least (\d+) MB", said[-1])[1])
    for limit in (least, 10_000):
        np.testing.assert_array_equal(run("--max-memory", f"{limit}MB"), expected)
    panels = [line.split()[1] for text in said for line in text.splitlines() if "columns" in line]
    assert len(set(panels)) > 1


@pytest.mark.slow
def test_a_margin_of_one_pixel_less_than_the_radius_is_not_exact(scene):
    radius = max(probe(SAMPLE / "model.onnx", cached=True).radius)

    def identical(margin):
        options = {"tile": 384, "overlap": 2 * radius + 1, "margin": margin, "align": STRIDE}
        return check(scene, SAMPLE / "model.onnx", windows=2, **options).judged.identical

    assert identical(radius) == 1 > identical(radius - 1)


@pytest.mark.slow
def test_the_tile_wide_variant_is_blended_as_the_quality_benchmark_says(scene):
    model = SAMPLE / "model_tile_wide.onnx"
    report = check(scene, model, tile=256, compare=["crop", "linear", "gaussian"], windows=6)
    bell, crop, linear, _ = report.qualities
    assert report.forecast.settings.tiling.trust.value == bell.name == "bell"
    assert report.forecast.settings.tiling.margin.value == (0, 0)
    assert bell.mean < 0.8 * linear.mean
    assert bell.mean < 1.05 * crop.mean
    assert bell.seams < 1.03 < crop.seams


@pytest.mark.slow
def test_blending_leaves_no_step_where_cropping_does(scene, tmp_path):
    plan, _ = plan_run_grid(made.read(scene).shape[1:], 256, 64, align=STRIDE)
    cols = plan.grid.cols
    cuts = [cols.start(j) + (cols.overlap_before(j) + 1) // 2 for j in range(1, cols.count)]

    def step_at_cuts(trust):
        """Mean step across the lines where cropped tiles meet, over that on the lines beside."""
        output = tmp_path / f"{trust}.tif"
        segment(scene, SAMPLE / "model.onnx", output, tile=256, overlap=64, trust=trust)
        steps = np.abs(np.diff(made.read(output), axis=2)).mean(axis=(0, 1))
        beside = [steps[cut - 1 + shift] for cut in cuts for shift in (-3, -2, 2, 3)]
        return np.mean([steps[cut - 1] for cut in cuts]) / np.mean(beside)

    assert step_at_cuts("crop") > 1.2
    assert step_at_cuts("linear") < 1.05


def test_it_finds_the_sample_s_true_classes(default):
    _, logits = default
    with rasterio.open(SAMPLE / "labels.tif") as dataset:
        labels = dataset.read(1, window=WINDOW)
    assert (logits.argmax(axis=0) == labels).mean() > 0.95


def normalizations():
    """What the page on inputs says of --normalize: a choice, and the share of right pixels."""
    text = (SAMPLE.parent / "docs" / "inputs.md").read_text()
    rows = re.findall(r"^\| `--normalize (\S+)` \| ([\d.]+) % \| ([\d.]+) % \|", text, re.M)
    examples = re.findall(r"^seamless-seg run input.tif .* --normalize (\S+)$", text, re.M)
    assert set(examples) <= {how for how, *_ in rows}
    assert len(examples) >= 2
    return [(how, *map(float, shares)) for how, *shares in rows]


@pytest.fixture(scope="module")
def scene_of_16_bits(tmp_path_factory):
    """The sample scene as a satellite would see it: a gain and an offset for each band."""
    gains, offsets = np.array([[38, 31, 27], [210, 350, 420]])[:, :, None, None]
    image = made.read(SAMPLE / "scene.tif") * gains + offsets
    with rasterio.open(SAMPLE / "scene.tif") as dataset:
        place = {"crs": dataset.crs, "transform": dataset.transform}
    path = tmp_path_factory.mktemp("16 bits") / "scene.tif"
    return made.raster(path, image.astype(np.uint16), **place)


@pytest.mark.parametrize(("how", "share", "share_of_16_bits"), normalizations())
@pytest.mark.slow
def test_a_normalized_scene_has_the_classes_that_the_page_promises(
    scene_of_16_bits, tmp_path, how, share, share_of_16_bits
):
    """One tile of it, with the statistics of all."""
    rows, cols = slice(1024, 1536), slice(512, 1024)
    labels = made.read(SAMPLE / "labels.tif")[0, rows, cols]
    tiling = {"tile": 512, "overlap": 0, "margin": 0, "align": STRIDE, "crop": True}
    right = []
    for raster in (SAMPLE / "scene.tif", scene_of_16_bits):
        output = tmp_path / f"{len(right)}.tif"
        box = made.bounds(raster, rows, cols)
        segment(raster, SAMPLE / "model.onnx", output, normalize=how, bbox=box, **tiling)
        right.append(100 * (made.read(output).argmax(axis=0) == labels).mean())
    assert right == pytest.approx([share, share_of_16_bits], abs=4)


def test_it_describes_itself():
    session = onnxruntime.InferenceSession(SAMPLE / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    values = {key: json.loads(value) for key, value in metadata.items()}
    assert values["model_type"] == "Segmentor"
    assert len(values["class_names"]) == session.get_outputs()[0].shape[1] >= 4
    assert {"resolution", "tile_size", "tiles_overlap", "standardization_std"} <= set(values)
    assert (SAMPLE / "model.onnx").stat().st_size < 2_000_000
