"""Common mistakes on the command line: each is answered by what was meant."""

import numpy as np
import pytest

from builders import made
from builders.command import RUN, refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "cuda"), r"there is no --device: use --provider \(such as --provider cuda\)"),
        (("--gpu",), "there is no --gpu: use --provider cuda"),
        (("--tile-size", "512"), "there is no --tile-size: use --tile "),
        (("--force",), "there is no --force: use --overwrite"),
        (("--batch_size", "2"), "there is no --batch_size: it is written --batch-size"),
        (
            ("-o", "x.tif"),
            "there is no -o: give OUTPUT without it, in the order INPUT MODEL OUT",
        ),
        (("-q", "-v"), "--quiet and --verbose contradict each other: give only one"),
        (("--max-memory", "2"), "2 would be 2 bytes: add a unit, as in 2GB"),
        (("--tile", "0.5"), "'0.5' is neither a number of pixels .*, such as 512 or 512x256"),
        (("--bbox", "1", "2", "3", "4"), "join the numbers of an option with commas, as in --bbox"),
        (("--provider", "gpu"), "'gpu' is not available .*: install .* give --provider cuda, or"),
        (("--provider", "cuda"), "'cuda' is not available .*: install seamless-seg.gpu. in place"),
        (("--provider", "CPUExecutionProvider"), "is unknown: write --provider cpu"),
        (("--max-memory", "unlimited"), "such as 500MB or 2GB; leave the option out for no limit"),
        (("--max-memory", "50%"), "is not a size in bytes, such as 500MB"),
        (("--threads", "auto"), "'auto' is no number: leave the option out to use all cores"),
        (("--std", "0"), "std must be above 0, as it is a divisor, not 0$"),
        (("--kind", "classes", "--classes", "no.csv"), "no.csv cannot be read: No such file or"),
        (("--kind", "classes", "--classes", "one.txt"), "--classes names 1 class, and the model"),
        (("--overlap", "25%"), "'25%' is a share of the tile: give pixels, such as 64"),
        (("--scale", "1/0"), "'1/0' divides by 0"),
        (("--scale", "a/255"), "'a/255' is neither a number nor a fraction, such as 1/255"),
        (("--crop",), "--crop needs --area or --bbox: give one"),
        (
            ("--smooth", "2"),
            "--smooth needs .*: give --kind classes or --also classes=FILE",
        ),
        (("--exact",), "--exact needs a value: --exact global"),
        (("--exact", "--tile", "64"), "it takes global, not '--tile': write --exact global"),
        (("--kind",), r"--kind needs a value: --kind logits\|probabilities\|classes\|confidence"),
        (("--tile",), r"--tile needs a value: --tile N\|HxW\|auto"),
        (("--crop=yes",), "Option '--crop' does not take a value"),
        (
            ("--exact", "global", "--statistics-sample", "0"),
            "--statistics-sample takes a share of the tiles, above 0 and at most 1, not 0$",
        ),
        (("--statistics-sample", "0.5"), "--statistics-sample needs --exact global: give it, too"),
        (
            ("--statistics", "a.json", "--statistics-sample", "0.5"),
            "--statistics replaces measuring, and --statistics-sample is about measuring: leave",
        ),
        (("--level", "0", "--resolution", "2"), "--level and --resolution exclude each other"),
    ],
)
def test_options(folder, cli, arguments, message):
    (folder / "one.txt").write_text("forest\n")
    refused(cli(*RUN, *arguments), 2, message)
    assert made.names("out") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("a.tif", "b.tif", "c.tif", "model.onnx", "out/o.tif"),
            r"5 arguments in place of INPUT MODEL OUTPUT: 'a.tif', .*a pattern such as \*.tif "
            r"becomes the names of all files that match: .*gdalbuildvrt all.vrt \*.tif",
        ),
        (("in.tif", "a.onnx", "b.onnx", "out/o.tif"), "join models with commas: a.onnx,b.onnx"),
        (("my", "image", "model.onnx", "out/o.tif"), "4 arguments .*; put names with spaces in q"),
    ],
)
def test_arguments(folder, cli, arguments, message):
    refused(cli("run", *arguments), 2, message)


@pytest.mark.parametrize("command", [("stats",), ("polygonize", "out/o.geojson")])
@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("model.onnx", None, "an ONNX model"),
        ("a.json", b"{}", "JSON"),
        ("a.html", b"<html>", "a web page"),
    ],
)
def test_what_is_no_class_raster_is_named(folder, cli, command, name, content, what):
    if content is not None:
        (folder / name).write_bytes(content)
    result = cli(command[0], name, *command[1:])
    refused(result, 1, f"{name} is {what}.*, not a raster: give a class raster, .*--kind classes")


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (("--scale", "1/255"), ("--scale", repr(1 / 255))),
        (("--scale", "1/50", "--bands", "1-3"), ("--scale", "0.02", "--bands", "1,2,3")),
        (("--bands", "3-1"), ("--bands", "3,2,1")),
        (("--bands", "2,2-3"), ("--bands", "2,2,3")),
    ],
)
def test_fractions_and_ranges_are_taken(folder, cli, given, same):
    written = []
    for options in (given, same):
        status, _, err = cli(*RUN, "--overwrite", *options)
        assert status == 0, err
        written.append(made.read("out/out.tif"))
    np.testing.assert_array_equal(*written)


def test_a_file_in_place_of_a_command(cli):
    refused(cli("in.tif", "model.onnx"), 2, "'in.tif' is no command: begin with one, such as run")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("info", "model.onnx,model.onnx"), 1, "there is no such model file: give one model"),
        (("run", "in.tif", "http://a.org/m.onnx", "out/o.tif"), 1, "http://a.org/m.onnx is an add"),
        (("probe", "model.onnx", "--plot", "no/a.png"), 2, "no/a.png: there is no folder no"),
        (("probe", "model.onnx", "--plot", "a.foo"), 2, "name it with one of .*, png, "),
        (("stats", "in.tif", "-o", "a.xlsx"), 2, "a.xlsx: reports are text: name it a.csv, a.js"),
    ],
)
def test_files(folder, cli, arguments, status, message):
    refused(cli(*arguments), status, message)


def test_a_raster_and_a_size(folder, cli):
    result = cli("plan", "--size", "1000x1000", "in.tif")
    refused(result, 2, "give either INPUT or --size, not both")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "out/o.png",
            r"end in .tif or .tiff; write out/o.tif, .*gdal_translate out/o.tif ",
        ),
        ("out/o.jp2", r"end in .tif or .tiff"),
        ("out/o", "out/o has no ending: outputs are GeoTIFF; name it out/o.tif"),
        ("out/o.gpkg", "write them to out/o.tif with --kind classes, and convert it with polygoni"),
        ("-", "standard output, to which no GeoTIFF can be written.*: name a local file"),
        ("s3://bucket/o.tif", "is not a local file: write to a local file, such as out.tif, and"),
        ("/vsis3/bucket/o.tif", "is not a local file: write to a local file"),
        ("out", "output out is a folder: name a file in it"),
    ],
)
def test_outputs(folder, cli, name, message):
    refused(cli(*RUN[:3], name), 2, message)
    refused(cli(*RUN, "--also", f"classes={name}"), 2, message)
    assert made.names("out") == []


@pytest.mark.parametrize("name", ["out/o.tif", "out/o.TIF", "out/o.tiff"])
def test_outputs_that_are_geotiff(folder, cli, name):
    assert cli(*RUN[:3], name, "-q") == (0, "", "")
    assert made.names("out") == [name.removeprefix("out/")]
