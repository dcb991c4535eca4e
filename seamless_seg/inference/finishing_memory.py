"""Memory of smoothing, sieving and overviews, and how they keep to what is left for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..raster.geotiff import COG_CACHE_BYTES, MAX_COG_THREADS, Output, cog_block

FIXED_BYTES = 25_000_000
"""Bytes of a step whatever its windows: libraries, GDAL's cache and the writer."""

SIEVED_PIXEL_BYTES = 280
"""Bytes for a pixel of a window that is sieved, where every pixel is a region of its own."""

SMOOTHED_PIXEL_BYTES = 40
"""Bytes for a pixel of a window that is smoothed."""

COG_BLOCKS = 9
"""Blocks of all bands that GDAL holds while it makes overviews, beside its cache."""

SIEVED_WINDOWS = (1024, 512, 256)
"""Sides in pixels of windows that are sieved, the fastest first; none changes the result."""

COG_CACHES = (COG_CACHE_BYTES, 32_000_000, 16_000_000, 8_000_000)
"""Bytes of GDAL's cache for overviews, the fastest first; none changes the result."""


class FinishingLimits(NamedTuple):
    """What steps may use. The files do not depend on it."""

    sieved_window: int = SIEVED_WINDOWS[0]
    """Side in pixels of windows that are sieved."""
    cog_cache: int = COG_CACHES[0]
    """Bytes of GDAL's cache for overviews."""
    cog_threads: int = MAX_COG_THREADS
    """Threads that compress a COG, at most."""


def limits_within(output: Output, spare: float) -> FinishingLimits:
    """Return the fastest limits that fit into bytes, or the least if none does.

    Parameters
    ----------
    output : Output
        Format of the output.
    spare : float
        Bytes beside the program's.
    """
    window = next((own for own in SIEVED_WINDOWS if _sieved(own) <= spare), SIEVED_WINDOWS[-1])
    held = _cog_blocks(output)
    cache = next((own for own in COG_CACHES if held + own <= spare), COG_CACHES[-1])
    threads = MAX_COG_THREADS if math.isinf(spare) else 1
    return FinishingLimits(window, cache, threads)


def least_bytes(output: Output, cleanup: Mapping[str, Any]) -> int:
    """Return the bytes beside the program's that the steps of an output need at least.

    Parameters
    ----------
    output : Output
        Format of the output.
    cleanup : mapping
        ``smooth`` and ``sieve`` for classes; empty for other outputs.
    """
    needed = [0]
    if radius := cleanup.get("smooth"):
        from ..postprocess.smooth import window_size

        side = window_size(radius) + 2 * radius
        needed.append(FIXED_BYTES + SMOOTHED_PIXEL_BYTES * side**2)
    if cleanup.get("sieve"):
        needed.append(_sieved(SIEVED_WINDOWS[-1]))
    if output.encoding.cog:
        needed.append(_cog_blocks(output) + COG_CACHES[-1])
    return max(needed)


def _sieved(window: int) -> int:
    return FIXED_BYTES + SIEVED_PIXEL_BYTES * window**2


def _cog_blocks(output: Output) -> int:
    block = cog_block(output) ** 2 * output.count * output.dtype.itemsize
    return FIXED_BYTES + COG_BLOCKS * block
