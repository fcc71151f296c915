"""Connections to PostgreSQL with one time limit for all attempts.

psycopg tries the hosts of a connection, and the addresses of each host, one after another. Each attempt of
psycopg may take the full ``connect_timeout``, at least 2 s. With this module, each attempt gets only a share of the
time limit.
"""

from __future__ import annotations

import selectors
import time
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict, make_conninfo, timeout_from_conninfo

from monitor.lib.attempts import share

_EVENTS = {
    pq.PollingStatus.READING: selectors.EVENT_READ,
    pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
}


def driver_with_deadline(driver: Any, deadline: float, failures: list[str]) -> Any:
    """Return a copy of the module psycopg whose ``connect`` ends by ``deadline`` (monotonic seconds).

    psycopg's own functions make the list of attempts. So hosts, ports, ``load_balance_hosts``,
    ``target_session_attrs``, environment variables and the service file have their usual effect. Each attempt gets an
    equal share of the remaining time, at most the project's ``connect_timeout``. ``connect`` appends one line to
    ``failures`` for each attempt that fails.
    """

    def connect(
        conninfo: str = "",
        *,
        autocommit: bool = False,
        prepare_threshold: int | None = 5,
        context: Any = None,
        row_factory: Any = None,
        cursor_factory: Any = None,
        **parameters: Any,
    ) -> psycopg.Connection[Any]:
        pgconn = _connect_first(conninfo_to_dict(conninfo, **parameters), deadline, failures)
        connection: psycopg.Connection[Any] = psycopg.Connection(pgconn)
        connection.autocommit, connection.prepare_threshold = autocommit, prepare_threshold
        connection.row_factory = row_factory or connection.row_factory
        connection.cursor_factory = cursor_factory or connection.cursor_factory
        if context is not None:
            connection._adapters = AdaptersMap(context.adapters)  # as in psycopg's own connect; there is no public way
        return connection

    return SimpleNamespace(**{**vars(driver), "connect": connect})


def _connect_first(parameters: Any, deadline: float, failures: list[str]) -> pq.abc.PGconn:
    """Return the connection of the first attempt that succeeds. Raises psycopg.OperationalError."""
    max_seconds = timeout_from_conninfo(parameters)
    attempts = conninfo_attempts(parameters)
    for attempts_made, attempt in enumerate(attempts):
        now = time.monotonic()
        try:
            return _connect_once(attempt, now + share(deadline - now, len(attempts) - attempts_made, max_seconds))
        except psycopg.OperationalError as error:
            place = ", ".join(f"{name} {attempt[name]}" for name in ("host", "hostaddr", "port") if name in attempt)
            failures.append(f"{place or 'default host'}: {str(error).strip()}")
    raise psycopg.OperationalError("\n".join(failures))


def _connect_once(parameters: Any, deadline: float) -> pq.abc.PGconn:
    pgconn = pq.PGconn.connect_start(make_conninfo(**parameters).encode())
    try:
        while pgconn.status != pq.ConnStatus.BAD and (state := pq.PollingStatus(pgconn.connect_poll())) in _EVENTS:
            if not _wait_until_ready(pgconn.socket, _EVENTS[state], deadline - time.monotonic()):
                raise psycopg.errors.ConnectionTimeout("connection timeout expired")
        if pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(f"connection failed: {pgconn.get_error_message()}")
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1  # as in psycopg's own connect
    return pgconn


def _wait_until_ready(socket: int, events: int, seconds: float) -> bool:
    # Each step needs a new selector, because libpq may use another socket after each step.
    with selectors.DefaultSelector() as selector:
        selector.register(socket, events)
        return bool(selector.select(max(0.0, seconds)))
