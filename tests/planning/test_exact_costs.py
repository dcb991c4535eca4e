"""What exact tiles cost: notes before a run, and margins by measurement alone."""

import re

import numpy as np
import onnxruntime
import pytest

from builders import made, networks
from builders.sentences import MEASURED, PROVEN
from seamless_seg import SeamlessError, check, forecast, segment
from seamless_seg.planning.options import Options

BOUND = "the graph allows a receptive-field radius"
COST = "exact tiles of"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A raster; models whose far taps have no weight, next to none, and full weight."""
    folder = tmp_path_factory.mktemp("costs")
    made.raster(folder / "in.tif", made.pixels(3, 400, 420, "float32"))
    for name, strength in (("dead.onnx", 0), ("weak.onnx", 1e-5), ("strong.onnx", 1)):
        made.faint(folder / name, 60, strength)
    return folder


def whole(folder, model):
    image = made.read(folder / "in.tif")[None]
    return onnxruntime.InferenceSession(folder / model).run(None, {"image": image})[0][0]


def note(made_forecast, start):
    """The only note that starts so; None if there is none."""
    found = [own for own in made_forecast.settings.notes if own.startswith(start)]
    assert len(found) <= 1
    return found[0] if found else None


class TestMeasuredMargin:
    def test_it_is_the_measured_radius_though_the_graph_allows_more(self, folder):
        output = folder / "measured.tif"
        summary = segment(
            folder / "in.tif", folder / "dead.onnx", output, tile=200, margin="measured"
        )
        reason = "the graph allows a radius of up to 60 px: margin=60 is proven to be enough"
        assert summary.exactness == f"{MEASURED} ({reason})"
        assert (summary.exact, summary.exact_by) == (True, "measurement")
        np.testing.assert_array_equal(made.read(output), whole(folder, "dead.onnx"))
        planned = forecast(
            folder / "in.tif", folder / "dead.onnx", tile=200, margin="measured"
        ).settings.tiling
        assert (planned.margin.value, planned.overlap.value) == ((1, 1), (3, 3))
        report = check(folder / "in.tif", folder / "dead.onnx", output, margin="measured")
        assert not [own for own in report.forecast.settings.notes if "was made with" in own]
        assert report.judged.identical == 1

    def test_what_the_sentence_names_is_proven(self, folder):
        named = forecast(folder / "in.tif", folder / "dead.onnx", tile=256, margin=60)
        assert named.exactness == PROVEN

    def test_it_is_the_graph_s_where_both_are_equal(self, folder):
        by = {
            margin: forecast(folder / "in.tif", folder / "strong.onnx", tile=256, margin=margin)
            for margin in ("measured", "auto")
        }
        assert by["measured"].exactness == by["auto"].exactness == PROVEN
        assert by["measured"].plan == by["auto"].plan

    def test_a_function_has_no_other_margin(self, folder):
        planned = forecast(folder / "in.tif", lambda batch: batch, tile=256, margin="measured")
        assert planned.exactness == f"{MEASURED} (a function has no graph)"

    @pytest.mark.parametrize("name", ["tile", "overlap", "align"])
    def test_it_is_a_word_for_margins_alone(self, name):
        with pytest.raises(SeamlessError, match=name):
            Options(**{name: "measured"})
        with pytest.raises(SeamlessError, match="margin"):
            Options(margin="proven")


class TestNotes:
    def test_a_bound_far_beyond_the_measured_radius_is_priced(self, folder):
        planned = forecast(size=(900, 1000), model=folder / "dead.onnx")
        other = forecast(size=(900, 1000), model=folder / "dead.onnx", margin="measured")
        assert planned.settings.tiling.margin.value == (60, 60)
        assert note(planned, BOUND) == (
            f"{BOUND} of up to 60 px, and 1 px were measured: a margin of 60 px is proven to be "
            f"enough and runs {planned.plan.redundancy:.2f} x the raster's pixels; "
            f'margin="measured" is exact as far as measured and could run '
            f"{other.plan.redundancy:.2f} x"
        )
        assert other.plan.redundancy < planned.plan.redundancy
        assert note(other, BOUND) is None

    def test_so_is_one_that_has_no_room(self, folder):
        planned = forecast(folder / "in.tif", folder / "dead.onnx", tile=200)
        other = forecast(folder / "in.tif", folder / "dead.onnx", tile=200, margin="measured")
        assert planned.exact_by == "measurement"
        assert f"no room for a margin of 60 px, and tiles run {planned.plan.redundancy:.2f} x" in (
            note(planned, BOUND)
        )
        assert note(planned, BOUND).endswith(f"could run {other.plan.redundancy:.2f} x")
        assert note(planned, COST) is None  # no tolerance saves more than the measured margin

    def test_a_tolerance_that_saves_much_is_named_with_what_it_saves(self, folder):
        planned = forecast(folder / "in.tif", folder / "weak.onnx", tile=256)
        named = float(re.search(r"tolerance=([\d.]+)", note(planned, COST))[1])
        other = forecast(folder / "in.tif", folder / "weak.onnx", tile=256, tolerance=named)
        assert planned.exactness == PROVEN
        assert note(planned, COST) == (
            f"{COST} 256 px run {planned.plan.redundancy:.2f} x the raster's pixels; "
            f"tolerance=0.0001 could take tiles of 256 px and run {other.plan.redundancy:.2f} x: "
            f"as measured, it changes logits near tile edges by less than 0.0001 of their standard "
            f"deviation"
        )
        assert other.plan.redundancy < 0.8 * planned.plan.redundancy
        assert note(other, COST) is None
        segment(
            *(folder / "in.tif", folder / "weak.onnx", folder / "tolerant.tif"),
            tile=256,
            tolerance=named,
        )
        expected = whole(folder, "weak.onnx")
        apart = np.abs(made.read(folder / "tolerant.tif") - expected).max()
        assert 0 < apart < named * expected.std()

    def test_so_is_one_for_a_strip_of_which_no_tile_is_large_enough(self, tmp_path):
        model = made.faint(tmp_path / "wide.onnx", 200, 1e-5)
        planned = forecast(size=(64, 40000), model=model)
        other = forecast(size=(64, 40000), model=model, tolerance=1e-4)
        assert 1.23 < planned.plan.redundancy < 1.5
        assert planned.plan.grid.cols.tile > 2 * other.plan.grid.cols.tile
        assert f"could take tiles of 64x{other.plan.grid.cols.tile} px" in note(planned, COST)

    def test_timings_that_choose_another_tile_are_no_reason_for_one(self, folder):
        timed = forecast(size=(900, 1000), model=folder / "weak.onnx", tile="auto")
        named = forecast(size=(900, 1000), model=folder / "weak.onnx")
        assert named.plan.redundancy < 1.5
        assert timed.settings.tiling.tile.origin == "fastest by timing"
        assert note(timed, COST) is None

    @pytest.mark.parametrize(
        ("model", "options"),
        [
            ("strong.onnx", {"tile": 256}),
            ("weak.onnx", {"tile": 420}),
            ("weak.onnx", {"tile": 256, "margin": 60}),
            ("weak.onnx", {"tile": 256, "tolerance": 0.01}),
            ("weak.onnx", {"tile": 100}),
            ("dead.onnx", {"tile": 256, "margin": 60}),
            ("dead.onnx", {"tile": 256, "overlap": 130}),
        ],
        ids=["no gain", "one tile", "by hand", "tolerant", "not exact", "by hand too", "overlap"],
    )
    def test_what_saves_nothing_is_not_noted(self, folder, model, options):
        planned = forecast(folder / "in.tif", folder / model, **options)
        assert note(planned, COST) is None
        assert note(planned, BOUND) is None

    def test_a_bound_that_is_little_larger_is_not_noted(self, tmp_path):
        model = made.faint(tmp_path / "near.onnx", 16, 0)
        planned = forecast(size=(900, 1000), model=model)
        assert planned.settings.tiling.margin.value == (16, 16)
        assert note(planned, BOUND) is None


def test_tiles_that_overlap_absurdly_are_warned_of_and_the_advice_helps(paths):
    networks.save(paths[1], [("conv", 9, 1), ("relu",)] * 2)
    options = {"size": (300, 400), "model": paths[1]}
    (warning,) = forecast(tile=20, overlap=18, **options).warnings
    found = re.fullmatch(
        r"tiles of 20 px run \d\d x the raster's pixels, as they overlap by 18 px: give "
        r"tile=(\d+) or more",
        warning,
    )
    better = forecast(tile=int(found[1]), overlap=18, **options)
    assert not better.warnings
    assert better.plan.redundancy < 3


def patches(batch):
    """A mean of patches of 48 px, and then of 3 px: tiles on the stride overlap by 3 px."""
    count, bands, height, width = batch.shape
    blocks = batch.reshape(count, bands, height // 48, 48, width // 48, 48)
    added = batch + blocks.mean((3, 5)).repeat(48, 2).repeat(48, 3)
    beyond = np.pad(added, [(0, 0), (0, 0), (1, 1), (1, 1)])
    return beyond[..., 1:-1, :-2] + beyond[..., 1:-1, 2:] + beyond[..., :-2, 1:-1]


@pytest.mark.parametrize(
    "given", [{"tile": 48}, {"tile": 48, "align": 1}, {"tile": 96, "align": 1}]
)
def test_a_tile_and_an_alignment_that_are_advised_are_exact(given):
    said = forecast(size=500, model=patches, **given).exactness
    assert said.startswith("not exact")
    advised = {name: int(number) for name, number in re.findall(r"(tile|align)=(\d+)", said)}
    better = forecast(size=500, model=patches, **given | advised)
    assert better.exactness.startswith(MEASURED), (said, better.exactness)
