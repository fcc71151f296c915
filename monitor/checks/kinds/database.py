"""Check that a Django database answers a query."""

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
from monitor.lib.attempts import limit_timeout
from monitor.lib.redaction import scrub


@register("database")
@dataclass(frozen=True, kw_only=True)
class Database(Kind):
    """Execute `SELECT 1` on a new connection, which is closed after the run.

    The check uses neither the project's connection pool nor its persistent connections, because a server that hangs
    would leave these unusable.

    If the database has several hosts or addresses, the check tries them one after another. Each attempt may take the
    remaining time divided by the number of remaining attempts, at least 0.5 s and at most the project's
    `connect_timeout`. MySQL's drivers try no other address after one address has accepted a connection.
    """

    alias: Annotated[str, Field(min_length=1, description="alias of the database in settings.DATABASES")] = "default"

    reports: ClassVar[Mapping[str, str]] = {
        "connect_ms": "duration of connecting, in milliseconds",
        "query_ms": "duration of the query, in milliseconds",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        "unknown_alias": "settings.DATABASES has no such alias",
        "not_configured": "settings.DATABASES is invalid: the engine, its driver or the database name is missing",
        "authentication": "the password is wrong, or the user is not allowed to connect",
        "unknown_database": "the server has no such database, or the SQLite file does not exist",
        "too_many_connections": "the server has reached its maximum number of connections",
        "starting": "the server is starting up, shutting down or recovering",
        "locked": "the SQLite file is locked by another process",
        "corrupt": "the SQLite file is damaged or is not a database",
        "database_error": "a database error with none of the other reasons",
    }
    example: ClassVar[Mapping[str, Any]] = {"alias": "replica"}
    series: ClassVar[tuple[str, ...]] = ("connect_ms", "query_ms")

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect, execute the query and disconnect. ``django.setup()`` must have been called in this process."""
        started = time.perf_counter()
        failures: list[str] = []
        with self._connection(io_timeout(timeout_seconds), failures) as connection:
            connection.ensure_connection()  # connect() alone would raise the driver's own errors
            connected = time.perf_counter()
            with connection.cursor() as cursor:
                # On SQLite, "SELECT 1" does not read the file.
                is_sqlite = connection.vendor == "sqlite"
                cursor.execute("SELECT count(*) FROM sqlite_master" if is_sqlite else _select_one(connection))
                cursor.fetchone()
            finished = time.perf_counter()
        elapsed = {"connect_ms": connected - started, "query_ms": finished - connected}
        detail = {"failed_attempts": failures} if failures else {}
        return Observation({name: round(seconds * 1000, 3) for name, seconds in elapsed.items()}, detail)

    @contextmanager
    def _connection(self, timeout_seconds: float, failures: list[str]) -> Iterator[Any]:
        """Yield a database wrapper that is not connected yet, and close it afterwards.

        Errors are raised as CheckFailed. If an attempt to connect fails, a line about it is appended to ``failures``.
        """
        try:
            settings = connections.settings.get(self.alias)
            if settings is None:
                raise CheckFailed("unknown_alias", f"settings.DATABASES has no {self.alias!r}")
            connection = load_backend(settings["ENGINE"]).DatabaseWrapper(_separate_connection(settings), self.alias)
            _set_time_limits(connection, timeout_seconds, failures)
            try:
                yield connection
            finally:
                connection.close()
        except ImproperlyConfigured as error:
            raise CheckFailed("not_configured", f"{self.alias}: {scrub(str(error))}") from error
        except (DatabaseError, InterfaceError, OSError) as error:
            raise CheckFailed(failure_reason(error), f"{self.alias}: {scrub(str(error).strip())}") from error


def failure_reason(error: BaseException) -> str:
    """Return the reason for a driver's error. Most drivers report the cause of a failed connection only as text."""
    text = str(error)
    for pattern, reason in _BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    return network_reason(error) or "database_error"


def _separate_connection(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an alias, changed for a connection that is neither pooled nor persistent."""
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    return {**settings, "OPTIONS": options, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}


def _set_time_limits(connection: Any, timeout_seconds: float, failures: list[str]) -> None:
    """Set time limits in the client. A server that hangs would not enforce its ``statement_timeout``."""
    settings, driver = connection.settings_dict, connection.Database
    options = settings["OPTIONS"]
    if connection.vendor == "postgresql":
        # libpq has no timeout for the answer to a query: such a wait ends with the check's timeout.
        limit_timeout(options, "tcp_user_timeout", int(timeout_seconds * 1000))
        if driver.__name__ == "psycopg":
            from monitor.checks import postgresql  # noqa: PLC0415 - psycopg is optional

            connection.Database = postgresql.driver_with_deadline(driver, time.monotonic() + timeout_seconds, failures)
        else:
            limit_timeout(options, "connect_timeout", max(1, math.ceil(timeout_seconds)))
    elif connection.vendor == "mysql":
        mysql.limit(options, driver, str(settings["HOST"]), timeout_seconds)
    elif connection.vendor == "sqlite":
        limit_timeout(options, "timeout", timeout_seconds)
        _refuse_missing_file(settings["NAME"])


def _refuse_missing_file(name: Any) -> None:
    # SQLite would create the missing file.
    path = str(name)
    if path and not path.startswith((":memory:", "file:")) and not Path(path).exists():
        raise CheckFailed("unknown_database", f"{path} does not exist")


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
