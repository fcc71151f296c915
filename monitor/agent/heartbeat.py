"""The heartbeat task: runs in the worker's pool, in whatever process or thread that is, and notes that it did."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import redis
from celery.app.task import Task

from monitor.agent import scripts, settings
from monitor.agent.link import TIMEOUT_SECONDS
from monitor.agent.protocol import HEARTBEAT, Keys, target_field
from monitor.redis_pool import connection_pool

log = logging.getLogger("monitor.agent")


class HeartbeatTask(Task):  # type: ignore[misc]
    """A task that is the same in every application, whatever its defaults, annotations and own Task class say."""

    from_config = ()
    ignore_result = True
    store_errors_even_if_ignored = False
    track_started = False
    acks_late = False
    acks_on_failure_or_timeout = True
    acks_on_failure = True
    acks_on_timeout = True
    reject_on_worker_lost = False
    retry_on_worker_lost = False
    rate_limit = None
    max_retries = 0
    serializer = "json"
    send_events = False

    @classmethod
    def annotate(cls) -> None:
        """No ``task_annotations``: a ``"*"`` in there is meant for the project's own tasks."""


def register(app: Any) -> None:
    """Make the heartbeat task known to an application, now or when it is finalized. Again is once."""
    if HEARTBEAT not in app._tasks:
        app.task(name=HEARTBEAT, base=HeartbeatTask, bind=True, shared=False, lazy=not app.finalized)(_heartbeat)


def _heartbeat(self: Any, kind: str, target: str, sent: int, *_: Any) -> None:
    try:
        _store_of(self.app).record(target_field(kind, target), int(sent), str(self.request.hostname))
    except Exception:
        log.debug("a heartbeat could not be recorded", exc_info=True)


class _Store:
    """One connection of one process, used by one heartbeat at a time, so that they never become more."""

    def __init__(self, app: Any) -> None:
        self.pid = os.getpid()
        found = settings.load(app.conf)
        self._keys = Keys.of(found.key_prefix)
        self._lock = threading.Lock()
        pool = connection_pool(found.redis_url, timeout_seconds=TIMEOUT_SECONDS) if found.redis_url else None
        self._client = redis.Redis(connection_pool=pool) if pool else None

    def record(self, field: str, sent: int, node: str) -> None:
        """Note an execution. Raises redis.RedisError, OSError."""
        if self._client is None or not self._lock.acquire(timeout=TIMEOUT_SECONDS):
            return
        try:
            scripts.run(self._client, scripts.EXECUTED, (self._keys.heartbeats,), (field, sent, node))
        finally:
            self._lock.release()


_stores: dict[int, _Store] = {}


def _store_of(app: Any) -> _Store:
    store = _stores.get(id(app))
    if store is None or store.pid != os.getpid():  # a child of prefork does not use its parent's connection
        store = _stores[id(app)] = _Store(app)
    return store
