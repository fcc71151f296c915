"""URLs of Redis servers. This module parses every accepted form, and converts a URL for redis-py and for Celery.

Errors never quote the URL, because it may contain a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
    "sentinel": "sentinel",
}
"""Accepted schemes, each with its scheme in redis-py. redis-py has no URLs of Sentinels: ``sentinel`` is Celery's."""

FORMS = "redis://, rediss://, valkey://, valkeys://, unix://, redis+socket:// or sentinel://"

SENTINELS = "sentinel://host:26379;sentinel://host:26379/0?master_name=NAME"

_QUOTING = "are '/', '@', '#' in the password written as %2F, %40, %23?"
_TRUE = {"true", "1", "yes"}
_SECONDS = ("socket_timeout", "socket_connect_timeout", "health_check_interval")
"""Options of redis-py for which Celery has transport options with the same names."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Parsed URL of one Redis server, or of several Sentinels with the name of their master."""

    scheme: str
    """``redis``, ``rediss``, ``unix`` or ``sentinel``."""
    login: str = field(default="", repr=False)
    """User and password as in the URL (``user:password``, percent-encoded), or empty."""
    addresses: tuple[tuple[str, int | None], ...] = ()
    """Host and port of the server, or of each Sentinel. Empty if ``path`` is used."""
    path: str = ""
    """Path of the unix socket, or empty."""
    database: int = 0
    master_name: str = ""
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``username`` and ``password`` of the Sentinels themselves."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Remaining parameters of the query, with the names that redis-py uses."""

    @property
    def encrypted(self) -> bool:
        """True if TLS is used.

        TLS is used for the scheme ``rediss``. For Sentinels it is used if ``ssl`` is true. If ``ssl`` is missing, any
        TLS option switches TLS on, as in Celery.
        """
        ssl = self.options.get("ssl", "true" if self.tls_options else "")
        return self.scheme == "rediss" or (self.scheme == "sentinel" and ssl.lower() in _TRUE)

    @property
    def tls_options(self) -> dict[str, str]:
        """Options whose name begins with ``ssl_``."""
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}


def is_redis(text: str) -> bool:
    """Return whether a URL has one of the accepted schemes."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def parse(text: str, *, needs_master: bool = True) -> RedisUrl:
    """Return the parsed URL. Raise ValueError with a hint, without the URL's text, if the URL is not accepted.

    With ``needs_master``, a URL of Sentinels must contain ``master_name``. Without it, the name may be missing, because
    Celery's transport options may contain the name.
    """
    if not is_redis(text):
        raise ValueError(f"should begin with {FORMS}")
    scheme = SCHEMES[text.partition("://")[0]]
    if scheme == "sentinel":
        return _sentinels(text, needs_master)
    if re.search(r";[a-z+]+://", text):
        raise ValueError("names several servers; for a server with replicas, use a URL of its Sentinels")
    try:
        parts = urlsplit(text)
        address = parts.hostname or "", parts.port
    except ValueError:  # not chained: its text quotes the "port", which may be a piece of the password
        raise ValueError(f"should be a Redis URL; is the port a number, and {_QUOTING}") from None
    login, query = parts.netloc.rpartition("@")[0], dict(parse_qsl(parts.query))
    if scheme == "unix":
        return _socket(parts.scheme, parts.path, login, query)
    if not address[0]:
        raise ValueError(f"has no host; write {parts.scheme}://host:6379/0")
    database = _database_number(query.pop("db", parts.path), f"write {parts.scheme}://host:6379/0")
    return RedisUrl(scheme, _login(login, query), (address,), database=database, options=query)


def for_redis_py(text: str) -> str:
    """Return the URL with the scheme that redis-py uses, or a URL of Sentinels unchanged. Raise ValueError."""
    url = parse(text)
    scheme, _, rest = text.partition("://")
    if scheme == "redis+socket":
        query = urlencode({**url.options, **({"db": url.database} if url.database else {})})
        return f"unix://{url.login}{'@' if url.login else ''}{url.path}{'?' if query else ''}{query}"
    return text if scheme == url.scheme else f"{url.scheme}://{rest}"


def for_celery(text: str) -> str:
    """Return the URL for Celery, without all options except those of TLS, the only ones that kombu accepts.

    Raise ValueError.
    """
    url = parse(text, needs_master=False)
    if url.scheme in {"redis", "rediss"} and "?" not in text:
        return for_redis_py(text)
    login = f"{url.login}@" if url.login else ""
    if url.scheme == "unix":
        return f"redis+socket://{login}{url.path}?virtual_host={url.database}"
    tls = url.tls_options
    if url.scheme == "sentinel" and url.encrypted:
        tls = {"ssl_cert_reqs": "required", **tls}
    query = f"?{urlencode(tls)}" if tls and url.encrypted else ""
    # The login, the database and the TLS options are repeated for each address, because kombu reads them from the
    # address that it tries.
    return ";".join(f"{url.scheme}://{login}{_host(address)}/{url.database}{query}" for address in url.addresses)


def celery_options(text: str) -> dict[str, Any]:
    """Return Celery's transport options for a URL: values that a URL for Celery cannot contain. Raise ValueError."""
    url = parse(text, needs_master=False)
    options: dict[str, Any] = {name: _seconds(url.options[name]) for name in _SECONDS if name in url.options}
    if url.scheme != "sentinel":
        return options
    if url.master_name:
        options["master_name"] = url.master_name
    sentinel = {**url.sentinel_login, **({"ssl": True, **url.tls_options} if url.encrypted else {})}
    return options | ({"sentinel_kwargs": sentinel} if sentinel else {})


def _socket(scheme: str, path: str, login: str, query: dict[str, str]) -> RedisUrl:
    example = {"unix": "unix:///path/to/redis.sock?db=0"}.get(scheme, f"{scheme}:///path/to/redis.sock?virtual_host=0")
    if path in {"", "/"}:
        raise ValueError(f"has no path; write {example}")
    numbers = [query.pop(name) for name in ("db", "virtual_host") if name in query]
    database = _database_number(numbers[0] if numbers else "", f"write {example}")
    return RedisUrl("unix", _login(login, query), path=path, database=database, options=query)


def _sentinels(text: str, needs_master: bool) -> RedisUrl:
    addresses, _, query_text = text.partition("?")
    try:
        urls = [urlsplit(url if "://" in url else f"sentinel://{url}") for url in addresses.split(";")]
        hosts = tuple((url.hostname or "", url.port) for url in urls)
        is_valid = all(host for host, _ in hosts) and all(url.scheme == "sentinel" for url in urls)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"should be {SENTINELS}; {_QUOTING}")
    query = dict(parse_qsl(query_text))
    paths = {query.pop("db", ""), *(url.path for url in urls)} - {"", "/"}
    databases = {_database_number(path, "write the number after the last address") for path in paths}
    if len(databases) > 1:
        raise ValueError("names several databases; write the number after the last address")
    master_name = query.pop("master_name", "")
    if needs_master and not master_name:
        raise ValueError("does not name the master; add ?master_name=NAME")
    keys = [name for name in ("username", "password") if f"sentinel_{name}" in query]
    sentinel_login = {name: query.pop(f"sentinel_{name}") for name in keys}
    login = _login(next(filter(None, (url.netloc.rpartition("@")[0] for url in urls)), ""), query)
    return RedisUrl("sentinel", login, hosts, "", max(databases, default=0), master_name, sentinel_login, query)


def _login(login: str, query: dict[str, str]) -> str:
    """Return ``login``, or if it is empty, the user and password in the query, where redis-py also accepts them."""
    user, password = query.pop("username", ""), query.pop("password", "")
    if login or not (user or password):
        return login
    return f"{quote(user, safe='')}:{quote(password, safe='')}"


def _database_number(text: str, hint: str) -> int:
    digits = unquote(text).strip("/")
    if re.fullmatch(r"[0-9]{0,9}", digits) is None:
        raise ValueError(f"has a path that is not a database number; {hint}")
    return int(digits or 0)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("has an option that is not a number of seconds") from None


def _host(address: tuple[str, int | None]) -> str:
    host, port = address
    return f"{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
