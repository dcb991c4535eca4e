"""What a run prints: notes, warnings and the summary, for people and for programs."""

import json
import re

import numpy as np
import pytest

import seamless_seg
from builders import made, networks
from builders.command import RUN
from builders.sentences import PROVEN

KEYS = ["tiles", "skipped", "seconds", "exact", "exactness"]
KEYS += ["exact_by", "peak_bytes", "warnings", "notes", "outputs"]


@pytest.fixture
def talkative(folder):
    """A model of which there are five notes: four of them on its metadata."""
    senseless = {"tile_size": "big", "tiles_overlap": "x", "resolution": "fine", "seg_thresh": "y"}
    made.pointwise("model.onnx", 3, 2, metadata=senseless)
    return folder


class TestNotes:
    def test_three_are_printed_and_the_others_counted(self, talkative, cli):
        _, _, err = cli(*RUN, "-v")
        notes = re.findall("^note: .*$", err, re.M)
        assert len(notes) > 4
        _, _, err = cli(*RUN, "--overwrite")
        assert re.findall("^note: .*$", err, re.M) == notes[:3]
        assert f"\n{len(notes) - 3} more notes: --verbose shows all of them\n" in err

    def test_tiles_that_were_tried_are_for_verbose(self, folder, cli):
        given = (*RUN, "--tile", "auto", "--overwrite")
        assert re.search("^(taken|timed) ", cli(*given, "-v")[2], re.M)
        assert not re.search("^(taken|timed) ", cli(*given)[2], re.M)

    def test_warnings_are_the_last_lines(self, folder, cli):
        networks.save("model.onnx", [("conv", 3, 1), ("squeeze_excite",)])
        image = made.pixels(3, 100, 120, "float32")
        image[:, 5, 7] = np.nan
        made.raster("in.tif", image)
        _, _, err = cli(*RUN, "--tile", 64)
        lines = err.splitlines()
        (summary,) = (n for n, line in enumerate(lines) if line.startswith("6 tiles in "))
        assert re.match(r"6 tiles in .* not exact: ", lines[summary])
        warnings = lines[summary + 1 :]
        assert all(line.startswith("warning: ") for line in warnings)
        assert any("not exact: the model has global context" in line for line in warnings)
        assert any(re.match(r"warning: \d+ logits are not finite", line) for line in warnings)


class TestJson:
    def test_it_alone_is_on_stdout(self, folder, cli):
        status, out, err = cli(*RUN, "--json", "--also", "classes=out/c.tif", "--tile", 64)
        assert status == 0
        summary = json.loads(out)
        assert list(summary) == KEYS
        assert (summary["tiles"], summary["skipped"]) == (4, 0)
        assert summary["exact"] is True
        assert summary["exactness"].startswith(PROVEN)
        assert summary["exact_by"] == "graph"
        assert summary["peak_bytes"] > 10**7
        assert summary["warnings"] == []
        assert [f"note: {sentence}" for sentence in summary["notes"]] == err.splitlines()
        assert summary["outputs"] == [str(folder / "out/out.tif"), str(folder / "out/c.tif")]

    @pytest.mark.parametrize(
        ("layers", "options", "exact"),
        [
            ([("conv", 3, 1)], (), True),
            ([("conv", 3, 1), ("squeeze_excite",)], (), False),
            ([("conv", 3, 1)], ("--margin", 0, "--overlap", 0), False),
            ([("conv", 3, 1)], ("--margin", 1, "--align", 1, "--overlap", 8), None),
        ],
    )
    def test_exact_is_what_a_comparison_finds(self, folder, cli, layers, options, exact):
        networks.save("model.onnx", layers)
        _, out, _ = cli(*RUN, "--json", "--tile", 64, *options)
        summary = json.loads(out)
        assert summary["exact"] is exact
        assert (summary["exactness"] is None) == (exact is None)
        assert cli(*RUN[:3], "out/whole.tif", "--tile", 128)[0] == 0
        is_same = np.array_equal(made.read("out/out.tif"), made.read("out/whole.tif"))
        assert exact is None or is_same is exact

    def test_quiet_leaves_it_alone(self, folder, cli):
        status, out, err = cli(*RUN, "--json", "-q")
        assert (status, err) == (0, "")
        assert json.loads(out)["tiles"] == 1

    def test_a_failure_leaves_stdout_empty(self, folder, cli):
        status, out, _ = cli("run", "gone.tif", *RUN[2:], "--json")
        assert (status, out) == (1, "")


class TestProgress:
    def test_json_is_a_line_at_a_time(self, folder, cli):
        status, out, err = cli(*RUN, "-q", "--tile", 32, "--progress", "json")
        assert (status, out) == (0, "")
        lines = [json.loads(line) for line in err.splitlines()]
        first, last = lines[0], lines[-1]
        assert set(first) == {"done", "total", "pixels", "unit", "seconds", "eta"}
        assert first["done"] >= 1
        assert first["total"] == last["total"] == last["done"] > 4
        assert (last["eta"], last["pixels"]) == (0, 100 * 120)

    def test_none_is_silent(self, folder, cli):
        _, _, err = cli(*RUN, "--tile", 32, "--progress", "none")
        assert re.fullmatch(r"note: [^\n]*\n\d+ tiles in [^\n]*\n", err)


def test_the_summary_is_short_and_has_figures(folder):
    summary = seamless_seg.segment("in.tif", "model.onnx", "out/out.tif", tile=64)
    path = folder / "out/out.tif"
    assert re.fullmatch(rf"<Summary: 4 tiles in \d+\.\d s, exact, {path}>", repr(summary))
    assert (summary.exact, summary.warnings, summary.outputs) == (True, (), (path,))
    assert list(summary.figures()) == KEYS
