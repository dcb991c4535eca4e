import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from builders import made, networks
from builders.command import RUN, refused
from builders.sentences import PROVEN


class TestRun:
    def test_it_writes_the_output_and_sums_up_on_stderr(self, folder, cli):
        status, out, err = cli("run", "in.tif", "model.onnx", "out/out.tif", "--tile", "64")
        assert (status, out) == (0, "")
        note, summary = err.splitlines()
        assert note.startswith("note: pixels are normalized as (pixel * 0.00392157 - 0) / 1")
        assert re.fullmatch(
            r"4 tiles in \d+\.\d s, \d+\.\d\d Mpx/s, \d+% of the time in the model, "
            r"peak memory [\d.]+ [MG]B; " + PROVEN,
            summary,
        )
        assert made.read("out/out.tif").shape == (2, 100, 120)

    def test_quiet_says_nothing(self, folder, cli):
        assert cli("run", "in.tif", "model.onnx", "out/out.tif", "-q") == (0, "", "")

    def test_verbose_says_what_was_decided_and_why(self, folder, cli):
        _, _, err = cli("run", "in.tif", "model.onnx", "out/out.tif", "-v", "--tile", "64x32")
        assert re.search(r"^tile +64 x 32  \(option\)$", err, re.M)
        assert re.search(r"^overlap +0 x 0  \(proven from the graph\)$", err, re.M)

    def test_every_option_reaches_the_job(self, folder, cli):
        image = made.pixels(4, 100, 120, "uint16")
        made.raster("four.tif", image)
        _, answer = made.pointwise("model.onnx", 3, 2)
        status, _, err = cli(
            *("run", "four.tif", "model.onnx", "out/out.tif", "--tile", "64", "--overlap", "24x30"),
            *("--margin", 4, "--align", 2, "--trust", "hann", "--batch-size", 3),
            *("--bands", "4,2,1", "--scale", "0.001", "--mean", "1,2,3", "--std", "2"),
            *("--provider", "cpu", "--threads", 1, "--compress", "deflate", "--overwrite", "-v"),
        )
        assert status == 0, err
        expected = answer((image[[3, 1, 0]] * 0.001 - np.array([[[1]], [[2]], [[3]]])) / 2)
        np.testing.assert_allclose(made.read("out/out.tif"), expected, atol=1e-5)
        for line in ("margin +4 x 4", "align +2 x 2", "trust +hann", "batch size +3", "std +2 "):
            assert re.search(f"^{line}.*option", err, re.M), line

    def test_logits_that_are_not_finite_are_a_warning(self, folder, cli):
        image = made.pixels(3, 100, 120, "float32")
        image[:, 5, 7] = np.nan
        made.raster("in.tif", image)
        status, _, err = cli("run", "in.tif", "model.onnx", "out/out.tif")
        assert status == 0
        assert "warning: 2 logits are not finite (NaN or infinite)" in err

    @pytest.mark.parametrize("quiet", [[], ["-q"]])
    def test_a_tile_wide_model_is_a_warning(self, folder, cli, quiet):
        networks.save("model.onnx", [("conv", 3, 1), ("squeeze_excite",)])
        status, _, err = cli(*RUN, "--tile", 64, *quiet)
        assert status == 0
        assert "warning: not exact: the model has global context, so its output depends" in err
        assert "size (the graph has 1 GlobalAveragePool node); fewer, larger tiles help" in err
        assert ", and --exact global makes all tiles agree\n" in err
        assert err.count("warning:") == 1

    @pytest.mark.parametrize("quiet", [[], ["-q"]])
    def test_nodes_are_a_warning_where_nothing_was_measured(self, folder, cli, quiet):
        networks.save("model.onnx", [("instance_norm",), ("conv", 3, 1), ("instance_norm",)])
        given = ("--tile", 64, "--margin", 4, "--align", 1)
        status, _, err = cli(*RUN, *given, *quiet)
        assert status == 0
        assert (
            "warning: the graph has 2 InstanceNormalization nodes: each output pixel may depend"
            in err
        )
        assert err.count("warning:") == 1
        _, _, err = cli("plan", *RUN[1:3], *given)
        assert (
            "warning: the graph has 2 InstanceNormalization nodes: each output pixel may depend"
            in err
        )

    def test_one_tile_is_no_matter_for_a_warning(self, folder, cli):
        networks.save("model.onnx", [("conv", 3, 1), ("squeeze_excite",)])
        for given in ((), ("--margin", 4, "--align", 1)):
            status, _, err = cli(*RUN, "--overwrite", *given)
            assert status == 0
            assert "warning" not in err

    def test_nodes_that_no_measurement_shows_are_a_warning(self, folder, cli):
        random = np.random.default_rng(0)
        nodes = [  # a gate that is always open
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Clip", ["mean", "one", "one"], ["gate"]),
            helper.make_node("Mul", ["image", "gate"], ["gated"]),
            helper.make_node("Conv", ["gated", "weight"], ["logits"], pads=[1, 1, 1, 1]),
        ]
        weight = random.standard_normal((2, 3, 3, 3)).astype("f4")
        made.model("model.onnx", nodes, {"weight": weight, "one": np.float32(1)}, 3, 2)
        status, _, err = cli(*RUN, "--tile", 64)
        assert status == 0
        assert (
            "warning: not exact: the model has global context, so its output depends on the tile's "
            "size (the graph has 1 GlobalAveragePool node); fewer, larger tiles help, and --exact "
            "global makes all tiles agree\n"
        ) in err
        assert PROVEN not in err

    def test_metadata_that_makes_no_sense_is_noted(self, folder, cli):
        made.pointwise("model.onnx", 3, 2, metadata={"tile_size": "big", "tiles_overlap": 12})
        status, _, err = cli("run", "in.tif", "model.onnx", "out/out.tif", "-v")
        assert status == 0
        assert 'note: the model\'s metadata has tile_size "big", which is ignored' in err


class TestBadInput:
    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, folder):
        yield
        assert made.names("out") == []

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (("run", "gone.tif", *RUN[2:]), 1, "cannot open gone.tif: .*No such file"),
            (("run", "noise.tif", *RUN[2:]), 1, "cannot open noise.tif: .*not recognized"),
            (("run", "out", *RUN[2:]), 1, "out is a folder: name a raster in it"),
            (("run", "in.tif", "gone.onnx", RUN[3]), 1, "gone.onnx: there is no such model file"),
            (("run", "in.tif", "noise.tif", RUN[3]), 1, "not a model that onnxruntime can load"),
            (("run", "in.tif", "out", RUN[3]), 1, "out is a folder, not an ONNX model"),
            ((*RUN, "--bands", "1,2,9"), 2, "in.tif has bands 1 to 3, no 9"),
            (
                (*RUN, "--bands", "1,x"),
                2,
                "has no band 'x': its bands are 1 red, 2 green, 3 blue",
            ),
            ((*RUN, "--bands", "1,2"), 2, "takes 3 bands, not 2"),
            (
                (*RUN, "--tile", "512", "--overlap", "512"),
                2,
                "overlap 512 must be smaller than the tile, 512 px",
            ),
            ((*RUN, "--overlap", "-1"), 2, "overlap must be at least 0, not -1"),
            ((*RUN, "--overlap", "some"), 2, "'some' is neither a number of pixels nor"),
            ((*RUN, "--overlap", "1.5"), 2, "'1.5' is neither a number of pixels nor"),
            ((*RUN, "--tile", "0"), 2, "tile must be at least 1, not 0"),
            ((*RUN, "--tile", "1x2x3"), 2, "'1x2x3' is neither"),
            ((*RUN, "--tile", "128", "--margin", "90"), 2, "leaves nothing of a tile of 128 px"),
            ((*RUN, "--overlap", "9", "--margin", "9"), 2, "more than twice the margin, 9 px"),
            ((*RUN, "--batch-size", "0"), 2, "batch size must be at least 1, not 0"),
            ((*RUN, "--mean", "1,2"), 2, "mean has 2 numbers for 3 bands"),
            ((*RUN, "--std", "1,0,1"), 2, "std must be above 0, .* not 1,0,1"),
            ((*RUN, "--std", "1,,1"), 2, "'1,,1' is not a list of numbers"),
            ((*RUN, "--tolerance", "-1"), 2, "tolerance must be above 0, not -1"),
            ((*RUN, "--margin", "some"), 2, "'some' is neither a number of pixels nor"),
            ((*RUN, "--scale", "big"), 2, "'big' is neither a number nor a fraction"),
            (
                (*RUN, "--provider", "warp"),
                2,
                "provider .warp. is not available in this onnxruntime: choose one of .*cpu",
            ),
            ((*RUN, "--trust", "blind"), 2, "'blind' is unknown: choose one of linear, hann"),
            ((*RUN, "--trust", "tukey:a"), 2, "'a' is not a finite number: write it as tukey"),
            ((*RUN, "--threads", "0"), 2, "0 is not in the range x>=1"),
            ((*RUN[:3], "in.tif"), 2, "output in.tif is one of the inputs"),
            ((*RUN[:3], "./out/../in.tif", "--overwrite"), 2, "is one of the inputs"),
            ((*RUN[:3], "model.onnx", "--overwrite"), 2, "is one of the inputs"),
            ((*RUN[:3], "taken.tif"), 2, "taken.tif exists already: --overwrite replaces it"),
            ((*RUN[:3], "no/out.tif"), 2, "no/out.tif: there is no folder .*no"),
            ((*RUN[:3], "out"), 2, "output out is a folder"),
            ((*RUN[:3], "/dev/null", "--overwrite"), 2, "not a regular file"),
            (("run", "in.tif"), 2, "Missing argument 'MODEL'"),
            ((*RUN, "--color"), 2, "No such option.*--color"),
            (("walk",), 2, "No such command 'walk'"),
        ],
    )
    def test_it_gets_one_clear_line(self, folder, cli, arguments, status, message):
        (folder / "noise.tif").write_bytes(os.urandom(3000))
        (folder / "taken.tif").write_bytes(b"mine")
        refused(cli(*arguments), status, message)
        assert (folder / "taken.tif").read_bytes() == b"mine"

    def test_a_raster_cut_short(self, folder, cli):
        made.raster("in.tif", made.pixels(3, 500, 500), compress="deflate", blockysize=16)
        with (folder / "in.tif").open("r+b") as file:
            file.truncate(400_000)
        refused(cli(*RUN, "-q"), 1, "in.tif is incomplete or damaged: .* blocks lie beyond the end")

    def test_complex_pixels(self, folder, cli):
        made.raster("in.tif", np.ones((3, 20, 20), np.complex64))
        refused(cli(*RUN), 1, "in.tif has complex pixels")

    def test_integers_without_a_scale(self, folder, cli):
        made.raster("in.tif", made.pixels(3, 20, 20, "int16"))
        refused(cli(*RUN), 2, "the range of int16 pixels is unknown: give")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"height": 64, "width": 64},
                "tile 32x32 contradicts the model, which takes only .*64x64",
            ),
            ({"width": 48}, r"tile 32x32 contradicts the model, which takes only tiles of anyx48"),
        ],
    )
    def test_a_tile_that_contradicts_the_model(self, folder, cli, options, message):
        made.pointwise("model.onnx", 3, 2, **options)
        refused(cli(*RUN, "--tile", "32"), 2, message)

    def test_a_detector(self, folder, cli):
        made.pointwise("model.onnx", 3, 2, metadata={"model_type": "Detector"})
        refused(cli(*RUN), 1, "states model_type Detector, whose output is not a raster of classes")

    def test_a_model_of_two_inputs(self, folder, cli):
        add = helper.make_node("Add", ["image", "other"], ["logits"])
        graph = helper.make_graph(
            [add],
            "two",
            [made.tensor(name, [1, 3, 8, 8]) for name in ("image", "other")],
            [made.tensor("logits", [1, 3, 8, 8])],
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        refused(cli(*RUN), 1, "has 2 inputs, and only one image can be given")

    def test_a_model_that_decides_on_classes_itself(self, folder, cli):
        argmax = helper.make_node("ArgMax", ["image"], ["logits"], axis=1, keepdims=1)
        made.model("model.onnx", [argmax], {}, 3, 1, out_dtype=TensorProto.INT64)
        refused(
            cli(*RUN),
            2,
            r"--kind logits needs logits, and model.onnx gives class numbers, .*without its argmax",
        )

    def test_a_model_that_shrinks_to_nobody_knows_where(self, folder, cli):
        node = helper.make_node("Conv", ["image", "weight"], ["logits"])
        made.model(
            "model.onnx", [node], {"weight": np.ones((2, 3, 2, 2), "f4")}, 3, 2, out_size=(1, 1)
        )
        refused(
            cli(*RUN, "-q"),
            1,
            "maps .*: it lacks 1 px of its input's height and width, an odd number, so that its",
        )

    @pytest.mark.parametrize("short", [1, 5000, 300_000])
    @pytest.mark.slow
    def test_a_disk_that_fills_up_halfway_or_with_the_last_byte(self, folder, cli, short):
        made.raster("in.tif", made.pixels(3, 600, 600))
        assert cli(*RUN, "-q")[0] == 0
        limit = (folder / RUN[3]).stat().st_size - short
        (folder / RUN[3]).unlink()
        limited = (
            f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2);"
            "from seamless_seg_cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", limited, *RUN, "-q"], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "seamless-seg: error: cannot write" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("also", [(), ("--also", "classes=out/classes.tif", "--cog")])
    @pytest.mark.slow
    def test_an_interruption_leaves_nothing_behind(self, folder, number, also):
        made.raster("in.tif", np.zeros((3, 2000, 2000), np.uint8))
        made.convolutions("model.onnx", 3, 4, layers=6, width=16)
        process = subprocess.Popen(
            [sys.executable, "-m", "seamless_seg", *RUN, "--tile", "128", *also],
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(made.names("out")) < 1 + bool(also):
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(number)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)  # people press it twice
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.splitlines()[-1] == "seamless-seg: error: interrupted, nothing was written"


@pytest.mark.parametrize("stage", ["smooth.smooth", "sieve.sieve", "finishing.copy_to_cog"])
@pytest.mark.slow
def test_an_interruption_of_the_last_steps_leaves_nothing_behind(folder, stage):
    interrupted = (
        "import os, signal\n"
        "from seamless_seg.inference import finishing\n"
        "from seamless_seg.postprocess import sieve, smooth\n"
        "from seamless_seg_cli import main\n"
        "def interrupt(*given, **named):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        f"{stage} = interrupt\n"
        "main()"
    )
    options = ("--kind", "classes", "--also", "logits=out/logits.tif", "--cog", "--smooth", "1")
    done = subprocess.run(
        [sys.executable, "-c", interrupted, *RUN, *options, "--sieve", "9"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "seamless-seg: error: interrupted, nothing was written"
    assert made.names("out") == []


def test_the_second_signal_ends_what_no_signal_interrupts(folder):
    stuck = (
        "import hashlib\n"
        "from seamless_seg.inference import finishing\n"
        "from seamless_seg_cli import main\n"
        "def copy(*given):\n"
        "    print('stuck', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2 * 10**9)\n"
        "finishing.copy_to_cog = copy\n"
        "main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", stuck, *RUN, "--cog", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "stuck\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "seamless-seg: error: interrupted, nothing was written"
    assert made.names("out") == []


def test_a_killed_process_leaves_no_output_under_its_name(folder):
    made.raster("in.tif", np.zeros((3, 2000, 2000), np.uint8))
    made.convolutions("model.onnx", 3, 4, layers=6, width=16)
    process = subprocess.Popen([sys.executable, "-m", "seamless_seg", *RUN, "-q", "--tile", "128"])
    while not made.names("out"):
        time.sleep(0.02)
        assert process.poll() is None
    process.kill()
    process.wait()
    assert "out.tif" not in made.names("out")
    assert all(name.endswith(".partial") for name in made.names("out"))


def test_overwrite_replaces_the_raster_and_what_described_it(folder, cli):
    (folder / "out/out.tif").write_bytes(b"old")
    (folder / "out/out.tif.aux.xml").write_text("<old/>")
    assert cli(*RUN, "--overwrite", "-q")[0] == 0
    assert made.names("out") == ["out.tif"]
    assert made.read("out/out.tif").shape == (2, 100, 120)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "2>&1 | true"])
@pytest.mark.parametrize("quiet", ["-q", "-v"])
@pytest.mark.slow
def test_a_log_that_cannot_be_written_does_not_end_a_job(folder, closed, quiet):
    program = f"{sys.executable} -m seamless_seg {' '.join(RUN)} {quiet}"
    subprocess.run(["bash", "-c", f"set -o pipefail; {program} {closed}"], check=True)
    assert made.read(RUN[3]).shape == (2, 100, 120)


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_an_interruption_while_modules_load_is_quiet(folder, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", "from seamless_seg_cli import main; main()", *RUN, "-q"],
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert made.names("out") in ([], ["out.tif"])


SLOWED = """
start = threading.Thread.start

def slowly(thread):
    start(thread)
    for _ in range(20):
        time.sleep(0.01)

threading.Thread.start = slowly
"""

SWALLOWED = """
import os, signal, time, weakref
from seamless_seg_cli.interruption import end_tidily_on_signals

class Thing:
    pass

thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT) or time.sleep(0.01))
end_tidily_on_signals()
try:
    del thing  # the interruption comes in the callback, where Python swallows it
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "while it is being put off"])
def test_an_interruption_that_python_swallows_comes_again(slow):
    program = SWALLOWED
    if slow:
        program = "import threading, time\n" + SLOWED + program
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert (ended.stdout, ended.stderr) == ("interrupted\n", "")


def test_statistics_of_the_whole_image_lie_beside_the_output(folder, cli):
    networks.save("model.onnx", [("conv", 3, 1), ("squeeze_excite",)])
    tiling = ("--tile", 64, "--margin", 4, "--align", 1)
    status, _, said = cli(*RUN, "--exact", "global", *tiling)
    assert status == 0
    assert "note: --exact global first measures the statistics of 1 node in 1 level" in said
    assert made.names("out") == ["out.statistics.json", "out.tif"]
    refused(cli(*RUN, "--exact", "global", *tiling, "--overwrite", "--statistics", "in.tif"), 2, "")
    again = ("run", "in.tif", "model.onnx", "out/again.tif", *tiling)
    stored = ("--statistics", "out/out.statistics.json")
    for given in ((), ("--exact", "global", "--overwrite")):
        status, _, said = cli(*again, *stored, *given)
        assert status == 0
        assert "of 1 node in 1 level are those of in.tif (100x120 px): none is measured" in said
        np.testing.assert_array_equal(made.read("out/again.tif"), made.read("out/out.tif"))
    _, _, said = cli(*again, *stored, "--overwrite", "--scale", 1)
    assert said.endswith(
        "\nwarning: the statistics of in.tif were measured with scale 0.00392157, and this run has "
        "scale 1: make pixels as there, or leave --statistics out\n"
    )


def test_a_file_of_statistics_is_not_replaced_unasked(folder, cli):
    networks.save("model.onnx", [("squeeze_excite",)])
    Path("out/out.statistics.json").write_text("mine")
    result = cli(*RUN, "--exact", "global", "--margin", 0, "--align", 1)
    refused(result, 2, "out.statistics.json exists already: --overwrite replaces it")
    assert Path("out/out.statistics.json").read_text() == "mine"
    assert made.names("out") == ["out.statistics.json"]
