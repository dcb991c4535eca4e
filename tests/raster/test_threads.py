"""Several threads that use GDAL at once, none of which hears another."""

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from builders import made
from seamless_seg import OptionError, segment

LOGS = [logging.getLogger(name) for name in ("rasterio", "rasterio._env")]


def state():
    logs = [(log.level, log.propagate, log.handlers[:], log.filters[:]) for log in LOGS]
    return logs, warnings.filters[:]


@pytest.mark.parametrize("level", [logging.NOTSET, logging.CRITICAL])
def test_a_wrong_option_of_one_is_not_heard_by_another(tmp_path, level):
    image = made.raster(tmp_path / "in.tif", made.pixels(1, 40, 40, "float32"))
    LOGS[0].setLevel(level)
    before = state()

    def run(number):
        options = {"creation_options": {"NONSENSE": "1"}} if number % 2 else {}
        try:
            segment(image, lambda batch: batch, tmp_path / f"{number}.tif", margin=0, **options)
        except OptionError as error:
            return "NONSENSE" in str(error)
        return None

    try:
        with ThreadPoolExecutor(6) as pool:
            heard = list(pool.map(run, range(30)))
        assert state() == before
    finally:
        LOGS[0].setLevel(logging.NOTSET)
    assert heard == [None, True] * 15


def test_what_another_says_is_logged_meanwhile(tmp_path, caplog):
    image = made.raster(tmp_path / "in.tif", made.pixels(1, 40, 40, "float32"))

    def model(batch):
        LOGS[1].warning("of somebody else")
        LOGS[1].info("too low to be logged")
        return batch

    segment(image, model, tmp_path / "out.tif", margin=0, cog=True)
    assert set(caplog.messages) == {"of somebody else"}


def test_a_raster_without_a_place_is_silent_in_every_thread(tmp_path):
    path = tmp_path / "in.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="PNG", count=1, height=40, width=40, dtype="uint8"
        ) as to:
            to.write(np.ones((1, 40, 40), np.uint8))
    before = state()

    def run(number):
        return segment(path, lambda batch: batch, tmp_path / f"{number}.tif", margin=0).tiles

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(run, range(30))) == {1}
    assert state() == before
