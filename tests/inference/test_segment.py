import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import rasterio
import rasterio.shutil

from builders import made
from builders.nodata import masked
from seamless_seg import ModelError, OptionError, RasterError, segment
from seamless_seg.models.onnx_model import OnnxModel
from seamless_seg.models.onnx_session import OnnxFile

AWKWARD = [(1, 1), (1, 200), (37, 41), (64, 64), (65, 64), (64, 129), (130, 203)]


def whole(model, image):
    """What a bare session says of the whole image at once."""
    session = onnxruntime.InferenceSession(model)
    (logits,) = session.run(None, {"image": image[None].astype(np.float32)})
    return logits[0]


@pytest.mark.parametrize("size", AWKWARD)
@pytest.mark.parametrize(
    ("bands", "dtype", "profile"),
    [
        (1, "uint8", {}),
        (3, "float32", {"tiled": True, "blockxsize": 16, "blockysize": 32}),
        (3, "uint8", {"compress": "deflate", "interleave": "pixel", "blockysize": 5}),
        (6, "float32", {"compress": "lzw", "interleave": "band"}),
        (2, "uint16", {}),
    ],
)
def test_a_pointwise_model_gives_numpy_s_answer(paths, size, bands, dtype, profile):
    raster, model, output = paths
    image = made.pixels(bands, *size, dtype)
    made.raster(raster, image, **profile)
    _, answer = made.pointwise(model, bands, 4)
    scale = {"uint8": 1 / 255, "uint16": 1 / 4000, "float32": 1}[dtype]
    segment(raster, model, output, tile=64, overlap=16, batch_size=3, scale=scale)
    np.testing.assert_allclose(made.read(output), answer(image * scale), atol=1e-5)


@pytest.mark.parametrize("size", AWKWARD)
def test_convolutions_with_a_margin_of_their_radius_equal_one_run_over_everything(paths, size):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32")
    made.raster(raster, image)
    made.convolutions(model, 3, 5, layers=4)
    segment(raster, model, output, tile=64, overlap=20, margin=4)
    np.testing.assert_allclose(made.read(output), whole(model, image), atol=1e-6)


@pytest.mark.parametrize("size", AWKWARD)
def test_a_model_that_needs_multiples_equals_one_run_over_the_extended_image(paths, size):
    raster, model, output = paths
    image = made.pixels(2, *size, "float32")
    made.raster(raster, image)
    made.halving(model, 2, 3)
    beyond = [(0, 0)] + [(0, -length % 8) for length in size]
    expected = whole(model, np.pad(image, beyond, mode="reflect"))[:, : size[0], : size[1]]
    segment(raster, model, output, tile=64, overlap=24, margin=8, align=8)
    np.testing.assert_allclose(made.read(output), expected, atol=1e-6)


@pytest.mark.parametrize("size", AWKWARD)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_of_fixed_size_and_batch_gets_just_that(paths, size, batch):
    raster, model, output = paths
    image = made.pixels(3, *size, "float32")
    made.raster(raster, image)
    _, answer = made.pointwise(model, 3, 2, height=64, width=48, batch=batch)
    segment(raster, model, output, overlap=8)
    np.testing.assert_allclose(made.read(output), answer(image), atol=1e-5)
    segment(raster, model, output, overlap=8, batch_size=3, overwrite=True)
    np.testing.assert_allclose(made.read(output), answer(image), atol=1e-5)


def test_same_bits_for_every_batch_size_and_number_of_threads(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 200, 210))
    made.convolutions(model, 3, 5)
    results = []
    for batch_size, threads in [(1, 1), (3, 2), (8, None)]:
        segment(
            raster, model, output, tile=64, batch_size=batch_size, threads=threads, overwrite=True
        )
        results.append(made.read(output))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_callable_is_a_model(paths):
    raster, _, output = paths
    image = made.pixels(3, 100, 90, "float32")
    made.raster(raster, image)
    summary = segment(
        raster, lambda batch: batch.sum(axis=1, keepdims=True), output, margin=0, tile=64
    )
    np.testing.assert_allclose(made.read(output)[0], image.sum(axis=0), atol=1e-5)
    assert (summary.tiles, summary.classes, summary.pixels) == (4, 1, 9000)


def test_an_opened_model_is_a_model_with_its_metadata(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 100, 90))
    made.pointwise(model, 3, 2, height=32, width=64, metadata={"standardization_mean": [0.5] * 3})
    segment(raster, model, output)
    expected = made.read(output)
    summary = segment(raster, OnnxModel(OnnxFile(model)), output, overwrite=True)
    np.testing.assert_array_equal(made.read(output), expected)
    assert summary.tiles > 1


@pytest.mark.parametrize("name", ["GTIFF_DIR:1:{}", "file://{}", "mosaic.vrt"])
def test_an_output_behind_the_input_is_refused(paths, name):
    raster, _, _ = paths
    made.raster(raster, made.pixels(1, 20, 20))
    before = raster.read_bytes()
    rasterio.shutil.copy(raster, raster.with_name("mosaic.vrt"), driver="VRT")
    source = name.format(raster) if "{}" in name else raster.with_name(name)
    with pytest.raises(OptionError, match="is one of the inputs"):
        segment(source, lambda batch: batch, raster, margin=0, overwrite=True)
    assert raster.read_bytes() == before


def test_bands_of_different_types_are_read_together(paths):
    raster, _, output = paths
    made.raster(raster.with_name("a.tif"), made.pixels(1, 30, 40, "uint8"))
    made.raster(raster.with_name("b.tif"), made.pixels(1, 30, 40, "float32"))
    source = """<VRTDataset rasterXSize="40" rasterYSize="30">{}</VRTDataset>"""
    band = """<VRTRasterBand dataType="{}" band="{}"><SimpleSource>
      <SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand>
      </SimpleSource></VRTRasterBand>"""
    bands = band.format("Byte", 1, "a.tif") + band.format("Float32", 2, "b.tif")
    raster.with_name("in.vrt").write_text(source.format(bands))
    segment(raster.with_name("in.vrt"), lambda batch: batch, output, scale=1)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        logits = made.read(output)
    for band, name in zip(logits, ("a.tif", "b.tif"), strict=True):
        np.testing.assert_array_equal(band, made.read(raster.with_name(name))[0])


def test_the_output_lies_where_the_input_does(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, 300, 700))
    made.pointwise(model, 3, 2, metadata={"class_names": {"0": "land", "1": "water"}})
    segment(raster, model, output)
    with rasterio.open(output) as dataset:
        assert dataset.crs == made.UTM["crs"]
        assert dataset.transform == made.UTM["transform"]
        assert dataset.dtypes == ("float32", "float32")
        assert dataset.block_shapes == [(256, 256)] * 2
        assert dataset.compression.value == "ZSTD"
        assert dataset.descriptions == ("land", "water")
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"


def test_a_raster_without_any_place_gives_one_without(paths):
    raster, model, output = paths
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        made.raster(raster, made.pixels(3, 80, 90), transform=None, crs=None)
    made.pointwise(model, 3, 2)
    segment(raster, model, output)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        dataset = rasterio.open(output)
    with dataset:
        assert dataset.crs is None
        assert dataset.transform.is_identity


@pytest.mark.parametrize("compress", ["zstd", "deflate", "lzw", "lerc", "none"])
def test_every_compression_keeps_every_bit(paths, compress):
    raster, _, output = paths
    image = made.pixels(1, 300, 300, "float32")
    made.raster(raster, image)
    segment(raster, lambda batch: batch, output, margin=0, compress=compress)
    np.testing.assert_array_equal(made.read(output), image)


def test_each_block_is_written_once(paths):
    raster, _, output = paths
    made.raster(raster, made.pixels(1, 1000, 900, "float32"))
    segment(
        raster, lambda batch: np.repeat(batch, 2, axis=1), output, margin=0, tile=200, overlap=50
    )
    copy = output.with_name("copy.tif")
    rasterio.shutil.copy(
        output, copy, compress="zstd", zstd_level=1, predictor=3, tiled=True, interleave="band"
    )
    assert output.stat().st_size <= 1.02 * copy.stat().st_size


@pytest.mark.parametrize(
    "profile",
    [
        {"blockysize": 8, "interleave": "pixel"},
        {"blockysize": 100, "interleave": "band"},
        {"tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "pixel"},
        {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"},
    ],
)
@pytest.mark.slow
def test_each_block_of_the_input_is_decoded_about_once(paths, profile):
    raster, _, output = paths
    made.raster(raster, made.pixels(3, 1100, 12000), compress="deflate", zlevel=1, **profile)
    assert read_for(raster, output) < 1.1 * raster.stat().st_size


@pytest.mark.parametrize(
    "profile",
    [
        {"blockysize": 100, "interleave": "pixel"},
        {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band", "alpha": "yes"},
    ],
)
@pytest.mark.slow
def test_so_is_each_block_of_what_says_where_it_is_valid(paths, profile):
    raster, _, output = paths
    pixels = made.pixels(4, 800, 12000)
    profile |= {"compress": "deflate", "zlevel": 1}
    if "alpha" in profile:
        made.raster(raster, pixels, photometric="rgb", **profile)
    else:
        masked(raster, pixels[:3], pixels[3] > 100, True, **profile)
    assert read_for(raster, output) < 1.1 * raster.stat().st_size


def read_for(raster, output):
    """Bytes that are read for a run of the first three bands."""

    def bytes_read():
        with Path("/proc/self/io").open() as counters:
            return int(counters.readline().removeprefix("rchar: "))

    def run(path):
        options = {"tile": 128, "overlap": 32, "bands": [1, 2, 3]}
        segment(path, lambda batch: batch[:, :1], output, margin=0, overwrite=True, **options)

    small = made.raster(raster.with_name("small.tif"), made.pixels(3, 130, 130))
    run(small)  # whatever is loaded late is loaded now
    before = bytes_read()
    run(raster)
    # Closing checks what has been written, which is read again; it is far less than this.
    return bytes_read() - before


class TestFailures:
    """Whatever fails, the run ends with that error, no thread is left, and no file either."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, paths):
        before = threading.active_count()
        yield
        assert threading.active_count() == before
        assert made.names(paths[2].parent) == []

    def test_a_reader_that_fails(self, paths):
        raster, model, output = paths
        made.raster(raster, made.pixels(3, 2000, 300), compress="deflate", blockysize=16)
        with raster.open("r+b") as file:
            file.seek(raster.stat().st_size * 2 // 3)
            file.write(bytes(1000))
        made.pointwise(model, 3, 2)
        with pytest.raises(RasterError, match=r"cannot (read|open)"):
            segment(raster, model, output, tile=64)

    def test_a_model_that_fails_halfway(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 300, 300))
        calls = []

        def model(batch):
            calls.append(batch.shape)
            if calls.count((2, 3, 64, 64)) == 3:
                raise RuntimeError("out of memory on the device")
            return batch

        message = "the model fails on a batch of 2 x 3 x 64 x 64: out of memory on the device"
        with pytest.raises(ModelError, match=message):
            segment(raster, model, output, tile=64, batch_size=2, margin=0)

    def test_a_model_that_changes_its_mind_about_its_output(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 300, 300))
        with pytest.raises(
            ModelError,
            match=r"maps \[2, 3, 64, 64\] to \[2, 2, 64, 64\], not to \[2, 1, 64, 64\] as before",
        ):
            segment(
                raster,
                lambda batch: batch[:, : len(batch)],
                output,
                margin=0,
                tile=64,
                batch_size=2,
            )

    def test_a_progress_that_fails(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 300, 300))

        def on_progress(progress):
            if progress.done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            segment(raster, lambda batch: batch, output, margin=0, tile=64, on_progress=on_progress)

    def test_an_output_of_another_size_is_refused(self, paths):
        raster, _, output = paths
        made.raster(raster, made.pixels(3, 64, 64))
        with pytest.raises(
            ModelError, match=r"must be logits .* it maps \[1, 3, 64, 64\] to \[1, 3, 63, 64\]"
        ):
            segment(raster, lambda batch: batch[:, :, 1:], output, margin=0)


def test_logits_that_are_not_finite_are_counted(paths):
    raster, _, output = paths
    made.raster(raster, made.pixels(1, 100, 100))

    def model(batch):
        batch = batch.copy()
        batch[batch < 0.1] = np.nan
        return batch

    summary = segment(raster, model, output, tile=64)
    logits = made.read(output)
    assert summary.not_finite == np.count_nonzero(np.isnan(logits)) > 0


def test_progress_counts_every_tile_and_every_pixel(paths):
    raster, _, output = paths
    made.raster(raster, made.pixels(1, 150, 130))
    seen = []
    segment(
        raster, lambda batch: batch, output, margin=0, tile=64, overlap=16, on_progress=seen.append
    )
    assert [progress.done for progress in seen] == list(range(1, seen[-1].total + 1))
    assert seen[-1].pixels == 150 * 130


def test_a_slow_machine_gives_the_same_bits_where_batches_change_the_answer(tmp_path):
    image = made.raster(tmp_path / "in.tif", made.pixels(1, 500, 500, "float32"))

    def mixing(seconds):
        def model(batch):
            time.sleep(seconds)
            return batch - batch.mean(axis=0)

        return model

    for name, seconds in (("fast.tif", 0), ("slow.tif", 0.03)):
        segment(image, mixing(seconds), tmp_path / name, tile=64, overlap=16, margin=0)
    assert (tmp_path / "fast.tif").read_bytes() == (tmp_path / "slow.tif").read_bytes()
