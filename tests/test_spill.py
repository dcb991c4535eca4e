import resource

import numpy as np
import pytest

from builders import made
from seamless_seg import RasterError
from seamless_seg.spill import Spill


def test_what_is_put_in_comes_out_once_and_as_it_was(tmp_path):
    random = np.random.default_rng(0)
    with Spill(tmp_path) as spill:
        kept = {}
        for step in range(300):
            key = int(random.integers(20))
            if key in kept and random.random() < 0.5:
                np.testing.assert_array_equal(spill.pop(key), kept.pop(key))
            else:
                array = random.random((3, 5, 2), np.float32).transpose(1, 0, 2)
                spill[key] = array
                kept[key] = array.copy()
                array[:] = step
            assert len(spill) == len(kept)
            assert all((key in spill) == (key in kept) for key in range(20))
        with pytest.raises(KeyError):
            spill.pop(99)
    assert made.names(tmp_path) == []


def test_room_in_the_file_is_used_again(tmp_path):
    array = np.zeros((100, 100), np.float32)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Spill(tmp_path) as spill:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * array.nbytes, hard))
        try:
            for key in range(50):
                spill[key] = array + key
                spill["other"] = array
                assert (spill.pop(key) == key).all()
            with pytest.raises(
                RasterError,
                match=r"cannot write 40000 bytes to a temporary file in .*: File too large",
            ):
                spill["one too many"] = spill["and another"] = array
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with (
        Spill(tmp_path / "gone") as spill,
        pytest.raises(RasterError, match=r"cannot write .* in .*gone: No such file"),
    ):
        spill[0] = np.zeros(3)
