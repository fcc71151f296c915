"""Test of whether a restarted worker could reach its broker and the monitor's store, by new connections to both.

The open connections of a worker and its agent do not show this: they work without a name server, and a broker that
accepts no more connections keeps the open ones.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from monitor.agent import broker
from monitor.agent.bounded_calls import BoundedCalls
from monitor.lib.redis_pool import connection_pool

TIMEOUT_SECONDS = 1.0
"""Timeout of each step of a connection, and of the entire attempt, for which the beacon thread waits."""


class Reachability:
    """Tester of new connections to one worker's broker and to the store. It connects only when it tests."""

    def __init__(self, conf: Any, store: str | None) -> None:
        """Find the broker in ``conf``, the application's configuration. Without a usable URL it is the store."""
        self._store = store
        self._was_connected = True
        self._calls = BoundedCalls("monitor-reach")
        self._url: str | None = store
        self._addresses: tuple[tuple[str, int], ...] = ()
        with contextlib.suppress(ValueError):
            url, options, tls = broker.connection_settings(conf)
            found, addresses = broker.store_url(url, options, tls), broker.addresses(url)
            if found != store and addresses != broker.addresses(store) and (found or addresses):
                self._url, self._addresses = found, addresses

    @property
    def is_one_server(self) -> bool:
        """Return whether broker and store are the same server."""
        return self._url == self._store

    def observe(self, *, store_answers: bool, connected: bool, verify: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached.

        The state of the open connections is returned while Celery is ``connected`` and nothing is ``verify``.
        Otherwise a new connection to each server is tried. If a name server does not answer, open connections still
        work, but Celery or a child of the pool that lost its connection cannot open another, and neither could a
        restarted worker. If Celery has lost its connection since the last call, the broker counts as unreachable once,
        which gives Celery time to reconnect.
        """
        lost, self._was_connected = self._was_connected and not connected, connected
        if connected and not verify:
            return store_answers, store_answers or not self.is_one_server
        store_answers = store_answers and self._within_timeout(self.is_store_reachable)
        reachable = store_answers if self.is_one_server else self._within_timeout(self.is_broker_reachable)
        return store_answers, reachable and not lost

    def is_store_reachable(self) -> bool:
        """Return whether the store answers on a new connection."""
        return self._store is not None and self._answers(self._store)

    def is_broker_reachable(self) -> bool:
        """Return whether the broker answers on a new connection; if it is not Redis, whether it accepts one."""
        if self._url is not None:
            return self._answers(self._url)
        return any(map(self._accepts, self._addresses))

    def _within_timeout(self, connect: Callable[[], bool]) -> bool:
        try:
            return self._calls.run(connect, seconds=TIMEOUT_SECONDS)
        except TimeoutError:
            return False

    def _answers(self, url: str) -> bool:
        try:
            pool = connection_pool(url, timeout_seconds=TIMEOUT_SECONDS)
            try:
                redis.Redis(connection_pool=pool).ping()
            finally:
                pool.disconnect()
        except ResponseError:
            return True  # the server does not permit PING, but it answers
        except (RedisError, OSError, ValueError):
            return False
        return True

    def _accepts(self, address: tuple[str, int]) -> bool:
        try:
            socket.create_connection(address, timeout=TIMEOUT_SECONDS).close()
        except OSError:
            return False
        return True
