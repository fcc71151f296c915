"""Deletion of fields from hashes that have too many for a script. Only another program can have added these fields."""

from __future__ import annotations

from monitor.store.redis.connection import RedisConnection

FIELDS_AT_A_TIME = 5000
"""Number of fields that one call of the script reads. The call blocks the server for at most about ten milliseconds."""
MAX_CALLS = 400


def delete_surplus_fields(connection: RedisConnection, key: str, *, changed: str = "", least: int, limit: int) -> int:
    """Delete fields of a hash until a script can read all of them. Return the number of deleted fields.

    A hash that a script can read stays as it is. Two kinds of fields are deleted first: fields whose values are shorter
    than ``least`` bytes or longer than ``limit`` bytes, and fields that are not in the sorted set ``changed``. Raise
    StoreUnavailable.
    """
    total, more = 0, 1
    for _ in range(MAX_CALLS):
        deleted, more = connection.run("delete_surplus_fields", [key, changed or key], [FIELDS_AT_A_TIME, least, limit])
        total += deleted
        if not more:
            break
    return total
