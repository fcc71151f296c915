"""Rejected values: stored by another program, or damaged, and therefore ignored without an error.

They are counted by kind in a hash of the store (``PREFIX`` + ``aside``), which the self check ``monitor:store`` shows.
A value that stays is counted each time it is read.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping

import structlog

from monitor.ports.store import StoreUnavailable
from monitor.store.redis.connection import RedisConnection

KINDS = (
    *("state", "transition", "memory", "alert", "notice", "silence", "dead_letter"),
    *("beacon", "heartbeat", "round_state", "sample", "block", "index_entry"),
)
LOG_EVERY_SECONDS = 60.0

log = structlog.get_logger("monitor.store")


class RejectedValues:
    """Counter of rejected values: in this process, and with ``writes`` also in the store."""

    def __init__(self, connection: RedisConnection, prefix: str, *, writes: bool) -> None:
        self._connection, self._key, self.writes = connection, f"{prefix}aside", writes
        self._counts = Counter[str]()
        self._logged: dict[str, tuple[float, int]] = {}

    def count(self, kind: str, number: int = 1) -> None:
        """Count ``number`` values of a kind, and log the kind at most once in a minute. Never raise."""
        if number <= 0:
            return
        number = int(number)  # callers may pass a bool
        self._counts[kind] += number
        logged_at, before = self._logged.get(kind, (float("-inf"), 0))
        if time.monotonic() - logged_at >= LOG_EVERY_SECONDS:
            self._logged[kind] = time.monotonic(), self._counts[kind]
            log.warning("store.values_set_aside", kind=kind, count=self._counts[kind] - before)
        if self.writes:
            with contextlib.suppress(StoreUnavailable):  # the log has it
                self._connection.ask("HINCRBY", self._key, kind, number)

    def total(self) -> Mapping[str, int]:
        """Return the number counted in the store so far, by kind. Raise StoreUnavailable."""
        found = self._connection.ask("HMGET", self._key, *KINDS)
        if not isinstance(found, list):
            self._connection.ask("DEL", self._key)  # another type, not a hash
            return {}
        counts = {kind: raw for kind, raw in zip(KINDS, found, strict=True) if isinstance(raw, bytes)}
        return {kind: int(raw) for kind, raw in counts.items() if raw.isdigit() and len(raw) < 16}
