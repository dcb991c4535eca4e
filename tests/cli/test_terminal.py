"""Text of strangers in what the program prints: none of it controls the terminal."""

import json
import re
from pathlib import Path

import pytest

import seamless_seg_cli
from builders import made
from builders.command import RUN
from seamless_seg_cli.messages import printable

HOSTILE = "a\x1b]0;title\x07\x1b[2J\r\nwarning: b\u202e\u2066c\x9b31m\x85d\u2028e\x00f\x7f"
"""A title, a cleared screen, a forged line, letters turned around, C1 controls."""

ALLOWED = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*")
"""What may be printed: all but controls, and what reorders; lines end with a line feed."""


def only_text(result, is_csv=False):
    status, out, said = result
    if is_csv:  # a name in quotes may have several lines
        out = out.replace("\r\n", "\n").replace("\nwarning: b", "")
    for printed in (out, said):
        assert ALLOWED.fullmatch(printed), printed
        assert not [line for line in printed.splitlines() if line.startswith("warning: b")]
    return status, out, said


def test_what_controls_is_written_out_and_what_people_write_stays():
    assert printable(HOSTILE, keep="\n").count("\\x1b") == 2
    assert printable("\x1b[0m\u202e\udcff\x9b") == r"\x1b[0m\u202e\udcff\x9b"
    for text in (
        "plain",
        "Äcker und Wälder",
        "森林",
        "\u0645\u06cc\u200c\u062e",
        "👩\u200d🌾",
        "C:\\a",
    ):
        assert printable(text) == text


def test_a_model_s_metadata(folder, cli):
    metadata = {"class_names": [HOSTILE, "b"], HOSTILE: HOSTILE, "description": HOSTILE}
    made.pointwise("model.onnx", 3, 2, metadata=metadata)
    status, out, _ = only_text(cli("info", "model.onnx"))
    assert (status, "title" in out) == (0, True)
    only_text(cli(*RUN, "-v", "--kind", "classes"))
    assert HOSTILE in json.loads(cli("info", "model.onnx", "--json")[1])["metadata"]["description"]


def test_names_of_bands_and_a_file(folder, cli):
    name = "in\x1b[2J\u202e.tif"
    made.name_bands(made.raster(name, made.pixels(3, 30, 30)), [HOSTILE.replace("\0", "")] * 3)
    status, _, said = only_text(cli("run", name, *RUN[2:], "--bands", "nir,red,green"))
    assert (status, r"\x1b" in said) == (2, True)
    only_text(cli("plan", name, "model.onnx", "-"))
    only_text(cli(f"{name}x"))
    only_text(cli("run", f"{name}\x9b", *RUN[2:], "--debug"))


def test_names_of_classes_and_of_zones(folder, cli):
    raster = made.raster("classes.tif", made.pixels(1, 30, 30) % 2)
    made.name_classes(raster, [re.sub("[\x00-\x1f]", "\x9b", HOSTILE), "b"])
    square = [
        [500_000, 5_600_000],
        [500_009, 5_600_000],
        [500_009, 5_599_990],
        [500_000, 5_600_000],
    ]
    zone = {
        "type": "Feature",
        "properties": {"name": HOSTILE},
        "geometry": {"type": "Polygon", "coordinates": [square]},
        "crs": "EPSG:32632",
    }
    Path("zones.json").write_text(json.dumps(zone))
    for way in ((), ("--csv",)):
        result = cli("stats", "classes.tif", "--zones", "zones.json", *way)
        status, out, _ = only_text(result, is_csv=bool(way))
        assert (status, r"\x1b" in out, r"\u202e" in out) == (0, True, True)
    _, out, _ = cli("stats", "classes.tif", "--zones", "zones.json", "--json")
    assert json.loads(out)["zones"][0]["zone"] == HOSTILE
    zone["crs"] = f"EPSG{HOSTILE}"
    Path("zones.json").write_text(json.dumps(zone))
    assert only_text(cli("stats", "classes.tif", "--zones", "zones.json"))[0] == 2


@pytest.mark.parametrize(
    "path", sorted(Path(seamless_seg_cli.__file__).parent.glob("*.py")), ids=str
)
def test_all_of_it_leaves_in_one_place(path):
    if path.name != "messages.py":
        assert not re.search(r"click\.s?echo|\bprint\(|stdout\.write", path.read_text())
