"""Files that are published together, and what ends that."""

import os
import shutil
import signal
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from rasterio.crs import CRS

from builders import made
from seamless_seg.publishing.publication import publish, published
from seamless_seg.publishing.text_file import TextFile
from seamless_seg.raster.georeference import Georeference
from seamless_seg.raster.geotiff import Output
from seamless_seg.raster.legend import category_names
from seamless_seg.raster.writer import RasterWriter

CHANGES = ("link", "rename", "replace", "unlink", "fsync")
"""Functions of ``os`` that publishing calls."""

MOST_CHANGES = 40

HERE = Georeference(CRS.from_string(made.UTM["crs"]), made.UTM["transform"], [], None)


def write(folder, version, overwrite=True):
    """Publish a raster of classes with names, and a text, that all say which version they are."""
    names = [f"{version} {number}" for number in range(3)]
    output = Output((10, 10), 1, HERE, dtype=np.dtype("u1"), categories=names)
    with ExitStack() as stack:
        raster = stack.enter_context(RasterWriter(folder / "out.tif", output, overwrite))
        text = stack.enter_context(TextFile(folder / "out.json", f"{version}\n", overwrite))
        raster.write(slice(0, 10), slice(0, 10), np.full((10, 10, 1), version, np.uint8))
        raster.complete()
        text.complete()
        publish([raster.publication, text.publication])


def found(folder):
    """The versions of the raster's pixels, of its names, and of the text; None for no file."""
    raster, text = folder / "out.tif", folder / "out.json"
    pixels = int(made.read(raster)[0, 0, 0]) if raster.exists() else None
    names = int(category_names(raster)[0].split()[0]) if raster.exists() else None
    return pixels, names, int(text.read_text()) if text.exists() else None


def at_change(number, do):
    """Make the change of that number do something first, in this process."""
    count = 0

    def wrapped(original):
        def change(*given, **named):
            nonlocal count
            count += 1
            if count == number:
                do()
            return original(*given, **named)

        return change

    for name in CHANGES:
        setattr(os, name, wrapped(getattr(os, name)))


def in_a_child(work):
    """Run work in a process of its own; return how it ended, as ``os.waitpid`` says it."""
    child = os.fork()
    if not child:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


def each_end(folder, do, catch):
    """Yield how a second version was left when something happened at each change in turn."""
    for number in range(1, MOST_CHANGES):
        shutil.rmtree(folder)
        folder.mkdir()
        write(folder, 1)
        before = published()

        def work(number=number, before=before):
            at_change(number, do)
            try:
                write(folder, 2)
            except catch:
                return 1 + (published() != before)
            return 0

        status = in_a_child(work)
        yield status, found(folder)
        if status == 0:
            return
    raise AssertionError("it never came to an end")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_whole_files_and_the_names_of_their_own_raster(tmp_path):
    ends = [end for _, end in each_end(tmp_path, kill, ())]
    assert len(ends) > 8
    assert ends[0] == (1, 1, 1)
    assert ends[-1] == (2, 2, 2)
    for pixels, names, text in ends:
        assert pixels == names
        assert {pixels, text} <= {1, 2}
    mixed = sum(pixels != text for pixels, _, text in ends)
    assert mixed <= 4, "between the renames of two files alone"


def test_what_a_killed_process_has_left_is_removed_by_the_next_run(tmp_path):
    def work():
        at_change(3, kill)
        write(tmp_path, 1)

    in_a_child(work)
    assert any(name.endswith(".partial") for name in made.names(tmp_path))
    other = tmp_path / ".other.tif.0123abcd.partial"
    other.mkdir()
    write(tmp_path, 2)
    assert made.names(tmp_path) == [other.name, "out.json", "out.tif", "out.tif.aux.xml"]


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    output = Output((10, 10), 1, HERE)
    with RasterWriter(tmp_path / "out.tif", output) as writer:
        writer.write(slice(0, 10), slice(0, 10), np.full((10, 10, 1), 7, np.float32))
        assert in_a_child(lambda: write(tmp_path, 2) or 0) == 0
        (tmp_path / "out.tif").unlink()
        (tmp_path / "out.tif.aux.xml").unlink()
    assert (made.read(tmp_path / "out.tif") == 7).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_and_what_is_said_of_it_is_true(tmp_path, number):
    def interrupt(*_):
        raise KeyboardInterrupt

    def send():
        os.kill(os.getpid(), number)

    before = signal.signal(number, interrupt)
    try:
        for status, end in each_end(tmp_path, send, KeyboardInterrupt):
            was_published = os.waitstatus_to_exitcode(status) != 1
            assert end == ((2, 2, 2) if was_published else (1, 1, 1))
            left = [name for name in made.names(tmp_path) if name.endswith(".partial")]
            assert left == []
    finally:
        signal.signal(number, before)


def test_an_error_at_any_step_leaves_all_old(tmp_path):
    def fail():
        raise OSError(5, "Input/output error")

    for status, end in each_end(tmp_path, fail, Exception):
        assert end == ((2, 2, 2) if status == 0 else (1, 1, 1))


def test_runs_for_the_same_outputs_never_mix_them(tmp_path):
    ends = []
    for _ in range(10):
        threads = [threading.Thread(target=write, args=(tmp_path, number)) for number in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ends.append(found(tmp_path))
    assert all(len(set(end)) == 1 for end in ends)


def test_old_sidecars_do_not_describe_a_new_raster(tmp_path):
    for ending in (".ovr", ".msk"):
        (tmp_path / f"out.tif{ending}").write_bytes(b"old")
    write(tmp_path, 1)
    assert made.names(tmp_path) == ["out.json", "out.tif", "out.tif.aux.xml"]


def test_names_of_classes_are_in_the_raster_itself(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "out.tif.aux.xml").unlink()
    assert category_names(tmp_path / "out.tif") == ["1 0", "1 1", "1 2"]
