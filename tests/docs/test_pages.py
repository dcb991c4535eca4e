import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import seamless_seg
from builders import made, networks
from seamless_seg_cli.program import run_program

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "CHANGELOG.md", *ROOT.glob("*/README.md")]


def blocks(language):
    """Code blocks of all pages, each with its page and line as its id."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S):
            line = text.count("\n", 0, block.start()) + 1
            found.append(pytest.param(block[1], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


def own_environment(block):
    return block.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def runnable():
    """Blocks of commands, but for the two that .ci/run runs."""
    return [block for block in blocks("sh") if not own_environment(block.values[0])]


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    made.raster(folder / "input.tif", made.pixels(3, 260, 300))
    made.raster(folder / "multispectral.tif", made.pixels(4, 260, 300, "uint16"))
    made.name_bands(folder / "multispectral.tif", ["blue", "green", "red", "nir"])
    patches = np.random.default_rng(0).integers(0, 3, (1, 26, 30), np.uint8)
    made.raster(folder / "landcover.tif", patches.repeat(10, axis=1).repeat(10, axis=2))
    made.name_classes(folder / "landcover.tif", ["field", "road", "water"])
    for name in ("model.onnx", "other.onnx"):
        made.pointwise(folder / name, 3, 2)
    networks.save(folder / "global.onnx", [("conv", 3, 1), ("squeeze_excite",)])
    ring = [list(made.UTM["transform"] @ corner) for corner in [(9, 9), (200, 9), (9, 200), (9, 9)]]
    field = {
        "type": "Polygon",
        "coordinates": [ring],
        "crs": {"properties": {"name": "EPSG:32632"}},
    }
    for name in ("field.geojson", "zones.geojson"):
        (folder / name).write_text(json.dumps(field))
    return folder


@pytest.fixture
def clone(files, tmp_path, monkeypatch):
    """A folder that looks like a clone, with input files, to the examples."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(clone, code):
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("commands", runnable())
def test_commands_run(clone, commands):
    for line in commands.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "seamless-seg"
        assert run_program(arguments) == 0, line


def test_the_first_two_commands_bring_their_own_environment():
    found = re.findall(r"^```sh\n(.*?)^```$", PAGES[0].read_text(), re.M | re.S)
    assert [own_environment(block) for block in found] == [True, True, *[False] * (len(found) - 2)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_the_pages_are_names_in_the_code(page):
    for name in re.findall(r"seamless_seg\.(\w+)", page.read_text()):
        module = ROOT / "seamless_seg" / name
        known = hasattr(seamless_seg, name) or module.is_dir() or module.with_suffix(".py").exists()
        assert known, name


def headings(page):
    """Names by which links find the headings of a page."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        if not name.startswith("https://"):
            other = page.parent / name if name else page
            assert other.exists(), target
            assert not anchor or anchor in headings(other), target


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
        line
        for name in ("models.md", "inputs.md")
        for line in (ROOT / "docs" / name).read_text().splitlines()
        if "`test_" in line or (line.startswith("| ") and line.count(" | ") == 2)
    ]
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^ *def (test_\w+)\(", tests, re.M))
    assert len(rows) > 30
    for row in rows:
        if not re.fullmatch(r"\| what \| .* \| test \|", row):
            named = set(re.findall(r"`(test_\w+)`", row))
            assert named, row
            assert named <= known, named - known
