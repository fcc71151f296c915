"""Records of the running roles: a key that expires for each process, ``PREFIX`` + ``role:ROLE:HOST:PID``."""

from __future__ import annotations

from monitor.store.redis.connection import RedisConnection
from monitor.store.redis.scanning import scan

LEASE_SECONDS = 15.0
"""The record of a role that was killed expires after this time."""


class RedisRoles:
    """A :class:`monitor.ports.store.RunningRoles` over the store's connection."""

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection, self._prefix = connection, f"{prefix}role:"

    def announce(self, role: str, host: str, pid: int) -> None:
        """Record that a role runs. Raise StoreUnavailable."""
        self._connection.call("SET", self._key(role, host, pid), "1", "PX", round(LEASE_SECONDS * 1e3))

    def leave(self, role: str, host: str, pid: int) -> None:
        """Delete the record of a role that ends. Raise StoreUnavailable."""
        self._connection.call("DEL", self._key(role, host, pid))

    def running(self) -> list[tuple[str, str, int]]:
        """Return the running roles: role, host and process id. Raise StoreUnavailable."""
        found = []
        for key in scan(self._connection, self._prefix):
            role, _, place = key.removeprefix(self._prefix.encode()).decode(errors="replace").partition(":")
            host, _, pid = place.rpartition(":")
            if pid.isdigit() and len(pid) < 10:
                found.append((role, host, int(pid)))
        return sorted(found)

    def _key(self, role: str, host: str, pid: int) -> str:
        return f"{self._prefix}{role}:{host}:{pid}"
