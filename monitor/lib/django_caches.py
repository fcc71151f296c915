"""Redis servers of an entry of Django's setting ``CACHES``.

The entry may be for Django's own backend, for django-redis, or for a backend that is derived from one of these. The
module imports neither Django nor a backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from monitor.lib.redis_urls import is_redis

_NEXT_URL = re.compile(r"[;,]\s*(?=[a-z+]+://)")
_ENCRYPTED = ("rediss", "valkeys")
_TLS_OPTIONS = (
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_check_hostname",
    "ssl_password",
    "ssl_ciphers",
)
_VERIFY_MODES = {None: "none", 0: "none", 1: "optional", 2: "required"}
"""Names of the values of ``ssl.VerifyMode``. ``False`` is 0, as in the project plane."""


@dataclass(frozen=True, slots=True)
class CacheServer:
    """A Redis server of a cache. ``is_written`` is False for a replica, from which the cache only reads."""

    url: str = field(repr=False)
    is_written: bool = True


def is_redis_cache(entry: Any) -> bool:
    """Return whether each address in the ``LOCATION`` of an entry is a URL of a Redis server.

    The name of the backend decides only for unix sockets, because a memcached server may have one, too.
    """
    if not isinstance(entry, Mapping):
        return False
    locations = _locations(entry)
    backend = str(entry.get("BACKEND", "")).lower()
    is_named = "redis" in backend or "valkey" in backend
    return bool(locations) and all(is_redis(url) and (is_named or not url.startswith("unix")) for url in locations)


def servers(entry: Mapping[str, Any]) -> tuple[CacheServer, ...]:
    """Return the servers of a cache, with URLs that `monitor.lib.redis_urls` accepts.

    The URLs contain the user, the password, the database and the TLS options in ``OPTIONS``, unless the address in
    ``LOCATION`` contains them. A cache with several servers writes to the first one, and reads from the others. With
    the ``ShardClient`` of django-redis, it writes to all servers. Raises ValueError, without an address, if an address
    is not a URL.
    """
    options = entry.get("OPTIONS")
    options = options if isinstance(options, Mapping) else {}
    arguments = _arguments(options)
    urls = []
    for location in _locations(entry):
        try:
            url = urlsplit(location)
            is_sentinel = bool(options.get("SENTINELS"))
            urls.append(_sentinel_url(url, options, arguments) if is_sentinel else _server_url(url, arguments))
        except ValueError:  # not chained: its text may quote a piece of the password
            raise ValueError("an address in LOCATION is not a URL of a Redis server") from None
    writes_to_all = str(options.get("CLIENT_CLASS", "")).endswith("ShardClient")
    unique = dict.fromkeys(urls)
    return tuple(CacheServer(url, writes_to_all or index == 0) for index, url in enumerate(unique))


def _locations(entry: Mapping[str, Any]) -> list[str]:
    location = entry.get("LOCATION")
    if isinstance(location, str):
        return [url.strip() for url in _NEXT_URL.split(location) if url.strip()]
    if isinstance(location, Iterable) and not isinstance(location, bytes | Mapping):
        return [str(url).strip() for url in location]
    return []


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the connections, with redis-py's names.

    Django's backend has them in ``OPTIONS``. In django-redis, ``OPTIONS`` has ``USERNAME`` and ``PASSWORD``, and
    ``CONNECTION_POOL_KWARGS`` has all others.
    """
    pool = options.get("CONNECTION_POOL_KWARGS")
    of_django_redis = {name.lower(): options[name] for name in ("USERNAME", "PASSWORD") if options.get(name)}
    return {**options, **of_django_redis, **(pool if isinstance(pool, Mapping) else {})}


def _server_url(url: SplitResult, arguments: Mapping[str, Any]) -> str:
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    login = _login(url, query, arguments)
    host = url.netloc.rpartition("@")[2]
    _set_database(url, query, arguments)
    tls = _tls_options(arguments) if url.scheme in _ENCRYPTED else {}
    return f"{url.scheme}://{login}{host}{url.path}{_query({**tls, **query})}"


def _sentinel_url(url: SplitResult, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return the URL of the Sentinels. In django-redis, the host of the address is the name of the master."""
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    query.pop("is_master", None)
    login = _login(url, query, arguments)
    _set_database(url, query, arguments)
    sentinel = options.get("SENTINEL_KWARGS")
    sentinel = sentinel if isinstance(sentinel, Mapping) else {}
    for name in ("username", "password"):
        if sentinel.get(name):
            query[f"sentinel_{name}"] = str(sentinel[name])
    if url.scheme in _ENCRYPTED or arguments.get("ssl") or sentinel.get("ssl"):
        query = {"ssl": "true", **_tls_options(arguments), **query}
    query["master_name"] = unquote(url.netloc.rpartition("@")[2].partition(":")[0])
    addresses = ";".join(f"sentinel://{login}{_host(host)}:{port}" for host, port in options["SENTINELS"])
    return f"{addresses}{url.path}{_query(query)}"


def _login(url: SplitResult, query: Mapping[str, str], arguments: Mapping[str, Any]) -> str:
    """Return the user and the password as the beginning of a URL. Those in the address have precedence."""
    user_info, has_login, _ = url.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    if not user and "username" not in query and arguments.get("username"):
        user = quote(str(arguments["username"]), safe="")
    if not password and "password" not in query and arguments.get("password"):
        password = quote(str(arguments["password"]), safe="")
    return f"{user}{f':{password}' if password else ''}@" if user or password or has_login else ""


def _set_database(url: SplitResult, query: dict[str, str], arguments: Mapping[str, Any]) -> None:
    is_socket = url.scheme in ("unix", "redis+socket")
    has_number = query.keys() & {"db", "virtual_host"} or (not is_socket and url.path.strip("/"))
    if not has_number and arguments.get("db") is not None:
        query["db"] = str(arguments["db"])


def _tls_options(arguments: Mapping[str, Any]) -> dict[str, str]:
    return dict(_texts((name, arguments[name]) for name in _TLS_OPTIONS if name in arguments))


def _texts(arguments: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, value in arguments:
        if name == "ssl_cert_reqs" and not isinstance(value, str):
            yield name, _VERIFY_MODES.get(value, "required")
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is not None:
            yield name, str(value)


def _query(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}" if query else ""


def _host(host: Any) -> str:
    return f"[{host}]" if ":" in str(host) else str(host)
