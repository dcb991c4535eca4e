import subprocess
import sys
from pathlib import Path

import pytest

import seamless_seg
from builders.command import RUN

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
"""Files that have once failed."""


def test_without_arguments_it_shows_its_help(cli):
    status, out, err = cli()
    assert (status, err) == (0, "")
    assert out.startswith("Usage: seamless-seg [OPTIONS] COMMAND")


def test_version_and_module(cli):
    assert cli("--version") == (0, f"seamless-seg, version {seamless_seg.__version__}\n", "")
    done = subprocess.run(
        [sys.executable, "-m", "seamless_seg", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"seamless-seg, version {seamless_seg.__version__}\n"


@pytest.mark.parametrize("missing", ["click", "rasterio", "onnxruntime"])
def test_without_its_extra_the_program_says_what_to_install(folder, missing):
    hidden = (
        f"import sys; sys.modules[{missing!r}] = None; from seamless_seg_cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", hidden, *RUN], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'seamless-seg[cpu]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_program_starts_without_numpy(argument):
    code = (
        "import sys; from seamless_seg_cli.program import run_program; "
        f"run_program([{argument!r}]); print([m for m in ('numpy', 'shapely') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("command", ["run", "check", "polygonize"])
def test_the_help_of_a_command_loads_no_rasterio(command):
    code = (
        "import sys; from seamless_seg_cli.program import run_program; "
        f"run_program([{command!r}, '--help']); print('rasterio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("\nFalse\n")


def test_importing_the_library_loads_nothing_heavy():
    code = (
        "import sys, seamless_seg; "
        "print([m for m in ('rasterio', 'onnxruntime', 'click', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_lines_that_libraries_print_are_not_on_stderr(folder):
    odd = CORPUS / "rasters" / "geokey_counted_wrongly.jp2"  # libgeotiff prints what it thinks
    command = [sys.executable, "-m", "seamless_seg", "stats", str(odd)]
    done = subprocess.run(command, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("seamless-seg: error: ")
