"""The command line, run in this process: fixtures and a check that the tests of it share."""

from __future__ import annotations

import re

import pytest

from seamless_seg_cli.program import run_program

from . import made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a raster, a model and a folder for the output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    made.raster("in.tif", made.pixels(3, 100, 120))
    made.pointwise("model.onnx", 3, 2)
    return tmp_path


@pytest.fixture
def cli(capfd):
    """Run the program in this process; returns (exit status, stdout, stderr)."""

    def run(*arguments):
        status = run_program([str(argument) for argument in arguments])
        return status, *capfd.readouterr()

    return run


def refused(result, status, message):
    """One line on stderr that says what is wrong, nothing on stdout, no traceback."""
    assert result[0] == status, result
    assert result[1] == ""
    lines = result[2].splitlines()
    assert len(lines) == 1, result[2]
    assert lines[0].startswith("seamless-seg: error: ")
    assert re.search(message, lines[0]), lines[0]


RUN = ("run", "in.tif", "model.onnx", "out/out.tif")
"""A run that works, in that folder."""
