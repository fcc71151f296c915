"""Whether a worker that started now would reach its broker and the monitor's store: tried by new connections.

The connections that a worker and its agent have do not show that. They need no name server, and a broker that accepts
no more of them keeps those that it has.
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
"""For each step of a connection, and for the connection as a whole: so long the worker's pulse waits for it."""


class Reachability:
    """Tries new connections to one worker's broker, and to the store. Connects to nothing until then."""

    def __init__(self, conf: Any, store: str | None) -> None:
        """``conf``: the configuration of the worker's application. A broker whose URL says nothing is the store."""
        self._store = store
        self._connected = True
        self._calls = BoundedCalls("monitor-reach")
        self._url: str | None = store
        self._addresses: tuple[tuple[str, int], ...] = ()
        with contextlib.suppress(ValueError):
            url, options, tls = broker.connection_settings(conf)
            found, addresses = broker.store_url(url, options, tls), broker.addresses(url)
            if found != store and addresses != broker.addresses(store) and (found or addresses):
                self._url, self._addresses = found, addresses

    @property
    def one_server(self) -> bool:
        """Whether the broker is the store."""
        return self._url == self._store

    def observe(self, *, store_answers: bool, connected: bool, doubtful: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached.

        As long as nothing is ``doubtful`` and Celery is ``connected``, the connections that are open count. Otherwise a
        new one is tried to each: with a silent name server the open ones work, and what has lost its own (Celery, or a
        child of the pool) cannot have another one. Nor would a worker that is restarted. A connection that Celery has
        lost since the last call counts as an outage, which gives it time to come back.
        """
        lost, self._connected = self._connected and not connected, connected
        if connected and not doubtful:
            return store_answers, store_answers or not self.one_server
        store_answers = store_answers and self._in_time(self.store)
        reachable = store_answers if self.one_server else self._in_time(self.broker)
        return store_answers, reachable and not lost

    def store(self) -> bool:
        """Return whether the store answers on a new connection."""
        return self._store is not None and self._answers(self._store)

    def broker(self) -> bool:
        """Return whether the broker answers on a new connection; if it is no Redis, whether it accepts one."""
        if self._url is not None:
            return self._answers(self._url)
        return any(map(self._accepts, self._addresses))

    def _in_time(self, connect: Callable[[], bool]) -> bool:
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
            return True  # it permits no PING
        except (RedisError, OSError, ValueError):
            return False
        return True

    def _accepts(self, address: tuple[str, int]) -> bool:
        try:
            socket.create_connection(address, timeout=TIMEOUT_SECONDS).close()
        except OSError:
            return False
        return True
