"""What is known of URLs: which are right for what. Errors never repeat the URL: it may hold a password."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import SecretStr


def url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError when it has no scheme."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value()) is None:
        raise ValueError("should be a URL, such as redis://host:6379/0 or postgresql://user:password@host/name")
    return value


def redis_url(value: SecretStr) -> SecretStr:
    """The same URL. Raises ValueError when it does not name a Redis server the way redis-py wants it."""
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
        raise ValueError("should begin with redis://, rediss:// or unix://")
    return value


def celery_url(store: SecretStr) -> SecretStr:
    """The URL by which Celery reaches the Redis of ``store``: for sockets it has words of its own."""
    parts = urlsplit(store.get_secret_value())
    if parts.scheme != "unix":
        return store
    query = parse_qs(parts.query)
    user, password = query.get("username", [""])[0], query.get("password", [""])[0]
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    if password and not credentials:
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return SecretStr(f"redis+socket://{credentials}{parts.path}?virtual_host={query.get('db', ['0'])[0]}")
