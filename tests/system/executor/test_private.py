"""Check processes are reached by nobody but their worker, and nothing is killed but them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from monitor.executor import ProcessExecutor
from monitor.executor.pool import _CheckProcess
from monitor.executor.sockets import PIDFD, ProcessHandle
from monitor.model.checks import NO_PAST, Status
from tests.support.processes import wait_for
from tests.system.executor.test_executor import TARGET, check

WITHOUT_PIDFDS = f"{TARGET}_without_pidfds"


@pytest.fixture(params=[TARGET, WITHOUT_PIDFDS], ids=["pidfds", "no pidfds"])
def executor(request: pytest.FixtureRequest) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(request.param)
    executor.start()
    yield executor
    executor.close()


@pytest.fixture
def intruder() -> list[str]:
    """The command line of a program that runs as another user of the machine."""
    if os.getuid():
        pytest.skip("only root can start a process of another user")
    return [sys.executable, "-I", str(Path(__file__).parent / "intruder.py")]


def fork_server_of(executor: ProcessExecutor) -> psutil.Process:
    """Return the executor's fork server; this process may have children of other tests, such as shared servers."""
    assert executor._fork_server is not None
    return psutil.Process(executor._fork_server.pid)


def test_another_user_finds_nothing_to_connect_to(executor: ProcessExecutor, intruder: list[str]) -> None:
    """Neither the list of sockets nor a command line holds a name that leads to the fork server or its children."""
    executor.run(check("fine"))
    fork_server = fork_server_of(executor)
    family = {process.pid for process in [fork_server, *fork_server.children(recursive=True)]}
    done = subprocess.run([*intruder, "find"], capture_output=True, text=True, check=True)
    assert len(family) == 2
    assert not family & set(json.loads(done.stdout))


def test_another_user_can_neither_answer_nor_name_a_process_to_be_killed(intruder: list[str]) -> None:
    """Nothing in the command line of a dead fork server helps another process to pose as its successor."""
    executor = ProcessExecutor(TARGET)
    executor.start()
    fork_server = fork_server_of(executor)
    names = fork_server.cmdline()
    fork_server.kill()
    wait_for(
        lambda: not fork_server.is_running() or fork_server.status() == psutil.STATUS_ZOMBIE,
        what="the fork server is dead",
    )
    with subprocess.Popen(["sleep", "600"]) as victim:
        answering = subprocess.Popen([*intruder, "answer", str(victim.pid), *names], stdout=subprocess.PIPE)
        try:
            assert answering.stdout is not None
            assert answering.stdout.readline() == b"ready\n"
            executor.run(check("dies", timeout=5))
            assert executor.run(check("raises", timeout=5))[0].reason == "exception"
            assert executor.run(check("blocked_socket"))[0].reason == "timeout"
            assert victim.poll() is None
        finally:
            answering.kill()
            answering.communicate()
            victim.kill()
            executor.close()


def test_a_process_id_in_a_message_is_nobodys_death() -> None:
    """What is killed is the process that the kernel's handle means, whatever its connection says."""
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(["sleep", "600"]) as meant, subprocess.Popen(["sleep", "600"]) as named:
        Connection(os.dup(theirs.fileno())).send_bytes(json.dumps({"pid": named.pid}).encode())
        process = _CheckProcess(ours, ProcessHandle(PIDFD, os.pidfd_open(meant.pid)))
        assert json.loads(process.run(check("fine"), NO_PAST)) == {"pid": named.pid}
        process.end()
        assert meant.wait(timeout=10) == -signal.SIGKILL
        assert named.poll() is None
        named.kill()


@pytest.mark.parametrize("kind", ["blocked_socket", "holding_the_gil", "busy_loop", "deaf"])
def test_without_pidfds_the_fork_server_ends_what_does_not_end(kind: str) -> None:
    """On macOS, on an old kernel, or below a filter of system calls."""
    executor = ProcessExecutor(WITHOUT_PIDFDS)
    try:
        victim = executor.run(check("fine", timeout=5))[0].data["pid"]
        assert executor.run(check(kind))[0].reason == "timeout"
        wait_for(lambda: not psutil.pid_exists(victim), what=f"process {victim} to be gone")
        assert executor.run(check("fine", timeout=5))[0].status is Status.OK
    finally:
        executor.close()


def test_a_thousand_runs_leave_nothing_open(executor: ProcessExecutor) -> None:
    """No descriptor and no process more than before, here and in the fork server; every tenth run ends its process."""
    fork_server = fork_server_of(executor)
    executor.run(check("fine", timeout=5))
    before = psutil.Process().num_fds(), fork_server.num_fds(), len(fork_server.children())
    for number in range(1000):
        executor.run(check("fine" if number % 10 else "dies", timeout=5))

    def now() -> tuple[int, int, int]:
        return psutil.Process().num_fds(), fork_server.num_fds(), len(fork_server.children())

    executor.run(check("fine", timeout=5))
    wait_for(lambda: now() == before, what=f"{before}, not {now()}")


def test_closing_leaves_nothing_open() -> None:
    """Descriptors and processes of an executor that is closed."""
    before = psutil.Process().num_fds()
    executor = ProcessExecutor(TARGET)
    assert executor.run(check("fine", timeout=5))[0].status is Status.OK
    fork_server = fork_server_of(executor)
    family = [fork_server, *fork_server.children(recursive=True)]
    executor.close()
    assert psutil.Process().num_fds() == before
    wait_for(lambda: not any(process.is_running() for process in family), what="all have ended")


@pytest.mark.parametrize(("blow", "fork_servers"), [(signal.SIGKILL, 1), (signal.SIGSTOP, 3)], ids=["killed", "frozen"])
def test_forked_processes_share_a_fork_server(blow: int, fork_servers: int) -> None:
    """As in a prefork pool: one for all, also after its death. Who is not its parent lets go of a frozen one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.executor.family", str(int(blow))],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = json.loads(done.stdout)
    assert len(first) == 1
    assert 1 <= len(second) <= fork_servers
    assert third == second
    assert first[0] not in second
