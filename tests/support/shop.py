"""The small project of `tests/support/project` at work: its servers, workers and beat, and the monitor's roles."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.model.checks import Result
from monitor.store.redis.store import RedisStore
from tests.support.celery_nodes import HostProcess
from tests.support.postgres_server import PASSWORD, USER, PostgresServer
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer
from tests.support.roles import FailureText

PROJECT = Path(__file__).parent / "project"
BIN = Path(sys.executable).parent
POD = {"Host": "10.1.2.3:8000"}
CUSTOMER = {"Host": "shop.example", "X-Forwarded-Proto": "https"}

Answer = tuple[int, dict[str, str], bytes]

SERVERS = {
    "granian": ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}", "shop.wsgi:application"),
    "gunicorn": ("gunicorn", "-k", "gthread", "--threads", "{threads}", "-b", "127.0.0.1:{port}", "shop.wsgi"),
    "uvicorn": (
        "uvicorn",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--log-level",
        "warning",
        "shop.asgi:application",
    ),
}


class Shop:
    """Project with a broker and a database, which the monitor knows only from the project's settings."""

    def __init__(self, redis: RedisServer, postgres: PostgresServer, **env: str) -> None:
        self.redis = redis
        self.store = RedisStore(redis.url)
        self.port = 0
        self._processes: list[HostProcess] = []
        self._env = {
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "SHOP_BROKER_URL": redis.url,
            "SHOP_POSTGRES_PORT": str(postgres.port),
            "SHOP_POSTGRES_USER": USER,
            "SHOP_POSTGRES_PASSWORD": PASSWORD,
            "PYTHONHASHSEED": "0",  # so that what is printed of two processes can be compared
            **env,
        }

    def run(self, command: str, *arguments: str, **env: str) -> HostProcess:
        """Start a command of the environment (`celery`, `monitor`, ...) in the project's directory."""
        process = HostProcess([str(BIN / command), *arguments], {**self._env, **env}, PROJECT)
        self._processes.append(process)
        return process

    def serve(self, server: str, *, threads: int = 1) -> HostProcess:
        """Start one of `SERVERS` with one process, and wait until it answers."""
        self.port = free_port()
        command, *arguments = (part.format(port=self.port, threads=threads) for part in SERVERS[server])
        process = self.run(command, *arguments)
        wait_for(lambda: self._answers(process), seconds=30, what=FailureText(process, f"{server} answers"))
        return process

    def get(self, path: str, headers: dict[str, str], *, seconds: float = 1.0) -> Answer:
        """Return status, headers and body of a GET on a new connection. Raises OSError without a response in time."""
        return ask(self.connect(seconds), path, headers)

    def connect(self, seconds: float = 1.0) -> http.client.HTTPConnection:
        """Return a connection to the shop's server. The caller closes it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def wait_for_results(self, *checks: str, status: str = "ok", after: float = 0.0) -> dict[str, Result]:
        """Return the results of ``checks``, once all have one with this status that is newer than ``after``."""

        def found() -> dict[str, Result] | None:
            results = {name: state.result for name, state in self.store.states.read().states.items()}
            good = (name in results and results[name].observed_at > after for name in checks)
            return results if all(good) and all(results[name].status == status for name in checks) else None

        return wait_for(found, seconds=40, what=FailureText(self, f"{checks} are {status}"))

    def logs(self) -> str:
        """Return all logs, for the message of a failure."""
        return "\n".join(
            f"--- {process.name} ({process.status})\n{process.logs()[-3000:]}" for process in self._processes
        )

    def stop(self) -> None:
        """Stop everything that was started."""
        self.store.close()
        while self._processes:
            self._processes.pop().teardown()

    def _answers(self, process: HostProcess) -> bool:
        if process.status == "exited":
            pytest.fail(f"exited with status {process.exit_code}\n{process.logs()}")
        try:
            return self.get("/api/health/live/", POD)[0] == 200
        except OSError:
            return False


def ask(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body of a GET. Raises OSError."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def celery_facts(shop: Shop, **env: str) -> dict[str, Any]:
    """Return the output of `celery_facts.py` in the project."""
    process = shop.run("python", "celery_facts.py", **env)
    assert process.wait() == 0, process.logs()
    facts: dict[str, Any] = json.loads(process.logs().splitlines()[-1])
    return facts
