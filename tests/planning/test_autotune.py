import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import cached, made, networks
from seamless_seg import Options, plan_run_grid, segment
from seamless_seg.models.callable_model import CallableModel
from seamless_seg.models.load import open_models
from seamless_seg.planning.autotune import choose_tile
from seamless_seg.planning.options import Execution
from seamless_seg.planning.probing import probe_file
from seamless_seg.planning.tile_timing import (
    RasterTiling,
    Timing,
    fastest_tile,
    tile_costs,
    time_tiles,
)

GB = 10**9


def raster(size=(8000, 9000), overlap=100, align=8):
    return RasterTiling(size, (overlap, overlap), (align, align))


def timings(**seconds):
    """Timings of tiles whose pixels take so many nanoseconds, ``_512=200``."""
    return [Timing(int(tile[1:]), 1, ns * 1e-9, 10**6) for tile, ns in seconds.items()]


def interpolated(known, tile):
    """Seconds per pixel, linear in the logarithm of the tile size."""
    sides = [timing.tile for timing in known]
    return np.interp(np.log(tile), np.log(sides), [timing.seconds for timing in known])


@given(st.integers(300, 20_000), st.integers(300, 20_000), st.sampled_from([(256, 64), (512, 101)]))
def test_redundancy_is_that_of_the_plan(height, width, tiling):
    tile, overlap = tiling
    plan, _ = plan_run_grid((height, width), tile, overlap, align=8)
    expected = raster((height, width), overlap).redundancy(tile)
    assert plan.redundancy == pytest.approx(expected)


def test_a_tile_that_overlap_would_fill_is_out_of_question():
    assert raster(overlap=256).redundancy(512) == np.inf
    assert min(raster(overlap=200).candidates(is_memory_limited=True)) > 400


@given(st.integers(600, 20_000), st.lists(st.integers(50, 400), min_size=3, max_size=3))
def test_the_chosen_tile_is_as_fast_as_any_that_was_timed(size, ns):
    known = timings(_256=ns[0], _512=ns[1], _1024=ns[2])
    case = raster((size, size))
    chosen = fastest_tile(known, case, 512, GB)
    assert chosen.total <= 1.05 * min(listed.total for listed in tile_costs(known, case))
    assert chosen.tile % 8 == 0
    assert chosen.seconds == pytest.approx(chosen.redundancy * size**2 / chosen.speed)


def test_a_cache_that_is_too_small_for_large_tiles_speaks_for_small_ones():
    assert fastest_tile(timings(_256=100, _512=100, _1024=100), raster(), 256, GB).tile > 800
    assert fastest_tile(timings(_256=100, _512=100, _1024=300), raster(), 256, GB).tile < 700


def test_a_tile_as_large_as_the_raster_is_taken_only_where_it_saves_time():
    """With one tile, nothing is read or written beside the model."""
    known = timings(_384=450, _2048=450)
    chosen = fastest_tile(known, raster((2048, 2048), overlap=159), 512, 100 * GB)
    assert chosen.tile == 632
    assert chosen.redundancy == pytest.approx((4 * 632 / 2048) ** 2)
    tiny = fastest_tile(known, raster((400, 400), overlap=159), 512, 100 * GB)
    assert tiny.redundancy == 1


@given(st.integers(600, 5000), st.integers(50, 400))
def test_no_smaller_tile_is_within_5_percent_of_the_best(size, ns):
    known, case = timings(_256=1.3 * ns, _512=ns, _1024=0.9 * ns), raster((size, size))
    every = [
        cost
        for tile in range(256, 1025, 8)
        for cost in tile_costs([*known, Timing(tile, 1, interpolated(known, tile), 1)], case)
        if cost.tile == tile
    ]
    best = min(cost.total for cost in every)
    first = next(cost.tile for cost in every if cost.total <= 1.05 * best)
    assert fastest_tile(known, case, 256, GB).tile == first


def test_timings_that_do_not_fit_do_not_keep_smaller_tiles_from_being_timed():
    model = CallableModel(lambda batch: batch)
    large = [Timing(1024, 1, 1e-9, 4 * GB), Timing(2048, 1, 1e-9, 16 * GB)]
    found = time_tiles(model, 3, raster(), large, GB, is_requested=True, is_memory_limited=True)
    assert found
    assert not set(large) & set(found)
    assert min(timing.tile for timing in found) == 256
    assert fastest_tile(found, raster(), 512, GB).working <= GB


def test_a_known_tile_that_does_not_fit_is_timed_again():
    """The model had more threads of its own then, each of which takes as much."""
    model = CallableModel(lambda batch: batch)
    known = [Timing(256, 1, 1e-9, 16 * GB)]
    found = time_tiles(model, 3, raster(), known, GB, is_requested=True, is_memory_limited=True)
    assert min(timing.tile for timing in found) == 256
    assert not set(known) & set(found)


def test_a_tile_that_does_not_fit_is_not_taken():
    known = [Timing(256, 1, 1e-7, 10**8), Timing(1024, 1, 1e-7, 16 * 10**8)]
    assert fastest_tile(known, raster(), 256, 2 * GB).tile > 800
    assert fastest_tile(known, raster(), 256, GB / 2).tile < 600
    assert fastest_tile(known, raster(), 256, 1).tile == 256


def test_several_tiles_at_a_time_must_be_worth_it():
    one, four = Timing(256, 1, 1e-7, 1), Timing(256, 4, 0.98e-7, 4)
    assert fastest_tile([one, four], raster(), 256, GB).batch == 1
    assert fastest_tile([one, four._replace(seconds=0.8e-7)], raster(), 256, GB).batch == 4


def test_only_what_is_not_known_is_timed():
    shapes = []

    def function(batch):
        shapes.append(batch.shape)
        return batch

    def run(known):
        shapes.clear()
        model = CallableModel(function)
        return time_tiles(model, 3, raster(), known, GB, is_requested=True, is_memory_limited=False)

    found = run([])
    assert [timing.tile for timing in found] == sorted(timing.tile for timing in found)
    assert {shape[0] for shape in shapes} == {timing.batch for timing in found}
    sizes = {shape[2] for shape in shapes}
    assert sizes == {timing.tile for timing in found}
    assert max(shape[0] * shape[2] * shape[3] for shape in shapes if shape[0] > 1) <= 2**21
    assert run(found) == found
    assert not shapes
    missing = found[0].tile
    again = run([timing for timing in found if timing.tile != missing])
    assert {timing.tile for timing in again} == sizes
    assert {shape[2] for shape in shapes} == {missing}


def failing_from(side=0, batch=100, below=0):
    """A function that takes tiles and batches of some sizes only."""

    def function(pixels):
        if pixels.shape[0] >= batch or not below <= pixels.shape[2] < side:
            raise MemoryError("too much")
        return pixels

    return CallableModel(function)


@pytest.mark.parametrize(
    ("limits", "tiles"),
    [
        ({"side": 300}, {256}),
        ({"side": 400, "below": 300}, {256, 384}),  # 256 is extended to 320
        ({"side": 300, "batch": 2}, {256}),
        ({"side": 0}, set()),
    ],
)
def test_what_the_model_fails_on_is_left_out(limits, tiles):
    found = time_tiles(
        failing_from(**limits), 3, raster(), [], GB, is_requested=True, is_memory_limited=True
    )
    assert {timing.tile for timing in found} == tiles
    batches = {timing.batch for timing in found}
    assert max(batches, default=1) < limits.get("batch", 100)


def test_batches_that_do_not_fit_are_not_tried():
    sizes = []

    def function(batch):
        sizes.append(batch.nbytes)
        return batch

    time_tiles(
        CallableModel(function), 3, raster(), [], 1, is_requested=True, is_memory_limited=True
    )
    assert set(sizes) == {256 * 256 * 3 * 4}


def test_tiles_that_overlap_would_fill_have_no_cost():
    known = timings(_256=100, _1024=100)
    assert [listed.tile for listed in tile_costs(known, raster(overlap=200))] == [1024]


class TestFiles:
    @pytest.fixture
    def model(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return networks.save(tmp_path / "model.onnx", [("conv", 3, 1), ("conv", 3, 1)])

    def choose_tile(self, path, **options):
        model = open_models(path)
        found = probe_file(path, model)
        size = (3000, 3000)
        return choose_tile(path, model, Options(**options), found, size, 3, Execution())

    def test_timings_are_cached(self, model):
        first = self.choose_tile(model, tile="auto")
        assert first.timed[0].tile == 256
        assert self.choose_tile(model, tile="auto") == first

    @pytest.mark.parametrize(("hours", "is_timed_again"), [(23, False), (25, True), (-2, True)])
    def test_timings_are_not_used_for_ever(self, model, tmp_path, hours, is_timed_again):
        self.choose_tile(model, tile="auto")
        (path,) = (tmp_path / "cache/seamless_seg/timings").iterdir()
        tile = cached.document(path)["timings"][0][0]
        timed_at = time.time() - 3600 * hours
        cached.replace(path, {"timed_at": timed_at, "timings": [[tile, 1, 1e-3, 1]]})
        (first, *_) = self.choose_tile(model, tile="auto").timed
        assert (first.speed > 1.1e3) == is_timed_again

    def test_cached_timings_that_do_not_fit_are_not_used(self, model, tmp_path):
        fresh = self.choose_tile(model, tile="auto")
        (path,) = (tmp_path / "cache/seamless_seg/timings").iterdir()
        only_large = [[2048, 1, 1e-9, 10**12]]
        cached.replace(path, {"timed_at": time.time(), "timings": only_large})
        again = self.choose_tile(model, tile="auto")
        assert next(listed.tile for listed in again.timed) == fresh.timed[0].tile
        assert again.chosen.tile < 2048
        kept = cached.document(path)["timings"]
        assert [2048, 1, 1e-9, 10**12] in kept

    def test_one_tile_for_the_whole_raster_is_said(self, model, tmp_path):
        image = made.raster(tmp_path / "in.tif", made.pixels(3, 200, 250))
        notes = segment(image, model, tmp_path / "out.tif", tile="auto").settings.notes
        (said,) = [note for note in notes if "one tile" in note]
        assert re.match(
            r"the whole raster is one tile of \d+ px, as that is fastest: it takes", said
        )

    @pytest.mark.parametrize(
        "options",
        [
            {},  # the second or two would be longer than the run
            {"tile": 512},
            {"tile": "auto", "margin": 1},
            {"tile": "auto", "overlap": 3},
            {"tile": "auto", "align": 1, "margin": 0},
        ],
    )
    def test_a_tile_that_is_settled_or_changes_the_answer_is_not_timed(self, model, options):
        small = open_models(model)
        found = probe_file(model, small)
        size = (900, 900) if not options else (9000, 9000)
        assert choose_tile(model, small, Options(**options), found, size, 3, Execution()) is None

    def test_a_tile_wide_model_is_not_timed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        path = networks.save(tmp_path / "wide.onnx", [("conv", 3, 1), ("global_pool",)])
        assert probe_file(path, open_models(path)).tile_wide
        assert self.choose_tile(path, tile="auto") is None

    def test_run_and_plan_show_the_table_and_take_the_same_tile(self, model, tmp_path, cli):
        image = made.raster(tmp_path / "in.tif", made.pixels(3, 700, 800))
        out = tmp_path / "out.tif"
        status, table, _ = cli("plan", image, model, "--tile", "auto")
        assert status == 0
        rows = re.findall(r"(timed|taken) +(\d+) px by \d+: .* Mpx/s, (.*) x the pixels, .*", table)
        (taken,) = [tile for mark, tile, _ in rows if mark == "taken"]
        assert f"tile        {taken} x {taken}  (fastest by timing)" in table
        status, _, said = cli("run", image, model, out, "--tile", "auto", "-v")
        assert status == 0
        assert f"taken       {taken} px" in said
        settled = tmp_path / "settled.tif"
        segment(image, model, settled, tile=128)
        np.testing.assert_array_equal(made.read(out), made.read(settled))
