"""URLs of Redis servers: every form that a setting may have, parsed once, and written as each client wants it.

Errors never repeat a part of the URL: it may hold a password.
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
"""The schemes that are accepted, and what redis-py calls each of them; Sentinels are written as Celery does."""

FORMS = "redis://, rediss://, valkey://, valkeys://, unix://, redis+socket:// or sentinel://"

SENTINELS = "sentinel://host:26379;sentinel://host:26379/0?master_name=NAME"

_QUOTING = "are '/', '@', '#' of the password %2F, %40, %23?"
_TRUE = {"true", "1", "yes"}
_SECONDS = ("socket_timeout", "socket_connect_timeout", "health_check_interval")
"""Options of redis-py that Celery knows too, as transport options."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """One Redis server, or the one that Sentinels call the master."""

    scheme: str
    """``redis``, ``rediss``, ``unix`` or ``sentinel``."""
    login: str = field(default="", repr=False)
    """User and password with their percent signs, as in ``user:password@``; empty when there are none."""
    addresses: tuple[tuple[str, int | None], ...] = ()
    """Host and port of the server or of each Sentinel; none for a socket."""
    path: str = ""
    """Of the socket."""
    database: int = 0
    master_name: str = ""
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``username`` and ``password`` of the Sentinels themselves."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The rest of the query, in redis-py's words."""

    @property
    def encrypted(self) -> bool:
        """Return whether TLS is used. For Celery, each of its options in a URL means that."""
        tls = self.options.get("ssl", "true" if self.tls_options else "")
        return self.scheme == "rediss" or (self.scheme == "sentinel" and tls.lower() in _TRUE)

    @property
    def tls_options(self) -> dict[str, str]:
        """Return the options ``ssl_*``."""
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}


def is_redis(text: str) -> bool:
    """Return whether a URL has one of the accepted schemes."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def parse(text: str, *, needs_master: bool = True) -> RedisUrl:
    """Return what a URL of an accepted form means. Raises ValueError with a hint, without the URL's text.

    ``needs_master``: whether the URL of Sentinels has to name the master, which Celery's transport options can do too.
    """
    if not is_redis(text):
        raise ValueError(f"should begin with {FORMS}")
    scheme = SCHEMES[text.partition("://")[0]]
    if scheme == "sentinel":
        return _sentinels(text, needs_master)
    if re.search(r";[a-z+]+://", text):
        raise ValueError("names several servers; of servers that replace one another, only Sentinels know the master")
    try:
        parts = urlsplit(text)
        address = parts.hostname or "", parts.port
    except ValueError:  # its text quotes what it took for the port, which may be half a password
        raise ValueError(f"should be a Redis URL; is the port a number, and {_QUOTING}") from None
    login, query = parts.netloc.rpartition("@")[0], dict(parse_qsl(parts.query))
    if scheme == "unix":
        return _socket(parts.scheme, parts.path, login, query)
    if not address[0]:
        raise ValueError(f"has no host; write {parts.scheme}://host:6379/0")
    database = _number(query.pop("db", parts.path), f"write {parts.scheme}://host:6379/0")
    return RedisUrl(scheme, _login(login, query), (address,), database=database, options=query)


def for_redis_py(text: str) -> str:
    """Return the URL with redis-py's name for its scheme; that of Sentinels stays as it is. Raises ValueError."""
    url = parse(text)
    scheme, _, rest = text.partition("://")
    if scheme == "redis+socket":
        query = urlencode({**url.options, **({"db": url.database} if url.database else {})})
        return f"unix://{url.login}{'@' if url.login else ''}{url.path}{'?' if query else ''}{query}"
    return text if scheme == url.scheme else f"{url.scheme}://{rest}"


def for_celery(text: str) -> str:
    """Return the URL by which Celery reaches the server: kombu takes no option of redis-py's in it but those of TLS.

    Raises ValueError.
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
    # The login, the database and TLS at each address: kombu takes them from the one that it tries.
    return ";".join(f"{url.scheme}://{login}{_host(address)}/{url.database}{query}" for address in url.addresses)


def celery_options(text: str) -> dict[str, Any]:
    """Return Celery's transport options for the server: what its URL cannot say. Raises ValueError."""
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
    given = [query.pop(name) for name in ("db", "virtual_host") if name in query]
    database = _number(given[0] if given else "", f"write {example}")
    return RedisUrl("unix", _login(login, query), path=path, database=database, options=query)


def _sentinels(text: str, needs_master: bool) -> RedisUrl:
    addresses, _, query_text = text.partition("?")
    try:
        parts = [urlsplit(each if "://" in each else f"sentinel://{each}") for each in addresses.split(";")]
        hosts = tuple((part.hostname or "", part.port) for part in parts)
        named = all(host for host, _ in hosts) and all(part.scheme == "sentinel" for part in parts)
    except ValueError:
        named = False
    if not named:
        raise ValueError(f"should be {SENTINELS}; {_QUOTING}")
    query = dict(parse_qsl(query_text))
    paths = {query.pop("db", ""), *(part.path for part in parts)} - {"", "/"}
    databases = {_number(path, "write the number after the last address") for path in paths}
    if len(databases) > 1:
        raise ValueError("names several databases; write the number after the last address")
    master_name = query.pop("master_name", "")
    if needs_master and not master_name:
        raise ValueError("does not say which master; add ?master_name=NAME")
    own = {name: query.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in query}
    login = next(filter(None, (part.netloc.rpartition("@")[0] for part in parts)), "")
    return RedisUrl("sentinel", _login(login, query), hosts, "", max(databases, default=0), master_name, own, query)


def _login(login: str, query: dict[str, str]) -> str:
    """Return the login of the URL, else that of its query, where redis-py takes it too."""
    user, password = query.pop("username", ""), query.pop("password", "")
    if login or not (user or password):
        return login
    return f"{quote(user, safe='')}:{quote(password, safe='')}"


def _number(text: str, hint: str) -> int:
    digits = unquote(text).strip("/")
    if re.fullmatch(r"[0-9]{0,9}", digits) is None:
        raise ValueError(f"has a path that is no database number; {hint}")
    return int(digits or 0)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("has an option that is no number of seconds") from None


def _host(address: tuple[str, int | None]) -> str:
    host, port = address
    return f"{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
