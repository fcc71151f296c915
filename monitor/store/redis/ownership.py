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

    def __init__(self, link: RedisConnection, prefix: str) -> None:
        self._link, self._key = link, f"{prefix}project"

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when none does. Raise StoreUnavailable."""
        return decode(self._raw())

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if there is no owner or it is this one. Return the owner. Raise StoreUnavailable."""
        seen = self._raw()
        found = decode(seen)
        return found if found not in (None, project) else decode(self._write(seen, project))

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous one. Raise StoreUnavailable."""
        for _ in range(ATTEMPTS):
            seen = self._raw()
            if decode(self._write(seen, project)) == project:
                return decode(seen)
        raise StoreUnavailable("others write the store's project all the time")

    def _raw(self) -> bytes:
        return self._own(b"", "", 0)

    def _write(self, seen: bytes, project: Identity) -> bytes:
        return self._own(seen, encode(project), LEASE_SECONDS if project.random else 0)

    def _own(self, seen: bytes, value: str, lease_seconds: float) -> bytes:
        return bytes(self._link.run("own", [self._key], [seen, value, round(lease_seconds * 1e3), RECORD_BYTES]))
