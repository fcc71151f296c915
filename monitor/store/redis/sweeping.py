"""Hashes with more fields than a script may look at: another program has filled them."""

from __future__ import annotations

from monitor.store.redis.connection import RedisConnection

FIELDS_AT_A_TIME = 5000
"""A script holds up everybody else for some ten milliseconds at most."""
SCRIPTS = 400


def sweep(link: RedisConnection, key: str, *, changed: str = "", least: int, limit: int) -> int:
    """Remove what is beyond, and return how many fields that were: none, but for a hash that was filled by others.

    First those whose values have no length between ``least`` and ``limit`` bytes, or that have no place in the sorted
    set ``changed``. Raises StoreUnavailable.
    """
    total, more = 0, 1
    for _ in range(SCRIPTS):
        removed, more = link.run("sweep", [key, changed or key], [FIELDS_AT_A_TIME, least, limit])
        total += removed
        if not more:
            break
    return total
