"""``monitor history``, ``events`` and ``status --watch``: over a real store, each a process of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.cli.history import sparkline
from monitor.cli.tables import ExitCode
from tests.integration.cli.test_commands import environment
from tests.integration.cli.test_workers import Command
from tests.support.builders.values import record
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

Start = Callable[..., "Shown"]


@pytest.fixture
def command(tmp_path: Path, redis_server: RedisServer) -> Iterator[Command]:
    command = Command(tmp_path, redis_server)
    yield command
    command.store.close()


class Shown:
    """A command that goes on until it is interrupted, and what it has printed: to a terminal, or to a pipe."""

    def __init__(self, command: Command, *arguments: str, terminal: bool = False) -> None:
        self._text = b""
        self._ours, theirs = pty.openpty() if terminal else os.pipe()
        os.set_blocking(self._ours, False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monitor", *arguments],
            cwd=command.directory,
            env=environment(**command.variables, TERM="xterm", PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            # Whoever runs the tests in the background of a shell has SIGINT ignored, by all that is below it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """All of it so far."""
        while True:
            try:
                some = os.read(self._ours, 65_536)
            except (BlockingIOError, OSError):  # a terminal that nobody holds any more is an error
                break
            if not some:
                break
            self._text += some
        return self._text.decode()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def start(command: Command) -> Iterator[Start]:
    """`start(*arguments, terminal=False)`."""
    shown: list[Shown] = []

    def begin(*arguments: str, terminal: bool = False) -> Shown:
        shown.append(Shown(command, *arguments, terminal=terminal))
        return shown[-1]

    yield begin
    for each in shown:
        each.close()


def observe(command: Command, *statuses: str) -> None:
    for place, status in enumerate(statuses):
        data = {"pending_tasks": 10 * place}
        record(command.store, "celery", status, data=data, series=("pending_tasks",), reason=None)


def test_what_became_of_a_check(command: Command) -> None:
    """Words, a strip of statuses, a sparkline and a spread for each series, and a table of stretches of time."""
    observe(command, "ok", "warning", "error", "ok")
    code, text = command("history", "celery", "--since", "1h")
    lines = text.splitlines()
    assert code == ExitCode.OK
    assert lines[0].startswith("celery since ")
    assert "1 incident" in lines[0] and "up" in lines[0]
    pending = next(line for line in lines if line.startswith("pending_tasks"))
    assert "15" in pending and "30" in pending
    assert any(line.startswith("response_time_ms, ms") for line in lines)
    assert "error" in text


def test_chosen_series_as_json(command: Command) -> None:
    """What the API says."""
    observe(command, "ok", "error")
    said = command.json("history", "celery", "--since=-2h", "--series", "pending_tasks")
    assert (said["check"], said["resolution"], list(said["series"])) == ("celery", "raw", ["pending_tasks"])
    assert "error" in said["status"]


def test_nothing_is_known(command: Command) -> None:
    """Of that check, or of any: exit code 3, and a word about why."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "history", "nope"],
        cwd=command.directory, env=environment(**command.variables), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.UNKNOWN
    assert "no observation of nope" in done.stderr and "no observation of any check" in done.stderr


@pytest.mark.parametrize("since", ["yesterday", "0h", "-1", "2999-01-01"])
def test_a_time_that_is_none(command: Command, since: str) -> None:
    """It is told what to write; `-1` is a second."""
    code, _ = command("history", "celery", f"--since={since}")
    assert code == (ExitCode.UNKNOWN if since == "-1" else 2)


def test_sparklines() -> None:
    """From the least to the greatest, a blank for what was not measured; flat for what does not change."""
    assert sparkline([0, 1, None, 3.5, 7]) == "▁▂ ▅█"
    assert sparkline([4, 4]) == "▁▁"
    assert sparkline([None, None]) == "  "
    assert sparkline([]) == ""


def test_events(command: Command) -> None:
    """The last ones, oldest first; those of a check; as lines of JSON."""
    observe(command, "ok", "error", "ok")
    record(command.store, "other", "warning", reason="above_threshold")
    code, text = command("events")
    assert code == ExitCode.OK
    assert [line.split()[3:6] for line in text.splitlines()][1] == ["ok", "→", "error"]
    assert text.splitlines()[-1].endswith("unknown → warning  above threshold")
    assert len(command("events", "--limit", "2")[1].splitlines()) == 2
    assert len(command("events", "--check", "celery")[1].splitlines()) == 3
    said = [json.loads(line) for line in command("events", "--json")[1].splitlines()]
    assert [each["new"] for each in said] == ["ok", "error", "ok", "warning"]


def test_events_as_they_come(command: Command, start: Start) -> None:
    """None twice, until Ctrl-C, which is no error."""
    observe(command, "ok")
    shown = start("events", "--follow")
    wait_for(lambda: "unknown → ok" in shown.text, seconds=30, what="what there was")
    observe(command, "error")
    wait_for(lambda: "ok → error" in shown.text, seconds=30, what="what came")
    observe(command, "ok")
    wait_for(lambda: "error → ok" in shown.text, seconds=30, what="what came then")
    assert shown.interrupt() == ExitCode.OK
    assert len(shown.text.splitlines()) == 3


def test_events_outlive_the_store(start_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    """It is said that it does not answer, once, and when it answers again."""
    server = start_redis()
    command = Command(tmp_path, server)
    observe(command, "ok")
    shown = Shown(command, "events", "--follow")
    try:
        wait_for(lambda: "unknown → ok" in shown.text, seconds=30, what="what there was")
        server.kill()
        wait_for(lambda: "does not answer" in shown.text, seconds=30, what="a word about it")
        server.start()
        wait_for(lambda: "answers again" in shown.text, seconds=30, what="the end of it")
        observe(command, "error")
        wait_for(lambda: "unknown → error" in shown.text, seconds=30, what="what came then")
        assert shown.text.count("does not answer") == 1
        assert shown.interrupt() == ExitCode.OK
    finally:
        shown.close()
        command.store.close()


def test_status_says_how_far_back_history_reaches(command: Command) -> None:
    """Or that nothing is kept."""
    assert "history: nothing is kept yet" in command("status")[1]
    began = command.store.states.now()
    observe(command, "ok")
    assert "history reaches back" in (text := command("status")[1])
    assert "roll-ups" not in text, "they reach no further"
    assert began - 1 <= command.json("status")["history"]["raw"] <= command.store.states.now(), "not to the hour"
    command.variables["MONITOR_HISTORY__ENABLED"] = "false"
    assert "(off: nothing is added)" in command("status")[1]


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_status_is_shown_again(command: Command, start: Start, terminal: bool) -> None:
    """In place on a terminal, whose cursor comes back; until Ctrl-C, which is no error."""
    observe(command, "ok")
    shown = start("status", "--watch", terminal=terminal)
    wait_for(lambda: "history reaches back" in shown.text, seconds=30, what="a first picture")
    assert "warning" not in shown.text
    observe(command, "warning")
    wait_for(lambda: "warning" in shown.text, seconds=30, what="another one")
    assert shown.interrupt() == ExitCode.OK
    assert "Traceback" not in shown.text
    if terminal:
        assert "\x1b[?25l" in shown.text
        assert shown.text.rindex("\x1b[?25h") > shown.text.rindex("\x1b[?25l")


def test_watching_is_for_people(command: Command) -> None:
    """Not as JSON."""
    assert command("status", "--watch", "--json")[0] == 2
