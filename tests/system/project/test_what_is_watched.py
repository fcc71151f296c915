"""Databases, caches and queues that the monitor watches in projects with the settings of real ones."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from monitor.model.checks import State
from monitor.store.redis.store import RedisStore
from tests.support.celery_nodes import HostProcess
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.roles import FailureText
from tests.support.shop import ask

PROJECTS = Path(__file__).parents[2] / "support" / "projects"
BIN = Path(sys.executable).parent
PASSWORD = "swordfish"


class Project:
    """One of the projects in `tests/support/projects`, with a Redis that has a password."""

    def __init__(self, name: str, redis: RedisServer, directory: Path) -> None:
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
        self.store = RedisStore(self.url, prefix="paperless-monitor:" if name == "paperless" else "monitor:")
        self._processes: list[HostProcess] = []
        self._env = {
            "DJANGO_SETTINGS_MODULE": f"like_{name}.settings",
            "PROJECT_REDIS_URL": self.url,
            "PROJECT_DIRECTORY": str(directory),
            "MONITOR_DATA_DIR": str(directory),
            "MONITOR_WORKERS__INTERVAL": "2",
            "MONITOR_DEFAULTS__INTERVAL": "2s",
            "PYTHONPATH": str(PROJECTS),
            "COLUMNS": "200",
        }
        sqlite3.connect(directory / f"{name}.sqlite3").close()

    def run(self, command: str, *arguments: str) -> HostProcess:
        """Start a command of the environment in the folder of the projects."""
        process = HostProcess([str(BIN / command), *arguments], self._env, PROJECTS)
        self._processes.append(process)
        return process

    def output(self, *arguments: str) -> str:
        """Return the output of a `monitor` command that has ended."""
        process = self.run("monitor", *arguments)
        process.wait(60)
        return process.logs()

    def state(self, check: str) -> State | None:
        """Return the stored state of a check."""
        return self.store.states.read([check]).states.get(check)

    def logs(self) -> str:
        """Return all logs."""
        return "\n".join(process.logs() for process in self._processes)

    def stop(self) -> None:
        """Stop all processes."""
        self.store.close()
        while self._processes:
            self._processes.pop().teardown()


@pytest.fixture
def redis_with_password(start_redis: StartRedis) -> RedisServer:
    server = start_redis()
    with server.client() as client:
        client.config_set("requirepass", PASSWORD)
    return server


@pytest.fixture
def project(request: pytest.FixtureRequest, redis_with_password: RedisServer, tmp_path: Path) -> Iterator[Project]:
    project = Project(request.param, redis_with_password, tmp_path)
    yield project
    project.stop()


@pytest.mark.parametrize(
    ("project", "checks"),
    [
        ("paperless", ["cache:default", "cache:read-cache"]),
        ("saleor", ["database:replica", "cache:default"]),
        ("pretix", ["cache:redis", "cache:redis_sessions", "cache:default"]),
        ("plane", ["database:replica", "cache:default"]),
        ("baserow", ["database:user_tables.8ec3e424", "cache:default", "cache:generated-models", "cache:cachalot"]),
    ],
    indirect=["project"],
)
def test_every_database_and_every_redis_cache_has_a_check(project: Project, checks: list[str]) -> None:
    """The checks run without any configuration, and no command shows the password of a cache."""
    output = project.output("check", "database", *checks)
    rows = {line.split()[0]: line.split()[1] for line in output.splitlines() if len(line.split()) > 1}
    assert {name: rows.get(name) for name in ("database", *checks)} == dict.fromkeys(("database", *checks), "ok"), (
        output
    )
    configuration = project.output("config")
    assert all(f"checks.{name}.alias" in configuration for name in checks), configuration
    assert PASSWORD not in output + configuration


@pytest.mark.parametrize(
    ("project", "queues", "expected"),
    [
        ("pretix", "default,checkout", {"default", "checkout", "mail", "background", "notifications"}),
        ("saleor", "celery,webhooks,search", {"celery", "webhooks", "search"}),
    ],
    indirect=["project"],
)
def test_all_queues_are_counted_although_the_package_imports_no_application(
    project: Project, queues: str, expected: set[str]
) -> None:
    """The queues are those of the settings, and those that a real worker declares. No role imports the application."""
    name = str(project._env["DJANGO_SETTINGS_MODULE"]).partition(".")[0]
    project.run("celery", "-A", f"{name}.celery_app", "worker", "-P", "solo", "-Q", queues, "-l", "INFO")
    project.run("monitor", "worker")
    project.run("monitor", "beat")

    def counted() -> bool:
        state = project.state("celery")
        return state is not None and set(state.result.data.get("queues", ())) == expected

    consumed = [f"queue:{queue}" for queue in queues.split(",")]
    wait_for(
        lambda: all(project.state(check) for check in consumed),
        seconds=90,
        what=FailureText(project, "the worker declares its queues"),
    )
    wait_for(counted, seconds=90, what=FailureText(project, f"{sorted(expected)} are counted"))
    wait_for(
        lambda: (state := project.state("cache:default")) is not None and state.status == "ok",
        seconds=60,
        what=FailureText(project, "the cache is ok"),
    )
    port = free_port()
    project.run("monitor", "web", "--port", str(port))

    def answered() -> dict[str, Any] | None:
        try:
            status, _, body = ask(
                HTTPConnection("127.0.0.1", port, timeout=2), "/api/health/detailed/", {"Host": "127.0.0.1"}
            )
        except OSError:
            return None
        checks = json.loads(body).get("checks", {})
        return checks if status == 200 and checks.get("cache:default", {}).get("status") == "ok" else None

    checks = wait_for(answered, seconds=60, what=FailureText(project, "the page shows the cache"))
    assert set(checks["celery"]["queues"]) == expected
    assert PASSWORD not in json.dumps(checks) + project.logs()
