"""A pipe, a socket or a device where a file is expected: refused at once, never waited for."""

import os
import socket

import pytest

from builders import made
from builders.command import RUN, refused
from seamless_seg import OptionError
from seamless_seg.planning.statistics_file import read_statistics

GIVEN = {
    "raster": ("run", "it", *RUN[2:]),
    "model": ("run", "in.tif", "it", RUN[3]),
    "area": (*RUN, "--area", "it"),
    "classes": (*RUN, "--kind", "classes", "--classes", "it"),
    "class raster": ("stats", "it"),
    "zones": ("stats", "classes.tif", "--zones", "it"),
    "polygons": ("polygonize", "it", "out/out.gpkg"),
    "output to check": ("check", *RUN[1:3], "it"),
    "probed model": ("probe", "it"),
    "described model": ("info", "it"),
    "planned raster": ("plan", "it"),
}
"""Arguments with the name of a file that is none, by what it should be."""


@pytest.fixture
def pipe(folder):
    made.raster("classes.tif", made.pixels(1, 20, 20) % 3)
    os.mkfifo("it")
    return folder / "it"


@pytest.mark.parametrize("arguments", GIVEN.values(), ids=GIVEN)
def test_a_pipe(pipe, cli, arguments):
    status, out, said = cli(*arguments)
    refused((status, out, said), status, r"\bit is a named pipe: give a regular file")
    assert status in (1, 2)
    assert made.names("out") == []


def test_a_pipe_of_statistics(pipe):
    with pytest.raises(OptionError, match="it is a named pipe: give a regular file"):
        read_statistics(pipe)


@pytest.mark.parametrize("kind", ["raster", "model", "area"])
def test_a_socket_a_device_and_a_folder(folder, cli, kind):
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("it")
        refused(cli(*GIVEN[kind]), 2 if kind == "area" else 1, "it is a socket")
    arguments = ["/dev/zero" if each == "it" else each for each in GIVEN[kind]]
    refused(cli(*arguments), 2 if kind == "area" else 1, "/dev/zero is a device")
    arguments = ["out" if each == "it" else each for each in GIVEN[kind]]
    refused(cli(*arguments), 2 if kind == "area" else 1, "out is a folder")


@pytest.mark.parametrize("name", ["/vsistdin/", "/vsistdin?buffer_limit=1GB"])
def test_standard_input(folder, cli, name):
    refused(cli("run", name, *RUN[2:]), 1, "is standard input, which can be read only once")


@pytest.mark.parametrize("name", ["in.tif.aux.xml", "in.tif.msk", "in.tfw", "in.hdr"])
def test_a_pipe_beside_the_raster(folder, cli, name):
    os.mkfifo(name)
    refused(cli(*RUN), 1, f"{name} is a named pipe")


def test_a_pipe_that_a_mosaic_names(folder, cli):
    os.mkfifo("it")
    (folder / "in.vrt").write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">it</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    refused(cli("run", "in.vrt", *RUN[2:]), 1, "it is a named pipe")


def test_a_pipe_beside_the_model_is_ignored_with_a_note(folder, cli):
    os.mkfifo("model.onnx.json")
    status, _, said = cli(*RUN, "-v")
    assert (status, made.names("out")) == (0, ["out.tif"])
    assert "model.onnx.json cannot be read as JSON and is ignored: is a named pipe" in said
