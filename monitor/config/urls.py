"""What is known of URLs: which are right for what. Errors never repeat the URL: it may hold a password."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

from pydantic import SecretStr


def url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError when it has no scheme."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value()) is None:
        raise ValueError("should be a URL, such as redis://host:6379/0 or postgresql://user:password@host/name")
    return value


def redis_url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError when it does not name a Redis server the way redis-py wants it."""
    if value.get_secret_value().startswith("sentinel://"):
        return _sentinel_url(value)
    try:
        parts = urlsplit(value.get_secret_value())
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text quotes what it took for the port, which may be half a password
        raise ValueError(
            "should be a Redis URL; is the port a number, and are '/', '@', '#' of the password %2F, %40, %23?"
        ) from None
    if parts.scheme in {"redis", "rediss"}:
        if not host:
            raise ValueError(f"has no host; write {parts.scheme}://host:6379/0")
        if re.fullmatch(r"/*[0-9]*/?", parts.path) is None:
            raise ValueError("has a path that is no database number; write redis://host:6379/0")
    elif parts.scheme == "unix":
        if parts.path in {"", "/"}:
            raise ValueError("has no path; write unix:///path/to/redis.sock")
    elif parts.scheme == "redis+socket":
        raise ValueError("is Celery's dialect; write unix:///path/to/redis.sock?db=0")
    else:
        raise ValueError("should begin with redis://, rediss://, unix:// or sentinel://")
    return value


def broker_url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError for one that Celery could not use: of Sentinels, it has to be right in full."""
    if _names_master(value):
        return redis_url(value)
    for each in url(value).get_secret_value().split(";"):  # as kombu separates alternatives
        _broker_address(each)
    return value


def celery_url(store: SecretStr) -> SecretStr:
    """The URL by which Celery reaches the Redis of ``store``: for sockets and Sentinels it has words of its own."""
    if store.get_secret_value().startswith("sentinel://"):
        return SecretStr(_celery_sentinels(store.get_secret_value()))
    parts = urlsplit(store.get_secret_value())
    if parts.scheme != "unix":
        return store
    query = parse_qs(parts.query)
    user, password = query.get("username", [""])[0], query.get("password", [""])[0]
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    if password and not credentials:
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return SecretStr(f"redis+socket://{credentials}{parts.path}?virtual_host={query.get('db', ['0'])[0]}")


def celery_broker_url(broker: SecretStr) -> SecretStr:
    """The URL by which Celery reaches ``broker``, which may name Sentinels and their master as ``redis_url`` does."""
    return celery_url(broker) if _names_master(broker) else broker


def celery_transport_options(store: SecretStr) -> dict[str, Any]:
    """What Celery wants to know of the Redis of ``store`` besides its URL: of Sentinels, the master's name."""
    text = store.get_secret_value()
    query = dict(parse_qsl(text.partition("?")[2]))
    if not text.startswith("sentinel://") or not query:
        return {}
    login = {key: query[f"sentinel_{key}"] for key in ("username", "password") if f"sentinel_{key}" in query}
    return {"master_name": query.get("master_name", ""), **({"sentinel_kwargs": login} if login else {})}


def _broker_address(text: str) -> None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("has no number as its port; are '/', '@', '#' of the password %2F, %40, %23?") from None
    if parts.scheme in {"redis", "rediss"} and re.fullmatch(r"/*[0-9]*/?", parts.path) is None:
        raise ValueError("has a path that is no database number; write redis://host:6379/0")


def _names_master(broker: SecretStr) -> bool:
    text = broker.get_secret_value()
    return text.startswith("sentinel://") and "?" in text


def _sentinel_url(value: SecretStr) -> SecretStr:
    addresses, _, query = value.get_secret_value().partition("?")
    *others, last = addresses.split(";")
    try:
        parts = [urlsplit(each if "://" in each else f"sentinel://{each}") for each in (*others, last)]
        named = all(part.hostname and part.scheme == "sentinel" and (part.port or 1) for part in parts)
    except ValueError:
        named = False
    if not named:
        raise ValueError(
            "should be sentinel://host:26379;sentinel://host:26379/0?master_name=NAME; "
            "are '/', '@', '#' of the password %2F, %40, %23?"
        )
    if any(part.path.strip("/") for part in parts[:-1]) or re.fullmatch(r"/*[0-9]*/?", parts[-1].path) is None:
        raise ValueError("has a path that is no database number; write the number after the last address")
    if not dict(parse_qsl(query)).get("master_name"):
        raise ValueError("does not say which master; add ?master_name=NAME")
    return value


def _celery_sentinels(url: str) -> str:
    """The login and the database at each address: kombu takes them from the one that it tries."""
    login, at, addresses = url.partition("?")[0].removeprefix("sentinel://").rpartition("@")
    *others, last = [address.removeprefix("sentinel://") for address in addresses.split(";")]
    last, _, database = last.partition("/")
    return ";".join(f"sentinel://{login}{at}{host.strip('/')}/{database or 0}" for host in (*others, last))
