"""The store in Redis or Valkey. All its stores share one connection pool."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.store.redis.connection import RedisConnection
from monitor.store.redis.history import RedisHistory
from monitor.store.redis.outbox import RedisOutbox
from monitor.store.redis.ownership import RedisOwnership
from monitor.store.redis.roles import RedisRoles
from monitor.store.redis.states import RedisStateStore
from monitor.store.redis.workers import RedisWorkers
from monitor.store.rejected import RejectedValues
from monitor.store.retention import Retention


class RedisStore:
    """A :class:`monitor.ports.store.Store` on a Redis server, 6.2 or newer, or Valkey.

    - ``url`` is ``redis://``, ``rediss://`` or ``unix://``. The first call connects.
    - All keys begin with ``prefix``.
    - A call takes at most about three times ``timeout_seconds``.
    - The history of ``roster_size`` checks stays within the memory budget of ``retention``.
    - Pass ``retries=False`` for a process that only reads. Failed calls are then not repeated, and rejected values are
      neither counted in the store nor deleted.

    Threads may share the store, and it may be used after a fork.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "monitor:",
        timeout_seconds: float = 2.0,
        retention: Retention = Retention(),  # noqa: B008 - frozen
        roster_size: int = 100,
        retries: bool = True,
    ) -> None:
        self._connection = connection = RedisConnection(url, timeout_seconds=timeout_seconds, retries=retries)
        self._rejected = rejected = RejectedValues(connection, prefix, writes=retries)
        self.history = RedisHistory(connection, prefix, retention, rejected)
        self.states = RedisStateStore(
            connection, prefix, rejected, history=self.history, retention=retention, roster_size=roster_size
        )
        self.alerts = RedisOutbox(connection, prefix, rejected)
        self.workers = RedisWorkers(connection, prefix, rejected)
        self.ownership = RedisOwnership(connection, prefix)
        self.roles = RedisRoles(connection, prefix)

    def rejected_counts(self) -> Mapping[str, int]:
        """Return the number of rejected values so far, by kind. Raise StoreUnavailable.

        Delete values that are too large or too many.
        """
        self.states.delete_oversized()
        self.alerts.delete_oversized()
        return self._rejected.total()

    def refusal(self) -> str | None:
        """Return the reason code if the server refuses writes, else None. Raise StoreUnavailable."""
        info = self._connection.ask("INFO")
        if not isinstance(info, dict):
            return None
        if info.get("loading"):
            return "loading"
        if info.get("role") == "slave":
            return "read_only"
        limit = info.get("maxmemory") or 0
        if limit and info.get("maxmemory_policy") == "noeviction" and info.get("used_memory", 0) >= limit:
            return "out_of_memory"
        return None

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()
