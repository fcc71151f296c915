"""Test whether a restarted worker could reach its broker and the monitor's store.

The test opens a new connection to the broker and to the store. The open connections of the worker and its agent prove
nothing: open connections work even if no name server answers, or if the broker accepts no more connections.
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
"""Timeout of each operation on a new connection, and limit on the wait of the beacon thread for the entire test."""


class Reachability:
    """Tester of new connections to one worker's broker and to the store."""

    def __init__(self, conf: Any, store: str | None) -> None:
        """Prepare the tests. ``conf`` is the application's configuration, ``store`` the URL of the store.

        If ``conf`` has no usable URL of the broker, the store is tested instead of the broker.
        """
        self._store = store
        self._was_connected = True
        self._calls = BoundedCalls("monitor-reach")
        self._url: str | None = store
        self._addresses: tuple[tuple[str, int], ...] = ()
        with contextlib.suppress(ValueError):
            url, options, tls = broker.connection_settings(conf)
            redis_url, addresses = broker.store_url(url, options, tls), broker.addresses(url)
            if redis_url != store and addresses != broker.addresses(store) and (redis_url or addresses):
                self._url, self._addresses = redis_url, addresses

    @property
    def is_one_server(self) -> bool:
        """Return whether broker and store are the same server, as far as their URLs show."""
        return self._url == self._store

    def observe(self, *, store_answers: bool, connected: bool, verify: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached.

        ``store_answers`` is the result of the agent's open connection, ``connected`` the state of Celery's connection.
        If Celery is connected and ``verify`` is false, the states of the open connections are returned. Otherwise a
        new connection to each server is tried: if no name server answers, the open connections still work, but a
        restarted worker could not connect. If Celery has lost its connection since the last call, the broker is
        reported as unreachable once. This gives Celery time to reconnect.
        """
        just_lost, self._was_connected = self._was_connected and not connected, connected
        if connected and not verify:
            return store_answers, store_answers or not self.is_one_server
        store_answers = store_answers and self._within_timeout(self.is_store_reachable)
        reachable = store_answers if self.is_one_server else self._within_timeout(self.is_broker_reachable)
        return store_answers, reachable and not just_lost

    def is_store_reachable(self) -> bool:
        """Return whether the store answers on a new connection."""
        return self._store is not None and self._answers(self._store)

    def is_broker_reachable(self) -> bool:
        """Return whether the broker answers on a new connection.

        For a broker other than Redis, it is enough that the broker accepts the connection.
        """
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
