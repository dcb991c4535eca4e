import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from builders import made
from seamless_seg.models.active_runs import end_active_runs
from seamless_seg.models.onnx_session import OnnxFile

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


def test_a_run_that_is_under_way_can_be_ended(tmp_path):
    path = tmp_path / "model.onnx"
    made.convolutions(path, 3, 4, layers=200, width=8)
    file, batch = OnnxFile(path), np.zeros((1, 3, 400, 400), np.float32)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(file.run, "image", batch, "logits")
        while not run.done():
            end_active_runs()
            time.sleep(0.001)
        with pytest.raises(Exception, match="terminate"):
            run.result()
    assert file.run("image", batch[..., :40, :40], "logits").shape == (1, 4, 40, 40)
