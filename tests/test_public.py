import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seamless_seg
from builders import made, networks


@pytest.mark.parametrize("name", seamless_seg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(seamless_seg, name) is not None
    assert name in dir(seamless_seg)


def test_those_that_types_are_checked_by_are_the_same():
    tree = ast.parse(Path(seamless_seg.__file__).read_text())
    seen = {
        alias.name: getattr(seamless_seg, alias.name).__module__
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
        if hasattr(getattr(seamless_seg, alias.name), "__module__")
    }
    assert set(seamless_seg.__all__) - set(seen) == {"PROFILES", "__version__"}
    assert seen["check"] == "seamless_seg.evaluation.check"


def test_another_name_is_not():
    with pytest.raises(AttributeError, match="module 'seamless_seg' has no attribute 'chekc'"):
        seamless_seg.chekc  # noqa: B018  # that is the test


def test_a_module_is_loaded_when_it_is_asked_for():
    code = (
        "import sys, seamless_seg; seamless_seg.segment;"
        "names = ('polygons', 'evaluation', 'stats');"
        "print([name for name in names if f'seamless_seg.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_plain_run_loads_no_scipy(tmp_path):
    made.raster(tmp_path / "in.tif", made.pixels(3, 70, 80, "float32"))
    networks.save(tmp_path / "model.onnx", [("conv", 3, 1)])
    code = (
        "import sys, seamless_seg\n"
        "seamless_seg.segment('in.tif', 'model.onnx', 'out.tif', tile=32)\n"
        "seamless_seg.check('in.tif', 'model.onnx', 'out.tif')\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'scipy'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


def test_signatures_name_their_types_and_all_keywords():
    for function in (
        seamless_seg.segment,
        seamless_seg.forecast,
        seamless_seg.check,
        seamless_seg.probe,
        seamless_seg.describe_model,
        seamless_seg.polygonize,
        seamless_seg.class_stats,
    ):
        parameters = inspect.signature(function).parameters.values()
        assert not [each for each in parameters if each.annotation in ("Any", each.empty)]
        assert not [each for each in parameters if each.kind is each.VAR_KEYWORD]
    shown = inspect.signature(seamless_seg.segment).parameters
    assert shown["output"].annotation == "str | os.PathLike[str]"
    assert (shown["kind"].default, shown["compress"].default) == ("logits", "zstd")
    assert {"tile", "normalize", "nodata", "also", "sieve", "cog"} <= set(shown)
    with pytest.raises(TypeError, match="colour"):
        seamless_seg.segment("in.tif", "model.onnx", "out.tif", colour=1)


def test_messages_of_the_library_name_keywords_and_no_options():
    folder = Path(seamless_seg.__file__).parent
    found = []
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if node not in docstrings
        ]
        found += [text for text in texts if re.search(r"(^|[ (])--[a-z]", text)]
    other_programs = ("--saved-model", "--tflite", "--graphdef", "--crs", "--output model.onnx")
    assert [text for text in found if not any(each in text for each in other_programs)] == []
