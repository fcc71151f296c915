"""pytest-celery over real host processes; over its stock containers where a Docker engine answers.

The nodes are pytest-celery's own (`RedisTestBroker`, `CeleryTestWorker`, ...); what they hold is not a
container but a process. `TEST_NODES=processes` keeps to processes beside a Docker engine.
The fixtures are imported by `tests/system/conftest.py`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest
import redis
from celery import Celery
from docker.errors import DockerException
from pytest_celery import (
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestContainer,
    CeleryTestWorker,
    CeleryWorkerContainer,
    RedisTestBackend,
    RedisTestBroker,
)

from tests.support.processes import missing, wait_for
from tests.support.redis_server import BINARIES, RedisServer, find_binary

ROOT = Path(__file__).parents[2]
WATCHED_APP = "tests.support.watched_app"


def _inherited() -> dict[str, str]:
    """Our environment, without what loading a configuration in this very process has put into it."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


class HostProcess(CeleryTestContainer):
    """A process of this machine where pytest-celery expects a container. In a session of its own, with a log."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        # The base class' constructor wants a container of the Docker engine.
        self._id = uuid.uuid4().hex
        self._directory = Path(tempfile.mkdtemp(prefix="host-process-"))
        self._argv, self._env, self._cwd = [*argv], dict(env or {}), cwd
        self._process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it, or start it again. Its log begins anew."""
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._cwd,
                env={**_inherited(), **self._env},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def id(self) -> str:
        return self._id

    @property
    def name(self) -> str:
        return f"{type(self).__name__}-{self._id[:8]}"

    @property
    def pid(self) -> int:
        """Of the process that was started; its children are in its process group."""
        return self._process.pid

    @property
    def status(self) -> str:
        return "running" if self._process.poll() is None else "exited"

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def logs(self) -> str:
        return (self._directory / "log").read_text(errors="replace")

    def reload(self) -> None:
        """Nothing is cached here."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal. Like that of a container, SIGKILL takes the children too. Waits for the end that it brings."""
        number = _number(signal)
        if number == _number("SIGKILL"):
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)
        if number in {_number("SIGKILL"), _number("SIGTERM")}:
            self.wait()

    def kill_alone(self) -> None:
        """SIGKILL the process and not its children, as the OOM killer would."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 30.0) -> int:
        """The exit status, once it has ended."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s: {self._argv}\n{self.logs()}")

    def restart(self, timeout: int = 30) -> None:
        """End it, if it runs, start it again and wait until it is ready."""
        if self.status == "running":
            self.kill("SIGTERM")
        self.start()
        self.ready()

    def ready(self) -> bool:
        """Wait for `ready_prompt` in the log; fails the test with the log when the process ends before."""
        wait_for(self._is_ready, seconds=30, what=f"{self.ready_prompt!r} in the log of {self._argv}")
        return True

    def teardown(self) -> None:
        """Kill it and whatever it has started. May be called again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _is_ready(self) -> bool:
        if self.ready_prompt is None or self.ready_prompt in self.logs():
            return True
        if self.status == "exited":
            pytest.fail(f"exited with status {self.exit_code}: {self._argv}\n{self.logs()}")
        return False


class HostRedis(CeleryTestContainer):
    """A private Redis or Valkey server where pytest-celery expects a container."""

    def __init__(self) -> None:
        # The base class' constructor wants a container of the Docker engine.
        name = next(filter(find_binary, BINARIES), BINARIES[0])
        self._server = RedisServer(binary=find_binary(name) or missing(name))
        self._runs = True

    @property
    def status(self) -> str:
        return "running" if self._runs else "exited"

    @property
    def id(self) -> str:
        return f"{self._server.port:012d}"

    @property
    def name(self) -> str:
        return f"HostRedis-{self._server.port}"

    @property
    def client(self) -> redis.Redis:
        return self._server.client()

    @property
    def celeryconfig(self) -> dict[str, Any]:
        url, port = self._server.url, self._server.port
        return {"url": url, "host_url": url, "hostname": "127.0.0.1", "port": port, "vhost": "0"}

    def logs(self) -> str:
        return (self._server.directory / "log").read_text(errors="replace")

    def ready(self) -> bool:
        return bool(self.client.ping())

    def reload(self) -> None:
        """Nothing is cached here."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """SIGKILL it, whatever the signal: its data is in memory only."""
        self._server.kill()
        self._runs = False

    def restart(self, timeout: int = 30) -> None:
        """Start it again, empty."""
        self._server.restart()
        self._runs = True

    def teardown(self) -> None:
        self._server.stop()
        self._runs = False


class HostWorker(HostProcess, CeleryWorkerContainer):
    """A Celery worker with the default pool, of an application that is not ours."""

    def __init__(self, app: str, env: Mapping[str, str], *options: str) -> None:
        queue, name = self.worker_queue(), f"{self.worker_name()}@{uuid.uuid4().hex[:12]}"
        celery = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "INFO"]
        super().__init__([*celery, "-Q", queue, "-n", name, *options], env)
        self._id = name.partition("@")[2]


class HostBackend(RedisTestBackend):
    """A result backend in a process."""

    def teardown(self) -> None:
        # Not RedisTestBackend's: it asks everything in memory whether it is an AsyncResult, and Django's lazy
        # objects (a static files storage that another test has imported) answer by demanding their settings.
        CeleryTestBackend.teardown(self)


@functools.cache
def docker_answers() -> bool:
    """Whether a Docker engine answers, and is wanted."""
    if os.environ.get("TEST_NODES") == "processes":
        return False
    try:
        return bool(docker.from_env(timeout=2).ping())
    except (DockerException, OSError):
        return False


@pytest.fixture
def celery_broker(request: pytest.FixtureRequest) -> Iterator[CeleryTestBroker]:
    """The broker node of pytest-celery's set-up. Redis only: it is what the product runs on."""
    node = request.getfixturevalue("celery_redis_broker") if docker_answers() else RedisTestBroker(HostRedis())
    yield node
    node.teardown()


@pytest.fixture
def celery_backend(request: pytest.FixtureRequest) -> Iterator[CeleryTestBackend]:
    """The result backend node of pytest-celery's set-up."""
    node = request.getfixturevalue("celery_redis_backend") if docker_answers() else HostBackend(HostRedis())
    yield node
    node.teardown()


@pytest.fixture
def celery_worker(
    request: pytest.FixtureRequest, celery_worker_cluster_config: dict[str, Any], celery_setup_app: Celery
) -> Iterator[CeleryTestWorker]:
    """The worker node of pytest-celery's set-up: a prefork worker with one slot."""
    if docker_answers():
        node = request.getfixturevalue("celery_setup_worker")
    else:
        broker, backend = (
            celery_worker_cluster_config[f"celery_{kind}_cluster_config"] for kind in ("broker", "backend")
        )
        env = {"CELERY_BROKER_URL": broker["urls"][0], "CELERY_RESULT_BACKEND": backend["urls"][0]}
        node = CeleryTestWorker(HostWorker(WATCHED_APP, env, "-c", "1"), celery_setup_app)
        node.ready()
    yield node
    node.teardown()


def _number(name: str | int) -> int:
    return name if isinstance(name, int) else int(getattr(signal, name))
