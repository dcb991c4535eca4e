import json
import re

import pytest

from builders import made, networks
from builders.command import refused
from builders.sentences import PROVEN


class TestPlan:
    def plan(self, cli, *arguments):
        status, out, err = cli("plan", *arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    def test_sentences_name_options_of_the_command_line(self, folder, cli):
        networks.save(folder / "net.onnx", networks.u_net(2))
        arguments = "in.tif", "net.onnx", "--tile", 64, "--align", 2
        cli("plan", *arguments, "-o", "plan.json")
        written = json.loads((folder / "plan.json").read_text())
        for figures in (written, self.plan(cli, *arguments)):
            assert figures["exactness"].endswith("stride of 4 px; use --align 4")

    def test_the_figures_of_a_large_raster(self, cli):
        figures = self.plan(
            cli, "--size", "40000x40000", "--tile", 256, "--overlap", 64, "--dry-run"
        )
        assert figures["tiles"] == 43_264
        assert figures["held_fraction"] < 0.004
        assert (
            figures
            | {
                "image_size": [40_000, 40_000],
                "tile_size": [256, 256],
                "overlap": [64, 64],
                "grid": [208, 208],
                "skipped": 0,
                "held_pixels": 2_576_384,
            }
            == figures
        )

    def test_a_raster_and_a_model_settle_what_is_left_open(self, folder, cli):
        made.pointwise("model.onnx", 3, 7, height=64, width=32)
        figures = self.plan(cli, "in.tif", "model.onnx")
        assert figures["image_size"] == [100, 120]
        assert figures["tile_size"] == [64, 32]
        assert figures["overlap"] == [0, 0], "a pointwise model needs none"
        assert figures["exactness"].startswith(PROVEN)
        assert figures["classes"] == 7
        assert figures["held_bytes"] == figures["held_pixels"] * 7 * 4

    @pytest.mark.parametrize(
        ("kinds", "stored"),
        [
            ((), 7 * 4),
            (("--kind", "classes"), 1),
            (("--kind", "classes", "--also", "confidence"), 1 + 4),
            (("--also", "classes=c.tif", "--also", "probabilities=p.tif"), 2 * 7 * 4 + 1),
        ],
    )
    def test_what_is_written_depends_on_the_kinds_of_outputs(self, folder, cli, kinds, stored):
        made.pointwise("model.onnx", 3, 7)
        for what in (("in.tif",), ("--size", "100x120")):
            figures = self.plan(cli, *what, "model.onnx", *kinds)
            assert figures["written_bytes"] == figures["written_pixels"] * stored
        whole = self.plan(cli, "in.tif", "model.onnx")["memory"]["blocks"]
        blocks = self.plan(cli, "in.tif", "model.onnx", *kinds)["memory"]["blocks"]
        assert blocks * 7 * 4 == whole * stored

    def test_a_kind_that_is_none_is_refused(self, folder, cli):
        result = cli("plan", "in.tif", "model.onnx", "--also", "shapes=s.tif")
        refused(result, 2, "'shapes' is not one of logits, probabilities, classes, confidence")

    def test_a_size_and_a_model_are_enough(self, folder, cli):
        made.pointwise("model.onnx", 3, 7, height=64, width=32)
        assert self.plan(cli, "--size", "1000", "model.onnx")["tile_size"] == [64, 32]

    @pytest.mark.parametrize(("options", "bands"), [((), 3), (("--bands", "1,2,4,3"), 4)])
    def test_a_size_is_enough_for_a_model_that_leaves_its_bands_open(
        self, folder, cli, options, bands
    ):
        made.pointwise("model.onnx", bands, 7, bands="bands")
        figures = self.plan(cli, "--size", "9000", "model.onnx", "--tile", "auto", *options)
        assert figures["exactness"].startswith(PROVEN)
        assert figures["timed"]

    def test_a_limit_without_a_raster_to_keep_it_on_is_noted(self, folder, cli):
        status, _, said = cli("plan", "--size", "900", "model.onnx", "--max-memory", "1GB")
        assert status == 0
        assert "note: the effect of --max-memory depends on the raster and the model: give" in said

    def test_the_last_steps_are_told_wherever_they_are(self, folder, cli):
        triangle = [[0, 0], [900, 0], [0, 900], [0, 0]]
        area = {"type": "Polygon", "coordinates": [triangle]}
        (folder / "area.geojson").write_text(json.dumps(area))
        sizes = ("--size", 1000, "--tile", 100, "--overlap", 0, "--area", "area.geojson")
        status, out, _ = cli("plan", *sizes)
        assert status == 0
        assert re.findall(r"^last +(.*)$", out, re.M)[-1] == "unload (8, 0)"

    def test_it_prints_the_grid_the_cost_and_the_first_and_last_steps(self, folder, cli):
        status, out, _ = cli("plan", "in.tif", "model.onnx", "--tile", 64, "--overlap", 16)
        assert status == 0
        for line in (
            r"image +100 x 120 px",
            r"tile +64 x 64  \(option\)",
            r"grid +2 x 3, 6 tiles, 0 skipped",
            r"redundancy +2\.05 x the pixels written",
            r"held +\d+ px at most between tiles, \d+\.\d+% of the image, [\d.]+ kB",
            r"written +6 windows, 0\.012 Mpx, 96 kB before compression",
            r"first +load \(0, 0\): rows 0 to 64, columns 0 to 64",
            r"last +unload \(1, 2\)",
        ):
            assert re.search(f"^{line}$", out, re.M), line

    def test_output_writes_it_with_every_start_unless_it_is_a_dry_run(self, folder, cli):
        sizes = ("--size", "100x120", "--tile", "64", "--overlap", "16")
        cli("plan", *sizes, "-o", "plan.json", "--dry-run")
        assert "plan.json" not in made.names(folder)
        cli("plan", *sizes, "-o", "plan.json")
        written = json.loads((folder / "plan.json").read_text())
        assert written["row_starts"] == [0, 36]
        assert written["col_starts"] == [0, 28, 56]

    def test_an_area_in_pixels_skips_tiles(self, folder, cli):
        ring = [[10, 20], [30, 20], [30, 900], [10, 900], [10, 20]]
        area = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
        (folder / "area.geojson").write_text(json.dumps(area))
        arguments = ("--size", "1000x500", "--tile", 100, "--overlap", 0, "--area", "area.geojson")
        assert self.plan(cli, *arguments) | {"tiles": 9, "skipped": 41} == self.plan(
            cli, *arguments
        )

    def test_an_area_that_misses_the_raster_is_refused_with_both_extents(self, folder, cli):
        ring = [[900, 0], [901, 0], [901, 1], [900, 0]]
        area = {"type": "Polygon", "coordinates": [ring]}
        (folder / "area.geojson").write_text(json.dumps(area))
        result = cli("plan", "--size", 50, "--tile", 20, "--area", "area.geojson")
        message = "misses the raster: it spans 900, 0, 901, 1, the raster 0, 0, 50, 50"
        refused(result, 2, message)

    def test_it_replaces_nothing_unless_told_to(self, folder, cli):
        before = (folder / "in.tif").read_bytes()
        result = cli("plan", "in.tif", "-o", "in.tif")
        refused(result, 2, "output in.tif is one of the inputs: give it another name")
        assert (folder / "in.tif").read_bytes() == before
        assert cli("plan", "in.tif", "-o", "plan.json")[0] == 0
        assert cli("plan", "in.tif", "-o", "plan.json", "--overwrite")[0] == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "give either INPUT or --size HxW"),
            (("in.tif", "model.onnx", "--size", "5"), "give either INPUT or --size HxW"),
            (("--size", "0x5"), "size must be at least 1, not 0"),
            (("--size", "50", "--area", "gone.json"), "gone.json cannot be read: No such file"),
            (("--size", "50", "--tile", "9", "-o", "no/plan.json"), "there is no folder .*no"),
        ],
    )
    def test_wrong_usage(self, folder, cli, arguments, message):
        status, _, err = cli("plan", *arguments)
        assert status == 2
        assert re.search(message, err.splitlines()[-1]), err


class TestMemory:
    def memory(self, cli, *options):
        status, out, _ = cli("plan", "in.tif", "model.onnx", "--tile", "64", *options, "--json")
        assert status == 0
        return json.loads(out)

    def test_what_a_run_takes_is_told_part_by_part(self, folder, cli):
        figures = self.memory(cli)
        assert figures["memory_bytes"] == sum(figures["memory"].values())
        parts = {"program", "model", "tiles", "carry", "cache", "blocks", "finishing"}
        assert figures["memory"].keys() == parts
        assert (figures["panels"], figures["batch_size"] >= 1, figures["workers"] >= 1) == (1, 1, 1)
        out = cli("plan", "in.tif", "model.onnx", "--tile", "64")[1]
        assert re.search(r"^panels      1, of 2 columns of tiles at most$", out, re.M)
        assert re.search(r"^memory      [\d.]+ [MG]B: [\d.]+ [MG]B program, .* blocks$", out, re.M)

    @pytest.mark.parametrize("limit", ["100GB", "93.2GiB", "100 gb", "100000M", "100000000000"])
    def test_a_limit_is_a_size_with_or_without_a_unit(self, folder, cli, limit):
        assert self.memory(cli, "--max-memory", limit)["panels"] == 1

    @pytest.mark.parametrize("command", [("plan",), ("run",)])
    def test_a_limit_that_cannot_be_kept_is_refused_before_anything_is_written(
        self, folder, cli, command
    ):
        output = ["out/out.tif"] if command == ("run",) else []
        result = cli(*command, "in.tif", "model.onnx", *output, "--tile", 64, "--max-memory", "1MB")
        refused(
            result, 1, r"max-memory 1 MB is too little: in tiles of \d+ x \d+ px .* at least \d+ MB"
        )
        assert made.names(folder / "out") == []

    @pytest.mark.parametrize("limit", ["much", "5 TB extra", "-1MB", "1,5GB", ""])
    def test_a_limit_that_is_no_size_is_wrong_usage(self, folder, cli, limit):
        result = cli("plan", "in.tif", "model.onnx", "--max-memory", limit)
        refused(result, 2, "is not a size in bytes, such as 500MB or 2GB")


def test_huge_plans_answer_at_once(cli):
    for size, tile, overlap in [("1000000x1000000", 64, 48), ("2147483647x9", 256, 64)]:
        figures = cli("plan", "--size", size, "--tile", tile, "--overlap", overlap, "--json")
        assert figures[0] == 0
    refused(cli("plan", "--size", "9" * 20), 2, "must be at most 2147483647")


def test_what_a_smaller_margin_saves_is_said_in_options(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    made.faint("dead.onnx", 60, 0)
    status, out, err = cli("plan", "dead.onnx", "--size", "900x1000")
    assert status == 0
    assert "--margin measured is exact as far as measured" in err
    status, out, err = cli("plan", "dead.onnx", "--size", "900x1000", "--margin", "measured")
    assert re.search(r"^margin +1 x 1  \(measured\)", out, re.M)
    assert "tiling exact as far as measured" in out
    assert "--margin measured" not in err
    refused(cli("plan", "dead.onnx", "--size", 900, "--tile", "measured"), 2, "'measured' is")
