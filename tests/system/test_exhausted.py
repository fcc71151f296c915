"""A process that has no threads left exits with 1: it cannot recover by itself, and its supervisor can."""

from __future__ import annotations

import shutil
import sys

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
