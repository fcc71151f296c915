"""The executor ends whatever a check is stuck in, says so, and goes on."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.config import CheckSpec
from monitor.executor import ProcessExecutor
from monitor.executor.pool import _CheckProcess
from monitor.executor.sockets import PIDFD, ProcessHandle
from monitor.executor.waiting import wait_for_start
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.ports.executor import ExecutorStarting, ExecutorUnavailable
from tests.support.processes import wait_for

TARGET = "tests.system.executor.target"


def check(kind: str, timeout: float = 0.3, **options: Any) -> CheckSpec:
    return CheckSpec(name=kind, kind=kind, interval=10, timeout=timeout, valid_for=30, options=options)


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(TARGET)
    executor.start()
    yield executor
    executor.close()


def test_a_check_runs_in_another_process_which_is_used_again(executor: ProcessExecutor) -> None:
    """Options go there and data comes back; the second run finds the process of the first."""
    outcome, milliseconds = executor.run(check("fine", answer=42))
    again, _ = executor.run(check("fine"))
    assert outcome.status is Status.OK
    assert outcome.data["answer"] == 42
    assert outcome.data["pid"] != os.getpid()
    assert again.data["pid"] == outcome.data["pid"]
    assert milliseconds > 0


def test_a_run_is_told_its_past_and_may_leave_a_memory(executor: ProcessExecutor) -> None:
    """What was remembered, and the parts that were found, come back as they are."""
    outcome, _ = executor.run(check("remembers"), Past(1.5, "41"))
    assert (outcome.data, outcome.memory) == ({"now": 1.5}, "42")
    assert outcome.children == {"one": Outcome(Status.WARNING, {"n": 42}, "few", grace=True), "gone": None}
    assert executor.run(check("remembers"))[0].memory == "1"


def test_a_memory_has_a_limit(executor: ProcessExecutor) -> None:
    """It is read and written with every run."""
    assert executor.run(check("long_memory", timeout=5.0))[0].reason == "bad_data"


def test_a_long_memory_does_not_block_on_a_frozen_process(executor: ProcessExecutor) -> None:
    """It does not fit into a socket's buffer: a process that never takes it is given up."""
    pid = executor.run(check("fine"))[0].data["pid"]
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    assert executor.run(check("fine"), Past(0.0, "x" * 4_000_000))[0].reason == "crashed"
    assert time.monotonic() - started < 15
    assert executor.run(check("fine"))[0].status is Status.OK


def test_a_process_that_freezes_in_the_middle_of_its_reply_is_given_up() -> None:
    """What is longer than a socket's buffer comes in pieces, and after the first there may be no other."""
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(["sleep", "60"]) as sleeping:

        def freeze_half_way() -> None:
            client = Connection(os.dup(theirs.fileno()))
            client.recv_bytes()
            os.write(client.fileno(), struct.pack("!i", 1_000_000) + b"half")
            sleeping.wait()
            client.close()

        threading.Thread(target=freeze_half_way, daemon=True).start()
        process = _CheckProcess(ours, ProcessHandle(PIDFD, os.pidfd_open(sleeping.pid)))
        rescue = threading.Timer(10.0, sleeping.kill)
        rescue.start()
        started = time.monotonic()
        with pytest.raises(BlockingIOError):
            process.run(check("fine", timeout=5.0), NO_PAST)
        assert time.monotonic() - started < 8
        process.end()
        rescue.cancel()


@pytest.mark.parametrize("kind", ["blocked_socket", "holding_the_gil", "busy_loop", "deaf"])
def test_whatever_does_not_end_is_ended(executor: ProcessExecutor, kind: str) -> None:
    """A blocked socket, a C call that keeps the GIL, a loop that catches everything, a process that ignores signals."""
    victim = executor.run(check("fine"))[0].data["pid"]
    outcome, milliseconds = executor.run(check(kind))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "timeout")
    assert milliseconds == 300
    wait_for(lambda: not psutil.pid_exists(victim), what=f"process {victim} to be gone")
    assert executor.run(check("fine"))[0].status is Status.OK


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("dies", "crashed"),
        ("exits", "crashed"),
        ("raises", "exception"),
        ("not_json", "bad_data"),
        ("writes_elsewhere", "bad_data"),
        ("endless_data", "bad_data"),
    ],
)
def test_whatever_goes_wrong_is_an_error_with_a_reason(executor: ProcessExecutor, kind: str, reason: str) -> None:
    """Killed, exited, raised, or returned what cannot be stored: error; the next check is not affected."""
    outcome, _ = executor.run(check(kind, timeout=5))
    assert (outcome.status, outcome.reason) == (Status.ERROR, reason)
    assert "secret" not in str(outcome)
    assert executor.run(check("fine"))[0].status is Status.OK


def test_a_hung_check_does_not_delay_others(executor: ProcessExecutor) -> None:
    """While one check hangs, others come and go."""
    answers: list[Status] = []
    hung = threading.Thread(target=lambda: executor.run(check("holding_the_gil", timeout=2)))
    hung.start()
    while hung.is_alive() and len(answers) < 50:
        answers.append(executor.run(check("fine"))[0].status)
    assert hung.is_alive()
    assert answers == [Status.OK] * 50
    hung.join()


def test_a_dead_fork_server_is_replaced() -> None:
    """Killed or frozen: the next check that needs a new process gets one from a new fork server."""
    executor = ProcessExecutor(TARGET)
    executor.start()
    try:
        for blow in (signal.SIGKILL, signal.SIGSTOP):
            assert executor._fork_server is not None
            executor._fork_server.send_signal(blow)
            executor.run(check("dies", timeout=5))
            assert executor.run(check("fine"))[0].status is Status.OK
    finally:
        executor.close()


def test_what_is_only_wanted_is_left_out_when_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one user's check that never ends its import is not in the way of all other checks."""
    monkeypatch.setattr("monitor.executor.pool.OPTIONAL_SECONDS", 1.0)
    executor = ProcessExecutor(TARGET, required=["good"], optional=["bad"])
    assert executor.run(check("fine"))[0].status is Status.OK
    executor.close()


def test_an_import_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs are refused at once meanwhile. The same fork server serves them when its import has ended."""
    monkeypatch.setattr("monitor.executor.pool.PATIENCE_SECONDS", 0.0)
    gate = tmp_path / "gate"
    executor = ProcessExecutor(TARGET, required=[f"gate={gate}"])
    with pytest.raises(ExecutorStarting, match="importing the project, 0 s"):
        executor.run(check("fine"))
    fork_server = executor._fork_server
    for _ in range(3):
        with pytest.raises(ExecutorStarting):
            executor.start()
    assert executor.startup_seconds() is not None
    gate.touch()
    reports: list[ExecutorStarting] = []
    wait_for_start(executor, reports.append)
    assert len(reports) <= 1
    assert executor.startup_seconds() is None
    assert executor.run(check("fine"))[0].status is Status.OK
    assert executor._fork_server is fork_server
    executor.close()


def test_the_limit_ends_an_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The next run starts another fork server."""
    executor = ProcessExecutor(TARGET, required=[f"gate={tmp_path / 'gate'}"], import_seconds=1.0)
    with pytest.raises(ExecutorUnavailable, match="not imported after 1 s, the setting import_limit"):
        executor.run(check("fine"))
    assert executor._fork_server is None
    (tmp_path / "gate").touch()
    monkeypatch.setattr(executor, "_import_seconds", 60.0)
    assert executor.run(check("fine"))[0].status is Status.OK
    executor.close()


def test_a_target_that_cannot_be_imported_is_said() -> None:
    """Nothing was run, so there is no outcome to make up."""
    executor = ProcessExecutor("tests.executor.nowhere")
    with pytest.raises(ExecutorUnavailable, match="status 1"):
        executor.run(check("fine"))


@pytest.mark.parametrize("kind", ["holding_the_gil", "deaf"])
def test_nothing_is_left_behind_by_a_killed_worker(kind: str) -> None:
    """A worker killed while its check holds the GIL, or ignores signals: fork server and check processes end."""
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from monitor.executor import ProcessExecutor\n"
            "from tests.system.executor.test_executor import check, TARGET\n"
            "e = ProcessExecutor(TARGET)\n"
            "e.start(); print('ready', flush=True)\n"
            f"e.run(check({kind!r}, timeout=15))",
        ],
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    family = wait_for(
        lambda: len(found := psutil.Process(worker.pid).children(recursive=True)) == 2 and found, what="two processes"
    )
    worker.kill()
    worker.wait()
    wait_for(lambda: not any(p.is_running() for p in family), seconds=10, what=f"{family} to be gone")
