"""Tile mismatch, against an oracle that compares all pairs of tiles over the whole image."""

from itertools import combinations

import numpy as np
import onnxruntime
import pytest

from builders import made, networks
from seamless_seg import check
from seamless_seg.evaluation.window_sample import Sample
from seamless_seg.tiling.axis import Axis
from seamless_seg.tiling.grid import Grid

HEIGHT, WIDTH, TILE = 150, 131, 64
WIDE = [("conv", 3, 1), ("relu",), ("squeeze_excite",), ("conv", 3, 1)]


def tile_classes(model, image, overlap, margin):
    """Class of each tile at each pixel, -1 outside of it and in its margins: (tiles, height, w)."""
    session = onnxruntime.InferenceSession(model)
    rows, cols = (Axis(length, TILE, overlap, 1, margin) for length in (HEIGHT, WIDTH))
    found = []
    for i in range(rows.count):
        for j in range(cols.count):
            box = slice(rows.start(i), rows.stop(i)), slice(cols.start(j), cols.stop(j))
            (logits,) = session.run(None, {"image": image[None, :, *box]})
            best = logits[0].argmax(axis=0) if logits.shape[1] > 1 else (logits[0, 0] > 0) * 1
            top, left = margin * (i > 0), margin * (j > 0)
            bottom = TILE - margin * (i < rows.count - 1)
            right = TILE - margin * (j < cols.count - 1)
            own = np.full((HEIGHT, WIDTH), -1)
            own[box][top:bottom, left:right] = best[top:bottom, left:right]
            found.append(own)
    return np.array(found), Grid(rows, cols)


def mismatch(found, classes, considered):
    """1 - Dice of each class, summed over all pairs of tiles, and 1 - the mean Dice."""
    both, sizes = np.zeros(classes), np.zeros(classes)
    for one, other in combinations(found, 2):
        shared = (one >= 0) & (other >= 0) & considered
        for number in range(classes):
            is_one, is_other = one[shared] == number, other[shared] == number
            both[number] += (is_one & is_other).sum()
            sizes[number] += is_one.sum() + is_other.sum()
    with np.errstate(invalid="ignore"):
        by_class = 1 - 2 * both / sizes
    return by_class


def everywhere():
    return np.ones((HEIGHT, WIDTH), bool)


class TestMismatch:
    @pytest.mark.parametrize(("overlap", "margin"), [(16, 0), (24, 3), (40, 2)])
    def test_it_is_what_an_oracle_finds(self, tmp_path, overlap, margin):
        image = made.pixels(3, HEIGHT, WIDTH, "float32")
        raster = made.raster(tmp_path / "in.tif", image)
        model = networks.save(tmp_path / "wide.onnx", WIDE, classes=4)
        options = {"tile": TILE, "overlap": overlap, "margin": margin, "align": 1}
        classes, _ = tile_classes(model, image, overlap, margin)
        by_class = mismatch(classes, 4, everywhere())
        found = check(raster, model, **options).tile_mismatch
        np.testing.assert_allclose(np.array(found.by_class, float), by_class, rtol=1e-12)
        assert found.value == pytest.approx(np.nanmean(by_class), rel=1e-12)
        assert 0 < found.value < 1

    def test_of_some_windows_it_is_that_of_their_pixels(self, tmp_path):
        image = made.pixels(3, HEIGHT, WIDTH, "float32")
        raster = made.raster(tmp_path / "in.tif", image)
        model = networks.save(tmp_path / "wide.onnx", WIDE)
        classes, grid = tile_classes(model, image, 24, 0)
        considered = ~everywhere()
        for window in Sample(grid, 3, seed=4):
            considered[window] = True
        options = {"tile": TILE, "overlap": 24, "margin": 0, "align": 1, "windows": 3, "seed": 4}
        found = check(raster, model, **options).tile_mismatch
        by_class = mismatch(classes, 2, considered)
        np.testing.assert_allclose(found.by_class, by_class, rtol=1e-12)
        assert not np.allclose(by_class, mismatch(classes, 2, everywhere()), rtol=1e-6)

    def test_pixels_without_data_are_left_out(self, tmp_path):
        image = made.pixels(3, HEIGHT, WIDTH, "float32")
        image[:, 30:80, 40:90] = -9999
        raster = made.raster(tmp_path / "in.tif", image, nodata=-9999)
        model = networks.save(tmp_path / "wide.onnx", WIDE)
        options = {"tile": TILE, "overlap": 24, "margin": 0, "align": 1}
        valid = (image != -9999).all(axis=0)
        classes, _ = tile_classes(model, np.where(valid, image, 0), 24, 0)
        found = check(raster, model, **options).tile_mismatch
        np.testing.assert_allclose(found.by_class, mismatch(classes, 2, valid), rtol=1e-12)

    def test_of_one_logit_it_is_that_of_the_foreground(self, tmp_path):
        image = made.pixels(3, HEIGHT, WIDTH, "float32")
        raster = made.raster(tmp_path / "in.tif", image)
        model = networks.save(tmp_path / "wide.onnx", WIDE, classes=1)
        classes, _ = tile_classes(model, image, 24, 0)
        found = check(raster, model, tile=TILE, overlap=24, margin=0, align=1).tile_mismatch
        foreground = mismatch(classes, 2, everywhere())[1]
        assert found.by_class == (pytest.approx(foreground, rel=1e-12),)
        assert found.value == found.by_class[0] > 0

    def test_tiles_that_agree_have_none_and_one_tile_has_no_number(self, tmp_path):
        raster = made.raster(tmp_path / "in.tif", made.pixels(3, HEIGHT, WIDTH, "float32"))
        model = networks.save(tmp_path / "near.onnx", [("conv", 3, 1)])
        report = check(raster, model, tile=TILE)
        assert report.tile_mismatch.value == 0
        assert report.tile_mismatch.by_class == (0, 0)
        assert check(raster, model, tile=256).tile_mismatch is None

    def test_a_class_that_no_tile_gives_has_no_number(self, tmp_path):
        raster = made.raster(tmp_path / "in.tif", np.ones((3, HEIGHT, WIDTH), np.float32))
        model, answer = made.pointwise(tmp_path / "point.onnx", 3, 3)
        best = int(answer(np.ones((3, 1, 1), np.float32)).argmax())
        found = check(raster, model, tile=TILE, overlap=16).tile_mismatch
        assert found.by_class == tuple(0 if number == best else None for number in range(3))
        assert found.value == 0
