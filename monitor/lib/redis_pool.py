"""Connections to a Redis server whose every step is bounded in time: shared by the store, the checks and the agent.

redis-py's own retries are switched off: its default (10 of them) turns one unanswered command into
seconds, and a bound that holds has to count the attempts and the waiting in one place.
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


def connection_pool(url: str, *, timeout_seconds: float, introduce: bool = False) -> ConnectionPool:
    """A pool for a URL of `monitor.lib.redis_urls`; of Sentinels, for the server that is the master of the moment.

    ``sentinel://[user:password@]host:port[;sentinel://host:port...]/db?master_name=NAME``, with ``sentinel_password``
    and ``sentinel_username`` in the query if the Sentinels want them, and ``ssl=true`` for TLS. Connects to nothing.

    One attempt takes at most ``timeout_seconds`` for each of connecting, sending and receiving, whatever the URL says;
    to ask a Sentinel who is master takes such an attempt of its own, and each one that is silent another, once.
    Unless it shall ``introduce`` itself, a new connection saves the two round trips in which redis-py tells its name.
    Raises ValueError, without the URL's text, when it says nonsense.
    """
    limits: dict[str, Any] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    limits["retry"] = Retry(NoBackoff(), 0)
    parsed = parse(url)
    if parsed.scheme == "sentinel":
        return _sentinel_pool(parsed, limits, introduce)
    return ConnectionPool(**{**_options(for_redis_py(url), introduce), **limits})


def server_reason(error: BaseException) -> str | None:
    """Return the reason code of what a server answered; None for errors of the network and others."""
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
# What redis-py has no class for.
_BY_TEXT = (("MISCONF", "not_persisting"), ("UNBLOCKED", "read_only"), ("max number of clients", "too_many_clients"))


def _sentinel_pool(url: RedisUrl, limits: dict[str, Any], introduce: bool) -> ConnectionPool:
    said = {name: value for name, value in url.options.items() if name != "ssl"}
    # Everything but the addresses is as in the URL of a server.
    scheme, login = "rediss" if url.encrypted else "redis", f"{url.login}@" if url.login else ""
    server = f"{scheme}://{login}localhost/{url.database}"
    options = _options(f"{server}?{urlencode(said)}" if said else server, introduce)
    for key in ("host", "port", "connection_class"):
        options.pop(key, None)
    kept = ("protocol", "lib_name", "lib_version", "driver_info", "socket_keepalive")
    shared = {key: value for key, value in options.items() if key in kept or key.startswith("ssl_")}
    own = {key: url.sentinel_login.get(key) for key in ("username", "password")}
    shared |= {**own, **({"ssl": True} if url.encrypted else {}), **limits}
    addresses = [(host, port or 26379) for host, port in url.addresses]
    sentinel = Sentinel(addresses, sentinel_kwargs=shared)  # type: ignore[no-untyped-call]
    found: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        url.master_name, sentinel, ssl=url.encrypted, **{**options, **limits}
    )
    return found


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
