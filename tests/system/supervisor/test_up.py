"""`monitor up` whole: embedded server, worker, beat and web as real processes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests.support.process_tree import ROLES, Up, environment
from tests.support.processes import alive, free_port, wait_for
from tests.support.redis_server import RedisServer


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A `monitor up` that is ready, for a test that ends it."""
    yield from ready(tmp_path)


@pytest.fixture(scope="module")
def shared_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `monitor up` that is ready, for tests that leave it so."""
    yield from ready(tmp_path_factory.mktemp("up"))


def ready(home: Path) -> Iterator[Up]:
    """Start one, wait until it is ready, end it afterwards."""
    running = Up(home)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.end()


def test_one_command_is_enough(shared_up: Up) -> None:
    """From nothing to green within 15 s; each role is recognisable; the embedded server has no TCP port."""
    announced = wait_for(lambda: [e for e in shared_up.events() if e["event"] == "up.ready"], what=shared_up.text())[0]
    assert announced["ready"] and announced["seconds"] < 15
    assert all(shared_up.pid_of(role) for role in ROLES)
    server = next(p for p in psutil.Process(shared_up.process.pid).children() if "valkey" in p.name())
    assert not server.net_connections("inet")
    assert stat.S_IMODE((shared_up.home / "data" / "redis").stat().st_mode) == 0o700

    status, body = shared_up.get("/api/health/detailed/")
    assert status == 200
    assert set(body["checks"]) >= {"redis", "celery", "cpu", "memory", "disk", "connections"}


def test_its_own_worker_is_shown_like_any_other(shared_up: Up) -> None:
    """With its queues, and it consumes: the page has something to show, and `monitor workers` too."""
    token = printed(shared_up, "token")

    def consuming() -> bool:
        asked = urllib.request.Request(
            f"{shared_up.url}/api/health/workers/", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            found = json.load(answer)
        workers = [(each["verdict"], set(each["queues"])) for each in found["workers"]]
        return workers == [("consuming", {"monitor", "monitor.dispatch", "monitor.rounds"})]

    wait_for(consuming, seconds=60, what=shared_up.text())
    assert shared_up.get("/api/health/ready/")[0] == 200


def test_status_finds_it(shared_up: Up) -> None:
    """`monitor status` beside it needs to be told nothing but the directory."""
    command = [sys.executable, "-m", "monitor", "status", "--data-dir", str(shared_up.home / "data"), "--json"]
    done = subprocess.run(command, cwd=shared_up.home, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: this machine's disk may be a warning
    assert '"redis"' in done.stdout


def test_token_and_open_find_it(shared_up: Up) -> None:
    """`monitor token` and `monitor open` need to be told nothing but the directory, either."""
    guarded = f"{shared_up.url}/api/health/workers/"
    token, link = (printed(shared_up, command) for command in ("token", "open"))
    assert link.startswith(f"{shared_up.url}/admin/monitoring/#")
    assert token not in link
    assert shared_up.get("/api/health/workers/")[0] == 401
    asked = urllib.request.Request(guarded, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status == 200
    assert token not in shared_up.text()


def printed(up: Up, command: str) -> str:
    """Return what a command says beside it."""
    argv = [sys.executable, "-m", "monitor", command, "--data-dir", str(up.home / "data")]
    done = subprocess.run(argv, cwd=up.home, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("role", ROLES)
def test_a_crashed_child_is_started_again(shared_up: Up, role: str) -> None:
    """SIGKILL one: its descendants go with it, a new one comes, and all is ready again."""
    pid = shared_up.pid_of(role)
    assert pid is not None
    family = {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: shared_up.pid_of(role) not in (None, pid), what=f"a new {role}")
    assert not alive(family)
    shared_up.wait_until_ready()
    assert any(
        e["event"] == "up.child_ended" and e["role"] == role and e["exit_code"] == -9 for e in shared_up.events()
    )


def test_a_crashed_server_is_started_again(shared_up: Up) -> None:
    """The embedded Redis is a child like the others: results reach it again, through the same socket."""
    server = next(p for p in psutil.Process(shared_up.process.pid).children() if "valkey" in p.name())
    server.kill()
    killed_at = datetime.now(UTC)

    def observed_since() -> bool:
        checks = shared_up.get("/api/health/ready/")[1]["checks"].values()
        seen = [datetime.fromisoformat(check["observed_at"]) for check in checks if "observed_at" in check]
        return len(seen) == len(checks) and min(seen) > killed_at

    wait_for(observed_since, seconds=30, what="results from after the crash")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_asked(up: Up, number: signal.Signals) -> None:
    """With exit code 0, and nothing of the tree left."""
    tree = up.tree()
    assert len(tree) > 5
    up.process.send_signal(number)
    assert up.process.wait(timeout=15) == 0
    assert not alive(tree)


def test_on_a_terminal_it_speaks_to_a_person(tmp_path: Path) -> None:
    """Every line follows the name of its process and fits into 80 columns, but for the link. One Ctrl-C ends it all."""
    port = free_port()
    command = [sys.executable, "-m", "monitor", "up", "--port", str(port), "--data-dir", str(tmp_path / "data")]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, command, environment())
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        screen = read_terminal(terminal, until=b"Ctrl-C ends everything", seconds=30)
        children = psutil.Process(pid).children(recursive=True)
        os.write(terminal, b"\x03")
        screen += read_terminal(terminal, until=b"stopped", seconds=20)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.decode())
    first, *others = text.splitlines()
    assert first.startswith("monitor | starting Redis (its data is in data), worker, beat and web")
    assert [line for line in others if len(line) > 80 and "#" not in line] == []
    assert re.search(r"^ worker \| \d\d:\d\d:\d\d info  celery: \S+ ready\.", text, re.MULTILINE)
    assert "was=unknown now=ok" not in text
    assert len(others) < 24, "the link is still on the screen"
    assert re.search(rf"^monitor \| open http://127.0.0.1:{port}/admin/monitoring/", text, re.MULTILINE)
    assert not alive(child.pid for child in children)


def read_terminal(terminal: int, *, until: bytes, seconds: float) -> bytes:
    """What was written to the terminal, up to and with ``until``."""
    screen = b""

    def found() -> bool:
        nonlocal screen
        if select.select([terminal], [], [], 0)[0]:
            screen += os.read(terminal, 65536)
        return until in screen

    wait_for(found, seconds=seconds, what=f"{until!r} on the terminal")
    return screen


@pytest.mark.parametrize("also_the_watcher", [False, True])
def test_killed_itself_it_leaves_nothing(up: Up, also_the_watcher: bool) -> None:
    """SIGKILL the supervisor, with or without its watcher: the whole tree is gone within seconds."""
    tree = up.tree()
    watcher = next(p for p in psutil.Process(up.process.pid).children() if "monitor.supervisor.watcher" in p.cmdline())
    up.process.kill()
    if also_the_watcher:
        watcher.kill()
    up.process.wait()
    wait_for(lambda: not alive(tree), seconds=10, what=f"all of {tree} gone")


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    """Exit code 1, one sentence, no directory, no process."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = Up(tmp_path, "--port", str(port))
        assert refused.process.wait(timeout=20) == 1
    assert f"port {port} on 127.0.0.1 is already in use" in refused.text()
    assert not (tmp_path / "data").exists()


def test_a_second_one_over_the_same_directory_is_refused(shared_up: Up) -> None:
    """It is told who is there, and the first one does not notice."""
    second = Up(shared_up.home)
    assert second.process.wait(timeout=20) == 1
    assert f"another `monitor up` (pid {shared_up.process.pid})" in second.text()
    assert shared_up.get("/api/health/ready/")[0] == 200


def test_a_server_that_is_given_is_used(tmp_path: Path, redis_server: RedisServer) -> None:
    """With --redis-url nothing is embedded."""
    up = Up(tmp_path, "--redis-url", redis_server.url, MONITOR_KEY_PREFIX=f"{tmp_path.name}:")
    try:
        up.wait_until_ready()
        assert not any("valkey" in p.name() for p in psutil.Process(up.process.pid).children())
        assert not (tmp_path / "data" / "redis").exists()
    finally:
        assert up.end() == 0


FIVE_ERRORS = """
colour = "red"

[web]
port = 99999

[checks.cpu]
interval = "soon"

[checks.orders]
kind = "htpp"

[checks.billing]
kind = "tcp"
port = 0
host = "billing"
"""


@pytest.mark.parametrize("command", ["up", "web", "worker", "beat", "check", "status", "config"])
def test_five_errors_are_five_lines_and_nothing_starts(tmp_path: Path, command: str) -> None:
    """Every command prints them all, exits non-zero, and leaves nothing behind."""
    (tmp_path / "monitor.toml").write_text(FIVE_ERRORS)
    done = subprocess.run(
        [sys.executable, "-m", "monitor", command],
        cwd=tmp_path,
        env=environment(MONITOR_REDIS_URL="redis://127.0.0.1:1/0"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == (3 if command in ("check", "status") else 2), done.stderr
    heading, *problems = done.stderr.splitlines()
    assert "5 errors" in heading
    assert len(problems) == 5, problems
    for word in ("colour", "web.port", "checks.cpu.interval", "htpp", "checks.billing.port"):
        assert any(word in line for line in problems), word
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.toml"]
