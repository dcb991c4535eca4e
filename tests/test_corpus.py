"""Files that have once failed, as ``fuzz/`` found or made them, with every call that reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("attack", ["rasters", "models", "areas", "sidecars", "caches"])
@pytest.mark.slow
def test_what_once_failed_ends_well_or_with_a_clear_error(attack):
    command = [sys.executable, "-m", "fuzz", attack, "--count", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
