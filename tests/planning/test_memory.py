import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import made, networks
from seamless_seg import BudgetError, OptionError, plan_run_grid, segment
from seamless_seg.models.tile_model import WorkingMemory
from seamless_seg.planning.memory import MemoryNeeds, schedule, spare_bytes
from seamless_seg.raster.blocks import BlockLayout
from seamless_seg.system import peak_bytes, resident_bytes

MB = 1_000_000


def needs(size=(40_000, 40_000), tile=256, overlap=64, classes=1, blocks=(256, 256)):
    plan, _ = plan_run_grid(size, tile, overlap)
    return MemoryNeeds(
        plan=plan,
        blocks=BlockLayout(*blocks, pixel_bytes=3),
        block_shape=(256, 256),
        bands=3,
        classes=classes,
        pixel_bytes=4 * classes,
        input_shape=plan.grid.tile_shape,
        program=100 * MB,
        working=WorkingMemory(5 * MB, 2 * MB),
    )


def test_a_raster_of_which_rows_are_small_is_walked_at_once():
    chosen = schedule(needs((5000, 3000)), 4, 2)
    assert len(chosen.plan.panels) == 1
    assert (chosen.batch_size, chosen.workers) == (4, 2)


@pytest.mark.parametrize("classes", [1, 8])
def test_what_is_held_does_not_grow_with_the_raster(classes):
    small, wide, huge = (
        schedule(needs(size, classes=classes), 4, 2).footprint.total
        for size in [(20_000, 20_000), (20_000, 400_000), (400_000, 400_000)]
    )
    assert max(wide, huge) < 1.05 * small


def test_a_striped_raster_is_walked_at_once_however_wide():
    chosen = schedule(needs(blocks=(16, 40_000)), 4, 2)
    assert len(chosen.plan.panels) == 1
    assert chosen.footprint.rows > 60 * MB


def test_what_strips_cost_is_said_where_it_is_much():
    wide, narrow = needs(blocks=(16, 40_000)), needs((40_000, 4000), blocks=(16, 4000))
    tiled, single = needs(), needs((500, 500), tile=1024, classes=8, blocks=(512, 512))
    (note,) = schedule(wide, 4, 2).notes
    assert re.search(
        r"whole rows of it are kept in memory .* only once: \d\d MB that a tiled", note
    )
    for case in (narrow, tiled, single):
        assert schedule(case, 4, 2).notes == ()


def test_panels_read_few_blocks_again_unless_memory_is_short():
    large = needs(blocks=(4096, 4096))
    assert len(schedule(large, 4, 2).plan.panels) == 1
    assert len(schedule(large, 4, 2, 270 * MB).plan.panels) > 1


@given(
    st.sampled_from([(300, 300), (5000, 30_000), (100_000, 2_000)]),
    st.sampled_from([(256, 64), (512, 300), (64, 0)]),
    st.sampled_from([1, 3, 8]),
    st.integers(100, 1000),
)
def test_a_limit_is_kept_or_refused_with_the_least_that_would_do(size, tiling, classes, limit):
    case = needs(size, *tiling, classes)
    try:
        chosen = schedule(case, 4, 2, limit * MB)
    except BudgetError as error:
        least = int(re.search(r"needs at least (\d+) MB", str(error))[1])
        assert limit <= least <= 1.3 * limit or least <= 300
        assert schedule(case, 4, 2, least * MB).footprint.total <= least * MB
    else:
        assert chosen.footprint.total <= limit * MB
        assert chosen.footprint.total == sum(count for _, count in chosen.footprint.parts())


@pytest.mark.parametrize("blocks", [(256, 256), (4096, 4096), (16, 40_000)])
@pytest.mark.parametrize("overlap", [0, 64, 200])
def test_a_limit_that_is_wide_enough_changes_nothing(blocks, overlap):
    case = needs(blocks=blocks, overlap=overlap)
    best = schedule(case, 4, 2)
    enough = int(1.09 * best.footprint.total)
    assert schedule(case, 4, 2, enough) == best == schedule(case, 4, 2, 10_000 * MB)
    assert schedule(case, 4, 2, best.footprint.total) != best, "runs differ a little"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            needs(),
            r"max.memory.50 MB is too little: .* at least \d+ MB, of which \d+ MB are for the pro",
        ),
        (
            needs(blocks=(16, 40_000), classes=8),
            r"whole rows .* in strips: a tiled copy .*TILED=YES",
        ),
        (replace(needs(), working=WorkingMemory(500 * MB, 0)), "smaller tiles need less"),
    ],
)
def test_a_refusal_says_what_takes_so_much(case, message):
    with pytest.raises(BudgetError, match=message):
        schedule(case, 4, 2, 50 * MB)


def test_the_same_bits_in_panels_and_for_every_limit(tmp_path, steady):
    pixels = made.pixels(3, 130, 9000)
    strips = made.raster(tmp_path / "strips.tif", pixels, blockysize=16)
    tiled = made.raster(tmp_path / "tiled.tif", pixels, tiled=True, blockxsize=256, blockysize=256)
    model = made.convolutions(tmp_path / "model.onnx", 3, 4, layers=1)
    out = tmp_path / "out.tif"
    panels = []

    def run(raster, **options):
        def on_start(forecast):
            panels.append(len(forecast.schedule.plan.panels))

        segment(raster, model, out, tile=64, overlap=20, on_start=on_start, **options)
        result = made.read(out)
        out.unlink()
        return result

    expected = run(strips)
    np.testing.assert_array_equal(run(tiled), expected)
    for more in (0, 30):
        with pytest.raises(BudgetError) as error:
            run(tiled, max_memory=MB)
        least = int(re.search(r"needs at least (\d+) MB", str(error.value))[1])
        np.testing.assert_array_equal(run(tiled, max_memory=(least + more) * MB), expected)
    assert panels[:2] == [1, 2]
    assert max(panels) > 2


def test_a_large_batch_is_not_tried_before_it_is_known_to_fit(tmp_path, steady):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 900, 900))
    batches = []

    def model(batch):
        batches.append(len(batch))
        return batch

    with pytest.raises(BudgetError) as error:
        segment(raster, model, tmp_path / "out.tif", tile=128, batch_size=64, max_memory=MB)
    assert max(batches) <= 2
    least = int(re.search(r"needs at least (\d+) MB", str(error.value))[1])
    options = {"tile": 128, "batch_size": 64, "max_memory": least * MB}
    segment(raster, model, tmp_path / "out.tif", **options)
    assert max(batches) < 64
    segment(raster, model, tmp_path / "other.tif", tile=128, batch_size=1)
    np.testing.assert_array_equal(
        made.read(tmp_path / "out.tif"), made.read(tmp_path / "other.tif")
    )


def test_a_tile_that_would_take_many_times_the_limit_is_not_tried(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 3000, 3000))
    model = made.convolutions(tmp_path / "model.onnx", 3, 4, width=64)
    message = (
        r"too little: in tiles of 3000 x 3000 px this run needs about \d+ MB, .*; tile=256 gives "
        r"the same output, and needs at least \d+ MB"
    )
    # As other tests have left it: a limit is one on all that the process holds.
    before, held = peak_bytes(), resident_bytes()
    options = {"tile": 3000, "max_memory": held + 250 * MB}
    with pytest.raises(BudgetError, match=message):
        segment(raster, model, tmp_path / "out.tif", **options)
    assert peak_bytes() <= max(before, held + 1200 * MB), "a tile takes some 4 GB"


def least_of(error):
    """The tile and the amount that a refusal names."""
    found = re.search(r"in tiles of (\d+) x \1 px, .*needs at least (\d+) MB", str(error.value))
    return int(found[1]), int(found[2])


def test_every_refusal_names_the_same_amount_and_it_is_enough(tmp_path, steady):
    """Whatever the limit: of the smallest tile, which is taken if larger ones do not fit."""
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 320, 330))
    model = networks.save(tmp_path / "model.onnx", [("conv", 3, 35), ("conv", 3, 35)])
    named = set()
    for limit in (1, 50, 100, 130):
        with pytest.raises(BudgetError) as error:
            segment(raster, model, tmp_path / "out.tif", max_memory=limit * MB)
        named.add(least_of(error))
    ((tile, least),) = named
    assert tile == 288, "the overlap of 141, doubled, and the next multiple of 8"
    with pytest.raises(BudgetError, match=f"tile={tile} gives the same output"):
        segment(raster, model, tmp_path / "out.tif", tile=2000, max_memory=limit * MB)
    segment(raster, model, tmp_path / "out.tif", max_memory=least * MB)
    segment(raster, model, tmp_path / "whole.tif", tile=2000)
    np.testing.assert_array_equal(
        made.read(tmp_path / "out.tif"), made.read(tmp_path / "whole.tif")
    )


@pytest.mark.parametrize("limit", [1, 10, 999_999])
def test_a_limit_in_another_unit_is_refused(tmp_path, limit):
    with pytest.raises(OptionError, match=f"max_memory={limit} is {limit} bytes, .*: give bytes"):
        segment("in.tif", "model.onnx", tmp_path / "out.tif", max_memory=limit)


@pytest.mark.parametrize("limit", [0, -5, 1e9, "500MB"])
def test_a_limit_that_is_no_number_of_bytes_is_refused(tmp_path, limit):
    with pytest.raises(OptionError, match="max_memory must be a whole number of bytes, not"):
        segment("in.tif", "model.onnx", tmp_path / "out.tif", max_memory=limit)


def test_a_run_that_has_been_stopped_leaves_nothing_put_aside(tmp_path):
    raster = made.raster(
        tmp_path / "in.tif", made.pixels(3, 700, 900), tiled=True, blockxsize=256, blockysize=256
    )
    (tmp_path / "out").mkdir()

    def on_progress(progress):
        if progress.done == progress.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(
            raster,
            lambda batch: batch,
            tmp_path / "out" / "out.tif",
            tile=64,
            on_progress=on_progress,
            max_memory=10**10,
        )
    assert made.names(tmp_path / "out") == []


def test_what_finishing_needs_beyond_the_run_stands_in_the_footprint():
    plain = schedule(needs(), 4, 2).footprint
    little = schedule(replace(needs(), finishing=10 * MB), 4, 2).footprint
    much = schedule(replace(needs(), finishing=900 * MB), 4, 2).footprint
    assert (little.finishing, little.total) == (0, plain.total), "it uses the model's memory again"
    assert much.total == much.program + 900 * MB == sum(count for _, count in much.parts())
    assert spare_bytes(int(1.08 * much.total) + 1, much) >= 900 * MB
    with pytest.raises(BudgetError, match=r"at least 10[789]0 MB, .* MB for smoothing, siev"):
        schedule(replace(needs(), finishing=900 * MB), 4, 2, 800 * MB)


def test_the_limit_of_a_container_is_kept_and_named():
    unlimited = schedule(needs(), 4, 2)
    enough = int(1.09 * unlimited.footprint.total)
    assert schedule(needs(), 4, 2, enough, is_of_group=True) == unlimited
    smaller = schedule(needs(), 4, 2, int(0.9 * enough), is_of_group=True)
    assert smaller.footprint.total <= 0.9 * enough
    assert re.search(r"the container leaves \d+ MB of memory", smaller.notes[-1])
    with pytest.raises(BudgetError, match=r"container.s 50 MB of memory are too little: .*at le"):
        schedule(needs(), 4, 2, 50 * MB, is_of_group=True)


def test_cleaned_classes_and_overviews_are_the_same_under_a_limit(tmp_path, steady):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 700, 600))
    model = made.convolutions(tmp_path / "model.onnx", 3, 4, layers=1)
    options = {"tile": 128, "kind": "classes", "smooth": 2, "sieve": 30, "cog": True}
    segment(raster, model, tmp_path / "free.tif", **options)
    with pytest.raises(BudgetError) as error:
        segment(raster, model, tmp_path / "least.tif", **options, max_memory=MB)
    segment(raster, model, tmp_path / "least.tif", **options, max_memory=error.value.least)
    expected, found = made.read(tmp_path / "free.tif"), made.read(tmp_path / "least.tif")
    np.testing.assert_array_equal(found, expected)


def test_a_limit_below_the_logits_of_a_few_tiles_is_refused_before_the_model_runs(tmp_path):
    raster = made.raster(tmp_path / "in.tif", made.pixels(3, 300, 300))
    model = made.pointwise(tmp_path / "model.onnx", 3, 1000)
    before = peak_bytes()
    with pytest.raises(BudgetError, match=r"too little for 1000 classes: 6 tiles of 256 x 256 px"):
        segment(raster, model, tmp_path / "out.tif", max_memory=500 * MB)
    assert peak_bytes() <= before + 50 * MB
