"""System: processors, and the memory of this process."""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from .cgroups import ROOT, memory_left, processors

TYPICAL_BYTES = 120_000_000
"""Bytes that Python and the libraries take, assumed where the system does not report them."""


def cores(root: Path = ROOT) -> int:
    """Return the number of processors that this process may use, rounded up.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``, for the limits of a container or batch job.
    """
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        usable = os.cpu_count() or 1
    return max(1, math.ceil(min(usable, processors(root))))


def available_bytes(root: Path = ROOT) -> float:
    """Return the bytes of memory left for this process; infinity if the system reports none.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``.
    """
    left = memory_left(root)  # a container may have less memory than the machine
    with suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left = min(left, int(line.split()[1]) * 1024)
    return left


def group_limit(root: Path = ROOT) -> int | None:
    """Return the bytes that control groups let this process have, with those that it has now.

    None if no group limits them.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``.
    """
    left = memory_left(root)
    return None if math.isinf(left) else int(left) + resident_bytes()


def memory_exhausted() -> str:
    """Return a sentence on a failed allocation that names the limit of the process, if any."""
    limits = {"ulimit -v": "RLIMIT_AS", "ulimit -d": "RLIMIT_DATA"}
    with suppress(ModuleNotFoundError):  # Windows
        import resource

        for command, name in limits.items():
            limit, _ = resource.getrlimit(getattr(resource, name))
            if limit != resource.RLIM_INFINITY:
                return (
                    f"memory is exhausted: {command} limits this process to {limit / 1e6:.0f} MB "
                    f"of addresses, and a run reserves more addresses than it uses memory: raise "
                    f"that limit, and give max_memory= in its place"
                )
    return "memory is exhausted: give max_memory=, or smaller tiles"


def reports_memory() -> bool:
    """Return whether the system reports the memory that the process has now."""
    return Path("/proc/self/statm").exists()


def resident_bytes() -> int:
    """Return the bytes in memory now, or the peak so far if the system reports only that."""
    with suppress(OSError, ValueError, IndexError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    return peak_bytes() or TYPICAL_BYTES


def release_bytes() -> None:
    """Return unused memory to the system, if the allocator can do that."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_bytes() -> int | None:
    """Return the peak of the bytes in memory; None if the system does not report it."""
    with suppress(OSError, ValueError):  # getrusage may report a peak of the parent before the fork
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def instruction_sets(root: Path = ROOT) -> str:
    """Return a text that is the same on processors of the same instruction sets.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc``.
    """
    with suppress(OSError):
        first = (root / "proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0]
        for line in first.splitlines():
            if line.lower().startswith(("flags", "features")):
                flags = " ".join(sorted(line.partition(":")[2].split()))
                digest = hashlib.sha256(flags.encode()).hexdigest()[:16]
                return f"{platform.machine()} {digest}"
    return f"{platform.machine()} {platform.processor()}"
