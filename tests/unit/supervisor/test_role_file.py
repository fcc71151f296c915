"""Files of roles: written by a process about itself, and judged by `monitor probe role`."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.agent import beacon_file, beacon_places
from monitor.agent.liveness import RUNNING, LivenessSample
from monitor.cli import probe_role
from monitor.supervisor import role_file
from monitor.supervisor.role_file import RoleFile

LATE = role_file.STOPPED_AFTER_SECONDS + 1
HANGING = role_file.HANGS_AFTER_SECONDS + 1


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the roles' files, which no role has used yet."""
    path = tmp_path / "roles"
    monkeypatch.setenv(beacon_file.VARIABLE, str(path))
    return path


def judge(directory: Path, name: str | None = None) -> tuple[bool, str]:
    """Return what `monitor probe role` reports."""
    return probe_role.judge_roles(str(directory), name)


def written(role: str, *, age: float = 0.0, turn_age: float | None = 0.0, url: str = "") -> None:
    """Write the file of a role in this process, as it was written and as its loop turned so many seconds ago."""
    file = RoleFile(role, url)
    file.turn()
    file.write_if_due()
    (path,) = Path(beacon_file.directory()).glob(f"{role}.*")
    now = time.monotonic()
    turned = "-" if turn_age is None else f"{now - turn_age:.3f}"
    lines = [line for line in path.read_text().splitlines() if line.split(" ")[0] not in ("at", "turned")]
    path.write_text("\n".join([*lines, f"at {now - age:.3f}", f"turned {turned}"]))


def test_a_role_that_turns_is_alive(directory: Path) -> None:
    """The file names the role and its process."""
    RoleFile("beat").write_if_due()
    (role,) = role_file.read(str(directory))
    assert (role.role, role.pid, role.url) == ("beat", os.getpid(), "")
    assert judge(directory) == (True, "beat is running")
    assert oct((directory / f"beat.{os.getpid()}.role").stat().st_mode)[-3:] == "600"


def test_a_role_that_has_not_turned_yet_is_starting(directory: Path) -> None:
    """Its main loop may wait for its project's import, or for its first connection."""
    written("worker", turn_age=None)
    assert judge(directory) == (True, "worker is starting")


def test_a_role_whose_file_is_old_is_stopped(directory: Path) -> None:
    """Its process was stopped, since a thread writes the file whatever the main loop waits for."""
    written("worker", age=LATE)
    alive, line = judge(directory)
    assert not alive
    assert line == f"worker is stopped: has written nothing for {LATE:.0f} s"


def test_a_role_whose_loop_does_not_turn_hangs(directory: Path) -> None:
    """It may wait for name servers for minutes before that."""
    written("beat", turn_age=HANGING - 10)
    assert judge(directory)[0]
    written("beat", turn_age=HANGING)
    assert judge(directory) == (False, f"beat hangs: its main loop has not turned for {HANGING:.0f} s")


def test_the_failing_roles_are_named(directory: Path) -> None:
    """Several roles in one container, as under `monitor up`: the line names those that fail, or all."""
    RoleFile("up").write_if_due()
    child = subprocess.Popen([sys.executable, "-c", CHILD.format(role="worker")], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        assert judge(directory) == (True, "up is running, worker is running")
        written("up", age=LATE)
        assert judge(directory)[1] == f"up is stopped: has written nothing for {LATE:.0f} s"
        assert judge(directory, "worker") == (True, "worker is running")
        alive, line = judge(directory, "beat")
        assert not alive
        assert line.startswith(f"no beat that runs has written into {directory}")
    finally:
        child.kill()
        child.wait()


CHILD = """
from monitor.supervisor.role_file import RoleFile
RoleFile("{role}").write_if_due()
print("written", flush=True)
import signal
signal.pause()
"""


def test_the_file_of_an_ended_role_does_not_count(directory: Path) -> None:
    """A restarted container may keep the directory. The next role removes the file."""
    script = "from monitor.supervisor.role_file import RoleFile; RoleFile('worker').write_if_due()"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert [path.name.partition(".")[0] for path in directory.iterdir()] == ["worker"]
    alive, line = judge(directory)
    assert not alive
    assert line.startswith("no role of the monitor that runs has written into")
    RoleFile("beat").write_if_due()
    assert [path.name.partition(".")[0] for path in directory.iterdir()] == ["beat"]


@pytest.mark.parametrize(
    "text", ["", "role web", "role web\npid x\nstarted 0\nat -\nturned -\nurl -", "\xff\x00", "role web\npid 1\nat 1"]
)
def test_a_damaged_file_is_ignored(directory: Path, text: str) -> None:
    """No content of the directory makes the probe fail in another way."""
    directory.mkdir(mode=0o700)
    (directory / "web.1.role").write_text(text)
    alive, line = judge(directory)
    assert not alive
    assert line.startswith("no role of the monitor that runs")


def test_a_missing_directory(directory: Path) -> None:
    """No role has started yet."""
    alive, line = judge(directory)
    assert not alive
    assert "a role writes its file when it has started" in line


def test_a_worker_of_the_project_is_judged_in_place_of_a_role(directory: Path) -> None:
    """An image of a project that is based on the monitor's image inherits the health check."""
    sample = LivenessSample(phase=RUNNING, interval_seconds=10, broker_reachable=True)
    beacon_file.write(str(directory), "w@h", sample)
    assert judge(directory) == (True, "w@h has just started")
    assert not judge(directory, "worker")[0]
    RoleFile("beat").write_if_due()
    assert judge(directory) == (True, "beat is running")


class _Endpoint(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        """Respond with the present status."""
        body = b'{"status": "alive"}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Return the URL of a liveness endpoint."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live/"
    server.shutdown()
    thread.join()
    server.server_close()
    _Endpoint.status = 200


def test_a_role_with_an_endpoint_is_judged_by_it(directory: Path, endpoint: str) -> None:
    """The age of its file does not count: it writes the file once."""
    RoleFile("web", endpoint).write_once()
    assert role_file.read(str(directory))[0].age_seconds is None
    assert judge(directory) == (True, f"web answers: 200 alive ({endpoint})")
    _Endpoint.status = 503
    assert judge(directory) == (False, f"web does not answer: 503 alive ({endpoint})")


def test_a_directory_that_cannot_be_written_ends_no_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role runs on, and writes into memory instead, where the probe finds the file."""
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv(beacon_file.VARIABLE, str(file / "below"))
    RoleFile("web", "http://127.0.0.1:1/").write_once()
    if Path(beacon_places.MEMORY).is_dir():
        assert [role.role for role in role_file.read(str(file / "below"))] == ["web"]
        shutil.rmtree(beacon_places.in_memory(str(file / "below")))


def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and the usage, as everywhere; and --help is help."""
    for arguments in (["wrok"], ["web", "beat"], ["--role"]):
        assert probe_role.main(arguments) == 2
        assert capsys.readouterr().err.startswith("usage: monitor probe role [ROLE]\n")
    assert probe_role.main(["--help"]) == 0
    assert "CELERY_HEALTH_MONITOR_DIR" in capsys.readouterr().out


def test_the_probe_imports_little(directory: Path) -> None:
    """A health check starts it every few seconds: for a role without an endpoint it imports next to nothing."""
    RoleFile("beat").write_if_due()
    code = "import sys; sys.stderr.write('begin\\n'); sys.argv[0] = 'monitor'; from monitor.cli import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", code, "probe", "role"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "ok: beat is running\n"
    told = done.stderr.partition("begin\n")[2].splitlines()
    assert {line.rpartition("|")[2].strip() for line in told} <= {
        "monitor", "monitor.cli", "monitor.cli.probe_role", "monitor.cli.probe_worker", "monitor.supervisor",
        "monitor.supervisor.role_file", "monitor.agent", "monitor.agent.beacon_file", "monitor.agent.beacon_places",
        "monitor.agent.liveness", "errno",
    }  # fmt: skip
