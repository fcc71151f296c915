"""Record of the project that a store belongs to, in Redis: one key, ``PREFIX`` + ``project``."""

from __future__ import annotations

from monitor.agent.identity import RECORD_BYTES, Identity, decode, encode
from monitor.ports.store import StoreUnavailable
from monitor.store.redis.connection import RedisConnection

ATTEMPTS = 16
LEASE_SECONDS = 30.0
"""The record of a random project name expires after this time unless it is claimed again: its process may be gone."""


class RedisOwnership:
    """A :class:`monitor.ports.store.Ownership` over the store's connection."""

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection, self._key = connection, f"{prefix}project"

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when none does. Raise StoreUnavailable."""
        return decode(self._raw())

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if there is no other one. Return the owner. Raise StoreUnavailable."""
        stored = self._raw()
        found = decode(stored)
        return found if found not in (None, project) else decode(self._write(stored, project))

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous one. Raise StoreUnavailable."""
        for _ in range(ATTEMPTS):
            stored = self._raw()
            if decode(self._write(stored, project)) == project:
                return decode(stored)
        raise StoreUnavailable("another process keeps changing the project of the store")

    def _raw(self) -> bytes:
        return self._own(b"", "", 0)

    def _write(self, stored: bytes, project: Identity) -> bytes:
        return self._own(stored, encode(project), LEASE_SECONDS if project.random else 0)

    def _own(self, stored: bytes, value: str, lease_seconds: float) -> bytes:
        return bytes(
            self._connection.run(
                "project_claim", [self._key], [stored, value, round(lease_seconds * 1e3), RECORD_BYTES]
            )
        )
