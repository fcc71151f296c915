"""CPU and memory limits of the control group (cgroup v1 or v2) of this process, and the CPU time and memory in use.

A limit can be set on the group of the process or on any group above it (of a pod, of a slice). The smallest limit of
all visible groups applies. The functions return this limit with the usage of the group that has it.

The formats of the files are described in cgroup-v2.html, cgroup-v1/memory.html and cgroup-v1/cpuacct.html at
https://docs.kernel.org/admin-guide/, and for the CPU quota of v1 at https://docs.kernel.org/scheduler/sched-bwc.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """Memory limit of a group in bytes, and the memory that the group uses, without page cache that can be dropped."""

    limit_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """CPU limit of a group in cores, and the CPU time in seconds that the group has used since its creation."""

    cores: float
    used_seconds: float


def memory_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> MemoryLimit | None:
    """Return the smallest memory limit that applies to this process, or None if there is none.

    The usage is defined as in ``docker stats`` and kubelet's working set: usage minus inactive file cache.
    """
    limits = [
        *(_memory_v2(group) for group in _groups(root, membership, "")),
        *(_memory_v1(group) for group in _groups(root, membership, "memory")),
    ]
    return min((limit for limit in limits if limit), key=lambda limit: limit.limit_bytes, default=None)


def cpu_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> CpuLimit | None:
    """Return the smallest CPU quota that applies to this process, or None if there is none."""
    limits = [_cpu_v2(group) for group in _groups(root, membership, "")]
    for group in _groups(root, membership, "cpu"):
        # The controllers may be mounted together (cpu,cpuacct) or separately.
        path = group.relative_to(_mount(root, "cpu"))
        limits.append(_cpu_v1(group, _mount(root, "cpuacct") / path))
    return min((limit for limit in limits if limit), key=lambda limit: limit.cores, default=None)


def _groups(root: Path, membership: Path, controller: str) -> Iterator[Path]:
    """Yield the directories of this process's group and of the groups above it.

    ``controller`` is the v1 controller, such as ``memory``; ``""`` stands for v2.
    """
    path = _membership(membership, controller)
    top = _mount(root, controller)
    if path is None or not top.is_dir():
        return
    # Without a cgroup namespace (Docker on v1), the path is the path on the host and does not exist in the container.
    # In this case the top of the mount is the group of the process.
    group = top.joinpath(*(name for name in path.split("/") if name not in ("", "..")))
    if not group.is_dir():
        group = top
    while True:
        yield group
        if group == top:
            return
        group = group.parent


def _membership(membership: Path, controller: str) -> str | None:
    """Return the path of this process's group, from a line such as ``4:memory:/docker/abc`` (v1) or ``0::/`` (v2)."""
    for line in (_read(membership) or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            return path
    return None


def _mount(root: Path, controller: str) -> Path:
    if controller:
        names = [controller, "cpu,cpuacct"] if controller.startswith("cpu") else [controller]
        return next((root / name for name in names if (root / name).is_dir()), root / controller)
    return root / "unified" if (root / "unified").is_dir() else root


def _memory_v2(group: Path) -> MemoryLimit | None:
    limit, usage = _number(group / "memory.max"), _number(group / "memory.current")
    return _memory(limit, usage, _field(group / "memory.stat", "inactive_file"))


def _memory_v1(group: Path) -> MemoryLimit | None:
    limit, usage = _number(group / "memory.limit_in_bytes"), _number(group / "memory.usage_in_bytes")
    return _memory(limit, usage, _field(group / "memory.stat", "total_inactive_file"))


def _memory(limit: int | None, usage: int | None, inactive_file: int | None) -> MemoryLimit | None:
    # In v1, a limit near 2**63 means no limit.
    if limit is None or usage is None or limit >= 1 << 60:
        return None
    return MemoryLimit(limit, max(0, usage - (inactive_file or 0)))


def _cpu_v2(group: Path) -> CpuLimit | None:
    quota, _, period = (_read(group / "cpu.max") or "").strip().partition(" ")
    used_us = _field(group / "cpu.stat", "usage_usec")
    if not (quota.isdigit() and period.isdigit()) or int(period) == 0 or used_us is None:
        return None
    return CpuLimit(int(quota) / int(period), used_us / 1e6)


def _cpu_v1(cpu: Path, cpuacct: Path) -> CpuLimit | None:
    quota_us, period_us = _number(cpu / "cpu.cfs_quota_us"), _number(cpu / "cpu.cfs_period_us")
    used_ns = _number(cpuacct / "cpuacct.usage")
    if quota_us is None or quota_us <= 0 or not period_us or used_ns is None:
        return None
    return CpuLimit(quota_us / period_us, used_ns / 1e9)


def _number(path: Path) -> int | None:
    """Return the number in a file, or None if the file is missing or contains a word such as ``max``."""
    try:
        return int(_read(path) or "")
    except ValueError:
        return None


def _field(path: Path, name: str) -> int | None:
    """Return the number after ``name`` in a file with lines such as ``inactive_file 4096``, or None."""
    for line in (_read(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
