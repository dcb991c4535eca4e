import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import seamless_seg
from builders import made
from seamless_seg_cli.program import run_program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MODELS = (ROOT / "docs" / "models.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that looks like a clone to the README's examples."""
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    made.raster(tmp_path / "input.tif", made.pixels(4, 700, 600, "uint16"))
    for name in ("model.onnx", "other.onnx"):
        made.pointwise(tmp_path / name, 3, 2)
    ring = [list(made.UTM["transform"] @ corner) for corner in [(9, 9), (400, 9), (9, 300), (9, 9)]]
    field = {
        "type": "Polygon",
        "coordinates": [ring],
        "crs": {"properties": {"name": "EPSG:32632"}},
    }
    (tmp_path / "field.geojson").write_text(json.dumps(field))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(clone, code):
    exec(compile(code, "README.md", "exec"), {})


def test_the_first_two_commands_bring_their_own_environment():
    for command in blocks("sh")[:2]:
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.parametrize(
    "line", [line for block in blocks("sh")[2:] for line in block.splitlines()]
)
def test_commands_run(clone, line):
    program, *arguments = shlex.split(line)
    assert program == "seamless-seg"
    if "input.tif" in arguments and "--bands" not in arguments:
        made.raster("input.tif", made.pixels(3, 700, 600))
    assert run_program(arguments) == 0


def test_names_in_the_readme_are_names_in_the_code():
    for name in re.findall(r"seamless_seg\.(\w+)", README):
        module = ROOT / "seamless_seg" / f"{name}.py"
        assert hasattr(seamless_seg, name) or module.exists(), name


def test_the_published_example_runs_unchanged():
    def minimal_random_colour_grid(image_size, tile_size, overlap):
        plan, _grid = seamless_seg.plan_run_grid(image_size, tile_size, overlap)

        out_img = np.zeros((*image_size, 3))

        def _get_tile(index, geom):
            base = np.ones((*tile_size, 3), dtype=np.uint8)
            rand_rgb = np.random.default_rng().integers(20, 255, (1, 1, 3), dtype=np.uint8)
            return base * rand_rgb

        def _write_tile(index, out_geom, out_tile):
            y_slc, x_slc = seamless_seg.shape_to_slices(out_geom)
            out_img[y_slc, x_slc] = out_tile

        batch_size = 8
        max_tiles = 1024
        seamless_seg.run_plan(plan, batch_size, max_tiles, _write_tile, get_tile=_get_tile)
        return out_img

    for sizes in [((48, 64), (5, 5), (2, 2)), ((256, 256), (58, 84), (6, 12))]:
        image = minimal_random_colour_grid(*sizes)
        assert image.min() >= 20
        assert image.max() < 255


def test_every_row_on_models_and_rasters_names_tests_that_are_there():
    rows = [
        line for line in MODELS.splitlines() if line.startswith("| ") and "| what |" not in line
    ]
    for row in rows:
        named = re.findall(r"`((?:\w+/)?test_\w+\.py)?::(\w+)`", row)
        assert named, row
        file = ""
        for own, test in named:
            file = own or file
            text = (ROOT / "tests" / file).read_text()
            assert re.search(rf"^ *def {test}\(", text, re.M), (file, test)
