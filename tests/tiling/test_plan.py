import itertools
import tracemalloc

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from builders.areas import (
    areas,
    inside,
)
from builders.strategies import plan_arguments
from seamless_seg import GeometryError, Plan, plan_run_grid, shape_to_slices


@given(plan_arguments(), areas)
def test_steps_load_write_and_unload_every_tile_once_in_a_fixed_order(arguments, area):
    plan, _ = plan_run_grid(area=area, **arguments)
    steps = list(plan)
    by_action = {
        action: [step.index for step in steps if step.action == action]
        for action in ("load", "write", "unload")
    }
    panels = [j for panel in plan.panels for j in [panel[0]] * len(panel)]

    def place(index):
        i, j = index
        return panels[j - plan.columns.start], i, j

    assert by_action["load"] == by_action["write"] == sorted(set(by_action["load"]), key=place)
    assert sorted(by_action["unload"]) == sorted(by_action["load"])
    assert len(plan) == len(steps) == 3 * plan.tiles
    assert plan.tiles + plan.skipped == np.prod(plan.grid.shape)
    assert list(plan) == steps
    for count in (1, 3, 7):
        assert plan.last_steps(count) == steps[-count:]


@given(plan_arguments(), areas)
def test_a_tile_is_loaded_if_and_only_if_it_covers_a_wanted_pixel(arguments, area):
    plan, grid = plan_run_grid(area=area, **arguments)
    wanted = inside(area, *arguments["image_size"])
    loaded = {step.index for step in plan if step.action == "load"}
    for index in itertools.product(*map(range, grid.shape)):
        assert (index in loaded) == wanted[shape_to_slices(grid[index])].any()


@given(plan_arguments(), areas)
def test_windows_cover_every_wanted_pixel_and_none_twice(arguments, area):
    plan, _ = plan_run_grid(area=area, **arguments)
    height, width = arguments["image_size"]
    written = np.zeros((height, width), dtype=int)
    for _, geom in plan.windows():
        assert shapely.box(0, 0, height, width).covers(geom)
        written[shape_to_slices(geom)] += 1
    assert written.max(initial=0) <= 1
    assert written[inside(area, height, width)].all()
    assert plan.written == written.sum()


@given(plan_arguments(), areas)
def test_a_tile_is_unloaded_once_the_last_window_that_it_touches_is_finished(arguments, area):
    plan, _ = plan_run_grid(area=area, **arguments)
    steps = list(plan)
    at = {(step.action, step.index): n for n, step in enumerate(steps)}
    loads = [n for n, step in enumerate(steps) if step.action == "load"] + [len(steps)]
    for load in (step for step in steps if step.action == "load"):
        touching = [n for n, step in enumerate(steps) if is_write_within(step, load.geom)]
        unload = at["unload", load.index]
        assert unload > max(touching)
        if area is None:
            assert unload < next(n for n in loads if n > max(touching)), "and not any later"


def is_write_within(step, box):
    return step.action == "write" and step.geom.intersection(box).area > 0


def test_no_more_than_two_rows_of_tiles_have_a_say_at_once():
    plan, _ = plan_run_grid((1000, 1500), 256, 64)
    held = most = 0
    for step in plan:
        held += {"load": 1, "write": 0, "unload": -1}[step.action]
        most = max(most, held)
    columns = plan.grid.shape[1]
    assert held == 0
    assert most <= 2 * columns + 2


@given(plan_arguments(), areas, st.integers(1, 9))
def test_batches_hold_the_tiles_to_load_in_order(arguments, area, size):
    plan, grid = plan_run_grid(area=area, **arguments)
    batches = list(plan.batches(size))
    assert all(len(batch.indices) == size for batch in batches[:-1])
    indices = [index for batch in batches for index in batch.indices]
    assert indices == [step.index for step in plan if step.action == "load"]
    assert all(grid[index].equals(geom) for b in batches for index, geom in zip(*b, strict=True))


def test_figures_of_the_readme():
    plan, grid = plan_run_grid((40_000, 40_000), (256, 256), (64, 64))
    assert grid.shape == (208, 208)
    assert plan.tiles == 43_264
    assert plan.peak.pixels == 64 * 40_000 + 64 * 256 + 0 * 208
    assert plan.peak.fraction < 0.004


def test_a_huge_plan_is_planned_counted_and_sized_in_kilobytes():
    tracemalloc.start()
    plan, grid = plan_run_grid(1_000_000, 256, 64)
    assert (plan.tiles, len(plan), grid.shape) == (27_123_264, 81_369_792, (5208, 5208))
    assert plan.peak.fraction < 0.0001
    assert [step.action for step in itertools.islice(plan, 4)] == ["load", "write"] * 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_grid_gives_boxes_by_index_row_and_slice():
    _, grid = plan_run_grid((500, 800), (256, 200), (64, 50))
    assert grid.shape == (3, 5)
    assert grid[0, 0].equals(shapely.box(0, 0, 256, 200))
    assert grid[-1, -1].equals(shapely.box(244, 600, 500, 800))
    assert grid[0].shape == (5,)
    assert grid[:, 1:3].shape == (3, 2)
    assert len(list(grid)) == len(grid) == 3
    with pytest.raises(IndexError):
        grid[3, 0]


@pytest.mark.parametrize(("panel", "widths"), [(None, [208]), (208, [208]), (100, [69, 69, 70])])
def test_panels_are_as_equal_as_can_be_and_no_wider_than_asked_for(panel, widths):
    plan, _ = plan_run_grid(40_000, 256, 64, panel=panel)
    assert [len(columns) for columns in plan.panels] == widths
    assert [j for columns in plan.panels for j in columns] == list(range(208))


def test_panels_hold_rows_of_their_width_and_the_columns_between_two_of_them():
    plan, grid = plan_run_grid(40_000, 256, 64, panel=52)
    width = max(grid.cols.window(p[-1])[1] - grid.cols.start(p[0]) for p in plan.panels)
    assert width < 10_100
    assert plan.peak.pixels == 64 * width + (208 + 1) * 64 * 256


def test_tiles_of_an_area_far_from_the_origin_hold_little():
    whole, _ = plan_run_grid(100_000, 256, 64)
    part, _ = plan_run_grid(100_000, 256, 64, shapely.box(90_000, 90_000, 90_500, 90_500))
    assert part.tiles <= 25
    assert part.peak.pixels < whole.peak.pixels / 50
    assert part.skipped == whole.tiles - part.tiles


def test_redundancy_is_pixels_loaded_over_pixels_written():
    plan, _ = plan_run_grid(1024, 256, 64)
    assert plan.redundancy == pytest.approx((5 * 256 / 1024) ** 2)
    assert plan_run_grid(100, 256, 64)[0].redundancy == 1.0


def test_a_plan_is_the_same_for_numbers_pairs_and_numpy_integers():
    plan: Plan = plan_run_grid((300, 300), (64, 64), (16, 16))[0]
    assert plan == plan_run_grid(300, 64, 16)[0]
    assert plan == plan_run_grid(np.array([300, 300]), np.int64(64), np.int16(16))[0]


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (shapely.Polygon(), "must be a shapely polygon or multi-polygon in .y, x. pixels"),
        (shapely.Point(3, 3), "not <POINT"),
        ("everywhere", "not 'everywhere'"),
        (shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), "not valid: Self-intersection.*buffer"),
    ],
)
def test_an_area_that_is_none_is_refused(area, message):
    with pytest.raises(GeometryError, match=message):
        plan_run_grid(100, 50, 10, area)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((100, 100, 3), 50, 10), "image_size must be one number or .height, width."),
        ((100, "50", 10), "tile_size must be a whole number|one number or"),
        ((100, 50, 1.5), "overlap must be a whole number, not 1.5"),
        ((100, 50, (10, 50)), "overlap 50 must be smaller than the tile, 50 px"),
    ],
)
def test_sizes_that_make_no_plan_are_refused(arguments, message):
    with pytest.raises(GeometryError, match=message):
        plan_run_grid(*arguments)


@pytest.mark.parametrize("panel", [0, -1, 1.5, "wide"])
def test_a_panel_that_is_no_number_of_tiles_is_refused(panel):
    with pytest.raises(GeometryError, match="panel must be"):
        plan_run_grid(100, 50, 10, panel=panel)
