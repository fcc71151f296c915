"""Programs of the user's own, and the log."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.alerts.base import Channel, Permanent, Temporary
from monitor.model.checks import Status
from tests.support.builders.notices import FIRING, channel, firing, refusal, resolved, send
from tests.support.logs import capture_logs
from tests.support.processes import wait_for


def shell(script: str, *arguments: str, **options: Any) -> Channel:
    """A channel that runs a script."""
    return channel("exec", command=["/bin/sh", "-c", script, "sh", *arguments], **options)


def test_fire_and_resolve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program has it on its standard input and in its environment, and nothing of the monitor's settings."""
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://:sw0rdfish@redis/0")
    code = (
        "import json, os, sys; told = json.load(sys.stdin);"
        "print(json.dumps([told, dict(os.environ), sys.argv]), file=open(sys.argv[1] + told['kind'], 'w'))"
    )
    command = [sys.executable, "-c", code, f"{tmp_path}/"]
    tell = channel("exec", command=command, environment={"PAGER_TOKEN": "barracuda"})
    send(tell)
    send(tell, resolved(FIRING))
    told, environment, arguments = json.loads((tmp_path / "firing").read_text())
    assert (told["id"], told["labels"], told["data"]) == (FIRING.id, {"team": "shop"}, {"active": 0})
    assert environment["ALERT_CHECK"] == FIRING.check
    assert environment["ALERT_MESSAGE"] == FIRING.message
    assert environment["ALERT_SEVERITY"] == "critical"
    assert environment["PAGER_TOKEN"] == "barracuda"
    assert environment["PATH"] == os.environ["PATH"]
    assert "sw0rdfish" not in str(environment)
    assert "barracuda" not in str(arguments)
    told, environment, _ = json.loads((tmp_path / "resolved").read_text())
    assert (told["kind"], environment["ALERT_KIND"], environment["ALERT_REASON"]) == ("resolved", "resolved", "")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (75, Temporary),
        (1, Temporary),
        (7, Temporary),
        (64, Permanent),
        (78, Permanent),
        (126, Permanent),
        (127, Permanent),
    ],
)
def test_exit_status(status: int, kind: type[Exception]) -> None:
    """What is worth another try, and what not; the end of its complaints is the reason."""
    failure = refusal(lambda: send(shell(f"echo out of luck >&2; exit {status}")))
    assert isinstance(failure, kind)
    assert failure.reason == f"ended with {status}: out of luck"


def test_a_program_that_is_killed_is_tried_again() -> None:
    """Out of memory, for one."""
    failure = refusal(lambda: send(shell("kill -9 $$")))
    assert isinstance(failure, Temporary)
    assert failure.reason == "killed by SIGKILL"


@pytest.mark.parametrize("command", [["/no/such/program"], ["/etc/passwd"], ["a\0b"]])
def test_a_program_that_cannot_be_started_is_given_up(command: list[str]) -> None:
    """Somebody has to install it."""
    assert isinstance(refusal(lambda: send(channel("exec", command=command))), Permanent)


def test_the_whole_process_group_ends_with_the_time(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, of a shell that waits for it."""
    script = "trap '' TERM; (trap '' TERM; sleep 600) & echo $! > $1/child; echo $$ > $1/shell; wait"
    failure = refusal(lambda: send(shell(script, str(tmp_path)), timeout_seconds=4.0))
    assert isinstance(failure, Temporary)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "shell")]
    wait_for(lambda: not any(_runs(pid) for pid in pids), seconds=20, what="all of them are gone")


def test_a_daemon_that_is_left_behind_does_not_hold_us_up(tmp_path: Path) -> None:
    """It has the program's standard error, and lives on."""
    began = time.monotonic()
    send(shell("sleep 30 & echo $! > $1/daemon", str(tmp_path)))
    assert time.monotonic() - began < 15
    psutil.Process(int((tmp_path / "daemon").read_text())).kill()


def test_a_program_that_reads_nothing_does_not_hold_us_up() -> None:
    """However much there is to read."""
    send(shell("exit 0"), firing(message="x" * 1_000_000))


def test_secrets_in_its_complaints_are_hidden() -> None:
    """As where a program says with which token it was refused."""
    failure = refusal(lambda: send(shell("echo $TOKEN was refused >&2; exit 1", environment={"TOKEN": "barracuda"})))
    assert failure.reason == "ended with 1: *** was refused"


@pytest.mark.parametrize(
    ("options", "status", "level"),
    [
        ({}, Status.ERROR, "error"),
        ({}, Status.STALE, "error"),
        ({}, Status.WARNING, "warning"),
        ({}, Status.OK, "info"),
        ({"level": "warning"}, Status.ERROR, "warning"),
    ],
)
def test_the_log(options: dict[str, str], status: Status, level: str) -> None:
    """One event of the level that is configured, or of the status'."""
    with capture_logs() as logged:
        send(channel("log", **options), firing(status=status))
    (entry,) = logged
    assert (entry["event"], entry["log_level"], entry["check"]) == ("alert.notice", level, FIRING.check)
    assert entry["notice_id"] == FIRING.id


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
