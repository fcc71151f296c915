"""A process that has no threads or no memory left exits with 1: it cannot recover by itself, and its supervisor can."""

from __future__ import annotations

import re
import resource
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes import missing
from tests.support.roles import StartMonitor

ROSTER = """
[checks.disk]
kind = "disk"
groups = ["ready"]
"""


@pytest.mark.parametrize("role", ["worker", "web", "sidecar"])
def test_a_role_that_cannot_start_a_thread(role: str, start_monitor: StartMonitor) -> None:
    """Each stack would take more than all memory that the process may have. The sidecar is the one without Redis."""
    monitor = start_monitor(ROSTER)
    if role == "sidecar":
        del monitor.env["MONITOR_REDIS_URL"]
    limits = ["--stack=1000000000000:1000000000000", "--as=8000000000:8000000000"]
    command = [sys.executable, "-m", "monitor", role, *([] if role == "worker" else ["--port", str(monitor.port)])]
    process = monitor.start([shutil.which("prlimit") or missing("prlimit"), *limits, *command])
    assert process.wait(60) == 1, process.logs()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process's memory")
def test_a_worker_that_cannot_allocate_memory(start_monitor: StartMonitor) -> None:
    """A message of its queue is larger than all memory that the process may still take."""
    monitor = start_monitor(ROSTER)
    worker = monitor.worker()
    monitor.wait_for_consumers()
    found = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    assert found is not None
    limit = int(found[1]) * 1024 + 10_000_000
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))
    with monitor.redis.client() as client:
        client.lpush("monitor", b"x" * 300_000_000)
    assert worker.wait(60) == 1, worker.logs()
