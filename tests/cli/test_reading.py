import json

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from builders import made
from builders.command import RUN, refused
from seamless_seg.planning.open_raster import open_raster
from seamless_seg.planning.options import Options


@pytest.fixture
def answer(folder):
    """A model that states a resolution of 1 m and says of each pixel what numpy says."""
    raster = made.raster("in.tif", made.pixels(3, 128, 160, "float32"), nodata=-9)
    with rasterio.open(raster, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
        dataset.scales, dataset.offsets = [0.5, 2, 1], [0, 1, -1]
    return made.pointwise("model.onnx", 3, 2, metadata={"resolution": 100})[1]


WAYS = [
    (["--level", 2], {"level": 2}),
    (["--resolution", "1,0.8"], {"resolution": (1, 0.8)}),
    (["--match-resolution"], {"resolution": 1}),
    (["--unscale"], {"unscale": True}),
    (["--nodata", "nan"], {"nodata": float("nan")}),
    (["--nodata", "-5", "--level", 1, "--unscale"], {"nodata": -5, "level": 1, "unscale": True}),
]


@pytest.mark.parametrize(("arguments", "options"), WAYS)
def test_an_output_is_on_the_grid_that_ran_and_check_finds_it_again(
    answer, cli, arguments, options
):
    status, text, said = cli(*RUN, "--tile", 48, "--quiet", *arguments)
    assert (status, text) == (0, "")
    assert not said or said.startswith("warning: the pixel size is")
    with open_raster("in.tif", Options(**options)) as reader:
        height, width = reader.size
        pixels, place = reader.read(slice(0, height), slice(0, width)), reader.georeference
    with rasterio.open("out/out.tif") as dataset:
        assert dataset.transform == place.transform
        np.testing.assert_allclose(dataset.read(), answer(pixels), atol=1e-5)
    status, text, notes = cli("check", *RUN[1:], "--json", "--fail-above", "largest=0")
    assert (status, json.loads(text)["results"][0]["identical"]) == (0, 1)
    assert "checked for" not in notes
    status, _, notes = cli("check", *RUN[1:], *arguments)
    assert status == 0
    assert "checked for" not in notes


def test_check_says_where_it_is_told_otherwise(answer, cli):
    assert cli(*RUN, "--tile", 48, "--quiet", "--unscale", "--nodata", "nan")[0] == 0
    status, _, notes = cli("check", *RUN[1:], "--nodata", 7)
    assert status == 0
    assert "out/out.tif was made with nodata nan, and is checked with nodata 7" in notes


def test_check_refuses_another_level(answer, cli):
    assert cli(*RUN, "--tile", 48, "--quiet", "--level", 1)[0] == 0
    refused(cli("check", *RUN[1:], "--level", 2), 2, "is 64 x 80 px and in.tif 32 x 40: give the")
    refused(cli("check", *RUN[1:], "--resolution", 2), 2, "is 64 x 80 px and in.tif 32 x 40")


def test_plan_shows_the_grid_and_where_it_comes_from(answer, cli):
    status, text, notes = cli("plan", "in.tif", "model.onnx", "--match-resolution")
    assert status == 0
    assert "image       64 x 80 px" in text
    assert "resolution  1, 1  (the model's metadata)" in text
    assert "note: pixels are resampled to 1 x 1 units of the CRS (the model's metadata)" in notes
    status, text, _ = cli("plan", "in.tif", "--level", 1, "--nodata", -3)
    assert "image       64 x 80 px" in text
    assert "level       1  (option)" in text
    assert "nodata      -3  (option)" in text


def test_probe_asks_at_the_model_s_resolution(answer, cli):
    assert cli("probe", "model.onnx", "in.tif", "--match-resolution")[0] == 0
    refused(cli("probe", "model.onnx", "in.tif", "--level", 3), 2, "in.tif has overviews 1 to 2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", 3], r"level 3: in.tif has overviews 1 to 2 \(1/2, 1/4\)"),
        (["--level", -1], "-1 is not in the range x>=0"),
        (["--level", 1, "--resolution", 2], "--level and --resolution exclude each other"),
        (["--resolution", "0"], "resolution must be the height and width"),
        (["--resolution", "a"], "'a' is not a list of numbers"),
        (["--nodata", "none"], "'none' is neither a number nor nan"),
        (
            ["--nodata", "1e39"],
            "nodata 1e[+]39 cannot be a pixel of in.tif, whose pixels are float",
        ),
    ],
)
def test_what_cannot_be_is_refused(answer, cli, arguments, message):
    refused(cli(*RUN, *arguments), 2, message)


def test_plan_needs_a_model_to_match_its_resolution(answer, cli):
    refused(
        cli("plan", "in.tif", "--match-resolution"),
        2,
        "--match-resolution takes the resolution from the model: give a model",
    )


def test_reading_options_need_a_raster(answer, cli):
    result = cli("plan", "--size", "100x100", "--tile", 50, "--level", 1)
    refused(result, 2, "--level is about how the raster is read: give")
    refused(
        cli("probe", "model.onnx", "--unscale"),
        2,
        "--unscale is about how the raster is read: give",
    )
