"""Beat and worker as real processes: every check runs at its own phase, once per interval, under any beat."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from monitor.model import Result
from monitor.schedule import phase
from tests.support.celery_nodes import HostProcess
from tests.support.processes import wait_for
from tests.support.roles import Monitor, Recorder, StartMonitor, Told

INTERVAL = 1.0
NAMES = ("api", "billing", "cache", "mail", "search")
ROSTER = f"[defaults]\ninterval = {INTERVAL}\n" + "".join(
    f'[checks.{name}]\nkind = "python"\npath = "tests.system.user_checks:nothing"\n' for name in NAMES
)
SCHEDULERS = {
    "ours": "monitor.tasks.beat:DispatchScheduler",
    "stock": "celery.beat:PersistentScheduler",
    "redbeat": "redbeat.RedBeatScheduler",
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_first_run_at_once_then_each_check_on_its_own_phase(
    scheduler: str, start_monitor: StartMonitor, tmp_path: Path
) -> None:
    """All checks run within 2 s of beat's start; from then on each runs once in each of its intervals."""
    monitor = start_monitor(ROSTER)
    monitor.worker()
    monitor.wait_for_consumers()
    with Recorder(monitor) as recorder:
        _start_beat(monitor, scheduler, tmp_path)
        began = _first_dispatch(monitor)
        first = monitor.wait_for_results(*NAMES)
        for name in NAMES:
            recorder.wait_for(name, 6)
    latest = max(result.observed_at for result in first.values())
    print(f"{scheduler}: the last of {len(NAMES)} first runs {latest - began:.2f} s after beat began to send")
    assert latest - began <= 2.0
    for name in NAMES:
        # The very first run is at once, not at the check's phase.
        runs = recorder.results[name][1:]
        assert _intervals(name, runs) == _consecutive(_intervals(name, runs)), name


def test_no_backlog_after_downtime(start_monitor: StartMonitor) -> None:
    """Beat without a worker does not pile up messages; the worker that comes back runs each check once."""
    roster = '[defaults]\ninterval = "3s"\n[checks.counted]\nkind = "python"\n'
    roster += 'path = "tests.system.user_checks:counted"\narguments = {key = "c", seconds = 0}\n'
    monitor = start_monitor(roster)
    worker = monitor.worker()
    monitor.wait_for_consumers()
    monitor.beat()
    monitor.wait_for_results("counted")
    worker.kill("SIGTERM")
    stopped_at = monitor.store.now()
    with monitor.redis.client() as client:
        wait_for(lambda: monitor.store.now() > stopped_at + 7, seconds=15, every=0.2, what="two intervals have passed")
        waiting = int(client.llen("monitor.dispatch"))
        assert 0 < waiting <= 5
        assert client.llen("monitor") == 0
        before = int(client.get("test:c:runs") or 0)
        back_at = monitor.store.now()
        monitor.worker()
        result = monitor.wait_for_results("counted", after=back_at)["counted"]
        assert result.data["runs"] == before + 1
        wait_for(lambda: client.llen("monitor.dispatch") == 0, what="the waiting dispatches are gone")
        again = monitor.wait_for_results("counted", after=result.observed_at)["counted"]
    assert again.data["runs"] == before + 2
    assert _intervals("counted", [again], 3.0)[0] > _intervals("counted", [result], 3.0)[0]


def _start_beat(monitor: Monitor, scheduler: str, directory: Path) -> HostProcess:
    if scheduler == "ours":
        return monitor.beat()
    celery = [sys.executable, "-m", "celery", "-A", "monitor.celery_app", "beat", "-S", SCHEDULERS[scheduler]]
    return monitor.start([*celery, *(["-s", str(directory / "schedule")] if scheduler == "stock" else [])])


def _first_dispatch(monitor: Monitor) -> float:
    """The store's clock when the first window was claimed: beat's first message, a moment after it was sent."""
    with monitor.redis.client() as client:
        wait_for(lambda: client.exists("monitor:dispatch"), seconds=30, every=0.005, what=Told(monitor, "dispatched"))
    return monitor.store.now()


def _intervals(name: str, runs: list[Result], interval: float = INTERVAL) -> list[int]:
    """Which of the check's own intervals each run fell into."""
    return [math.floor((run.observed_at - phase(name) * interval) / interval) for run in runs]


def _consecutive(numbers: list[int]) -> list[int]:
    return list(range(numbers[0], numbers[0] + len(numbers)))
