"""Control groups of Linux: the memory and processors that a container or batch job may use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")
"""Folder that holds ``proc`` and ``sys``."""

V2_MEMORY = ("memory.max", "memory.high"), "memory.current", ("inactive_file",)
V1_MEMORY = (
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_inactive_file", "inactive_file"),
)
"""Files of a group's limits and usage, and names of its cached files in ``memory.stat``."""


def memory_left(root: Path = ROOT) -> float:
    """Return the bytes that the groups of this process leave to it; infinity if none has a limit.

    Each group limits all groups below it, so the smallest of them counts. Cached file contents
    that were not used lately (``inactive_file``) count as free: the system drops them first.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``.
    """
    v2 = (_left(group, V2_MEMORY) for group in _groups_v2(root))
    v1 = (_left(group, V1_MEMORY) for group in _groups_v1(root, "memory"))
    return max(0.0, min((*v2, *v1), default=math.inf))


def processors(root: Path = ROOT) -> float:
    """Return the processor seconds per second that the groups allow; infinity if unlimited.

    Parameters
    ----------
    root : Path
        Folder that holds ``proc`` and ``sys``.
    """
    v2 = (_quota_v2(group) for group in _groups_v2(root))
    v1 = (_quota_v1(group) for group in _groups_v1(root, "cpu"))
    return min((*v2, *v1), default=math.inf)


def _groups_v2(root: Path) -> Iterator[Path]:
    """Yield the folders of the process's group of version 2, and of those around it."""
    for controllers, path in _memberships(root):
        if not controllers:
            yield from _with_parents(root / "sys/fs/cgroup", path)
            yield from _with_parents(root / "sys/fs/cgroup/unified", path)


def _groups_v1(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the process's group for a controller, and of those around it."""
    for controllers, path in _memberships(root):
        if controller in controllers.split(","):
            for name in dict.fromkeys((controller, controllers)):
                yield from _with_parents(root / "sys/fs/cgroup" / name, path)


def _memberships(root: Path) -> Iterator[tuple[str, str]]:
    """Yield controllers, separated by commas, and the path of each group of this process."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            yield controllers, path


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    """Yield a group's folder and those above it, up to the mount.

    In a container the mount often is the process's own group, whatever its path. Folders that do
    not exist limit nothing.
    """
    parts = PurePosixPath(path).parts[1:]
    if ".." in parts:  # the group lies outside the part of the tree that is mounted
        parts = ()
    for count in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:count])


def _left(group: Path, files: tuple[tuple[str, ...], str, tuple[str, ...]]) -> float:
    limits, usage, cached = files
    limit = min(_number(group / name) for name in limits)
    used = _number(group / usage)
    if math.isinf(limit) or math.isinf(used):
        return limit
    return limit - max(0.0, used - _stat(group, cached))


def _stat(group: Path, names: tuple[str, ...]) -> float:
    """Return the first of some numbers in a group's ``memory.stat``; 0 if it has none of them."""
    with suppress(OSError, ValueError):
        lines = (group / "memory.stat").read_text().splitlines()
        numbers = dict(line.split(maxsplit=1) for line in lines)
        return next((float(numbers[name]) for name in names if name in numbers), 0.0)
    return 0.0


def _quota_v2(group: Path) -> float:
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)  # "max" is no number
    return math.inf


def _quota_v1(group: Path) -> float:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota / period if 0 < quota < math.inf and 0 < period < math.inf else math.inf


def _number(file: Path) -> float:
    """Return the number in a file; infinity if there is none, as in "max"."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return math.inf
