import os

import hypothesis
import pytest

from builders.command import cli, folder  # noqa: F401  # fixtures, for every test

# No deadline: a busy machine is no defect. Speed is for benchmarks/ to show.
# The same examples each time; `--hypothesis-profile explore` looks for others.
hypothesis.settings.register_profile("explore", deadline=None, max_examples=60)
hypothesis.settings.register_profile("same", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("same")


def pytest_configure(config):
    """Give each worker of pytest-xdist a processor of its own.

    Threads of onnxruntime wait actively, so those of several workers would slow each other down.
    """
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    if worker and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_remembered(tmp_path_factory):
    """What tests find out about models stays among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def steady(monkeypatch):
    """A process that always has the same in memory, however many tests there were before."""
    for module in ("inference.prepared", "models.tile_model"):
        monkeypatch.setattr(f"seamless_seg.{module}.resident_bytes", lambda: 100_000_000)


@pytest.fixture
def paths(tmp_path):
    """Names for a raster, a model and an output in a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "in.tif", tmp_path / "model.onnx", tmp_path / "out" / "out.tif"
