"""Counter of rejected values. A rejected value cannot be decoded or is too large: the store ignores it.

Rejected values are counted by kind in the hash ``PREFIX`` + ``aside`` of the store. The check ``monitor:store`` reports
these counts. A value that is not deleted is counted each time it is read.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping

from monitor.lib import logs
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.connection import RedisConnection

KINDS = (
    *("state", "transition", "memory", "alert", "notice", "silence", "dead_letter"),
    *("beacon", "heartbeat", "round_state", "sample", "block", "index_entry"),
)
LOG_EVERY_SECONDS = 60.0

log = logs.get_logger("monitor.store")


class RejectedValues:
    """Counter of rejected values in this process and, with ``writes``, in the store."""

    def __init__(self, connection: RedisConnection, prefix: str, *, writes: bool) -> None:
        self._connection, self._key, self.writes = connection, f"{prefix}aside", writes
        self._counts = Counter[str]()
        self._logged: dict[str, tuple[float, int]] = {}

    def count(self, kind: str, number: int = 1) -> None:
        """Add ``number`` to the count of a kind. Log each kind at most once a minute. Raise nothing."""
        if number <= 0:
            return
        number = int(number)  # callers may pass a bool
        self._counts[kind] += number
        logged_at, logged_count = self._logged.get(kind, (float("-inf"), 0))
        if time.monotonic() - logged_at >= LOG_EVERY_SECONDS:
            self._logged[kind] = time.monotonic(), self._counts[kind]
            log.warning("store.values_set_aside", kind=kind, count=self._counts[kind] - logged_count)
        if self.writes:
            with contextlib.suppress(StoreUnavailable):  # the count was logged
                self._connection.ask("HINCRBY", self._key, kind, number)

    def total(self) -> Mapping[str, int]:
        """Return the counts that are stored, by kind. Raise StoreUnavailable."""
        values = self._connection.ask("HMGET", self._key, *KINDS)
        if not isinstance(values, list):
            self._connection.ask("DEL", self._key)  # The key is no hash.
            return {}
        counts = {kind: raw for kind, raw in zip(KINDS, values, strict=True) if isinstance(raw, bytes)}
        return {kind: int(raw) for kind, raw in counts.items() if raw.isdigit() and len(raw) < 16}
