"""Nodata that nothing declares, and what is measured without it."""

import re

import numpy as np
import pytest

from builders import made
from builders.command import RUN, refused
from seamless_seg import forecast, segment

GAPS = np.s_[:, 20:30, 10:70]
FLOAT32_MIN = float(np.finfo(np.float32).min)


def scene(dtype, low, high, nodata=None):
    values = np.linspace(low, high, 60 * 80 * 3)
    image = np.random.default_rng(0).permutation(values).reshape(3, 60, 80).astype(dtype)
    if nodata is not None:
        image[GAPS] = nodata
    return image


CASES = [
    ("uint16", 200, 3200, 65535),
    ("uint16", 0, 255, 65535),
    ("int16", -5000, 13000, -32768),
    ("int16", 0, 10000, -9999),
    ("int32", 0, 10000, -(2**31)),
    ("uint32", 0, 10000, 65535),
    ("float32", 0, 1, -9999),
    ("float32", 0, 1, FLOAT32_MIN),
    ("float64", -30, 0, -9999),
]


class TestStatistics:
    @pytest.mark.parametrize("normalize", ["zscore", "percentile:2,98"])
    @pytest.mark.parametrize(("dtype", "low", "high", "nodata"), CASES)
    def test_they_leave_it_out_and_a_warning_names_it(
        self, paths, normalize, dtype, low, high, nodata
    ):
        raster, model, _ = paths
        made.raster(raster, scene(dtype, low, high, nodata))
        made.pointwise(model, 3, 2)
        (warning,) = forecast(raster, model, normalize=normalize).warnings
        assert warning.endswith("if it means no data; the statistics leave it out")
        given = float(re.search(r"give nodata=(\S+) if", warning)[1])
        assert given == nodata
        declared = forecast(raster, model, normalize=normalize, nodata=nodata)
        assert declared.warnings == ()
        found = forecast(raster, model, normalize=normalize).settings.normalization
        assert found == declared.settings.normalization
        if normalize == "zscore":
            image = scene(dtype, low, high, nodata).astype(np.float64)
            means = [band[band != nodata].mean() for band in image]
            np.testing.assert_allclose(found.mean, means, rtol=1e-5, atol=1e-6)


class TestScale:
    @pytest.mark.parametrize(("dtype", "low", "high", "nodata"), CASES[:6])
    def test_the_one_that_is_proposed_fits_the_other_values(
        self, folder, cli, dtype, low, high, nodata
    ):
        image = scene(dtype, low, high, nodata)
        made.raster("in.tif", image)
        result = cli(*RUN)
        refused(result, 2, f"give --nodata {nodata} if it means no data; the range of {dtype}")
        if low >= 0:
            scale = float(re.search(r"--scale ([\d.]+),", result[2])[1])
            p98 = max(np.percentile(band[band != nodata], 98) for band in image)
            assert scale == pytest.approx(1 / p98, rel=5e-3)

    def test_floats_that_are_taken_as_they_are(self, folder, cli):
        made.raster("in.tif", scene("float32", 0, 1, FLOAT32_MIN))
        status, _, err = cli(*RUN)
        assert status == 0
        option = re.search(r"warning: .*give (--nodata \S+) if", err)[1]
        status, _, err = cli(*RUN, "--overwrite", *option.split())
        assert (status, "warning" in err) == (0, False)


class TestNaN:
    def test_it_is_named_before_and_after_the_run(self, paths):
        raster, model, output = paths
        image = scene("float32", 0, 1, np.nan)
        made.raster(raster, image)
        _, answer = made.pointwise(model, 3, 2)
        before, after = segment(raster, model, output).warnings
        assert before == "pixels are NaN, which is not declared as nodata: give nodata=nan"
        assert after.startswith("1200 logits are not finite (NaN or infinite): give nodata=nan if")
        (after,) = segment(raster, model, output, scale=1, overwrite=True).warnings
        assert "give nodata=nan" in after
        assert segment(raster, model, output, nodata=np.nan, overwrite=True).warnings == ()
        valid = ~np.isnan(image).any(axis=0)
        np.testing.assert_allclose(
            made.read(output)[:, valid], answer(image)[:, valid], rtol=1e-4, atol=1e-5
        )


class TestOrdinaryValues:
    @pytest.mark.parametrize(
        "image",
        [
            scene("uint16", 0, 65535),
            np.clip(scene("int32", 30000, 90000), 0, 65535).astype("uint16"),
            scene("uint16", 0, 1) * 65535,
            scene("uint8", 0, 200, 255),
        ],
        ids=["full range", "saturated", "mask", "bytes"],
    )
    def test_those_at_an_end_are_none(self, paths, image):
        made.raster(paths[0], image)
        made.pointwise(paths[1], 3, 2)
        assert forecast(paths[0], paths[1], normalize="zscore").warnings == ()

    def test_a_few_pixels_are_none(self, paths):
        image = scene("uint16", 200, 3200)
        image[:, 3, :20] = 65535  # 0.4 %
        made.raster(paths[0], image)
        made.pointwise(paths[1], 3, 2)
        assert forecast(paths[0], paths[1], normalize="zscore").warnings == ()

    def test_what_is_declared_already_is_named(self, paths):
        made.raster(paths[0], scene("uint16", 200, 3200, 65535), nodata=0)
        made.pointwise(paths[1], 3, 2)
        (warning,) = forecast(paths[0], paths[1], normalize="zscore").warnings
        assert "give nodata=65535 in place of 0 if" in warning
