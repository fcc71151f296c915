"""``monitor workers``, and what ``monitor status`` says of workers: over a real store, each a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.tables import ExitCode
from monitor.store.redis.store import RedisStore
from tests.integration.cli.test_commands import monitor
from tests.support.builders.values import record
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

CONSUMING = {
    "name": "celery@web-1",
    "verdict": "consuming",
    "queues": ["celery", "mail"],
    "latency_ms": 3.2,
    "slots": 4,
    "active": 1,
    "oldest_task_seconds": 125.0,
    "reserved": 2,
    "loop_lag_seconds": 0.1,
    "pool": "prefork",
}
QUEUE = {"name": "celery", "verdict": "consumed", "latency_ms": 1500.0, "pending_tasks": 3, "workers": 1}


class Command:
    """`monitor` over a store of its own."""

    def __init__(self, directory: Path, redis: RedisServer) -> None:
        self.directory = directory
        (directory / "monitor.toml").write_text('default_checks = false\n[checks.celery]\nkind = "celery"\n')
        self.variables = {
            "MONITOR_REDIS_URL": redis.url,
            "MONITOR_KEY_PREFIX": f"{directory.name}:",
            "COLUMNS": "200",
        }
        self.store = RedisStore(redis.url, prefix=f"{directory.name}:")

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """The exit code and what was printed."""
        done = monitor(self.directory, *arguments, **self.variables)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*arguments, "--json")[1])
        return document


@pytest.fixture
def command(tmp_path: Path, redis_server: RedisServer) -> Iterator[Command]:
    command = Command(tmp_path, redis_server)
    yield command
    command.store.close()


def lost(store: RedisStore) -> None:
    record(store, "worker:celery@web-2", "error", reason="lost", data={"name": "celery@web-2", "verdict": "lost"})
    record(store, "workers", "warning", reason="lost", data={"workers": {"consuming": 1, "lost": 1}, "queues": {}})


def well(store: RedisStore) -> None:
    versions = {"versions": {"celery": "5.7.0", "python": "3.11.7"}}
    record(store, "worker:celery@web-1", reason="consuming", data=CONSUMING, detail=versions)
    record(store, "queue:celery", reason="consumed", data=QUEUE)
    record(store, "workers", data={"workers": {"consuming": 1}, "queues": {"consumed": 1}})


def test_nothing_is_known(command: Command) -> None:
    """Exit code 3, and where to look."""
    code, text = command("workers")
    assert code == ExitCode.UNKNOWN
    assert "monitor.install(app)" in text


def test_a_table_of_workers_and_one_of_queues(command: Command) -> None:
    """In the words of the verdicts, with quantities that a person can read."""
    well(command.store)
    code, text = command("workers")
    assert code == ExitCode.OK
    worker = next(line for line in text.splitlines() if line.startswith("celery@web-1"))
    for cell in ("consuming", "celery, mail", "1/4", "2.1 m", "0.1 s", "3.2 ms", "prefork"):
        assert cell in worker
    assert "everywhere: celery 5.7.0, python 3.11.7" in text
    queue = next(line for line in text.splitlines() if line.startswith("celery "))
    assert "consumed" in queue and "1.5 s" in queue and "3" in queue


def test_versions_that_are_not_the_same_everywhere(command: Command) -> None:
    """A deployment that is half done is seen at once."""
    well(command.store)
    detail = {"versions": {"celery": "5.6.2", "python": "3.11.7"}}
    record(command.store, "worker:celery@web-2", data=CONSUMING | {"name": "celery@web-2"}, detail=detail)
    _, text = command("workers")
    old, new = (next(line for line in text.splitlines() if line.startswith(f"celery@web-{n}")) for n in (2, 1))
    assert "5.6.2" in old and "5.7.0" in new
    assert "everywhere: python 3.11.7" in text


def test_workers_that_share_a_name_are_listed(command: Command) -> None:
    """Each with its place and its own verdict."""
    well(command.store)
    instances = [
        {"instance": "1" * 16, "host": "web-1", "pid": 7, "verdict": "wedged", "up_seconds": 90.0},
        {"instance": "2" * 16, "host": "web-2", "pid": 9, "verdict": "consuming", "up_seconds": 90.0},
    ]
    data = CONSUMING | {"name": "w@app", "verdict": "wedged"}
    record(command.store, "worker:w@app", "error", reason="wedged", data=data, detail={"instances": instances})
    code, text = command("workers")
    assert code == ExitCode.CRITICAL
    assert "w@app runs more than once: host web-1 pid 7 wedged, host web-2 pid 9 consuming" in text
    assert command.json("workers")["workers"][1]["instances"] == instances


@pytest.mark.parametrize(
    ("caption", "check", "status", "reason", "expected"),
    [
        ("a worker is lost", "worker:w", "error", "lost", ExitCode.CRITICAL),
        ("a queue is not consumed", "queue:q", "error", "unconsumed", ExitCode.CRITICAL),
        ("a queue is slow", "queue:q", "warning", "slow", ExitCode.WARNING),
        ("some slots are stuck", "worker:w", "warning", "slots_stuck", ExitCode.WARNING),
        ("a worker has left", "worker:w", "ok", "retired", ExitCode.OK),
        ("a queue rests", "queue:q", "ok", "resting", ExitCode.OK),
    ],
)
def test_exit_codes(command: Command, caption: str, check: str, status: str, reason: str, expected: ExitCode) -> None:
    """The worst verdict decides."""
    well(command.store)
    record(command.store, check, status, reason=reason)
    assert command("workers")[0] == expected, caption


def test_a_verdict_that_is_out_of_date_is_critical(command: Command) -> None:
    """As for any check: nobody judges any more."""
    well(command.store)
    record(command.store, "worker:w", reason="consuming", valid_seconds=-1.0)
    code, text = command("workers")
    assert code == ExitCode.CRITICAL
    assert "consuming, stale" in text


def test_json_is_the_endpoints_body(command: Command) -> None:
    """By the same function."""
    well(command.store)
    lost(command.store)
    said = command.json("workers")
    assert [(entry["name"], entry["verdict"]) for entry in said["workers"]] == [
        ("celery@web-1", "consuming"),
        ("celery@web-2", "lost"),
    ]
    assert {"status", "reason", "suspended", "workers", "queues", "timestamp"} == said.keys()
    assert (said["status"], said["reason"]) == ("warning", "lost")


def test_a_store_that_does_not_answer(command: Command) -> None:
    """One line, exit code 3."""
    command.variables["MONITOR_REDIS_URL"] = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    done = monitor(command.directory, "workers", **command.variables)
    assert done.returncode == ExitCode.UNKNOWN
    assert done.stderr.startswith("the store does not answer") and "hunter2" not in done.stderr


def test_status_counts_workers_and_shows_the_monitors_own_state(command: Command) -> None:
    """The broker's check shows what became of its workers, as in the endpoints."""
    record(command.store, "celery", data={"pending_tasks": 4})
    record(command.store, "monitor:beat")
    assert command("status")[0] == ExitCode.OK
    lost(command.store)
    code, text = command("status")
    assert code == ExitCode.WARNING
    assert "workers: 1 consuming, 1 lost" in text and "monitor:beat" in text
    said = command.json("status")["checks"]
    assert list(said) == ["celery", "monitor:beat"]
    assert (said["celery"]["status"], said["celery"]["reason"]) == ("warning", "lost")
    assert said["celery"]["workers"] == {"consuming": 1, "lost": 1}
    record(command.store, "workers", "error", reason="unconsumed", data={"workers": {}, "queues": {"unconsumed": 1}})
    assert command("status")[0] == ExitCode.CRITICAL
