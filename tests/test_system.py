"""The memory and processors that there are, by files as Linux has them."""

import math
import os
import subprocess
import sys

import pytest

from seamless_seg.system import available_bytes, cores, group_limit, resident_bytes

MB = 2**20
UNLIMITED = 9223372036854771712
"""What version 1 reports for no limit."""


@pytest.fixture
def root(tmp_path):
    """A machine with 8,000 MiB available: a function that adds files to it."""

    def add(**files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path

    add(**{"proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {8000 * 1024} kB"})
    return add


def group(path, **files):
    """Files of a group, ``memory_max=5`` for memory.max."""
    return {
        f"sys/fs/cgroup{path}/{name.replace('_', '.', 1)}": text for name, text in files.items()
    }


def test_without_groups_it_is_what_the_machine_has(root, tmp_path):
    assert available_bytes(root()) == 8000 * MB
    assert available_bytes(tmp_path / "elsewhere") == math.inf
    assert cores(root()) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("mine", "above", "expected"),
    [
        ({"memory_max": 900 * MB, "memory_current": 200 * MB}, {}, 700),
        ({"memory_max": "max", "memory_current": 200 * MB}, {}, 8000),
        # The group around it leaves less.
        (
            {"memory_max": 900 * MB, "memory_current": 200 * MB},
            {"memory_max": 1000 * MB, "memory_current": 950 * MB},
            50,
        ),
        ({"memory_max": "max"}, {"memory_max": 1000 * MB, "memory_current": 400 * MB}, 600),
        # Above memory.high a process is held up.
        ({"memory_max": 900 * MB, "memory_high": 500 * MB, "memory_current": 200 * MB}, {}, 300),
        # Files that were read some time ago count as free.
        (
            {
                "memory_max": 900 * MB,
                "memory_current": 800 * MB,
                "memory_stat": f"anon 1\ninactive_file {600 * MB}\nactive_file {MB}",
            },
            {},
            700,
        ),
        ({"memory_max": 100 * MB, "memory_current": 200 * MB}, {}, 0),
    ],
)
def test_groups_of_version_2(root, mine, above, expected):
    files = {"proc/self/cgroup": "0::/jobs/mine"}
    machine = root(**files, **group("/jobs/mine", **mine), **group("/jobs", **above))
    assert available_bytes(machine) == expected * MB


@pytest.mark.parametrize("path", ["/docker/0a1b", "/", "/../../other"])
def test_a_container_sees_its_own_group_as_the_root(root, path):
    own = group("", memory_max=700 * MB, memory_current=100 * MB, cpu_max="100000 100000")
    machine = root(**{"proc/self/cgroup": f"0::{path}"}, **own)
    assert available_bytes(machine) == 600 * MB
    assert cores(machine) == 1


@pytest.mark.parametrize("cached", ["total_inactive_file", "inactive_file"])
def test_groups_of_version_1(root, cached):
    own = group(
        "/memory/batch/job",
        memory_limit_in_bytes=500 * MB,
        memory_usage_in_bytes=450 * MB,
        memory_stat=f"{cached} {200 * MB}",
    )
    around = group(
        "/memory", memory_limit_in_bytes=UNLIMITED, memory_usage_in_bytes=9000 * MB, memory_stat=""
    )
    lines = "5:devices:/x\n4:memory:/batch/job\n1:cpu,cpuacct:/\n0::/"
    assert available_bytes(root(**{"proc/self/cgroup": lines}, **own, **around)) == 250 * MB


@pytest.mark.parametrize(
    ("mine", "above", "expected"),
    [
        ("max 100000", "max 100000", math.inf),
        ("100000 100000", "max 100000", 1),
        ("max 100000", "50000 100000", 1),
        ("1000 100000", "max 100000", 1),
        ("110000 100000", "400000 100000", 2),
        ("6400000 100000", "max 100000", 64),
    ],
)
def test_a_quota_of_processor_time_bounds_the_threads(root, mine, above, expected):
    machine = root(
        **{"proc/self/cgroup": "0::/a/b"},
        **group("/a/b", cpu_max=mine),
        **group("/a", cpu_max=above),
    )
    assert cores(machine) == min(len(os.sched_getaffinity(0)), expected)


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "expected"), [(-1, math.inf), (100_000, 1), (25_000, 1)])
def test_a_quota_of_version_1(root, folder, quota, expected):
    files = group(f"/{folder}/job", cpu_cfs_quota_us=quota, cpu_cfs_period_us=100_000)
    machine = root(**{"proc/self/cgroup": "2:cpu,cpuacct:/job"}, **files)
    assert cores(machine) == min(len(os.sched_getaffinity(0)), expected)


def test_a_group_limits_what_the_process_has_and_may_take(root):
    assert group_limit(root(**{"proc/self/cgroup": "0::/jobs/mine"})) is None
    nested = group("/jobs", memory_max=1000 * MB, memory_current=400 * MB)
    limit = group_limit(root(**nested))
    assert abs(limit - 600 * MB - resident_bytes()) < 50 * MB


@pytest.mark.parametrize(("name", "command"), [("RLIMIT_AS", "-v"), ("RLIMIT_DATA", "-d")])
def test_memory_that_is_exhausted_is_explained_by_the_limit_of_the_process(name, command):
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.{name}, (3 * 10**9, 3 * 10**9))\n"
        "from seamless_seg.models.runtime_errors import reason_of\n"
        "print(reason_of(MemoryError()), reason_of(RuntimeError('std::bad_alloc')), sep='\\n')\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(said) == 2
    for sentence in said:
        assert f"memory is exhausted: ulimit {command} limits this process to 3000 MB" in sentence
