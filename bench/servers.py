"""Real servers and roles around a measurement, as context managers."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import rosters
from bench.processes import Served, running, serving, wait_for
from tests.support.faults import Freezer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer, find_binary

LIVE = "/api/health/live/"
READY = "/api/health/ready/"
DETAILED = "/api/health/detailed/"


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A Redis of our own (Debian's; Valkey where there is none)."""
    binary = find_binary("redis-server") or find_binary("valkey-server")
    if binary is None:
        raise RuntimeError("neither redis-server nor valkey-server is installed")
    server = RedisServer(binary=binary)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of our own."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def freezer() -> Iterator[Freezer]:
    """Freezes processes; what is still frozen at the end goes on then."""
    freezer = Freezer()
    try:
        yield freezer
    finally:
        freezer.thaw_all()


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


def baseline(application: str, path: str, settings: str) -> contextlib.AbstractContextManager[Served]:
    """An application (``module:callable``) on the server, and with the server's settings, of ``monitor web``."""
    # The command that is borrowed wants a store configured; these applications never look at it.
    environment = {"DJANGO_SETTINGS_MODULE": settings, "MONITOR_REDIS_URL": "redis://127.0.0.1:1"}
    environment["MONITOR_TOKEN"] = rosters.TOKEN
    return serving("bench.serve", application, path=path, environment={**os.environ, **environment})


def web(environment: Mapping[str, str], path: str = READY) -> contextlib.AbstractContextManager[Served]:
    """``monitor web``, once ``path`` answers 200."""
    return serving("monitor", "web", path=path, environment=environment)


@contextlib.contextmanager
def invented_states(
    environment: Mapping[str, str], server: RedisServer, count: int, rate: float, *, states: str = "monitor:states"
) -> Iterator[None]:
    """All ``count`` checks have a state (in the hash ``states``), and ``rate`` of them are renewed each second."""
    with running("bench.states", "--rate", f"{rate:g}", environment=environment) as process, server.client() as client:
        wait_for(
            lambda: client.hlen(states) >= count,
            what=f"{count} states",
            seconds=120,
            process=process,
        )
        yield
