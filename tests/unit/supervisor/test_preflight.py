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

from monitor.cli.data_dir import running_url
from monitor.config import Config
from monitor.supervisor import embedded, marks
from monitor.supervisor.preflight import CannotStart, listen_address, lock
from tests.support.processes import alive, wait_for

NOBODY = 65534
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
            for left in marks.marked_processes(mark):
                left.kill()


def test_a_taken_port_is_said_with_its_owner() -> None:
    """Also when the other one would share it (SO_REUSEPORT), as our own server would."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"port {port} on 127.0.0.1 is already in use .*pid {os.getpid()}"):
            listen_address("127.0.0.1", port)


def test_port_zero_chooses_a_free_one() -> None:
    """The number is known before anything starts, so that the supervisor can ask there."""
    address, port = listen_address("localhost", 0)
    assert port > 0
    assert listen_address(address, port) == (address, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """In words, not as a crash of the web role."""
    with pytest.raises(CannotStart, match="cannot listen on"):
        listen_address(host, 0)


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
        wait_for(lambda: marks.marked_processes(mark), what="the mark is visible")
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
        wait_for(
            lambda: {process.pid for process in marks.marked_processes(mark)} == pids,
            what="both are found, and no other",
        )
        marks.end_marked(mark, grace_seconds=0.3)
        ours.wait(timeout=5)
        assert not alive(pids)
        assert other.poll() is None


def test_a_long_data_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's path may have about a hundred bytes; the other place is as private, and always the same."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = embedded.socket_path(deep)
    role = embedded.server_role(deep)
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
    with pytest.raises(CannotStart, match="is not a directory owned by this user"):
        embedded.server_role(tmp_path)


def test_the_socket_stays_where_the_url_says(tmp_path: Path) -> None:
    """The URL is told to the roles before the server starts: in between nobody else can take its place."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    url = embedded.server_url(deep)
    path = embedded.socket_path(deep)
    try:
        assert url == f"unix://{path}?db=0"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        path.parent.rmdir()


def test_another_users_directory_in_the_temporary_one_is_passed_over(tmp_path: Path) -> None:
    """Whoever makes the socket's directory first neither becomes the server nor keeps ours from starting."""
    as_root()
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    taken = embedded.socket_path(deep).parent
    taken.mkdir()
    try:
        os.chown(taken, NOBODY, -1)
        path = embedded.socket_path(deep)
        assert path.parent != taken
        assert str(path) in embedded.server_role(deep).argv
        path.parent.rmdir()
        taken.rmdir()
        taken.symlink_to(tmp_path)
        assert embedded.socket_path(deep).parent != taken
    finally:
        taken.unlink() if taken.is_symlink() else taken.rmdir()


def test_a_data_directory_that_another_user_has_made_is_not_used(tmp_path: Path) -> None:
    """In a directory like /tmp, everybody can make ``.monitor`` first, with a server of their own in it."""
    as_root()
    tmp_path.chmod(0o1777)
    home = tmp_path / ".monitor"
    (home / "redis").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "redis" / "redis.sock"))
        server.listen()
        os.chown(home, NOBODY, -1)
        assert running_url(Config(), home) is None
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    with pytest.raises(CannotStart, match="belongs to another user"), lock(home, "mark"):
        pass
    assert not (home / "up.lock").exists()


def test_the_lock_is_not_written_through_a_link(tmp_path: Path) -> None:
    """Whoever may write to the data directory does not get another file of ours emptied."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "up.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(CannotStart, match="cannot use the data directory"), lock(tmp_path / "data", "mark"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def as_root() -> None:
    """Skip the test where directories cannot be given to another user."""
    if os.getuid():
        pytest.skip("only root can make a directory of another user's")
