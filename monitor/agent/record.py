"""Where a heartbeat notes that it was executed: the store, by a connection of each process that executes some."""

from __future__ import annotations

import os
import threading
from typing import Any

import redis
from redis.exceptions import ConnectionError, TimeoutError

from monitor.agent import scripts, settings
from monitor.agent.link import TIMEOUT_SECONDS
from monitor.agent.protocol import Keys
from monitor.redis_pool import connection_pool


def store_of(app: Any) -> Store:
    """The store of an application, for this process. Connects to nothing yet."""
    store = _stores.get(id(app))
    if store is None or store.pid != os.getpid():  # a child of prefork does not use its parent's connection
        store = _stores[id(app)] = Store(app)
    return store


class Store:
    """One connection of one process, used by one heartbeat at a time, so that they never become more."""

    def __init__(self, app: Any) -> None:
        self.pid = os.getpid()
        found = settings.load(app.conf)
        self._keys = Keys.of(found.key_prefix)
        self._lock = threading.Lock()
        pool = connection_pool(found.redis_url, timeout_seconds=TIMEOUT_SECONDS) if found.redis_url else None
        self._client = redis.Redis(connection_pool=pool) if pool else None
        self._worked = False

    def record(self, field: str, sent: int, by: str) -> None:
        """Note an execution ``by`` a worker: ``NODE|INSTANCE``. Raises redis.RedisError, OSError."""
        if self._client is None or not self._lock.acquire(timeout=TIMEOUT_SECONDS):
            return
        try:
            self._record(field, sent, by)
        except (ConnectionError, TimeoutError):
            # The connection may have broken while it lay idle; each child of a pool would lose a heartbeat by that.
            worked, self._worked = self._worked, False
            if not worked:
                raise
            self._record(field, sent, by)
        finally:
            self._lock.release()

    def _record(self, field: str, sent: int, by: str) -> None:
        scripts.run(self._client, scripts.EXECUTED, (self._keys.heartbeats,), (field, sent, by))
        self._worked = True


_stores: dict[int, Store] = {}
