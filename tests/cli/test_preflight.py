"""What `monitor up` looks at before it starts anything, and how it finds a whole tree of processes."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.cli.up import embedded, marks
from monitor.cli.up.preflight import CannotStart, check_port, lock
from tests.cli.tree import alive
from tests.support.processes import wait_for

RUNAWAY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
print(os.getpid(), flush=True)
time.sleep(600)
"""


@contextmanager
def start_marked(code: str, mark: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that carries a mark, and everything below it; ended with the block."""
    environment = {**os.environ, marks.VARIABLE: mark}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            for left in marks.marked(mark):
                left.kill()


def test_a_taken_port_is_said_with_its_owner() -> None:
    """Also when the other one would share it (SO_REUSEPORT), as our own server would."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"port {port} on 127.0.0.1 is already in use .*pid {os.getpid()}"):
            check_port("127.0.0.1", port)


def test_port_zero_chooses_a_free_one() -> None:
    """The number is known before anything starts, so that the supervisor can ask there."""
    address, port = check_port("localhost", 0)
    assert port > 0
    assert check_port(address, port) == (address, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """In words, not as a crash of the web role."""
    with pytest.raises(CannotStart, match="cannot listen on"):
        check_port(host, 0)


def test_one_data_directory_serves_one_at_a_time(tmp_path: Path) -> None:
    """The second is told who has it; once the first has let go, it may."""
    home = tmp_path / "data"
    with lock(home, "first"), pytest.raises(CannotStart, match=rf"pid {os.getpid()}"), lock(home, "second"):
        pass
    with lock(home, "third"):
        assert (home / "up.lock").read_text() == f"{os.getpid()} third\n"


def test_the_next_start_ends_what_an_earlier_one_left(tmp_path: Path) -> None:
    """Even when both the supervisor and its watcher were killed: the lock file remembers the mark."""
    mark = secrets.token_hex(16)
    with start_marked("import time; time.sleep(600)", f"{mark}/web") as leftover:
        (tmp_path / "up.lock").write_text(f"1 {mark}\n")
        wait_for(lambda: marks.marked(mark), what="the mark is visible")
        with lock(tmp_path, "next"):
            assert leftover.wait(timeout=1) is not None


def test_a_tree_is_ended_whatever_it_did() -> None:
    """A grandchild in a session of its own, orphaned, and deaf to SIGTERM, goes with the rest; others stay."""
    mark = secrets.token_hex(16)
    with (
        start_marked(RUNAWAY, f"{mark}/worker") as ours,
        start_marked("import time; time.sleep(600)", f"{mark}0") as other,
    ):
        assert ours.stdout is not None
        pids = {int(ours.stdout.readline()) for _ in range(2)}
        # The process between the two, which orphaned the grandchild, may take a moment to go.
        wait_for(lambda: {process.pid for process in marks.marked(mark)} == pids, what="both are found, and no other")
        marks.end_marked(mark, grace_seconds=0.3)
        ours.wait(timeout=5)
        assert not alive(pids)
        assert other.poll() is None


def test_a_long_data_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's path may have about a hundred bytes; the other place is as private, and always the same."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = embedded.socket_path(deep)
    role = embedded.role(deep)
    try:
        assert str(path) in role.argv
        assert len(os.fsencode(path)) < 104
        assert embedded.socket_path(deep) == path != embedded.socket_path(tmp_path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        path.parent.rmdir()


def test_somebody_elses_directory_is_not_used(tmp_path: Path) -> None:
    """A link or a file where the private directory should be is refused."""
    (tmp_path / "redis").symlink_to("/tmp")
    with pytest.raises(CannotStart, match="is not a directory of this user"):
        embedded.role(tmp_path)
