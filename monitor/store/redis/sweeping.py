"""Cleaning of hashes with more fields than a script may read, which only another program can have filled."""

from __future__ import annotations

from monitor.store.redis.connection import RedisConnection

FIELDS_AT_A_TIME = 5000
"""A script blocks the server for about ten milliseconds at most."""
SCRIPTS = 400


def sweep(connection: RedisConnection, key: str, *, changed: str = "", least: int, limit: int) -> int:
    """Delete fields of a hash beyond the limit of a script, and return their number. Raise StoreUnavailable.

    First delete fields whose values are not between ``least`` and ``limit`` bytes long, or that are not in the sorted
    set ``changed``, then others. A hash within the limit stays as it is.
    """
    total, more = 0, 1
    for _ in range(SCRIPTS):
        removed, more = connection.run("sweep", [key, changed or key], [FIELDS_AT_A_TIME, least, limit])
        total += removed
        if not more:
            break
    return total
