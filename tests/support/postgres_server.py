"""Real PostgreSQL server: one for the session, or private ones that a test may freeze and kill."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.processes import free_port, missing, wait_for

USER = "monitor"
PASSWORD = "swordfish"


def find_binaries() -> Path | None:
    """Return the directory of initdb and postgres: on PATH, or the newest of Debian's; None if there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """Private server on a free port of 127.0.0.1, with database `monitor`. TCP connections need a password.

    Postgres refuses to run as root. So root starts it as the user `postgres`, or else as `nobody`.
    """

    def __init__(self, *extra_settings: str) -> None:
        binaries = find_binaries() or missing("postgresql")
        self._binaries = binaries
        self._settings = extra_settings
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-test-", dir="/tmp"))
        self._process: subprocess.Popen[bytes]
        self._initialise()
        self.start()

    @property
    def pid(self) -> int:
        """Return the process id of the current postmaster."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Return its address in the form of `DATABASE_URL`."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/monitor"

    def django_settings(self, **changes: Any) -> dict[str, Any]:
        """Return an entry for Django's DATABASES."""
        address = {"HOST": "127.0.0.1", "PORT": str(self.port), "USER": USER, "PASSWORD": PASSWORD, "NAME": "monitor"}
        return {"ENGINE": "django.db.backends.postgresql", **address, **changes}

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection in autocommit."""
        return psycopg.connect(self.url, connect_timeout=5, autocommit=True)

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}", "fsync=off"]
        arguments = [argument for setting in (*settings, *self._settings) for argument in ("-c", setting)]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *arguments]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([*_as_other_user(), *command], stdout=log, stderr=log)
        wait_for(self._answers, what=f"PostgreSQL answers, see {self.directory}/log")

    def kill(self) -> None:
        """Send SIGQUIT, frozen or not. Its backends end, too."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _initialise(self) -> None:
        password = self.directory / "password"
        password.write_text(PASSWORD)
        if user := _other_user():
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            os.chown(password, user.pw_uid, user.pw_gid)
        options = [
            "-U",
            USER,
            "--auth-host=scram-sha-256",
            "--auth-local=trust",
            f"--pwfile={password}",
            "-N",
            "-E",
            "UTF8",
        ]
        command = [str(self._binaries / "initdb"), "-D", str(self._data), "--locale=C", *options]
        subprocess.run([*_as_other_user(), *command], check=True, stdout=subprocess.DEVNULL)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"PostgreSQL ended at once, see {self.directory}/log")
        try:
            url = self.url.removesuffix("monitor") + "postgres"
            with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'monitor'").fetchone():
                    connection.execute("CREATE DATABASE monitor")
            return True
        except psycopg.OperationalError:
            return False


StartPostgres = Callable[..., PostgresServer]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Provide the session's server. A test that freezes or kills a server starts its own (`start_postgres`)."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def start_postgres() -> Iterator[StartPostgres]:
    """Provide `start_postgres("max_connections=5", ...)`, which starts a private server for one test."""
    servers: list[PostgresServer] = []

    def start(*extra_settings: str) -> PostgresServer:
        servers.append(PostgresServer(*extra_settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def _other_user() -> pwd.struct_passwd | None:
    """Return the user that runs the server if we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as_other_user() -> list[str]:
    user = _other_user()
    if user is None:
        return []
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
