"""What lies in a Redis, as plain data that Redis and Valkey of any version take: key, type, value, time to live."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

Dump = dict[str, dict[str, Any]]

YEAR_MS = 366 * 86_400_000


def dump(client: redis.Redis, pattern: str = "monitor:*") -> Dump:
    """Return all keys that fit ``pattern``, by name, with their types and values.

    ``ttl`` is a key's time to live in milliseconds. ``at`` takes its place where the time of the end was given: by the
    clock of `clock.py`, and so years from now. Both are null for keys that do not expire.
    """
    found: Dump = {}
    for key in sorted(client.scan_iter(pattern, count=1000)):
        kind = client.type(key).decode()
        ttl, at = client.pttl(key), client.pexpiretime(key)
        entry = {"ttl": None, "at": at} if ttl > YEAR_MS else {"ttl": ttl if ttl >= 0 else None, "at": None}
        found[text(key)] = {"type": kind, **entry, "value": _value(client, key, kind)}
    return found


def load(client: redis.Redis, store: Dump) -> None:
    """Write the keys of a dump."""
    for name, entry in store.items():
        key, value = raw(name), entry["value"]
        match entry["type"]:
            case "string":
                client.set(key, raw(value))
            case "list":
                client.rpush(key, *map(raw, value))
            case "set":
                client.sadd(key, *map(raw, value))
            case "hash":
                client.hset(key, mapping={raw(field): raw(each) for field, each in value})
            case "zset":
                client.zadd(key, {raw(member): score for member, score in value})
            case "stream":
                for number, fields in value:
                    client.xadd(key, {raw(field): raw(each) for field, each in fields}, id=number)
        if entry["ttl"] is not None:
            client.pexpire(key, entry["ttl"])
        if entry["at"] is not None:
            client.pexpireat(key, entry["at"])


def write(file: Path, content: Any) -> None:
    """Write JSON, compressed; the same bytes for the same content."""
    file.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), 9, mtime=0))


def read(file: Path) -> Any:
    """Read what :func:`write` has written."""
    return json.loads(gzip.decompress(file.read_bytes()))


def text(value: bytes) -> str:
    """Return bytes as text: as they are where they are printable ASCII, else in base64 after a mark."""
    if value.isascii() and value.decode().isprintable() and not value.startswith(b"base64,"):
        return value.decode()
    return f"base64,{base64.b64encode(value).decode()}"


def raw(value: str) -> bytes:
    """Return the bytes of a :func:`text`."""
    return base64.b64decode(value[7:]) if value.startswith("base64,") else value.encode()


def _value(client: redis.Redis, key: bytes, kind: str) -> Any:
    match kind:
        case "string":
            return text(client.get(key))
        case "list":
            return [*map(text, client.lrange(key, 0, -1))]
        case "set":
            return sorted(map(text, client.smembers(key)))
        case "hash":
            return sorted(map(list, _texts(client.hgetall(key))))
        case "zset":
            return [[text(member), score] for member, score in client.zrange(key, 0, -1, withscores=True)]
        case "stream":
            return [[number.decode(), [*map(list, _texts(fields))]] for number, fields in client.xrange(key)]
    raise ValueError(f"{key!r} has the type {kind}")


def _texts(fields: dict[bytes, bytes]) -> Iterator[tuple[str, str]]:
    return ((text(field), text(value)) for field, value in fields.items())
