"""Connections to a Redis server whose every step is bounded in time: shared by the store, the checks and the agent.

redis-py's own retries are switched off: its default (10 of them) turns one unanswered command into
seconds, and a bound that holds has to count the attempts and the waiting in one place.
"""

from __future__ import annotations

import inspect
from typing import Any

import redis
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry


def connection_pool(url: str, *, timeout_seconds: float, introduce: bool = False) -> ConnectionPool:
    """A pool for ``redis://``, ``rediss://`` or ``unix://``. Connects to nothing yet.

    One attempt takes at most ``timeout_seconds`` for each of connecting, sending and receiving, whatever the URL says.
    Unless it shall ``introduce`` itself, a new connection saves the two round trips in which redis-py tells its name.
    Raises ValueError, without the URL's text, when it says nonsense.
    """
    limits = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    return ConnectionPool(**{**_options(url, introduce), **limits, "retry": Retry(NoBackoff(), 0)})


def _options(url: str, introduce: bool) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:
        # Not chained: a password with a slash in it ends up in the error as the "port".
        raise ValueError("not a Redis URL; redis://, rediss:// or unix:// and no unquoted password is needed") from None
    options["protocol"] = 2  # 3 would say HELLO, and ask for maintenance notifications
    if str(options.get("ssl_cert_reqs", "")).startswith("CERT_"):
        options["ssl_cert_reqs"] = options["ssl_cert_reqs"].removeprefix("CERT_").lower()  # as Celery spells it
    for retries in ("retry_on_timeout", "retry_on_error"):
        options.pop(retries, None)
    kind = options.get("connection_class", Connection)
    if kind is not UnixDomainSocketConnection:
        options["socket_keepalive"] = True
    if issubclass(kind, SSLConnection):
        # redis-py's parser over hiredis takes the session tickets that TLS 1.3 sends after connecting for an answer
        # nobody asked for, and the pool then refuses the connection: "Connection not ready", now and then.
        options["parser_class"] = _RESP2Parser
    if not introduce:
        options |= _without_introduction(kind)
    try:
        kind(**{name: value for name, value in options.items() if name not in ("connection_class", "max_connections")})
    except TypeError as error:
        raise ValueError(f"unknown option in the Redis URL: {str(error).rpartition(' ')[2]}") from None
    return options


def _without_introduction(kind: type[Connection]) -> dict[str, None]:
    known = inspect.signature(kind).parameters | inspect.signature(redis.Redis).parameters
    return {"driver_info": None} if "driver_info" in known else {"lib_name": None, "lib_version": None}
