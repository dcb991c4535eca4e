"""GDAL through rasterio: its block cache, its errors, its log and its warnings."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import getenv, hasenv
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from ..boundary import boundary, in_words
from ..errors import OptionError, RasterError, SeamlessError
from .blocks import MIN_CACHE_BYTES

NAMESPACE = "seamless_seg"
"""Domain in a file's metadata of the tags that this package writes."""


@contextmanager
def rejecting_unknown_options() -> Iterator[None]:
    """Raise ``OptionError`` where GDAL only logs that it does not know a creation option."""
    handler, log = _CreationOptionHandler(), logging.getLogger("rasterio._env")
    level, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagates
    if handler.messages:
        raise OptionError("; ".join(handler.messages))


class _CreationOptionHandler(logging.Handler):
    """Collects GDAL's messages about creation options."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message without the name of the error."""
        message = record.getMessage()
        if "creation option" in message:
            self.messages.append(re.sub(r"^CPLE_\w+ in ", "", message).rstrip("."))


@contextmanager
def ignoring_missing_georeference() -> Iterator[None]:
    """Silence rasterio's warning that a raster has no georeference: images need none here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


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
