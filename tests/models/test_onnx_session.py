import os
import subprocess
import sys

from builders import made

RUN = "import sys; from seamless_seg_cli import main; sys.exit(main())"


def test_a_run_leaves_nothing_in_the_home_but_its_own_cache(paths, tmp_path):
    raster, model, out = paths
    made.raster(raster, made.pixels(3, 100, 120))
    made.convolutions(model, 3, 4)
    home = tmp_path / "home"
    home.mkdir()
    # onnxruntime keeps its telemetry back where one of the variables left out here is set.
    settled = ("XDG_", "ORT_", "CI", "GITHUB_", "TF_BUILD")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(settled)}
    subprocess.run(
        [sys.executable, "-c", RUN, "run", raster, model, out],
        env=environment | {"HOME": str(home)},
        check=True,
        capture_output=True,
    )
    files = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    assert files, "what was measured of the model is cached"
    assert {file.parts[:2] for file in files} == {(".cache", "seamless_seg")}
