"""A Django database that answers a query."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from django.db.utils import load_backend
from pydantic import Field

from monitor.checks import mysql
from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.checks.failures import NETWORK_REASONS, io_timeout, network_reason
from monitor.checks.registry import register
from monitor.lib.attempts import narrow
from monitor.lib.redaction import scrub


@register("database")
@dataclass(frozen=True, kw_only=True)
class Database(Kind):
    """SELECT 1 through a connection of its own, made for this run and closed after it.

    No connection of the project is used: neither its pool nor a persistent one, which a frozen server would poison.
    Of several hosts or addresses each is tried for its share of the time: what is left, divided by the attempts left,
    at most the project's `connect_timeout`, and at least 0.5 s. On MySQL an address that accepts connections is not
    left for another one, as its drivers do not.
    """

    alias: Annotated[str, Field(min_length=1, description="the database's alias in settings.DATABASES")] = "default"

    reports: ClassVar[Mapping[str, str]] = {
        "connect_ms": "time to connect, in ms",
        "query_ms": "time of the query, in ms",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        "unknown_alias": "settings.DATABASES has no such alias",
        "not_configured": "settings.DATABASES cannot be used: no engine, no driver, no name",
        "authentication": "the password is wrong, or the user may not connect",
        "unknown_database": "the server has no such database, or the SQLite file is missing",
        "too_many_connections": "the server takes no more connections",
        "starting": "the server is starting up, shutting down or recovering",
        "locked": "the SQLite file is locked",
        "corrupt": "the SQLite file is no database",
        "database_error": "any other error of the database",
    }
    example: ClassVar[Mapping[str, Any]] = {"alias": "replica"}
    series: ClassVar[tuple[str, ...]] = ("connect_ms", "query_ms")

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect, ask, hang up. ``django.setup()`` must have been called in this process."""
        started = time.perf_counter()
        failures: list[str] = []
        with self._connection(io_timeout(timeout_seconds), failures) as connection:
            connection.ensure_connection()  # connect() alone would raise the driver's own errors
            connected = time.perf_counter()
            with connection.cursor() as cursor:
                # On SQLite "SELECT 1" would not even read the file.
                sqlite = connection.vendor == "sqlite"
                cursor.execute("SELECT count(*) FROM sqlite_master" if sqlite else _select_one(connection))
                cursor.fetchone()
            answered = time.perf_counter()
        elapsed = {"connect_ms": connected - started, "query_ms": answered - connected}
        detail = {"failed_attempts": failures} if failures else {}
        return Observation({name: round(seconds * 1000, 3) for name, seconds in elapsed.items()}, detail)

    @contextmanager
    def _connection(self, timeout_seconds: float, failures: list[str]) -> Iterator[Any]:
        """A wrapper that is not connected yet; closed afterwards. Its failures are those of the check.

        Attempts that fail while another one of the same connection succeeds are put into ``failures``.
        """
        try:
            settings = connections.settings.get(self.alias)
            if settings is None:
                raise CheckFailed("unknown_alias", f"settings.DATABASES has no {self.alias!r}")
            connection = load_backend(settings["ENGINE"]).DatabaseWrapper(_private(settings), self.alias)
            _limit(connection, timeout_seconds, failures)
            try:
                yield connection
            finally:
                connection.close()
        except ImproperlyConfigured as error:
            raise CheckFailed("not_configured", f"{self.alias}: {scrub(str(error))}") from error
        except (DatabaseError, InterfaceError, OSError) as error:
            raise CheckFailed(failure_reason(error), f"{self.alias}: {scrub(str(error).strip())}") from error


def failure_reason(error: BaseException) -> str:
    """The reason for an error of a driver. Drivers tell why a connection failed by their text only."""
    text = str(error)
    for pattern, reason in _BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    return network_reason(error) or "database_error"


def _private(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The alias' settings for a connection that nobody shares: without pool, without persistence."""
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    return {**settings, "OPTIONS": options, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}


def _limit(connection: Any, timeout_seconds: float, failures: list[str]) -> None:
    """Give the connection time limits. A statement_timeout would be for the server to keep, which may be frozen."""
    settings, driver = connection.settings_dict, connection.Database
    options = settings["OPTIONS"]
    if connection.vendor == "postgresql":
        # libpq knows no limit for an answer: the check's own time limit is behind it.
        narrow(options, "tcp_user_timeout", int(timeout_seconds * 1000))
        if driver.__name__ == "psycopg":
            from monitor.checks import postgresql  # noqa: PLC0415 - psycopg, only where it is used

            connection.Database = postgresql.driver_with_deadline(driver, time.monotonic() + timeout_seconds, failures)
        else:
            narrow(options, "connect_timeout", max(1, math.ceil(timeout_seconds)))
    elif connection.vendor == "mysql":
        mysql.limit(options, driver, str(settings["HOST"]), timeout_seconds)
    elif connection.vendor == "sqlite":
        narrow(options, "timeout", timeout_seconds)
        _refuse_missing_file(settings["NAME"])


def _refuse_missing_file(name: Any) -> None:
    # SQLite makes a file that is not there: a check must not.
    text = str(name)
    if text and not text.startswith((":memory:", "file:")) and not Path(text).exists():
        raise CheckFailed("unknown_database", f"{text} does not exist")


def _select_one(connection: Any) -> str:
    return "SELECT 1" + str(connection.features.bare_select_suffix)  # Oracle's FROM DUAL


_BY_TEXT = (
    (r"authentication failed|access denied|no password supplied|no pg_hba\.conf entry", "authentication"),
    (r"role .* does not exist|role .* is not permitted to log in", "authentication"),
    (r"database .* does not exist|unknown database|unable to open database file", "unknown_database"),
    (r"too many (connections|clients)|remaining connection slots", "too_many_connections"),
    (r"starting up|shutting down|recovery mode|not yet accepting connections", "starting"),
    (r"is locked", "locked"),
    (r"not a database|malformed", "corrupt"),
    (r"connection refused|no such file or directory", "refused"),
    (r"timed? ?out|timeout expired", "timeout"),
    (r"could not translate host name|failed to resolve host|name or service not known", "name_resolution"),
    (r"unknown .*server host|getaddrinfo|name resolution", "name_resolution"),
    (r"\bSSL\b|certificate", "tls"),
    (r"closed the connection|lost connection|server has gone away|connection reset|terminating connection", "reset"),
)
