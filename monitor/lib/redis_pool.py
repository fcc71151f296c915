"""Connection pools for Redis with a time limit on every step. The store, the checks and the agent use this module.

The retries of redis-py are switched off, because with its default of 10 retries a command that gets no response takes
many seconds. Code that needs a retry does it itself, within its own time limit.
"""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import urlencode

import redis
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from monitor.lib.redis_urls import RedisUrl, for_redis_py, parse


def connection_pool(url: str, *, timeout_seconds: float, set_client_info: bool = False) -> ConnectionPool:
    """Return a connection pool for a URL that `monitor.lib.redis_urls` accepts, without connecting.

    If the URL names Sentinels, the pool connects to their current master. Such a URL has the form
    ``sentinel://[user:password@]host:port[;sentinel://host:port...]/db?master_name=NAME``. The query may also contain
    ``sentinel_username`` and ``sentinel_password``, the login of the Sentinels, and ``ssl=true`` for TLS.

    Connecting, sending and receiving take at most ``timeout_seconds`` each. Timeouts in the URL are ignored. The pool
    connects to one Sentinel after another until one of them names the master. The limits apply to each Sentinel.

    With ``set_client_info``, each new connection reports the name and version of redis-py, which takes two round trips.
    Raise ValueError, without the URL's text, if the URL is invalid.
    """
    limits: dict[str, Any] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    limits["retry"] = Retry(NoBackoff(), 0)
    parsed = parse(url)
    if parsed.scheme == "sentinel":
        return _sentinel_pool(parsed, limits, set_client_info)
    return ConnectionPool(**{**_options(for_redis_py(url), set_client_info), **limits})


def server_reason(error: BaseException) -> str | None:
    """Return the reason code of an error reply, of a timeout or of a missing master. Return None for other errors."""
    for types, reason in _BY_CLASS:
        if isinstance(error, types):
            return reason
    for text, reason in _BY_TEXT:
        if isinstance(error, redis.RedisError) and text in str(error):
            return reason
    return "server_error" if isinstance(error, redis.ResponseError) else None


_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((redis.AuthenticationError, redis.exceptions.AuthenticationWrongNumberOfArgsError), "authentication"),
    ((redis.exceptions.NoPermissionError,), "permission"),
    ((redis.BusyLoadingError,), "loading"),
    ((redis.ReadOnlyError,), "read_only"),
    ((redis.OutOfMemoryError,), "out_of_memory"),
    ((redis.TimeoutError,), "timeout"),
    ((redis.sentinel.MasterNotFoundError, redis.sentinel.SlaveNotFoundError), "no_master"),
)
# Texts of errors that have no class of their own in redis-py.
_BY_TEXT = (("MISCONF", "not_persisting"), ("UNBLOCKED", "read_only"), ("max number of clients", "too_many_clients"))


def _sentinel_pool(url: RedisUrl, limits: dict[str, Any], set_client_info: bool) -> ConnectionPool:
    query = {name: value for name, value in url.options.items() if name != "ssl"}
    # Only redis-py can convert the options, and only those in the URL of one server. So redis-py gets a URL with the
    # host localhost. The host and the port are removed from the options below.
    scheme, login = "rediss" if url.encrypted else "redis", f"{url.login}@" if url.login else ""
    server = f"{scheme}://{login}localhost/{url.database}"
    options = _options(f"{server}?{urlencode(query)}" if query else server, set_client_info)
    for key in ("host", "port", "connection_class"):
        options.pop(key, None)
    shared = ("protocol", "lib_name", "lib_version", "driver_info", "socket_keepalive")
    sentinel_options = {key: value for key, value in options.items() if key in shared or key.startswith("ssl_")}
    sentinel_login = {key: url.sentinel_login.get(key) for key in ("username", "password")}
    sentinel_options |= {**sentinel_login, **({"ssl": True} if url.encrypted else {}), **limits}
    addresses = [(host, port or 26379) for host, port in url.addresses]
    sentinel = Sentinel(addresses, sentinel_kwargs=sentinel_options)  # type: ignore[no-untyped-call]
    pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        url.master_name, sentinel, ssl=url.encrypted, **{**options, **limits}
    )
    return pool


def _options(url: str, set_client_info: bool) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:
        # Not chained: if the password contains a slash, the error quotes a piece of the password as the "port".
        raise ValueError(
            "not a Redis URL: it must begin with redis://, rediss:// or unix://, the values of its options must "
            "be valid, and special characters in the password must be percent-encoded"
        ) from None
    options["protocol"] = 2  # with 3, redis-py would send HELLO and subscribe to maintenance notifications
    if str(options.get("ssl_cert_reqs", "")).startswith("CERT_"):  # as in Celery's URLs
        options["ssl_cert_reqs"] = options["ssl_cert_reqs"].removeprefix("CERT_").lower()
    for retries in ("retry_on_timeout", "retry_on_error"):
        options.pop(retries, None)
    connection_class = options.get("connection_class", Connection)
    if connection_class is not UnixDomainSocketConnection:
        options["socket_keepalive"] = True
    if issubclass(connection_class, SSLConnection):
        # With TLS 1.3 the server sends session tickets after connecting. With its hiredis parser, redis-py takes them
        # for an unexpected response, and its pool then sometimes raises "Connection not ready".
        options["parser_class"] = _RESP2Parser
    if not set_client_info:
        options |= _without_client_info(connection_class)
    not_for_connections = ("connection_class", "max_connections")
    try:
        connection_class(**{name: value for name, value in options.items() if name not in not_for_connections})
    except TypeError as error:
        raise ValueError(f"unknown option in the Redis URL: {str(error).rpartition(' ')[2]}") from None
    return options


def _without_client_info(connection_class: type[Connection]) -> dict[str, None]:
    parameters = inspect.signature(connection_class).parameters | inspect.signature(redis.Redis).parameters
    return {"driver_info": None} if "driver_info" in parameters else {"lib_name": None, "lib_version": None}
