"""GDAL through rasterio: its block cache, its errors, its log and its warnings."""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import getenv, hasenv
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..boundary import boundary, in_words
from ..errors import RasterError, SeamlessError
from .blocks import MIN_CACHE_BYTES

# GDAL has a faster way to read a whole PNG, which gives uninitialized memory for what is cut off.
# The environment is all that reaches each of its threads, and PNGs inside of other files.
os.environ["GDAL_PNG_WHOLE_IMAGE_OPTIM"] = "NO"

NAMESPACE = "seamless_seg"
"""Domain in a file's metadata of the tags that this package writes."""


class _Silence:
    """Silences a warning while some thread asks for it; the other filters stay as they are.

    ``warnings.catch_warnings`` would give one thread the filters of another.
    """

    def __init__(self, category: type[Warning]) -> None:
        self._category = category
        # No filter of anybody else's has this text, which matches every message.
        self._text = f"(?#{__name__})"
        self._lock = threading.Lock()
        self._count = 0

    @property
    def _filter(self) -> tuple[Any, ...]:
        return ("ignore", re.compile(self._text, re.IGNORECASE), self._category, None, 0)

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1
            if self._filter not in warnings.filters:  # others may have reset them
                warnings.filterwarnings("ignore", self._text, self._category)

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                with suppress(ValueError):
                    warnings.filters.remove(self._filter)  # type: ignore[attr-defined]


_without_georeference = _Silence(NotGeoreferencedWarning)


def ignoring_missing_georeference() -> AbstractContextManager[None]:
    """Silence rasterio's warning that a raster has no georeference: images need none here."""
    return _without_georeference


def block_cache(size: int) -> AbstractContextManager[object]:
    """Give GDAL's block cache ``size`` bytes, unless the user has set its size."""
    if user_cache() is not None:
        return nullcontext()
    env: AbstractContextManager[object] = rasterio.Env(GDAL_CACHEMAX=size)
    return env


def user_cache() -> int | None:
    """Bytes of GDAL's block cache that the user has set, roughly; None where it is not set."""
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
    except (ValueError, AttributeError):  # it is no number, or the system has no sysconf
        return MIN_CACHE_BYTES
    # GDAL takes a number below 100,000 without a unit for megabytes.
    unit = {"k": 2**10, "m": 2**20, "g": 2**30}.get(text[-1:], 1 if number >= 100_000 else 2**20)
    return int(number * unit)


@contextmanager
def reading_file(failure: str) -> Iterator[None]:
    """Turn whatever reading a raster raises into a ``RasterError``.

    Parameters
    ----------
    failure : str
        What has failed then, such as ``cannot open in.tif``.
    """
    with boundary(RasterError, failure), keeping_quiet():
        try:
            yield
        except RasterioError as error:
            raise _cause(error) from error


@contextmanager
def reporting(failure: str, details: Callable[[], str] = str) -> Iterator[None]:
    """Turn errors of GDAL and of the system, when a raster is written, into a ``RasterError``.

    Parameters
    ----------
    failure : str
        What has failed then, such as ``cannot write out.tif``.
    details : callable, optional
        Gives text to add after that.
    """
    try:
        with keeping_quiet():
            yield
    except SeamlessError:
        raise
    # Errors of GDAL's own, which rasterio lets through, have no public base class.
    except (RasterioError, CPLE_BaseError, OSError, UnicodeError) as error:
        raise RasterError(f"{failure}{details()}: {in_words(_cause(error))}") from error


def _cause(error: Exception) -> BaseException:
    """Return the error that GDAL gave where rasterio's own text only points to it."""
    return error.__cause__ if "See previous" in str(error) and error.__cause__ else error


@contextmanager
def keeping_quiet() -> Iterator[None]:
    """Send GDAL's messages in this thread to rasterio's log: it prints them outside of an Env."""
    with nullcontext() if hasenv() else rasterio.Env():
        yield
