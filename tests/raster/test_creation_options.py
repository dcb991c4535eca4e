"""How outputs are stored: compression, types, Cloud Optimized GeoTIFFs, GDAL's own options."""

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from builders import made
from builders.nodata import NODATA, SIZE, holes, image_with
from seamless_seg import OptionError, segment
from seamless_seg.raster.legend import category_names

KINDS = ("logits", "probabilities", "classes", "confidence")


def identity(batch):
    return batch


@pytest.fixture
def scene(paths):
    """A raster with holes, larger than a block of any output, and a model of three classes."""
    raster, model, output = paths
    valid = np.kron(holes(), np.ones((2, 2), bool))
    made.raster(raster, image_with(valid), nodata=NODATA)
    made.pointwise(model, 3, 3, metadata={"class_names": {"0": "a", "1": "b", "2": "c"}})
    return raster, model, output


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "zstd", "compress_level": 9},
        {"compress": "deflate", "compress_level": 9},
        {"compress": "lzw"},
        {"compress": "lerc"},
        {"compress": "none"},
        {"creation_options": {"INTERLEAVE": "PIXEL"}},
        {"creation_options": {"blockxsize": "512", "BLOCKYSIZE": 128}},
        {"creation_options": {"PREDICTOR": "2", "BIGTIFF": "YES"}},
    ],
)
@pytest.mark.parametrize("kind", ["logits", "classes"])
def test_pixels_are_the_same_however_they_are_stored(scene, kind, options):
    raster, model, output = scene
    segment(raster, model, output, kind=kind)
    right = made.read(output)
    segment(raster, model, output, kind=kind, overwrite=True, **options)
    np.testing.assert_array_equal(made.read(output), right)
    with rasterio.open(output) as dataset:
        wanted = options.get("compress", "zstd")
        found = dataset.compression.value.lower() if dataset.compression else "none"
        assert found.startswith(wanted)
        given = {key.lower(): value for key, value in options.get("creation_options", {}).items()}
        if "interleave" in given and kind == "logits":
            assert dataset.interleaving.value == "PIXEL"
        if "blockxsize" in given:
            assert dataset.block_shapes[0] == (128, 512)


def test_overviews_may_be_chosen(scene):
    raster, model, output = scene
    options = {"OVERVIEW_COUNT": 1, "BLOCKSIZE": 128, "OVERVIEW_RESAMPLING": "NEAREST"}
    segment(raster, model, output, cog=True, creation_options=options)
    with rasterio.open(output) as dataset:
        assert dataset.overviews(1) == [2]
        assert dataset.block_shapes[0] == (128, 128)


def test_higher_levels_are_smaller(scene):
    raster, model, output = scene
    sizes = []
    for level in (1, 9):
        segment(raster, model, output, overwrite=True, compress_level=level)
        sizes.append(output.stat().st_size)
    assert sizes[1] < sizes[0]


def test_lerc_is_off_by_no_more_than_it_may(scene):
    raster, model, output = scene
    classes = output.with_name("classes.tif")
    segment(raster, model, output, also={"classes": classes})
    right, of_class = made.read(output), made.read(classes)
    size = output.stat().st_size
    options = {"compress": "lerc", "max_error": 0.05, "overwrite": True}
    segment(raster, model, output, also={"classes": classes}, **options)
    apart = np.nanmax(abs(made.read(output) - right))
    assert 0.01 < apart <= 0.05 * (1 + 1e-6)
    np.testing.assert_array_equal(np.isnan(made.read(output)), np.isnan(right))
    assert output.stat().st_size < 0.6 * size
    np.testing.assert_array_equal(made.read(classes), of_class)


def test_half_floats_are_the_nearest_ones(paths):
    raster, _, output = paths
    image = made.pixels(2, 300, 310, "float32") * 1000
    image[0, :5] = [[1e6], [-1e6], [np.nan], [1e-9], [65520]]
    image[:, 5] = np.nan
    made.raster(raster, image, nodata=np.nan)
    segment(raster, identity, output, dtype="float16")
    there = ~np.isnan(image).all(axis=0)
    assert not there[5].any()
    limits = np.finfo(np.float16)
    right = np.clip(image, limits.min, limits.max).astype(np.float16).astype(np.float32)
    found = made.read(output)
    with rasterio.open(output) as dataset:
        bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
        assert bits == "16" or dataset.dtypes[0] == "float16"  # a type of its own from GDAL 3.11 on
    np.testing.assert_array_equal(found[1, there], right[1, there])
    np.testing.assert_array_equal(found[0, 5:], right[0, 5:])
    np.testing.assert_array_equal(found[0, [0, 1, 3, 4]], right[0, [0, 1, 3, 4]])
    assert np.isnan(found[:, 5]).all()


@pytest.mark.parametrize("compress", ["zstd", "deflate", "lzw", "lerc", "none"])
def test_cogs_are_valid_and_hold_the_same(scene, compress):
    raster, model, output = scene
    also = {kind: output.with_name(f"{kind}.tif") for kind in KINDS[1:]}
    segment(raster, model, output, also=also)
    right = {path: made.read(path) for path in (output, *also.values())}
    segment(raster, model, output, also=also, cog=True, compress=compress, overwrite=True)
    for path, pixels in right.items():
        is_valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
        assert is_valid, (errors, warnings)
        np.testing.assert_array_equal(made.read(path), pixels)
    assert category_names(also["classes"]) == ["a", "b", "c"]
    with rasterio.open(also["classes"]) as dataset:
        assert dataset.colorinterp[0].name == "palette"
        assert dataset.nodata == 255
        assert dataset.descriptions == ("class",)
        assert dataset.tags(ns="seamless_seg")["kind"] == '"classes"'
    with rasterio.open(output) as dataset:
        assert dataset.descriptions == ("a", "b", "c")
        assert np.isnan(dataset.nodata)
    assert len(made.names(output.parent)) == 5, "four rasters and the names of classes"


def test_overviews_have_the_mode_of_classes_and_the_mean_of_the_rest(paths):
    raster, _, output = paths
    image = np.zeros((2, 1024, 1024), np.float32)
    image[0] = np.tile([[1, 0], [1, 1]], (512, 512))  # 0 is ahead in three of four pixels
    image[1] = 0.5
    made.raster(raster, image)
    classes = output.with_name("classes.tif")
    segment(raster, identity, output, also={"classes": classes}, cog=True)
    with rasterio.open(output, overview_level=0) as dataset:
        np.testing.assert_array_equal(dataset.read(1), np.full((512, 512), 0.75))
    with rasterio.open(classes, overview_level=0) as dataset:
        np.testing.assert_array_equal(dataset.read(1), np.zeros((512, 512)))


def test_a_cog_of_an_area_leaves_out_what_is_not_in_it(paths):
    raster, model, output = paths
    made.raster(raster, made.pixels(3, *SIZE))
    made.pointwise(model, 3, 3)
    bbox = made.bounds(raster, slice(10, 50), slice(10, 50))
    segment(raster, model, output, bbox=bbox, kind="classes")
    right = made.read(output)
    segment(raster, model, output, bbox=bbox, kind="classes", cog=True, overwrite=True)
    assert cog_validate(output, strict=True, quiet=True)[0]
    np.testing.assert_array_equal(made.read(output), right)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"compress": "zip"}, "compress 'zip' is unknown: choose one of zstd, deflate"),
        ({"dtype": "int8"}, "dtype 'int8' is unknown: choose one of float32, float16"),
        ({"compress": "lzw", "compress_level": 3}, "lzw has no levels"),
        ({"compress_level": 23}, "compress_level= of zstd must be 1 to 22, not 23"),
        ({"max_error": 0.1}, "max_error= is for lerc: choose compress=.lerc"),
        ({"compress": "lerc", "max_error": -1}, "max_error= must be a number from 0 on, not -1"),
        ({"compress": "lerc", "dtype": "float16"}, "lerc does not store float16"),
        ({"creation_options": {"compress": "LZW"}}, "COMPRESS: compress= sets it"),
        (
            {"creation_options": {"STATISTICS": "YES"}, "cog": True},
            "out the creation option STATIS",
        ),
        ({"creation_options": {"TARGET_SRS": "EPSG:4326"}, "cog": True}, "the raster's own grid"),
        ({"creation_options": {"BLOCKSIZE": "100"}, "cog": True}, "these creation options make no"),
        (
            {"creation_options": {"PIXELTYPE": "SIGNEDBYTE"}},
            "PIXELTYPE: the kind of output sets",
        ),
        (
            {"creation_options": {"photometric": "RGB"}},
            "option PHOTOMETRIC: the kind of output sets",
        ),
        (
            {"creation_options": {"driver": "PNG"}},
            "creation option DRIVER: it is not an option of GDAL's",
        ),
        ({"creation_options": "A=B"}, "creation_options must be a mapping, not 'A=B'"),
        (
            {"compress": "lerc", "max_error": "much"},
            "max_error= must be a finite number, not 'much'",
        ),
        ({"creation_options": {"BLOCKXSIZE": "100"}}, "must be a multiple of 16, not 100"),
        ({"creation_options": {"BLOKSIZE": "128"}}, "does not support creation option BLOKSIZE"),
        (
            {"creation_options": {"BLOKSIZE": "128"}, "cog": True},
            "does not support creation option BLOKSIZE",
        ),
        (
            {"creation_options": {"PREDICTOR": "BLUE"}, "cog": True},
            "'BLUE' is an unexpected value for PREDICTOR",
        ),
    ],
)
def test_what_cannot_be_stored_so_is_refused_at_once(scene, options, sentence):
    raster, model, output = scene
    with pytest.raises(OptionError, match=sentence):
        segment(raster, model, output, **options)
    assert made.names(output.parent) == []


def test_creation_options_of_the_command_line(cli, folder):
    argv = ["run", "in.tif", "model.onnx", "out.tif", "-co", "INTERLEAVE=PIXEL"]
    assert cli(*argv, "--creation-option", "BIGTIFF=YES")[0] == 0
    assert (folder / "out.tif").read_bytes()[:4] == b"II+\0"
    status, _, said = cli(*argv, "--overwrite", "-co", "BIGTIFF")
    assert status == 2
    assert "'BIGTIFF' is not KEY=VALUE" in said
