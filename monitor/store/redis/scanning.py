"""Iteration over the keys of a server with SCAN, which does not block the server as KEYS does."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.store.redis.connection import RedisConnection

KEYS_PER_REPLY = 1000


def scan(connection: RedisConnection, prefix: str) -> Iterator[bytes]:
    """Yield each key that begins with ``prefix`` once. Raise StoreUnavailable."""
    cursor, found = 0, set[bytes]()
    while True:
        # The setting `key_prefix` contains no character that has a meaning in a pattern.
        cursor, keys = connection.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", KEYS_PER_REPLY)
        for key in keys:
            if key not in found:
                found.add(key)
                yield key
        if int(cursor) == 0:
            return
