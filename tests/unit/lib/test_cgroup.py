"""Limits are found in the trees that Docker, Kubernetes and systemd make, on cgroup v1 and v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.lib.cgroup import CpuLimit, MemoryLimit, cpu_limit, memory_limit
from tests.support.cgroup_trees import MIB, NO_LIMIT_V1, below, cpu_v2, memory_v1, memory_v2, write_tree

V1_FAR = "/docker/0123abc"  # the host's path, which a v1 container sees and cannot find below its mounts
POD = "kubepods.slice/kubepods-pod1.slice"

MEMORY = {
    "v2, a container in its own namespace": (
        "0::/\n",
        memory_v2(str(512 * MIB), 300 * MIB, 100 * MIB),
        MemoryLimit(512 * MIB, 200 * MIB),
    ),
    "v2, the root group of a host: no files": ("0::/\n", {"cgroup.controllers": "cpu memory\n"}, None),
    "v2, a limit that is max": ("0::/\n", memory_v2("max", 5 * MIB), None),
    "v2, the pod's limit is smaller, and the pod's use counts": (
        f"0::/{POD}/container\n",
        {
            **below(f"{POD}/container", memory_v2(str(800 * MIB), 10 * MIB)),
            **below(POD, memory_v2(str(500 * MIB), 90 * MIB)),
            **below("kubepods.slice", memory_v2("max", 9000 * MIB)),
        },
        MemoryLimit(500 * MIB, 90 * MIB),
    ),
    "v2, the container's limit is smaller": (
        f"0::/{POD}/container\n",
        {
            **below(f"{POD}/container", memory_v2(str(100 * MIB), 10 * MIB)),
            **below(POD, memory_v2(str(500 * MIB), 90 * MIB)),
        },
        MemoryLimit(100 * MIB, 10 * MIB),
    ),
    "v1, a Docker container: the host's path is not there": (
        f"12:cpu,cpuacct:{V1_FAR}\n4:memory:{V1_FAR}\n0::/\n",
        below("memory", memory_v1(str(256 * MIB), 200 * MIB, 50 * MIB)),
        MemoryLimit(256 * MIB, 150 * MIB),
    ),
    "v1, nested": (
        "4:memory:/a/b\n",
        {
            **below("memory", memory_v1(NO_LIMIT_V1.strip(), 9 * MIB)),
            **below("memory/a", memory_v1(str(64 * MIB), 8 * MIB)),
            **below("memory/a/b", memory_v1(NO_LIMIT_V1.strip(), 7 * MIB)),
        },
        MemoryLimit(64 * MIB, 8 * MIB),
    ),
    "v1, no limit": ("4:memory:/\n", below("memory", memory_v1(NO_LIMIT_V1.strip(), 9 * MIB)), None),
    "hybrid: v1 controllers, v2 for systemd only": (
        "4:memory:/\n0::/init.scope\n",
        {
            **below("memory", memory_v1(str(64 * MIB), 1 * MIB)),
            "unified/init.scope/cgroup.controllers": "",
        },
        MemoryLimit(64 * MIB, 1 * MIB),
    ),
    "more cache than use": ("0::/\n", memory_v2(str(64 * MIB), 1 * MIB, 2 * MIB), MemoryLimit(64 * MIB, 0)),
    "no control groups at all": ("", {}, None),
}


@pytest.mark.parametrize("case", MEMORY.values(), ids=MEMORY)
def test_the_memory_limit(case: tuple[str, dict[str, str], MemoryLimit | None], tmp_path: Path) -> None:
    """The smallest one up the tree, and the use of the group that has it, without inactive file cache."""
    membership, files, expected = case
    write_tree(tmp_path, {"membership": membership})
    write_tree(tmp_path / "cgroup", files)
    assert memory_limit(tmp_path / "cgroup", tmp_path / "membership") == expected


CPU = {
    "v2, half a core": ("0::/\n", cpu_v2("50000 100000", 7_000_000), CpuLimit(0.5, 7.0)),
    "v2, no quota": ("0::/\n", cpu_v2("max 100000", 1), None),
    "v2, the slice has less": (
        "0::/slice/unit\n",
        {**below("slice/unit", cpu_v2("400000 100000", 1)), **below("slice", cpu_v2("150000 100000", 3_000_000))},
        CpuLimit(1.5, 3.0),
    ),
    "v1, mounted together": (
        f"12:cpu,cpuacct:{V1_FAR}\n",
        below(
            "cpu,cpuacct",
            {"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n", "cpuacct.usage": "4000000000\n"},
        ),
        CpuLimit(2.0, 4.0),
    ),
    "v1, mounted apart, nested": (
        "2:cpuacct:/a\n1:cpu:/a\n",
        {
            **below("cpu", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}),
            **below("cpu/a", {"cpu.cfs_quota_us": "25000\n", "cpu.cfs_period_us": "100000\n"}),
            "cpuacct/cpuacct.usage": "9000000000\n",
            "cpuacct/a/cpuacct.usage": "1000000000\n",
        },
        CpuLimit(0.25, 1.0),
    ),
    "v1, no quota": (
        "1:cpu,cpuacct:/\n",
        below("cpu,cpuacct", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpuacct.usage": "1\n"}),
        None,
    ),
    "no control groups at all": ("", {}, None),
}


@pytest.mark.parametrize("case", CPU.values(), ids=CPU)
def test_the_cpu_limit(case: tuple[str, dict[str, str], CpuLimit | None], tmp_path: Path) -> None:
    """The smallest quota up the tree in cores, and the CPU time of the group that has it."""
    membership, files, expected = case
    write_tree(tmp_path, {"membership": membership})
    write_tree(tmp_path / "cgroup", files)
    assert cpu_limit(tmp_path / "cgroup", tmp_path / "membership") == expected


def test_the_files_of_this_machine_are_understood() -> None:
    """Whatever they say: a limit that makes sense, or none."""
    memory, cpu = memory_limit(), cpu_limit()
    assert memory is None or memory.used_bytes >= 0
    assert cpu is None or (cpu.cores > 0 and cpu.used_seconds >= 0)
