"""A role whose clock is off by an hour runs checks all the same. Real roles under faketime."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery

from monitor.tasks.beat import DispatchScheduler
from tests.support.processes import missing
from tests.support.refusals import ONE_CHECK
from tests.support.roles import StartMonitor


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_clock_that_is_an_hour_off(role: str, offset: str, start_monitor: StartMonitor) -> None:
    """Results keep coming, by the store's clock."""
    library = _library()
    monitor = start_monitor(ONE_CHECK)
    env = {"LD_PRELOAD": str(library), "FAKETIME": offset}
    for name in ("worker", "beat"):
        monitor.start([sys.executable, "-m", "monitor", name], **(env if name == role else {}))
    with monitor.redis.client() as client:
        now, _ = client.time()
    first = monitor.wait_for_results("one", after=now, seconds=60)["one"]
    monitor.wait_for_results("one", after=first.observed_at + 1, seconds=30)
    assert all(running.status == "running" for running in monitor.roles), monitor.logs()


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if shutil.which("faketime") is None or not found:
        missing("faketime")
    return found[0]


@pytest.mark.parametrize("step", ["+1h", "-1h"])
def test_a_clock_that_is_set(step: str, start_monitor: StartMonitor, tmp_path: Path) -> None:
    """Results keep coming when the clock of a running worker is set by an hour."""
    library, offset = _library(), tmp_path / "offset"
    offset.write_text("+0\n")
    monitor = start_monitor(ONE_CHECK)
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    monitor.worker(**env)
    monitor.beat()
    monitor.wait_for_results("one", seconds=60)
    offset.write_text(f"{step}\n")
    with monitor.redis.client() as client:
        now, _ = client.time()
    later = monitor.wait_for_results("one", after=now + 3, seconds=30)["one"]
    assert later.observed_at < now + 120, "by the store's clock"
    assert all(running.status == "running" for running in monitor.roles), monitor.logs()


@pytest.mark.parametrize("step_seconds", [3600, -3600])
def test_beat_follows_a_clock_that_is_set(step_seconds: int) -> None:
    """What ran by the clock of before is due an interval after the step. faketime breaks `sleep` in a running beat."""
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {"one": {"task": "one", "schedule": 2.0}}
    scheduler = DispatchScheduler(app, lazy=True)
    scheduler.setup_schedule()
    entry = scheduler.schedule["one"]
    entry.last_run_at = entry.default_now() - timedelta(seconds=step_seconds)
    scheduler._ahead_seconds -= step_seconds
    scheduler._follow_clock()
    due, seconds = entry.is_due()
    assert not due
    assert 1 < seconds <= 2
