import json
import re

import numpy as np
import pytest
import rasterio

from builders import made, networks
from builders.command import refused
from builders.sentences import PROVEN

CHECK = ("check", "in.tif", "model.onnx")
TILES = ("--tile", 64, "--overlap", 16, "--margin", 0, "--align", 1)


@pytest.fixture
def folder(folder):
    """With a model whose tiles are not exact unless they are given a margin."""
    networks.save("model.onnx", [("conv", 3, 1), ("relu",), ("conv", 5, 1)])
    return folder


def report(cli, *arguments):
    status, out, _ = cli(*CHECK, "--json", *arguments)
    assert status == 0
    return json.loads(out)


class TestReport:
    def test_the_default_run_is_exact_and_says_so(self, folder, cli):
        status, out, err = cli(*CHECK, "--tile", 64)
        assert status == 0
        lines = out.splitlines()
        assert (
            lines[0] == "tiles      64 x 64, overlap 7 x 7, margin 3 x 3, align 1 x 1, trust bell"
        )
        assert f"exactness  {PROVEN}" in lines
        assert "windows    9 of 9, 0.012 Mpx, seed 0" in lines
        assert any(
            line.startswith("reference  identical to one run over the whole image")
            for line in lines
        )
        (row,) = [line for line in lines if line.startswith("bell")]
        assert row.split()[1:5] == ["100%", "0", "0", "0%"]
        assert lines[-1].startswith("Overlapping tiles disagree by 0 (mean), 0 (95th percentile)")
        assert err.startswith("note: pixels are normalized as ")

    @pytest.mark.parametrize("quiet", [[], ["-q"]])
    def test_what_overlap_cannot_mend_is_said_once(self, folder, cli, quiet):
        networks.save("model.onnx", [("conv", 3, 1), ("instance_norm",)])
        status, out, err = cli(*CHECK, *TILES, *quiet)
        assert status == 0
        assert "exactness  not exact: the model has global context" in out
        assert err.count("1 InstanceNormalization node); fewer, larger tiles") == (not quiet)
        assert err.count("warning:") == (not quiet)

    def test_json_has_all_of_it(self, folder, cli):
        found = report(cli, *TILES)
        assert found["tiling"]["tile_size"] == [64, 64]
        assert found["windows"] == found["population"] == 12
        assert found["pixels"] == 100 * 120
        assert found["reference"]["complete"] is True
        (result,) = found["results"]
        assert result["name"] == "bell"
        assert 0 < result["identical"] < 1
        assert 0 < result["mean"] < result["largest"]
        assert set(found["disagreement"]) == {"pixels", "mean", "p95", "p99", "other_class"}
        assert 0 < found["tile_mismatch"]["value"] < 1
        assert len(found["tile_mismatch"]["by_class"]) == 2
        gap = found["class_gap"]
        assert 0 < gap["tolerance"] == gap["smallest"] / 2 < gap["tolerance_for_few"]

    def test_the_mismatch_and_the_tolerances_are_said(self, folder, cli):
        found = report(cli, *TILES)
        _, out, _ = cli(*CHECK, *TILES)
        mismatch, gap = found["tile_mismatch"]["value"], found["class_gap"]
        assert (
            f"Tile mismatch, 1 - Dice of the classes of overlapping tiles: {mismatch:.3g}.\n" in out
        )
        assert (
            f"Tolerance that changes no class of these pixels: {gap['tolerance']:.2g}; that "
            f"changes at most 0.1% of them: {gap['tolerance_for_few']:.2g}.\n"
        ) in out

    def test_a_model_with_global_context_is_offered_no_tolerance(self, folder, cli):
        networks.save("model.onnx", [("conv", 3, 1), ("instance_norm",)])
        assert report(cli, *TILES)["class_gap"] is None
        assert "Tolerance" not in cli(*CHECK, *TILES)[1]

    def test_infinite_measures_are_null(self, folder, cli):
        image = made.pixels(2, 100, 120, "float32")
        image[:, 5, 5] = float("inf")
        made.raster("out.tif", image)
        found = report(cli, "out.tif", *TILES)
        assert found["results"][0]["largest"] is None

    def test_compare_shows_every_profile(self, folder, cli):
        names = [result["name"] for result in report(cli, *TILES, "--compare")["results"]]
        assert names == ["bell", "linear", "hann", "gaussian", "flat", "crop"]
        cli("run", "in.tif", "model.onnx", "out.tif", *TILES)
        names = [result["name"] for result in report(cli, "out.tif", "--compare")["results"]]
        assert names == ["out.tif", "bell", "linear", "hann", "gaussian", "flat", "crop"]

    def test_an_output_is_checked_as_it_was_made(self, folder, cli):
        cli("run", "in.tif", "model.onnx", "out.tif", *TILES, "--trust", "flat")
        found = report(cli, "out.tif")
        assert found["tiling"]["trust"] == "flat"
        (own,) = found["results"]
        (again,) = report(cli, *TILES, "--trust", "flat")["results"]
        assert own == again | {"name": "out.tif"}

    def test_one_tile_has_no_seams_to_speak_of(self, folder, cli):
        _, out, _ = cli(*CHECK)
        assert out.splitlines()[6].split()[5:] == ["none"] * 3
        assert out.splitlines()[-1] == "No pixel is covered by two tiles."

    def test_quiet_prints_the_report_only(self, folder, cli):
        status, out, err = cli(*CHECK, *TILES, "-q")
        assert (status, err) == (0, "")
        assert out


class TestDoubts:
    """An output may not be what it is taken for."""

    def notes(self, cli, *arguments):
        status, _, err = cli(*CHECK, "out.tif", *arguments)
        assert status == 0, err
        return [line for line in err.splitlines() if not line.startswith("note: pixels")]

    @pytest.mark.parametrize("kind", ["probabilities", "classes", "confidence"])
    def test_one_that_holds_something_else_is_refused(self, folder, cli, kind):
        cli("run", "in.tif", "model.onnx", "out.tif", "--kind", kind)
        refused(cli(*CHECK, "out.tif"), 2, f"out.tif holds {kind}, and check compares logits")

    def test_one_that_says_how_it_was_made_has_none(self, folder, cli):
        cli("run", "in.tif", "model.onnx", "out.tif", "--tile", 64)
        assert self.notes(cli) == []
        assert self.notes(cli, "--tile", 64) == []

    def test_one_that_says_nothing(self, folder, cli):
        made.raster("out.tif", made.pixels(2, 100, 120, "float32"))
        (note,) = self.notes(cli, *TILES)
        assert note.startswith("note: out.tif has no tags about its tiles")

    def test_one_that_says_otherwise(self, folder, cli):
        cli("run", "in.tif", "model.onnx", "out.tif", "--tile", 64)
        (note,) = self.notes(cli, "--tile", 48)
        assert note == "note: out.tif was made with tile 64, 64, and is checked with tile 48, 48"

    def test_one_of_another_model(self, folder, cli):
        cli("run", "in.tif", "model.onnx", "out.tif")
        networks.save("model.onnx", [("conv", 3, 1)], seed=5)
        (note,) = self.notes(cli)
        assert note == 'note: out.tif was made with another model: "model.onnx"'

    def test_one_with_damaged_tags(self, folder, cli):
        cli("run", "in.tif", "model.onnx", "out.tif")
        with rasterio.open("out.tif", "r+") as dataset:
            dataset.update_tags(ns="seamless_seg", tile="zzz")
        refused(cli(*CHECK, "out.tif", "-q"), 1, "out.tif: its tag tile must be JSON, not 'zzz'")


class TestMap:
    def test_it_is_written_once_it_is_complete(self, folder, cli):
        status, _, _ = cli(*CHECK, *TILES, "--map", "out/map.tif")
        assert status == 0
        assert made.names("out") == ["map.tif"]
        assert made.read("out/map.tif").shape == (1, 100, 120)

    def test_it_is_replaced_only_if_asked_to(self, folder, cli):
        (folder / "out" / "map.tif").write_text("precious")
        refused(cli(*CHECK, *TILES, "--map", "out/map.tif", "-q"), 2, "map.tif exists already")
        assert (folder / "out" / "map.tif").read_text() == "precious"
        status, _, _ = cli(*CHECK, *TILES, "--map", "out/map.tif", "--overwrite")
        assert status == 0


class TestBounds:
    @pytest.mark.parametrize(
        ("bound", "measure"),
        [
            ("0.5", "seams"),
            ("seams=0.5", "seams"),
            ("largest=1e-9", "largest"),
            ("mean=1e-9", "mean"),
            ("not-identical=0.01", "not-identical"),
            ("disagreement=0", "disagreement"),
            ("tile-mismatch=1e-9", "tile-mismatch"),
        ],
    )
    def test_a_measure_past_its_bound_is_a_failure(self, folder, cli, bound, measure):
        status, out, err = cli(*CHECK, *TILES, "-q", "--fail-above", bound)
        assert status == 1
        assert out
        assert err.startswith(f"seamless-seg: error: bell: {measure} is ")
        assert len(err.splitlines()) == 1

    def test_what_is_good_enough_is_none(self, folder, cli):
        bounds = (
            "--fail-above",
            "largest=0",
            "--fail-above",
            "1.5",
            "--fail-above",
            "disagreement=0",
        )
        assert cli(*CHECK, "--tile", 64, *bounds)[0] == 0

    def test_all_that_is_broken_is_said(self, folder, cli):
        bounds = ("--fail-above", "largest=0", "--fail-above", "mean=0")
        _, _, err = cli(*CHECK, *TILES, "-q", *bounds)
        assert re.search(r"bell: largest is .*, above 0; mean is .*, above 0$", err)

    def test_an_output_of_nothing_but_nan_is_not_good_enough(self, folder, cli):
        made.raster("out.tif", np.full((2, 100, 120), np.nan, np.float32))
        status, _, err = cli(*CHECK, "out.tif", *TILES, "-q", "--fail-above", "1.05")
        assert status == 1
        assert "out.tif: seams is nan, above 1.05" in err

    def test_one_tile_cannot_fail(self, folder, cli):
        assert cli(*CHECK, "--fail-above", "0", "--fail-above", "disagreement=0")[0] == 0

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (("--fail-above", "beauty=1"), 2, "'beauty' is not one of seams, largest, mean"),
            (("--fail-above", "largest=big"), 2, "'big' is not a number"),
            (("--fail-above", "nan"), 2, "'nan' is not a number"),
            (("--windows", "0"), 2, "0 is not in the range x>=1"),
            (("--seed", "-1"), 2, "-1 is not in the range x>=0"),
            (("gone.tif",), 1, "cannot open gone.tif"),
            (("in.tif",), 2, "in.tif has 3 bands of uint8, and logits of this model have 2"),
            (("--trust", "blind"), 2, "'blind' is unknown: choose one of linear, hann, bell"),
            (("--trust", "kaiser"), 2, "'kaiser' has 0 parameters: write it as kaiser:beta"),
            (("--trust", "flattop", "--tile", "64"), 2, "flattop is -0.0"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, folder, cli, arguments, status, message):
        refused(cli(*CHECK, *arguments, "-q"), status, message)
