"""GDAL through rasterio: its block cache, its errors and its log."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import rasterio
from rasterio.env import getenv, hasenv
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..errors import OptionError, RasterError
from .blocks import SMALLEST_CACHE

NAMESPACE = "seamless_seg"
"""Domain of the tags in the file's metadata."""


@contextmanager
def refusing_odd_options() -> Iterator[None]:
    """Raise ``OptionError`` where GDAL would merely log that it does not know a creation option."""
    heard, log = _Heard(), logging.getLogger("rasterio._env")
    level, propagates = log.level, log.propagate
    log.addHandler(heard)
    log.setLevel(logging.WARNING)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(heard)
        log.setLevel(level)
        log.propagate = propagates
    if heard.complaints:
        raise OptionError("; ".join(heard.complaints))


class _Heard(logging.Handler):
    """Notes what is said about creation options."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note it without the name of the error."""
        said = record.getMessage()
        if "creation option" in said:
            self.complaints.append(re.sub(r"^CPLE_\w+ in ", "", said).rstrip("."))


@contextmanager
def ignoring_missing_georeference() -> Iterator[None]:
    """Silence rasterio's warning that a raster has no georeference: that is no mistake here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def block_cache(count: int) -> AbstractContextManager[object]:
    """GDAL's block cache with ``count`` bytes, unless the user has set one."""
    if user_cache() is not None:
        return nullcontext()
    env: AbstractContextManager[object] = rasterio.Env(GDAL_CACHEMAX=count)
    return env


def user_cache() -> int | None:
    """Bytes of GDAL's block cache where the user has set them, roughly; None where not."""
    setting = os.environ.get("GDAL_CACHEMAX")
    if hasenv():
        setting = getenv().get("GDAL_CACHEMAX", setting)
    if setting is None:
        return None
    text = str(setting).lower().removesuffix("b")
    try:
        number = float(text.rstrip("%kmg"))
        if text.endswith("%"):
            return int(number / 100 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, AttributeError):  # no number; a system that does not tell
        return SMALLEST_CACHE
    # As GDAL has it, a small number without a unit is one of megabytes.
    unit = {"k": 2**10, "m": 2**20, "g": 2**30}.get(text[-1:], 1 if number >= 100_000 else 2**20)
    return int(number * unit)


@contextmanager
def reporting(what: str, more: Callable[[], str] = str) -> Iterator[None]:
    """Turn rasterio's errors into one that says what was being done, and ``more()`` about it."""
    try:
        yield
    except (RasterioError, OSError, UnicodeError) as error:
        # rasterio's own text may only point to the error that GDAL gave.
        reason = error.__cause__ if "See previous" in str(error) and error.__cause__ else error
        raise RasterError(f"{what}{more()}: {reason}") from error
