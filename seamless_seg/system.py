"""Memory of the process that runs."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from contextlib import suppress
from pathlib import Path

USUAL = 120_000_000
"""Bytes that Python and the libraries take, where the system does not tell."""


def cores() -> int:
    """Processors that may be used."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def available_bytes() -> float:
    """Bytes of memory that are left for this process; infinite where the system does not tell."""
    left = math.inf
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left = int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # a container may have less than the machine
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        left = min(left, most - int((group / "memory.current").read_text()))
    return left


def tells_memory() -> bool:
    """Whether the system tells what the process has in memory now."""
    return Path("/proc/self/statm").exists()


def resident_bytes() -> int:
    """Bytes in memory now; the most so far where the system tells no more than that."""
    with suppress(OSError, ValueError, IndexError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    return peak_bytes() or USUAL


def release_bytes() -> None:
    """Give memory that is not in use back to the system, where the allocator can do that."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_bytes() -> int | None:
    """The most bytes that were in memory at any time; None where the system does not tell."""
    with suppress(OSError, ValueError):  # the other may be the parent's, from before it was forked
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such thing
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
