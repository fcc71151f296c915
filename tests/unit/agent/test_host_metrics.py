"""The host's vitals, read without psutil, against psutil and against the check kinds that report the same fields."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from monitor.agent.host_metrics import HostMetrics
from monitor.checks.kinds.connections import Connections
from monitor.checks.kinds.cpu import Cpu
from monitor.checks.kinds.disk import Disk
from monitor.checks.kinds.memory import Memory
from tests.support.cgroup_trees import MIB, cpu_v2, memory_v2, write_tree

KINDS = {"cpu": Cpu(sample_seconds=0.1), "memory": Memory(), "disk": Disk(), "connections": Connections()}


def test_the_same_fields_as_the_check_kinds() -> None:
    """Names are those that the kinds report, and units too: the numbers are about the same."""
    vitals = HostMetrics()
    vitals.read()
    time.sleep(0.2)
    found = vitals.read()
    assert set(found) == set(KINDS)
    for name, kind in KINDS.items():
        observed = kind.observe(5.0).data
        assert set(found[name]) <= set(observed)
        for field, value in found[name].items():
            # Processor use is of the moment; the rest changes slowly.
            room = 100 if name == "cpu" and field == "percent" else 0.2 * max(value, observed[field]) + 50
            assert abs(value - observed[field]) <= room, (name, field)


def test_cpu_use_is_that_between_two_beacons() -> None:
    """The first beacon has none; a process that spins in between shows."""
    vitals = HostMetrics()
    assert "cpu" not in vitals.read()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    percent = vitals.read()["cpu"]["percent"]
    assert percent >= 0.5 * 100 / len(os.sched_getaffinity(0))


def test_resident_memory() -> None:
    """Of this process, in MiB."""
    rss = HostMetrics().rss_mb()
    assert rss == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.1)


def test_no_proc_no_vitals(tmp_path: Path) -> None:
    """Off Linux: what statvfs says, and nothing else; nothing is raised."""
    vitals = HostMetrics(proc=tmp_path)
    assert set(vitals.read()) <= {"disk"}
    assert vitals.rss_mb() is None


def test_in_a_container(tmp_path: Path) -> None:
    """Measured against the limits of our control group."""
    write_tree(tmp_path, {**memory_v2(str(256 * MIB), 192 * MIB, 64 * MIB), **cpu_v2("50000 100000", 1_000_000)})
    vitals = HostMetrics(cgroup_root=tmp_path)
    vitals.read()
    write_tree(tmp_path, cpu_v2("50000 100000", 1_050_000))
    time.sleep(0.2)
    found = vitals.read()
    assert found["memory"] == {"percent": 50.0, "available_mb": 128, "total_mb": 256}
    assert found["cpu"]["count"] == 0.5
    assert 0 < found["cpu"]["percent"] < 60  # 50 ms in 200 ms, of half a processor: 50 %
