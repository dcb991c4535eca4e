import csv
import io
import json

import numpy as np
import pytest
from rasterio.transform import from_origin

from builders import made
from builders.command import refused

STATS = ("stats", "classes.tif")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A raster of 300 x 200 pixels of 10 m, 40 of which are nodata, and two zones."""
    monkeypatch.chdir(tmp_path)
    classes = np.zeros((1, 300, 200), np.uint8)
    classes[:, :150], classes[:, 100:150], classes[:, 0, :40] = 1, 3, 255
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, 10, 10)}
    made.raster("classes.tif", classes, nodata=255, **place)
    names = "".join(f"<Category>{name}</Category>" for name in ("wood, old", "road", "lake", ""))
    band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    (tmp_path / "classes.tif.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>")
    save_zones(tmp_path / "zones.json", {"north": (0, 0, 200, 150), "corner": (190, 290, 250, 350)})
    return tmp_path


def save_zones(path, boxes):
    """Boxes (left, top, right, bottom) in pixels."""
    features = []
    for name, (left, top, right, bottom) in boxes.items():
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        ring = [[500_000 + 10 * x, 5_600_000 - 10 * y] for x, y in corners]
        shape = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"key": name}, "geometry": shape})
    named = {"type": "name", "properties": {"name": "EPSG:32632"}}
    document = {"type": "FeatureCollection", "crs": named, "features": features}
    path.write_text(json.dumps(document))


TABLE = """\
class   name       pixels  area (ha)    share
0       wood, old  30,000     300.00   50.03%
1       road       19,960     199.60   33.29%
2       lake            0       0.00    0.00%
3                  10,000     100.00   16.68%
total              59,960     599.60  100.00%
nodata                 40       0.40
"""


def test_a_table_is_aligned_and_adds_up(folder, cli):
    assert cli(*STATS) == (0, TABLE, "")


ZONES = """\
zone    class   name       pixels  area (ha)    share
north   0       wood, old       0       0.00    0.00%
north   1       road       19,960     199.60   66.62%
north   2       lake            0       0.00    0.00%
north   3                  10,000     100.00   33.38%
north   total              29,960     299.60  100.00%
north   nodata                 40       0.40
corner  0       wood, old     100       1.00  100.00%
corner  1       road            0       0.00    0.00%
corner  2       lake            0       0.00    0.00%
corner  total                 100       1.00  100.00%
corner  nodata                  0       0.00
"""


def test_zones_stand_in_the_first_column(folder, cli):
    assert cli(*STATS, "--zones", "zones.json", "--zone-key", "key") == (0, ZONES, "")


@pytest.mark.parametrize(("pixel", "unit"), [(0.1, "m2"), (10, "ha"), (500, "km2")])
def test_the_unit_of_the_table_is_one_for_such_areas(folder, cli, pixel, unit):
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_600_000, pixel, pixel)}
    made.raster("c.tif", np.ones((1, 300, 200), np.uint8), **place)
    head, first, *_ = cli("stats", "c.tif")[1].splitlines()
    assert f"area ({unit})" in head
    square_meters = {"m2": 1, "ha": 1e4, "km2": 1e6}[unit]
    assert f" {60_000 * pixel**2 / square_meters:,.2f} " in first


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_place_there_is_no_area_and_a_note_says_so(folder, cli):
    made.raster("c.tif", np.ones((1, 300, 200), np.uint8), crs=None, transform=None)
    lines = "class   pixels    share", "1       60,000  100.00%", "total   60,000  100.00%"
    table = "\n".join((*lines, "nodata       0", ""))
    note = "note: the raster has no geotransform: areas in square meters are unknown\n"
    assert cli("stats", "c.tif") == (0, table, note)
    assert cli("stats", "c.tif", "-q") == (0, table, "")
    document = json.loads(cli("stats", "c.tif", "--json")[1])
    assert document["area_m2"] is document["classes"][0]["area_m2"] is None
    assert document["notes"] == [note.removeprefix("note: ").strip()]


def test_json(folder, cli):
    status, out, err = cli(*STATS, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "pixels": 59_960,
        "area_m2": 5_996_000,
        "classes": [
            {
                "class": number,
                "name": name,
                "pixels": pixels,
                "area_m2": 100 * pixels,
                "share": pixels / 59_960,
            }
            for number, name, pixels in [
                (0, "wood, old", 30_000),
                (1, "road", 19_960),
                (2, "lake", 0),
                (3, None, 10_000),
            ]
        ],
        "nodata": {"pixels": 40, "area_m2": 4000},
        "notes": [],
    }
    status, out, err = cli(*STATS, "--json", "--zones", "zones.json")
    zones = json.loads(out)["zones"]
    assert [(zone["zone"], zone["pixels"]) for zone in zones] == [("1", 29_960), ("2", 100)]


def test_csv_is_rfc_4180(folder, cli):
    status, out, err = cli(*STATS, "--csv")
    assert (status, err) == (0, "")
    head, *lines = out.split("\r\n")
    assert head == "class,name,pixels,area_m2,share"
    assert lines[0] == '0,"wood, old",30000,3000000.0,' + repr(30_000 / 59_960)
    assert lines[-2:] == ["nodata,,40,4000.0,", ""]
    status, out, err = cli(*STATS, "--csv", "--zones", "zones.json", "--zone-key", "key")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert sum(int(row["pixels"]) for row in rows if row["zone"] == "north") == 30_000
    assert [row["class"] for row in rows] == ["0", "1", "2", "3", "nodata", "0", "1", "2", "nodata"]


class TestFile:
    def test_has_what_would_be_printed(self, folder, cli):
        printed = cli(*STATS, "--csv")[1]
        assert cli(*STATS, "--csv", "-o", "out.csv") == (0, "", "")
        assert (folder / "out.csv").read_bytes().decode() == printed
        refused(cli(*STATS, "-o", "out.csv"), 2, "out.csv exists already: --overwrite replaces it")
        assert cli(*STATS, "-o", "out.csv", "--overwrite")[0] == 0
        assert (folder / "out.csv").read_bytes().decode() == printed
        assert cli(*STATS, "-o", "out.txt")[0] == 0
        assert (folder / "out.txt").read_text() == TABLE

    @pytest.mark.parametrize("name", ["classes.tif", "zones.json"])
    def test_is_none_of_the_inputs(self, folder, cli, name):
        before = (folder / name).read_bytes()
        result = cli(*STATS, "--zones", "zones.json", "-o", name, "--overwrite")
        refused(result, 2, f"output {name} is one of the inputs")
        assert (folder / name).read_bytes() == before

    def test_is_not_there_after_an_error(self, folder, cli):
        before = made.names(folder)
        content = (folder / "classes.tif").read_bytes()
        (folder / "classes.tif").write_bytes(content[: len(content) // 2])
        refused(cli(*STATS, "-o", "out.csv"), 1, "classes.tif is incomplete or damaged: ")
        assert made.names(folder) == before


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "status", "message"),
        [
            (("--json", "--csv"), 2, "--json and --csv exclude each other: give only one of them"),
            (("--zone-key", "key"), 2, "zone-key needs zones: give a file of zones, too"),
            (("--zones", "none.json"), 2, "none.json cannot be read: No such file"),
            (("--zones", "far.json"), 2, r"zones far.json misses the raster: it spans .*, the ras"),
            (
                ("--zones", "zones.json", "--zone-key", "x"),
                2,
                "has a property 'x': its first feature has key",
            ),
            (("--nodata", "300"), 2, "nodata 300 cannot be a pixel of classes.tif"),
        ],
    )
    def test_options(self, folder, cli, options, status, message):
        save_zones(folder / "far.json", {"far": (900, 900, 950, 950)})
        refused(cli(*STATS, *options), status, message)

    def test_rasters(self, folder, cli):
        refused(cli("stats", "none.tif"), 1, "cannot open none.tif")
        made.raster("logits.tif", made.pixels(2, 20, 30, "float32"))
        refused(
            cli("stats", "logits.tif"),
            1,
            "logits.tif has 2 bands, .*run with --kind cl",
        )


@pytest.mark.parametrize(("ending", "option"), [("csv", "--csv"), ("json", "--json")])
def test_the_ending_of_a_report_sets_its_format(folder, cli, ending, option):
    _, printed, _ = cli(*STATS, option)
    assert cli(*STATS, "-o", f"report.{ending}")[0] == 0
    assert (folder / f"report.{ending}").read_bytes().decode() == printed
