"""The commands beside `monitor up`, each as a process of its own."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from rich.console import Console

from monitor.cli.commands import COMMANDS, cli
from monitor.cli.tables import CheckRow, ExitCode, exit_code, print_checks
from monitor.model.checks import Status
from monitor.project.reader import project_reader
from tests.support.process_tree import environment
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

QUIET = """
default_checks = false

[checks.fine]
kind = "tcp"
host = "127.0.0.1"
port = {open}

[checks.dead]
kind = "tcp"
host = "127.0.0.1"
port = {closed}
"""


def monitor(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `monitor` in a directory, with a configuration only from there and from ``variables``."""
    return subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_imports_none(tmp_path: Path) -> None:
    """The first thing a user types answers at once."""
    code = (
        "import sys; from monitor.cli import main\n"
        "try: main()\n"
        "finally: print('django' in sys.modules, 'celery' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    for name in COMMANDS:
        assert f"  {name} " in done.stdout
    assert done.stdout.endswith("False False\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, name: str) -> None:
    """Each row of the table leads to a command, and `--help` starts nothing."""
    done = monitor(tmp_path, name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"monitor {name}" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("caption", "rows", "expected"),
    [
        ("all is well", [CheckRow("a", Status.OK)], ExitCode.OK),
        ("a warning", [CheckRow("a", Status.OK), CheckRow("b", Status.WARNING)], ExitCode.WARNING),
        ("an error wins over all", [CheckRow("a", Status.UNKNOWN), CheckRow("b", Status.ERROR)], ExitCode.CRITICAL),
        ("an old answer is as bad as an error", [CheckRow("a", Status.STALE)], ExitCode.CRITICAL),
        (
            "never observed wins over a warning",
            [CheckRow("a", Status.WARNING), CheckRow("b", Status.UNKNOWN)],
            ExitCode.UNKNOWN,
        ),
        ("what is not critical only warns", [CheckRow("a", Status.ERROR, critical=False)], ExitCode.WARNING),
        ("nothing to complain of", [], ExitCode.OK),
    ],
)
def test_exit_codes_are_those_of_nagios(caption: str, rows: list[CheckRow], expected: ExitCode) -> None:
    """One table for `check` and `status`."""
    assert exit_code(rows) is expected, caption


def test_a_table_has_times_and_no_gaps() -> None:
    """A moment among a check's numbers is a time, and what is not known is left out."""
    data = {"tick_age_ms": 12, "ticking_since": 1795748040.9, "set_aside_at": None, "parts": {}}
    console = Console(file=io.StringIO(), width=200)
    print_checks([CheckRow("monitor:beat", Status.OK, data=data)], with_age=False, console=console)
    assert "tick_age_ms=12, ticking_since=2026-11-27T02:54:00.900Z\n" in console.file.getvalue()


def test_check_runs_without_redis(tmp_path: Path) -> None:
    """All checks or some, here and now: a table, and an exit code."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (tmp_path / "monitor.toml").write_text(QUIET.format(open=listener.getsockname()[1], closed=free_port()))
        everything, one, none = (monitor(tmp_path, "check", *names) for names in ([], ["fine"], ["nope"]))
    assert everything.returncode == ExitCode.CRITICAL, everything.stderr
    assert "dead" in everything.stdout and "refused" in everything.stdout
    assert one.returncode == ExitCode.OK, one.stdout
    assert "fine" in one.stdout and "dead" not in one.stdout
    assert none.returncode == ExitCode.UNKNOWN
    assert "there are: fine, dead" in none.stderr


@pytest.mark.parametrize(
    ("command", "program"),
    [
        pytest.param("check", "/nowhere/python", id="check, and it is not there"),
        pytest.param("check", "/etc/hostname", id="check, and it is no program"),
        pytest.param("check", None, id="check, and it is not known"),
        pytest.param("up", "/nowhere/python", id="up, and it is not there"),
    ],
)
def test_an_interpreter_that_cannot_be_executed(command: str, program: str | None, tmp_path: Path) -> None:
    """One sentence and no traceback, whatever Python takes for its own program."""
    code = f"import sys; sys.executable = {program!r}; from monitor.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command],
        cwd=tmp_path,
        env=environment(MONITOR_PORT="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (ExitCode.UNKNOWN if command == "check" else 1), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_check_when_no_check_process_starts(tmp_path: Path) -> None:
    """A project whose applications cannot be imported: what is wrong, where, and exit code 3."""
    (tmp_path / "broken_settings.py").write_text("SECRET_KEY = 'x'\nINSTALLED_APPS = ['no_such_application']\n")
    done = monitor(tmp_path, "check", "cpu", DJANGO_SETTINGS_MODULE="broken_settings", MONITOR_REDIS_URL="redis://h/0")
    assert done.returncode == ExitCode.UNKNOWN, done.stderr
    assert "no check can be run" in done.stderr
    assert "no_such_application" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_what_was_never_observed(tmp_path: Path, redis_server: RedisServer) -> None:
    """Unknown, with exit code 3, as a table and as JSON."""
    variables = {"MONITOR_REDIS_URL": redis_server.url, "MONITOR_KEY_PREFIX": f"{tmp_path.name}:"}
    table, document = (monitor(tmp_path, "status", *options, **variables) for options in ([], ["--json"]))
    assert (table.returncode, document.returncode) == (ExitCode.UNKNOWN, ExitCode.UNKNOWN)
    assert "not_observed" in table.stdout
    assert json.loads(document.stdout)["checks"]["redis"]["status"] == "unknown"


def test_status_without_a_store(tmp_path: Path) -> None:
    """A store that does not answer is unknown, in one line and without the password."""
    done = monitor(tmp_path, "status", MONITOR_REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    assert done.returncode == ExitCode.UNKNOWN
    assert done.stderr.startswith("the store does not answer")
    assert "hunter2" not in done.stderr and "Traceback" not in done.stderr


def test_config_shows_origins_and_masks_secrets(tmp_path: Path) -> None:
    """Each value with where it came from, the later source winning."""
    text = 'queue = "from-file"\ntoken = "hunter2-hunter2-hunter2"\n[checks.cpu]\ninterval = "15s"\n'
    (tmp_path / "monitor.toml").write_text(text)
    variables = {"MONITOR_QUEUE": "from-env", "MONITOR_REDIS_URL": "redis://:hunter3@localhost/0", "COLUMNS": "200"}
    done = monitor(tmp_path, "config", **variables)
    assert done.returncode == 0, done.stderr
    values = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert values["queue"] == ["from-env", "environment", "MONITOR_QUEUE"]
    assert values["checks.cpu.interval"] == ["15s", "file", "monitor.toml"]
    assert values["worker_slots"][-1] == "default"
    assert "hunter" not in done.stdout


@pytest.mark.parametrize("role", ["web", "worker", "beat"])
def test_a_role_without_a_store_says_so(tmp_path: Path, role: str) -> None:
    """Exit code 2 and the variable to set; nothing half-configured starts."""
    (tmp_path / "monitor.toml").write_text(QUIET.format(open=1, closed=1))
    done = monitor(tmp_path, role)
    assert done.returncode == 2
    assert "redis_url" in done.stderr and "MONITOR_REDIS_URL" in done.stderr


def test_web_does_not_share_a_port(tmp_path: Path) -> None:
    """A second server on a port is refused, though the kernel would let both have it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = monitor(tmp_path, "web", "--port", port, MONITOR_REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is already in use" in done.stderr


@pytest.mark.parametrize(("command", "begins"), [("status", True), ("sidecar", False)])
def test_only_commands_of_the_project_begin_to_import_it(
    monkeypatch: pytest.MonkeyPatch, command: str, begins: bool
) -> None:
    """The variable beside a sidecar is that of the consumer, whose project is not installed here."""
    begun: list[str] = []
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "consumer.settings")
    monkeypatch.setattr(project_reader, "begin", lambda: begun.append(command))
    assert cli.get_command(click.Context(cli), command) is not None
    assert bool(begun) is begins
