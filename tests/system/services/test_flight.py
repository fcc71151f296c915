"""One run of a check at a time, however many messages and workers there are, and whatever their clocks say."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil
from celery import Celery

from tests.support.processes import missing, wait_for
from tests.support.roles import FailureText, Monitor, Recorder, StartMonitor

COUNTED = """
[checks.counted]
kind = "python"
path = "tests.support.user_checks:counted"
arguments = {key = "c", seconds = 0.3}
interval = "1s"
timeout = "0.9s"
"""


def test_two_workers_and_duplicated_messages_never_run_a_check_twice_at_once(start_monitor: StartMonitor) -> None:
    """Ten messages for each due run, taken by two workers: the check is never in two places, and still runs."""
    monitor = start_monitor(COUNTED)
    monitor.worker()
    monitor.worker()
    monitor.wait_for_consumers(2)
    with monitor.redis.client() as client:

        def six_runs() -> bool:
            if client.llen("monitor") == 0:
                _send_run_check(monitor, "counted", due_at=monitor.store.states.now(), times=10)
            return int(client.get("test:c:runs") or 0) >= 6

        wait_for(six_runs, seconds=20, every=0.05, what=FailureText(monitor, "six runs"))
        wait_for(lambda: client.llen("monitor") == 0, what="all messages were taken")
        assert client.zscore("test:c:most", "running") == 1


def test_overdue_messages_drop_themselves(start_monitor: StartMonitor) -> None:
    """A message that is taken when the next run is due already starts nothing; one that is on time does."""
    monitor = start_monitor(COUNTED)
    worker = monitor.worker()
    monitor.wait_for_consumers()
    _send_run_check(monitor, "counted", due_at=monitor.store.states.now() - 5, times=20)
    wait_for(lambda: worker.logs().count('"reason": "overdue"') == 20, what=FailureText(monitor, "all are dropped"))
    _send_run_check(monitor, "counted", due_at=monitor.store.states.now(), times=1)
    assert monitor.wait_for_results("counted")["counted"].data["runs"] == 1
    assert len(psutil.Process(worker.pid).children()) == 1, "16 threads that begin at once share one fork server"


def test_worker_whose_clock_is_ahead_runs_checks_and_dates_them_by_redis(start_monitor: StartMonitor) -> None:
    """A worker two minutes ahead (libfaketime) neither discards every task nor writes results from the future."""
    # A check that does not sleep: with the monotonic clock left alone, libfaketime 0.9.10 refuses clock_nanosleep(2).
    monitor = start_monitor(
        '[checks.plain]\nkind = "python"\npath = "tests.support.user_checks:nothing"\ninterval = "1s"\n'
    )
    worker = monitor.worker(LD_PRELOAD=_faketime(), FAKETIME="+120s", FAKETIME_DONT_FAKE_MONOTONIC="1")
    monitor.wait_for_consumers()
    monitor.beat()
    with Recorder(monitor) as recorder:
        runs = recorder.wait_for("plain", 4)
        now = monitor.store.states.now()
    worker.kill("SIGTERM")  # libfaketime leaves shared memory behind, by process id, when it is killed
    assert all(now - 30 < run.observed_at <= now for run in runs)
    assert {run.status for run in runs} == {"ok"}, runs
    assert abs(now - time.time()) < 60  # Redis' own clock is not the one that is ahead


def _send_run_check(monitor: Monitor, check: str, *, due_at: float, times: int) -> None:
    with Celery(broker=monitor.redis.url, set_as_current=False) as app:
        for _ in range(times):
            app.send_task("monitor.tasks.run_check", (check, due_at), queue="monitor", ignore_result=True)


def _faketime() -> str:
    places = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    found = next((str(path) for path in places), None)
    return found if found and shutil.which("faketime") else missing("faketime")
