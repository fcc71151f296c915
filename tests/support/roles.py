"""The monitor's roles as real processes on this machine, with one configuration, started as by a user."""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor.model.checks import Result
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.store import RedisStore
from tests.support.celery_nodes import ROOT, HostProcess
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer

HEADER = "default_checks = false\n"
TOKEN = "token-of-the-tests-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


class Monitor:
    """Monitor of one configuration, and the roles that were started with it."""

    def __init__(self, directory: Path, redis: RedisServer, toml: str, env: Mapping[str, str] | None = None) -> None:
        """Prepare the monitor. ``redis`` is store and broker unless ``env`` names others; ``toml`` configures it."""
        self.redis = redis
        self.store = RedisStore(redis.url)
        self.port = free_port()
        self.roles: list[HostProcess] = []
        file = directory / "monitor.toml"
        file.write_text(HEADER + toml)
        self.env = {
            "MONITOR_CONFIG": str(file),
            "MONITOR_REDIS_URL": redis.url,
            "MONITOR_TOKEN": TOKEN,
            "MONITOR_DATA_DIR": str(directory / "data"),
            "TEST_REDIS_URL": redis.url,
            **(env or {}),
        }

    def worker(self, **env: str) -> HostProcess:
        """Start `monitor worker`."""
        return self.run("worker", **env)

    def beat(self, **env: str) -> HostProcess:
        """Start `monitor beat`."""
        return self.run("beat", **env)

    def web(self, **env: str) -> HostProcess:
        """Start `monitor web`, and wait until it answers."""
        role = self.run("web", "--port", str(self.port), **env)
        wait_for(lambda: self._answers(role), seconds=30, what="monitor web answers")
        return role

    def run(self, *command: str, **env: str) -> HostProcess:
        """Start `monitor COMMAND` with additional environment variables."""
        return self.start([sys.executable, "-m", "monitor", *command], **env)

    def start(self, argv: list[str], cwd: Path = ROOT, **env: str) -> HostProcess:
        """Start any process with the monitor's environment."""
        role = HostProcess(argv, {**self.env, **env}, cwd)
        self.roles.append(role)
        return role

    def all_roles(self) -> tuple[HostProcess, HostProcess, HostProcess]:
        """Start worker, beat and web, and wait until web answers."""
        return self.worker(), self.beat(), self.web()

    def wait_for_consumers(self, count: int = 1) -> None:
        """Wait until so many workers wait for messages. Each does so on one connection."""
        wait_for(
            lambda: self._consumers() >= count,
            seconds=30,
            every=0.1,
            what=FailureText(self, f"{count} workers consume"),
        )

    def results(self) -> dict[str, Result]:
        """Return the last result of each check that has one, read from the store."""
        return {name: state.result for name, state in self.store.states.read().states.items()}

    def wait_for_results(self, *checks: str, after: float = 0.0, seconds: float = 20.0) -> dict[str, Result]:
        """Return the results, once all ``checks`` have one that was observed after ``after`` (by Redis' clock)."""

        def found() -> dict[str, Result] | None:
            results = self.results()
            return results if all(name in results and results[name].observed_at > after for name in checks) else None

        return wait_for(found, seconds=seconds, what=FailureText(self, f"a result of each of {checks}"))

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status code and body of `/api/health/PATH/`, with the token. Raises OSError after 1 s."""
        return get_json(f"http://127.0.0.1:{self.port}/api/health/{path}/", headers=AUTHORIZED)

    def wait_for_ready(self, status: int, *, seconds: float = 20.0) -> dict[str, Any]:
        """Return the body of ready, once its status code is ``status``."""

        def answered() -> dict[str, Any] | None:
            code, body = self.get("ready")
            return body if code == status else None

        return wait_for(answered, seconds=seconds, what=FailureText(self, f"ready answers {status}"))

    def logs(self) -> str:
        """Return the logs of the roles, for the message of a failure."""
        return "\n".join(f"--- {role.name} ({role.status})\n{role.logs()[-3000:]}" for role in self.roles)

    def stop(self) -> None:
        """Stop all roles and their child processes."""
        self.store.close()
        while self.roles:
            self.roles.pop().teardown()

    def _answers(self, role: HostProcess) -> bool:
        if role.status == "exited":
            pytest.fail(f"monitor web exited with status {role.exit_code}\n{role.logs()}")
        try:
            return self.get("live")[0] == 200
        except OSError:
            return False

    def _consumers(self) -> int:
        with self.redis.client() as client:
            return sum(connection["cmd"] == "brpop" for connection in client.client_list())


class FailureText:
    """Text for a failed wait: the condition, and the log up to that moment."""

    def __init__(self, source: Any, text: str) -> None:
        self._source = source
        self._text = text

    def __str__(self) -> str:
        return f"{self._text}\n{self._source.logs()}"


class Recorder:
    """Recorder of every result that appears in the store during the `with` block, in order, by check."""

    def __init__(self, monitor: Monitor) -> None:
        self.results: dict[str, list[Result]] = defaultdict(list)
        self._store = RedisStore(monitor.redis.url, timeout_seconds=0.2, retries=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._store.close()

    def wait_for(self, check: str, runs: int, *, seconds: float = 30.0) -> list[Result]:
        """Return the results of ``check``, once there are so many."""
        wait_for(lambda: len(self.results[check]) >= runs, seconds=seconds, what=f"{runs} runs of {check}")
        return self.results[check]

    def _record(self) -> None:
        cursor = None
        while not self._stop.wait(0.02):
            try:
                changes = self._store.states.changes(cursor)
            except StoreUnavailable:
                continue
            cursor = changes.cursor
            for name, state in changes.states.items():
                seen = self.results[name]
                if not seen or seen[-1].run_id != state.result.run_id:
                    seen.append(state.result)


StartMonitor = Callable[..., Monitor]


@pytest.fixture
def start_monitor(tmp_path: Path, start_redis: Callable[..., RedisServer]) -> Iterator[StartMonitor]:
    """Provide `start_monitor(toml, env=..., redis=...)`: a configuration on a private server for one test."""
    monitors: list[Monitor] = []

    def start(toml: str, env: Mapping[str, str] | None = None, redis: RedisServer | None = None) -> Monitor:
        monitors.append(Monitor(tmp_path, redis or start_redis(), toml, env))
        return monitors[-1]

    yield start
    for monitor in monitors:
        monitor.stop()


def get_json(url: str, *, headers: Mapping[str, str] | None = None, seconds: float = 1.0) -> tuple[int, dict[str, Any]]:
    """Return status code and JSON body of a GET on a new connection. Follows no redirect. Raises OSError."""
    try:
        with _OPENER.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=seconds) as answer:
            return answer.status, _body(answer.read())
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, _body(answer.read())


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(raw)
    except ValueError:
        return {}
    return body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
