"""Nodes of pytest-celery as real processes of this machine, or as its stock containers if a Docker engine answers.

The nodes are pytest-celery's own (`RedisTestBroker`, `CeleryTestWorker`, ...), but each holds a process instead of a
container. `TEST_NODES=processes` uses processes even if there is a Docker engine. `tests/system/conftest.py` imports
the fixtures.
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
    """Return our environment without the variable that loading a configuration in this process has set."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


class HostProcess(CeleryTestContainer):
    """Process of this machine in place of a container of pytest-celery, in its own session and with a log."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        # The constructor of the base class is not called: it needs a container of a Docker engine.
        self._id = uuid.uuid4().hex
        self._directory = Path(tempfile.mkdtemp(prefix="host-process-"))
        self._argv, self._env, self._cwd = [*argv], dict(env or {}), cwd
        self._process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it (again), with a new log."""
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
        """Process id of the process. Its children are in its process group."""
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
        """Do nothing: nothing is cached."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal, and wait for the end of the process. As in a container, SIGKILL ends its children, too."""
        number = _number(signal)
        if number == _number("SIGKILL"):
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)
        if number in {_number("SIGKILL"), _number("SIGTERM")}:
            self.wait()

    def kill_alone(self) -> None:
        """Send SIGKILL to the process but not to its children, as the OOM killer does."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end, and return the exit status.

        Celery takes 30 s to stop a prefork worker that gets SIGTERM within milliseconds of its first tasks: its child
        processes wait for a reader of their results that has stopped. It does so without the agent, too.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s: {self._argv}\n{self.logs()}")

    def restart(self, timeout: int = 30) -> None:
        """Stop it if it runs, start it again, and wait until it is ready."""
        if self.status == "running":
            self.kill("SIGTERM")
        self.start()
        self.ready()

    def ready(self) -> bool:
        """Wait for `ready_prompt` in the log. If the process ends first, fail the test with its log."""
        wait_for(self._is_ready, seconds=30, what=f"{self.ready_prompt!r} in the log of {self._argv}")
        return True

    def teardown(self) -> None:
        """Kill it and its child processes. A second call has no effect."""
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
    """Private Redis or Valkey server in place of a container of pytest-celery."""

    def __init__(self) -> None:
        # The constructor of the base class is not called: it needs a container of a Docker engine.
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
        """Do nothing: nothing is cached."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send SIGKILL for any signal: its data is in memory only."""
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
    """Celery worker with the default pool, of an application that is not ours."""

    def __init__(self, app: str, env: Mapping[str, str], *options: str) -> None:
        queue, name = self.worker_queue(), f"{self.worker_name()}@{uuid.uuid4().hex[:12]}"
        celery = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "INFO"]
        super().__init__([*celery, "-Q", queue, "-n", name, *options], env)
        self._id = name.partition("@")[2]


class HostBackend(RedisTestBackend):
    """Result backend in a process."""

    def teardown(self) -> None:
        # Not RedisTestBackend's teardown: it tests each object in memory for being an AsyncResult. For Django's lazy
        # objects, such as a static files storage that another test has imported, that needs Django's settings.
        CeleryTestBackend.teardown(self)


@functools.cache
def docker_answers() -> bool:
    """Return whether a Docker engine answers and may be used."""
    if os.environ.get("TEST_NODES") == "processes":
        return False
    try:
        return bool(docker.from_env(timeout=2).ping())
    except (DockerException, OSError):
        return False


@pytest.fixture
def celery_broker(request: pytest.FixtureRequest) -> Iterator[CeleryTestBroker]:
    """Provide the broker node of pytest-celery's set-up: Redis only."""
    node = request.getfixturevalue("celery_redis_broker") if docker_answers() else RedisTestBroker(HostRedis())
    yield node
    node.teardown()


@pytest.fixture
def celery_backend(request: pytest.FixtureRequest) -> Iterator[CeleryTestBackend]:
    """Provide the result backend node of pytest-celery's set-up."""
    node = request.getfixturevalue("celery_redis_backend") if docker_answers() else HostBackend(HostRedis())
    yield node
    node.teardown()


@pytest.fixture
def celery_worker(
    request: pytest.FixtureRequest, celery_worker_cluster_config: dict[str, Any], celery_setup_app: Celery
) -> Iterator[CeleryTestWorker]:
    """Provide the worker node of pytest-celery's set-up: a prefork worker with one slot."""
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
