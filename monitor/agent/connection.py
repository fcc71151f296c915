"""The agent's own connection to the store: bounded in time, known to the server by the worker's name and instance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from monitor.agent import scripts
from monitor.agent.protocol import Beacon, Keys, client_name, encode, target_field
from monitor.lib.redis_pool import connection_pool

TIMEOUT_AT_LEAST_SECONDS, TIMEOUT_AT_MOST_SECONDS = 2.0, 5.0
"""Links with a round trip of 1 s, or with packets that are sent again after 3 s, are slow and not broken."""


def timeout_seconds(interval_seconds: float) -> float:
    """Return how long one step of a connection may take: half an interval, within limits."""
    return min(max(TIMEOUT_AT_LEAST_SECONDS, interval_seconds / 2), TIMEOUT_AT_MOST_SECONDS)


class BeaconReply(NamedTuple):
    """What the store answers to a beacon: microseconds by its clock."""

    now_us: int
    executed_us: int | None
    """When the newest direct heartbeat that was executed had been sent."""
    emitted_us: int | None
    """When the newest direct heartbeat was sent."""


class AgentConnection:
    """Writes what one worker's agent has to report. Used by one thread; connects on first use."""

    def __init__(self, url: str, prefix: str, node: str, target: str, *, timeout_seconds: float) -> None:
        """Connect to nothing yet. ``target`` is the :attr:`Beacon.target` of this start of ``node``.

        ``timeout_seconds`` is for each of connecting, sending and receiving. Raises ValueError for a wrong URL.
        """
        self.client_id: int | None = None
        """CLIENT ID of the connection that was opened last; None when we may not ask."""
        self._node, self._target = node, target
        self._worked = False
        self._keys = Keys.of(prefix)
        pool = connection_pool(url, timeout_seconds=timeout_seconds)
        # Called for each new connection, also for those that redis-py opens by itself in place of a broken one.
        pool.connection_kwargs["redis_connect_func"] = self._introduce
        self._pool = pool
        self._client = redis.Redis(connection_pool=pool)

    def write(self, beacon: Beacon) -> BeaconReply:
        """Write a beacon, with the ``client_id`` of its connection put in. Raises redis.RedisError, OSError."""
        try:
            return self._write(beacon)
        except (ConnectionError, TimeoutError):
            # The connection may have broken while it lay idle: that is not the store's fault.
            worked, self._worked = self._worked, False
            if not worked:
                raise
            return self._write(beacon)

    def record(self, executed: Mapping[str, int], by: str) -> None:
        """Record heartbeats executed ``by`` a worker, ``NODE|INSTANCE``: by target field, when each was sent.

        Raises redis.RedisError, OSError.
        """
        try:
            for field, sent in executed.items():
                scripts.run(self._client, scripts.EXECUTED, (self._keys.heartbeats,), (field, sent, by))
        except (ConnectionError, TimeoutError):
            self._worked = False  # the next beacon, which is late by now, is not sent twice
            raise

    def close(self) -> None:
        """Close the connection. The next use opens one again."""
        self.client_id, self._worked = None, False
        self._pool.disconnect()

    def _write(self, beacon: Beacon) -> BeaconReply:
        if self.client_id is None:
            self._client.time()  # connects
        client_id = self.client_id
        seen = self._send(replace(beacon, client_id=client_id))
        if self.client_id != client_id:  # it went by another connection
            seen = self._send(replace(beacon, client_id=self.client_id))
        self._worked = True
        return seen

    def _send(self, beacon: Beacon) -> BeaconReply:
        arguments = (self._node, encode(beacon), beacon.instance, target_field("worker", self._target))
        now, executed, emitted = scripts.run(self._client, scripts.BEACON, tuple(self._keys), arguments)
        return BeaconReply(int(now), _microseconds(executed), _microseconds(emitted))

    def _introduce(self, connection: Any) -> None:
        connection.on_connect()
        self.client_id = None
        _try_command(connection, "CLIENT", "SETNAME", client_name(self._target))
        answer = _try_command(connection, "CLIENT", "ID")
        self.client_id = int(answer) if answer is not None else None


def _try_command(connection: Any, *command: str) -> Any:
    """A command's answer; None when the server refuses it."""
    connection.send_command(*command)
    try:
        return connection.read_response()
    except ResponseError:
        return None


def _microseconds(value: bytes | None) -> int | None:
    digits = re.match(rb"[0-9]{1,16}(?![0-9])", value or b"")
    return int(digits[0]) if digits else None
