"""Numbers, names and colors of classes: from metadata, from options and from files."""

import json

import numpy as np
import pytest
import rasterio

from builders import made
from seamless_seg import OptionError, class_stats, segment
from seamless_seg.raster.legend import category_names


@pytest.fixture
def positions(paths):
    """The class of each pixel, counted from 0, of a model of three classes."""
    image = made.pixels(3, 40, 50, "float32")
    made.raster(paths[0], image)
    _, answer = made.pointwise(paths[1], 3, 3)
    return answer(image).argmax(axis=0)


def document(path, *classes):
    keys = ("value", "name", "color_hint", "nodata")
    listed = [dict(zip(keys, one, strict=False)) for one in classes]
    made.sidecar(f"{path}.json", output={"classification:classes": listed}, value_scaling=None)


def written(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.nodata, dataset.colormap(1)


class TestMetadata:
    def test_values_and_nodata_are_honored(self, paths, positions):
        document(paths[1], (3, "a", "FF0000"), (7, "b", "00FF00", True), (18, "c", "0000FF"))
        notes = segment(*paths, kind="classes").settings.notes
        found, nodata, colors = written(paths[2])
        np.testing.assert_array_equal(found, np.array([3, 255, 18])[positions])
        assert nodata == 255
        assert colors[3][:3] == (255, 0, 0)
        assert colors[18][:3] == (0, 0, 255)
        names = category_names(paths[2])
        assert (names[3], names[7], names[18]) == ("a", "", "c")
        assert "class 7, b, is nodata in class rasters" in notes
        rows = class_stats(paths[2]).tables[0].classes
        wanted = {(3, "a", (positions == 0).sum()), (18, "c", (positions == 2).sum())}
        assert {(row.number, row.name, row.pixels) for row in rows} == wanted

    def test_a_large_value_widens_the_raster(self, paths, positions):
        document(paths[1], (1, "a"), (2, "b"), (1000, "c"))
        segment(*paths, kind="classes")
        found, nodata, _ = written(paths[2])
        np.testing.assert_array_equal(found, np.array([1, 2, 1000])[positions])
        assert (found.dtype, nodata) == (np.uint16, 65535)

    def test_fewer_values_with_a_gap_are_positions(self, paths, positions):
        document(paths[1], (1, "b"), (2, "c"))
        segment(*paths, kind="classes")
        np.testing.assert_array_equal(written(paths[2])[0], positions)
        assert category_names(paths[2]) == ["", "b", "c"]

    def test_confidence_is_that_of_the_class(self, paths, positions):
        segment(*paths, kind="confidence")
        sure = made.read(paths[2])
        document(paths[1], (5, "a"), (2, "b"), (9, "c"))
        segment(*paths, kind="confidence", overwrite=True)
        np.testing.assert_array_equal(made.read(paths[2]), sure)


class TestOptions:
    def test_names_and_colors_win(self, paths, positions):
        document(paths[1], (3, "a", "FF0000"), (7, "b", "00FF00", True), (18, "c", "0000FF"))
        names, colors = {1: "x", 2: "y", 4: "z"}, {4: "#102030", 1: (9, 8, 7)}
        segment(*paths, kind="classes", class_names=names, class_colors=colors)
        found, _, table = written(paths[2])
        np.testing.assert_array_equal(found, np.array([1, 2, 4])[positions])
        assert category_names(paths[2]) == ["", "x", "y", "", "z"]
        assert (table[1][:3], table[4][:3]) == ((9, 8, 7), (16, 32, 48))

    def test_names_in_order_keep_the_stated_values(self, paths, positions):
        document(paths[1], (3, "a"), (7, "b"), (18, "c"))
        segment(*paths, kind="classes", class_names=["x", "y", "z"])
        np.testing.assert_array_equal(written(paths[2])[0], np.array([3, 7, 18])[positions])
        assert category_names(paths[2])[18] == "z"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"class_names": ["a", "b"]}, "names 2 classes, and the model has 3"),
            ({"class_names": ["a", "a", "b"]}, "has the name 'a' twice"),
            ({"class_names": {1: "a", "1": "b"}}, "has the class 1 twice"),
            ({"class_names": {-1: "a"}}, "class numbers from 0 to 65534, not -1"),
            ({"class_names": "a,b,c"}, "names in the order of the classes"),
            ({"class_names": [1, 2, 3]}, "texts that are not empty, not 1"),
            ({"class_colors": ["red"] * 3}, "must be #RRGGBB .*, not 'red'"),
            ({"class_colors": [(0, 0, 256)] * 3}, r"not \(0, 0, 256\)"),
            ({"class_colors": ["000000"]}, "has 1 colors, and there are 3 classes"),
            ({"class_colors": {7: "000000"}}, "for 7, which is no class: the classes are 0, 1, 2"),
        ],
    )
    def test_what_does_not_fit_is_an_error(self, paths, positions, options, message):
        with pytest.raises(OptionError, match=message):
            segment(*paths, kind="classes", **options)


FILES = {
    "a.csv": "value,name,color\n3,a,#FF0000\n7,b,\n18,c,0000FF\n",
    "b.csv": "\ufeffName;Value\na;3\nb;7\nc;18\n",
    "c.csv": "3,a\n7,b\n18,c\n",
    "a.json": json.dumps({"3": "a", "7": "b", "18": "c"}),
    "b.json": json.dumps([{"value": v, "name": n} for v, n in ((3, "a"), (7, "b"), (18, "c"))]),
}


class TestFiles:
    @pytest.mark.parametrize("name", FILES)
    def test_classes_are_those_of_the_file(self, cli, paths, positions, name, tmp_path):
        (tmp_path / name).write_text(FILES[name])
        argv = [*map(str, paths), "--kind", "classes", "--classes", str(tmp_path / name)]
        assert cli("run", *argv)[0] == 0
        np.testing.assert_array_equal(written(paths[2])[0], np.array([3, 7, 18])[positions])
        assert [category_names(paths[2])[n] for n in (3, 7, 18)] == ["a", "b", "c"]
        if name == "a.csv":
            assert written(paths[2])[2][18][:3] == (0, 0, 255)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "lists no classes"),
            ("{", "lists no classes in JSON"),
            ("number,label\n1,a", "has no columns value and name"),
            ("value,name\n1,a\n1,b", "has the class 1 twice"),
            ("value,name\n1.5,a", "class numbers from 0 to 65534, not '1.5'"),
            ("value,name\n1,", "has no name for the class 1"),
            ("value,name,color\n1,a,red\n2,b,\n3,c,", "not 'red'"),
        ],
    )
    def test_a_bad_file_is_an_error(self, cli, paths, positions, text, message, tmp_path):
        (tmp_path / "classes.csv").write_text(text)
        argv = [*map(str, paths), "--kind", "classes", "--classes", str(tmp_path / "classes.csv")]
        code, _, said = cli("run", *argv)
        assert code == 2
        assert message in said
