"""What hangs is ended, what dies is noticed, and neither is anybody else's problem."""

from __future__ import annotations

import math
import os
import signal

import psutil

from monitor.model.checks import Result
from monitor.policy.schedule import phase
from tests.support.celery_nodes import HostProcess
from tests.support.processes import wait_for
from tests.support.roles import FailureText, Monitor, Recorder, StartMonitor

NEIGHBOURS = ("left", "right")
HANGS = ("blocked_on_a_socket", "blocked_in_c_with_the_gil", "busy_and_deaf")
INTERVAL = 2.0
DOOMED = 'timeout = 1.5\narguments = {key = "d", seconds = 0.7}'


def _check(name: str, function: str, more: str = "") -> str:
    return f'[checks.{name}]\nkind = "python"\npath = "tests.support.user_checks:{function}"\n{more}\n'


ROSTER = f"[defaults]\ninterval = {INTERVAL}\n" + "".join(_check(name, "nothing") for name in NEIGHBOURS)


def test_checks_that_hang_are_ended_at_their_limit(start_monitor: StartMonitor) -> None:
    """They are `error` with reason `timeout`, run after run; their neighbours miss nothing; no process is left."""
    hung = "".join(_check(hang, hang, "timeout = 0.5") for hang in HANGS)
    monitor = start_monitor(ROSTER + hung)
    worker = monitor.worker()
    monitor.wait_for_consumers()
    monitor.beat()
    with Recorder(monitor) as recorder:
        for name in (*HANGS, *NEIGHBOURS):
            recorder.wait_for(name, 4)
    for name in HANGS:
        runs = recorder.results[name]
        assert [(run.status, run.reason) for run in runs] == [("error", "timeout")] * len(runs), name
        assert all(run.response_time_ms == 500 for run in runs)
        _assert_nothing_missed(name, runs)
    for name in NEIGHBOURS:
        assert all(run.status == "ok" for run in recorder.results[name]), name
        _assert_nothing_missed(name, recorder.results[name])
    with monitor.redis.client() as client:
        wait_for(lambda: not client.keys("monitor:flight:*"), every=0.005, what="all flights are free")
    wait_for(lambda: not _at_work(worker), what="what hung is gone")


def test_a_check_process_that_is_killed_is_noticed_and_replaced(start_monitor: StartMonitor) -> None:
    """SIGKILL in mid-check: `error` with reason `crashed` at once, and the next run is on time in a new process."""
    monitor = start_monitor(ROSTER + _check("doomed", "announced", DOOMED))
    monitor.worker()
    monitor.wait_for_consumers()
    monitor.beat()
    with Recorder(monitor) as recorder, monitor.redis.client() as client:
        recorder.wait_for("doomed", 2)
        pid = _announced(monitor, "d", client.llen("test:d:pids"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: recorder.results["doomed"][-1].reason == "crashed", what="the crash is seen")
        runs = recorder.wait_for("doomed", len(recorder.results["doomed"]) + 2)
    assert [run.reason for run in runs].count("crashed") == 1
    assert runs[-1].status == "ok"
    _assert_nothing_missed("doomed", runs)
    for name in NEIGHBOURS:
        _assert_nothing_missed(name, recorder.results[name])


def test_a_worker_that_is_killed_leaves_nothing_behind(start_monitor: StartMonitor) -> None:
    """SIGKILL of the worker in mid-check: its processes end by themselves, and the next worker is on time at once."""
    monitor = start_monitor(ROSTER + _check("doomed", "announced", DOOMED))
    worker = monitor.worker()
    monitor.wait_for_consumers()
    monitor.beat()
    monitor.wait_for_results("doomed", *NEIGHBOURS)
    with monitor.redis.client() as client:
        _announced(monitor, "d", client.llen("test:d:pids"))
    family = psutil.Process(worker.pid).children(recursive=True)
    worker.kill_alone()
    assert family
    killed_at = monitor.store.states.now()
    with Recorder(monitor) as recorder:
        monitor.worker()
        runs = recorder.wait_for("doomed", 3)
    assert [run.status for run in runs] == ["ok"] * len(runs), runs
    # Counted from the first run of the new worker on; the lease of the run that died is over by the one after it.
    _assert_nothing_missed("doomed", [run for run in runs if run.observed_at > killed_at])
    _, left = psutil.wait_procs(family, timeout=15)
    assert not left


def _announced(monitor: Monitor, key: str, seen: int) -> int:
    """The process id of the next run to say that it has begun."""
    with monitor.redis.client() as client:
        wait_for(lambda: client.llen(f"test:{key}:pids") > seen, what=FailureText(monitor, "a run has begun"))
        return int(client.lindex(f"test:{key}:pids", -1))


def _assert_nothing_missed(name: str, runs: list[Result]) -> None:
    """Each of the check's own intervals has exactly one run. The first run of all is at once, not at its phase."""
    numbers = [math.floor((run.observed_at - phase(name) * INTERVAL) / INTERVAL) for run in runs[1:]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), name


def _at_work(worker: HostProcess) -> list[int]:
    """The worker's check processes that use the processor."""
    family = psutil.Process(worker.pid).children(recursive=True)
    return [process.pid for process in family if process.status() == psutil.STATUS_RUNNING]
