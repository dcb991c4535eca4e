"""Memory of the process that runs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

USUAL = 120_000_000
"""Bytes that Python and the libraries take, where the system does not tell."""


def resident_bytes() -> int:
    """Bytes in memory now; the most so far where the system tells no more than that."""
    with suppress(OSError, ValueError, IndexError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    return peak_bytes() or USUAL


def peak_bytes() -> int | None:
    """The most bytes that were in memory at any time; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such thing
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
