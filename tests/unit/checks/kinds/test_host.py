"""The kinds that look at the host or the container: cpu, memory, disk, connections."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.checks.base import Observation
from monitor.checks.kinds.connections import Connections
from monitor.checks.kinds.cpu import Cpu, usable_processors
from monitor.checks.kinds.disk import Disk
from monitor.checks.kinds.memory import Memory
from monitor.model.checks import Status
from tests.support.cgroup_trees import MIB, cpu_v2, memory_v2, write_tree

NOWHERE = Path("/nonexistent")


def judged(kind: Cpu | Memory | Disk | Connections, **data: Any) -> tuple[Status, str | None]:
    """What a kind says to some numbers."""
    outcome = kind.judge(Observation(data))
    return outcome.status, outcome.reason


@pytest.mark.parametrize("kind", [Cpu, Memory, Disk])
def test_the_thresholds_of_percentages(kind: type[Cpu] | type[Memory] | type[Disk]) -> None:
    """The threshold itself is fine, above it is not, and there is no error unless it is asked for."""
    limit = kind().warning_percent
    assert judged(kind(), percent=limit) == (Status.OK, None)
    assert judged(kind(), percent=limit + 0.1) == (Status.WARNING, "above_threshold")
    assert judged(kind(), percent=100.0)[0] is Status.WARNING
    assert judged(kind(error_percent=95), percent=95.1) == (Status.ERROR, "above_threshold")


def test_the_default_thresholds_are_the_documented_ones() -> None:
    """CPU 90 %, memory 85 %, disk 80 %."""
    assert [kind().warning_percent for kind in (Cpu, Memory, Disk)] == [90, 85, 80]


def test_cpu_of_the_host() -> None:
    """Without a quota: a busy loop on every processor is seen, and counts them."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in usable_processors()]
    try:
        outcome = Cpu(cgroup_root=NOWHERE, sample_seconds=1.0).run(5.0)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert outcome.data["percent"] > 80
    assert outcome.data["count"] == len(os.sched_getaffinity(0))
    assert isinstance(outcome.data["count"], int)


def test_cpu_of_a_container(tmp_path: Path) -> None:
    """Use is measured against the quota: 0.1 s of CPU time in about 0.4 s are half of half a core."""
    write_tree(tmp_path, cpu_v2("50000 100000", 1_000_000))

    def use_some_cpu() -> None:
        time.sleep(0.1)
        new = tmp_path / "new"
        new.write_text("usage_usec 1100000\n")
        new.replace(tmp_path / "cpu.stat")

    thread = threading.Thread(target=use_some_cpu)
    thread.start()
    outcome = Cpu(cgroup_root=tmp_path, sample_seconds=0.4).run(5.0)
    thread.join()
    assert outcome.data["count"] == 0.5
    assert 25 < outcome.data["percent"] <= 50


def test_cpu_does_not_measure_longer_than_it_may(tmp_path: Path) -> None:
    """A short time limit shortens the sample."""
    started = time.monotonic()
    Cpu(cgroup_root=NOWHERE, sample_seconds=5).run(0.2)
    assert time.monotonic() - started < 2


def test_memory_of_the_host() -> None:
    """Without a limit, as psutil has it."""
    data = Memory(cgroup_root=NOWHERE).run(1.0).data
    assert data["total_mb"] == psutil.virtual_memory().total // MIB
    assert data["percent"] == pytest.approx(psutil.virtual_memory().percent, abs=5)
    assert data["available_mb"] == pytest.approx(psutil.virtual_memory().available / MIB, rel=0.2)


def test_memory_of_a_container(tmp_path: Path) -> None:
    """With a limit below the host's memory, percent and MiB are those of the limit."""
    write_tree(tmp_path, memory_v2(str(100 * MIB), 95 * MIB, 5 * MIB))
    outcome = Memory(cgroup_root=tmp_path).run(1.0)
    assert outcome.data == {"percent": 90.0, "available_mb": 10, "total_mb": 100}
    assert (outcome.status, outcome.reason) == (Status.WARNING, "above_threshold")


def test_a_limit_above_the_host_s_memory_is_none(tmp_path: Path) -> None:
    """Docker writes such limits; the host ends first."""
    write_tree(tmp_path, memory_v2(str(psutil.virtual_memory().total * 2), 1 * MIB))
    assert Memory(cgroup_root=tmp_path).run(1.0).data["total_mb"] == psutil.virtual_memory().total // MIB


def test_disk_reports_the_fullest_path(tmp_path: Path) -> None:
    """The top-level numbers are those of one path, and every path is listed."""
    data = Disk(paths=(str(tmp_path), "/dev/shm", "/")).run(1.0).data
    fullest = max(data["paths"].values(), key=lambda usage: usage["percent"])
    assert set(data["paths"]) == {str(tmp_path), "/dev/shm", "/"}
    assert {name: data[name] for name in ("percent", "free_mb", "total_mb")} == {
        name: fullest[name] for name in ("percent", "free_mb", "total_mb")
    }
    expected = psutil.disk_usage("/")
    assert data["paths"]["/"]["total_mb"] == expected.total // MIB
    assert data["paths"]["/"]["percent"] == pytest.approx(expected.percent, abs=2)


def test_disk_looks_at_inodes_too() -> None:
    """A file system without inodes left takes no file, however much space there is."""
    assert judged(Disk(), percent=10.0, inodes_percent=81.0) == (Status.WARNING, "inodes_above_threshold")
    assert judged(Disk(error_percent=90), percent=85.0, inodes_percent=91.0)[0] is Status.ERROR
    assert judged(Disk(), percent=81.0, inodes_percent=81.0) == (Status.WARNING, "above_threshold")


def test_disk_of_a_path_that_is_not_there() -> None:
    """An unmounted volume may be just that."""
    outcome = Disk(paths=("/", "/no/such/mount")).run(1.0)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "missing_path")
    assert "/no/such/mount" in (outcome.message or "")


def test_connections_are_counted() -> None:
    """Both ends of a connection over loopback are established connections of this host."""
    before = Connections().run(5.0).data["active_connections"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = [socket.create_connection(listener.getsockname()) for _ in range(40)]
        theirs = [listener.accept()[0] for _ in ours]
        data = Connections().run(5.0).data
        for end in (*ours, *theirs):
            end.close()
    # Others on this machine connect and disconnect meanwhile.
    assert data["active_connections"] >= before + 60


def test_the_thresholds_of_connections() -> None:
    """None unless asked for."""
    assert judged(Connections(), active_connections=10**6) == (Status.OK, None)
    limited = Connections(warning_connections=10, error_connections=20)
    assert judged(limited, active_connections=11) == (Status.WARNING, "above_threshold")
    assert judged(limited, active_connections=21) == (Status.ERROR, "above_threshold")
