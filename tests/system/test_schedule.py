"""Beat and worker as real processes: every check runs at its own phase, once per interval, under any beat."""

from __future__ import annotations

import math
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.model.checks import Result
from monitor.policy.schedule import phase
from tests.support.celery_nodes import HostProcess
from tests.support.processes import wait_for
from tests.support.roles import FailureText, Monitor, Recorder, StartMonitor

INTERVAL = 1.0
SAME_MOMENT_SECONDS = 0.001  # due times are exact; stored with a tenth of a millisecond
NAMES = ("api", "billing", "cache", "mail", "search")
ROSTER = f"[defaults]\ninterval = {INTERVAL}\n" + "".join(
    f'[checks.{name}]\nkind = "python"\npath = "tests.support.user_checks:nothing"\n' for name in NAMES
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
    """All checks are due in the first window; from then on each is due once in each of its intervals, at its phase."""
    monitor = start_monitor(ROSTER)
    monitor.worker()
    monitor.wait_for_consumers()
    with Recorder(monitor) as recorder:
        _start_beat(monitor, scheduler, tmp_path)
        for name in NAMES:
            # Only a stalled machine skips an interval: then the next five in a row are waited for.
            wait_for(
                partial(_runs_in_a_row, recorder, name), seconds=60, what=FailureText(monitor, f"five runs of {name}")
            )
    first = [_due_at(recorder.results[name][0]) for name in NAMES]
    assert max(first) - min(first) < SAME_MOMENT_SECONDS
    for name in NAMES:
        runs = recorder.results[name][1:]
        assert all(_off_phase(name, run) < SAME_MOMENT_SECONDS for run in runs), name
        assert all(steps >= 1 for steps in _steps(runs)), f"{name} ran twice in one interval"


def test_no_backlog_after_downtime(start_monitor: StartMonitor) -> None:
    """Beat without a worker does not pile up messages; the worker that comes back runs each check once."""
    roster = '[defaults]\ninterval = "3s"\n[checks.counted]\nkind = "python"\n'
    roster += 'path = "tests.support.user_checks:counted"\narguments = {key = "c", seconds = 0}\n'
    monitor = start_monitor(roster)
    worker = monitor.worker()
    monitor.wait_for_consumers()
    monitor.beat()
    monitor.wait_for_results("counted")
    worker.kill("SIGTERM")
    stopped_at = monitor.store.states.now()
    with monitor.redis.client() as client:
        wait_for(
            lambda: monitor.store.states.now() > stopped_at + 7, seconds=15, every=0.2, what="two intervals have passed"
        )
        waiting = int(client.llen("monitor.dispatch"))
        assert 0 < waiting <= 5
        assert client.llen("monitor") == 0
        before = int(client.get("test:c:runs") or 0)
        back_at = monitor.store.states.now()
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


def _due_at(run: Result) -> float:
    """Return the moment at which the run was due, by the store's clock: no load of the machine moves it."""
    assert run.late_ms is not None
    return run.observed_at - run.late_ms / 1000


def _steps(runs: list[Result]) -> list[int]:
    """Return how many intervals lie between the due times of each two runs."""
    return [round((_due_at(after) - _due_at(before)) / INTERVAL) for before, after in pairwise(runs)]


def _runs_in_a_row(recorder: Recorder, name: str) -> bool:
    """Return whether the last five runs are of five intervals in a row. The very first run has no phase."""
    return _steps(recorder.results[name][1:][-5:]) == [1, 1, 1, 1]


def _off_phase(name: str, run: Result) -> float:
    """Return the distance in seconds between the run's due time and the check's nearest phase."""
    offset = (_due_at(run) - phase(name) * INTERVAL) % INTERVAL
    return min(offset, INTERVAL - offset)


def _intervals(name: str, runs: list[Result], interval: float = INTERVAL) -> list[int]:
    """Which of the check's own intervals each run fell into."""
    return [math.floor((run.observed_at - phase(name) * interval) / interval) for run in runs]
