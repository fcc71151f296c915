"""The database kind against real servers: PostgreSQL, MariaDB, and SQLite files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.checks.kinds.database import failure_reason
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Status
from tests.support.django_databases import DatabaseAlias
from tests.support.faults import FaultProxy, Freezer
from tests.support.postgres_server import PostgresServer, StartPostgres
from tests.support.processes import wait_for

Proxy = Callable[[str, int], FaultProxy]


def run(alias: str, timeout_seconds: float = 5.0) -> Outcome:
    return KINDS.build("database", {"alias": alias}).run(timeout_seconds)


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


def test_postgresql(postgres_server: PostgresServer, database_alias: DatabaseAlias) -> None:
    """A query is answered, and how long that took is data."""
    outcome = run(database_alias(postgres_server.django_settings()))
    assert verdict(outcome) == (Status.OK, None)
    assert set(outcome.data) == {"connect_ms", "query_ms"}
    assert all(milliseconds > 0 for milliseconds in outcome.data.values())


def test_nothing_is_left_open(postgres_server: PostgresServer, database_alias: DatabaseAlias) -> None:
    """Ten runs leave no connection behind, also where the project keeps its connections for ever."""
    alias = database_alias(postgres_server.django_settings(CONN_MAX_AGE=None))
    for _ in range(10):
        assert run(alias).status is Status.OK
    with postgres_server.connect() as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'monitor' AND pid <> pg_backend_pid()"
        wait_for(lambda: connection.execute(others).fetchone() == (0,), what="all connections are closed")


def test_the_project_s_pool_is_not_used(postgres_server: PostgresServer, database_alias: DatabaseAlias) -> None:
    """A pool hands out connections that may hang, and ours would be one too many."""
    settings = postgres_server.django_settings(OPTIONS={"pool": {"min_size": 1, "max_size": 1}})
    assert run(database_alias(settings)).status is Status.OK


def test_the_project_s_settings_stay_as_they_are(
    postgres_server: PostgresServer, database_alias: DatabaseAlias
) -> None:
    """Our time limits are for our connection only."""
    from django.db import connections

    alias = database_alias(postgres_server.django_settings(OPTIONS={"application_name": "shop"}))
    run(alias)
    assert connections.settings[alias]["OPTIONS"] == {"application_name": "shop"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PASSWORD": "guessed"}, "authentication"),
        ({"USER": "nobody", "PASSWORD": "guessed"}, "authentication"),
        ({"PASSWORD": ""}, "authentication"),
        ({"NAME": "no_such_database"}, "unknown_database"),
        ({"HOST": "no-such-host.invalid"}, "name_resolution"),
        ({"HOST": "/no/such/directory"}, "refused"),
        ({"OPTIONS": {"sslmode": "require"}}, "tls"),
        ({"NAME": ""}, "not_configured"),
        ({"ENGINE": "no.such.engine"}, "not_configured"),
    ],
)
def test_settings_that_do_not_fit(
    postgres_server: PostgresServer, database_alias: DatabaseAlias, changes: dict[str, Any], reason: str
) -> None:
    """Each has its reason, and none shows the password."""
    outcome = run(database_alias(postgres_server.django_settings(**changes)))
    assert verdict(outcome) == (Status.ERROR, reason)
    assert "guessed" not in (outcome.message or "")


def test_an_alias_that_is_not_there(django: None) -> None:
    """A configuration may name any."""
    assert verdict(run("no_such_alias")) == (Status.ERROR, "unknown_alias")


def test_a_full_server(start_postgres: StartPostgres, database_alias: DatabaseAlias) -> None:
    """The last connections are for superusers, and ours is not one of them."""
    server = start_postgres("max_connections=4", "superuser_reserved_connections=1", "max_wal_senders=0")
    with server.connect() as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
        plain = database_alias(server.django_settings(USER="plain", PASSWORD="x"))
        assert run(plain).status is Status.OK
        others = [server.connect() for _ in range(2)]
        assert verdict(run(plain)) == (Status.ERROR, "too_many_connections")
        for other in others:
            other.close()


def test_a_server_that_is_killed_and_comes_back(start_postgres: StartPostgres, database_alias: DatabaseAlias) -> None:
    """Refused while it is away; the first run afterwards is fine."""
    server = start_postgres()
    alias = database_alias(server.django_settings())
    assert run(alias).status is Status.OK
    server.kill()
    assert verdict(run(alias)) == (Status.ERROR, "refused")
    server.start()
    assert run(alias).status is Status.OK


def test_a_frozen_server(start_postgres: StartPostgres, database_alias: DatabaseAlias, freezer: Freezer) -> None:
    """Its port still accepts. libpq waits for 2 s at least; the check's own time limit may end it before that."""
    server = start_postgres()
    alias = database_alias(server.django_settings())
    freezer.freeze(server.pid, children=True)
    started = time.monotonic()
    assert verdict(run(alias, 2.0)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 3
    freezer.thaw(server.pid)
    assert run(alias).status is Status.OK


def test_connections_of_earlier_runs_do_not_matter(
    start_postgres: StartPostgres, database_alias: DatabaseAlias, freezer: Freezer
) -> None:
    """The project's own, persistent connection hangs with its backend; ours is a new one."""
    from django.db import connections

    server = start_postgres()
    alias = database_alias(server.django_settings(CONN_MAX_AGE=None))
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    freezer.freeze(backend)
    assert run(alias).status is Status.OK
    freezer.thaw(backend)
    connections[alias].close()


@pytest.mark.parametrize(("mode", "reason"), [("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")])
def test_failures_of_the_network(
    postgres_server: PostgresServer, database_alias: DatabaseAlias, fault_proxy: Proxy, mode: Any, reason: str
) -> None:
    """Each by its name."""
    proxy = fault_proxy("127.0.0.1", postgres_server.port)
    proxy.set(mode)
    alias = database_alias(postgres_server.django_settings(PORT=str(proxy.port)))
    assert verdict(run(alias, 1.0)) == (Status.ERROR, reason)


def test_sqlite(tmp_path: Path, database_alias: DatabaseAlias) -> None:
    """A file, and a database in memory."""
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert run(database_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": path})).status is Status.OK
    assert run(database_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})).status is Status.OK


def test_sqlite_files_that_are_no_database(tmp_path: Path, database_alias: DatabaseAlias) -> None:
    """A missing file is not made by looking at it; something else in it is found."""
    absent, text = tmp_path / "absent.sqlite3", tmp_path / "text.sqlite3"
    text.write_text("not a database " * 100)
    engine = {"ENGINE": "django.db.backends.sqlite3"}
    assert verdict(run(database_alias({**engine, "NAME": absent}))) == (Status.ERROR, "unknown_database")
    assert not absent.exists()
    assert verdict(run(database_alias({**engine, "NAME": str(text)}))) == (Status.ERROR, "corrupt")


def test_a_locked_sqlite_file(tmp_path: Path, database_alias: DatabaseAlias) -> None:
    """Somebody holds it for longer than we may wait."""
    path = tmp_path / "db.sqlite3"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    alias = database_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": path})
    assert verdict(run(alias, 0.2)) == (Status.ERROR, "locked")
    holder.close()
    assert run(alias).status is Status.OK


def test_mysql(mariadb: dict[str, Any], mysql_driver: None, database_alias: DatabaseAlias, fault_proxy: Proxy) -> None:
    """Well, and each failure by its name."""
    assert verdict(run(database_alias(mariadb))) == (Status.OK, None)
    proxy = fault_proxy("127.0.0.1", mariadb["PORT"])
    through = database_alias({**mariadb, "PORT": proxy.port})
    assert run(through).status is Status.OK
    for mode, reason in (("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")):
        proxy.set(mode, cut=True)  # type: ignore[arg-type]
        assert verdict(run(through, 1.0)) == (Status.ERROR, reason)
    for changes, reason in (
        ({"PASSWORD": "guessed"}, "authentication"),
        ({"NAME": "no_such_database"}, "authentication"),  # MySQL does not say which databases there are
        ({"HOST": "no-such-host.invalid"}, "name_resolution"),
    ):
        assert verdict(run(database_alias({**mariadb, **changes}))) == (Status.ERROR, reason)


def test_a_frozen_mysql(
    mariadb: dict[str, Any], mysql_driver: None, database_alias: DatabaseAlias, freezer: Freezer
) -> None:
    """It accepts, and says nothing."""
    listening = [c for c in psutil.net_connections("tcp") if c.laddr.port == mariadb["PORT"] and c.status == "LISTEN"]
    assert listening[0].pid is not None
    freezer.freeze(listening[0].pid)
    assert verdict(run(database_alias(mariadb), 1.0)) == (Status.ERROR, "timeout")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('FATAL:  role "x" does not exist', "authentication"),
        ('FATAL:  database "x" does not exist', "unknown_database"),
        ("FATAL:  the database system is starting up", "starting"),
        ("FATAL:  sorry, too many clients already", "too_many_connections"),
        ("(1040, 'Too many connections')", "too_many_connections"),
        ("server closed the connection unexpectedly", "reset"),
        ("FATAL:  terminating connection due to administrator command", "reset"),
        ("something new", "database_error"),
    ],
)
def test_what_servers_say(text: str, reason: str) -> None:
    """Texts of PostgreSQL and MySQL that are hard to provoke."""
    assert failure_reason(Exception(text)) == reason
