"""The database kind where there are several hosts or addresses, and the first ones do not answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.checks import mysql
from monitor.checks.registry import KINDS
from monitor.lib.attempts import share
from monitor.model.checks import Outcome, Status
from tests.support.django_databases import DatabaseAlias
from tests.support.faults import FaultProxy, Freezer
from tests.support.names import SilentPort, with_own_files
from tests.support.postgres_server import PASSWORD, USER, PostgresServer, StartPostgres
from tests.support.processes import free_port

Proxy = Callable[[str, int], FaultProxy]


def run(alias: str, timeout_seconds: float = 5.0) -> Outcome:
    return KINDS.build("database", {"alias": alias}).run(timeout_seconds)


def hosts(ports: list[int], **options: Any) -> dict[str, Any]:
    """PostgreSQL servers on these ports of this machine as one entry of Django's DATABASES."""
    names, numbers = ",".join(["127.0.0.1"] * len(ports)), ",".join(map(str, ports))
    address = {"HOST": names, "PORT": numbers, "USER": USER, "PASSWORD": PASSWORD, "NAME": "monitor"}
    return {"ENGINE": "django.db.backends.postgresql", **address, "OPTIONS": options}


@pytest.mark.parametrize(
    ("caption", "left", "attempts", "most", "seconds"),
    [
        ("the only attempt has all that is left", 4.5, 1, None, 4.5),
        ("two share it", 4.5, 2, None, 2.25),
        ("the user's limit is narrower", 4.5, 2, 2, 2),
        ("ours is narrower", 3.0, 3, 2, 1.0),
        ("half a second at least", 4.5, 20, 2, 0.5),
        ("not beyond what is left", 0.3, 2, 2, 0.3),
        ("nothing is left", -0.1, 2, 2, 0.0),
    ],
)
def test_shares(caption: str, left: float, attempts: int, most: float | None, seconds: float) -> None:
    """Attempts one after another share one patience."""
    assert share(left, attempts, most) == seconds


@pytest.mark.parametrize(
    ("driver", "addresses_of", "own", "timeout", "expected"),
    [
        ("pymysql", "127.0.0.1", {}, 4.5, (4.5, 4.5)),
        ("pymysql", "127.0.0.1", {"connect_timeout": 2, "read_timeout": 1}, 4.5, (2, 1)),
        ("pymysql", "", {"connect_timeout": 20, "read_timeout": 0}, 4.5, (4.5, 4.5)),
        ("MySQLdb", "127.0.0.1", {"connect_timeout": 2}, 4.5, (2, 5)),
        ("MySQLdb", "127.0.0.1", {}, 0.4, (1, 1)),
    ],
)
def test_limits_of_mysql(
    driver: str, addresses_of: str, own: dict[str, Any], timeout: float, expected: tuple[float, float]
) -> None:
    """The narrower limit wins, the project's or ours; mysqlclient knows whole seconds only."""
    options = dict(own)
    mysql.limit(options, SimpleNamespace(__name__=driver), addresses_of, timeout)
    assert (options["connect_timeout"], options["read_timeout"]) == expected


def test_a_frozen_first_host(start_postgres: StartPostgres, database_alias: DatabaseAlias, freezer: Freezer) -> None:
    """The project connects to the second one after its `connect_timeout`, and so does the check."""
    first, second = start_postgres(), start_postgres()
    alias = database_alias(hosts([first.port, second.port], connect_timeout=2, target_session_attrs="read-write"))
    assert run(alias).data["connect_ms"] < 2000
    freezer.freeze(first.pid, children=True)
    outcome = run(alias)
    assert (outcome.status, outcome.reason) == (Status.OK, None)
    assert outcome.data["connect_ms"] >= 2000
    (failed,) = outcome.detail["failed_attempts"]
    assert f"port {first.port}" in failed and "timeout" in failed


@pytest.mark.parametrize("options", [{}, {"connect_timeout": 10}, {"target_session_attrs": "prefer-standby"}])
def test_many_silent_hosts(
    postgres_server: PostgresServer, database_alias: DatabaseAlias, fault_proxy: Proxy, options: dict[str, Any]
) -> None:
    """No limit of the project, or one that is too long: the last host has its share of the check's time.

    Where a standby is preferred, psycopg tries all hosts twice.
    """
    silent = [fault_proxy("127.0.0.1", postgres_server.port) for _ in range(2)]
    for proxy in silent:
        proxy.set("blackhole")
    ports = [*(proxy.port for proxy in silent), postgres_server.port]
    outcome = run(database_alias(hosts(ports, **options)))
    assert outcome.status is Status.OK, outcome.message
    assert len(outcome.detail["failed_attempts"]) in (2, 5)


def test_hosts_that_all_fail(
    postgres_server: PostgresServer, database_alias: DatabaseAlias, fault_proxy: Proxy
) -> None:
    """Each is named with what was wrong with it, before the check's own time limit ends the process."""
    proxy = fault_proxy("127.0.0.1", postgres_server.port)
    proxy.set("blackhole")
    started = time.monotonic()
    outcome = run(database_alias(hosts([proxy.port, proxy.port], connect_timeout=30)), 2.0)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 2.0
    assert (outcome.message or "").count(f"port {proxy.port}: connection timeout expired") == 2
    assert PASSWORD not in (outcome.message or "")


def test_the_one_that_takes_writes(start_postgres: StartPostgres, database_alias: DatabaseAlias) -> None:
    """`target_session_attrs` is obeyed, though one host is asked at a time."""
    standby, primary = start_postgres(), start_postgres()
    with standby.connect() as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
    ports = [standby.port, primary.port]
    outcome = run(database_alias(hosts(ports, target_session_attrs="read-write")))
    assert outcome.status is Status.OK, outcome.message
    assert "read-only" in outcome.detail["failed_attempts"][0]
    assert run(database_alias(hosts(ports[:1], target_session_attrs="read-write"))).status is Status.ERROR
    assert not run(database_alias(hosts(ports))).detail


def test_service_and_password_files(
    postgres_server: PostgresServer, database_alias: DatabaseAlias, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What libpq reads from files and from the environment is read here, too."""
    service, passwords = tmp_path / "services", tmp_path / "passwords"
    service.write_text(f"[shop]\nhost=127.0.0.1\nport={postgres_server.port}\nuser={USER}\ndbname=monitor\n")
    passwords.write_text(f"127.0.0.1:{postgres_server.port}:monitor:{USER}:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    settings = {"ENGINE": "django.db.backends.postgresql", "NAME": ""}
    options = {"service": "shop", "passfile": str(passwords)}
    assert run(database_alias({**settings, "OPTIONS": options})).status is Status.OK
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    monkeypatch.setenv("PGHOST", "127.0.0.1,127.0.0.1")
    monkeypatch.setenv("PGPORT", f"{free_port()},{postgres_server.port}")
    outcome = run(database_alias({**settings, "NAME": "monitor", "USER": USER}))
    assert outcome.status is Status.OK, outcome.message
    assert "refused" in outcome.detail["failed_attempts"][0]


def test_options_of_the_project(postgres_server: PostgresServer, database_alias: DatabaseAlias) -> None:
    """Isolation, cursors, prepared statements and a role are those of the project, as Django sets them."""
    options = {
        "isolation_level": 3, "server_side_binding": True, "prepare_threshold": 0, "assume_role": USER,
        "application_name": "shop", "sslmode": "prefer", "options": "-c statement_timeout=3000",
    }  # fmt: skip
    outcome = run(database_alias(postgres_server.django_settings(OPTIONS=options)))
    assert outcome.status is Status.OK, outcome.message


RUN = """
import json, sys
import django, pymysql
from django.conf import settings
pymysql.version_info = (2, 2, 1, "final", 0)
pymysql.install_as_MySQLdb()
settings.configure(DATABASES={"default": json.load(sys.stdin)})
django.setup()
from monitor.checks.registry import KINDS
outcome = KINDS.build("database", {"alias": "default"}).run(5.0)
print(outcome.status.value, outcome.reason, 400 < outcome.data.get("connect_ms", 0) < 4500)
"""


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_name_with_a_silent_address(
    engine: str, request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Connections to the first address are swallowed, and the project has set no limit, or a long one."""
    settings = request.getfixturevalue("mariadb") if engine == "mysql" else postgres_server.django_settings()
    names = tmp_path / "hosts"
    names.write_text("::1 two\n127.0.0.1 two\n")
    silent = SilentPort("::1", int(settings["PORT"]))
    entry = {**settings, "HOST": "two", "OPTIONS": {"connect_timeout": 10} if engine == "mysql" else {}}
    command = [*with_own_files({"/etc/hosts": names}), sys.executable, "-c", RUN]
    done = subprocess.run(command, input=json.dumps(entry), capture_output=True, text=True, timeout=60, check=False)
    silent.close()
    assert done.stdout == "ok None True\n", done.stderr
